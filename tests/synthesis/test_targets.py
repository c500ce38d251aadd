"""Asked mouth shapes on the plate's own head."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.synthesis.targets import build_targets
from lipcore.tracking.align import to_square
from lipcore.tracking.head import LIPS_INNER_LOWER, LIPS_INNER_UPPER, fit_pose, lower_face

SCALE = 160.0


def gaps(points):
    """Between facing points of the inner lips, in interocular units of the pose-free head."""
    head = fit_pose(points).to_head(points)
    return head[list(LIPS_INNER_LOWER), 1] - head[list(LIPS_INNER_UPPER), 1]


@pytest.fixture
def spoken(face, make_track, basis):
    """Six frames of a head that turns and speaks, and its shapes."""
    meshes = [
        face(scale=SCALE, yaw=4.0 * i, roll=2.0, open=1.2 + np.sin(i), wide=np.cos(i))
        for i in range(6)
    ]
    track = make_track(meshes)
    values, _ = basis.measure(track.landmarks, neutral=basis.mean_shape)
    return track, values


def targets_of(spoken, basis, asked, strength):
    track, values = spoken
    power = np.full(len(values), strength, np.float32)
    return build_targets(track, basis, basis.mean_shape, values, asked, power)


def test_what_the_plate_does_asked_again_keeps_the_lips(spoken, basis):
    track, values = spoken
    made = targets_of(spoken, basis, values, 1.0)
    moved = np.abs(made.wanted - to_square(track.landmarks, 1.0))[:, :, :2]
    # Lips that nearly touch are brought together; all else stays.
    assert moved.max() < 0.01 * SCALE
    assert moved.mean() < 0.0005 * SCALE
    assert np.array_equal(made.values, values)
    assert made.present.all()


def test_the_upper_face_never_moves(spoken, basis):
    made = targets_of(spoken, basis, np.random.default_rng(0).normal(0, 0.05, (6, 8)), 1.0)
    upper = [i for i in range(478) if i not in lower_face()]
    assert np.array_equal(made.wanted[:, upper], made.shown[:, upper])


def test_strength_mixes_the_shapes(spoken, basis):
    _, values = spoken
    asked = np.zeros_like(values)
    half = targets_of(spoken, basis, asked, 0.5)
    none = targets_of(spoken, basis, asked, 0.0)
    assert np.allclose(half.values, values / 2, atol=1e-6)
    assert np.array_equal(none.values, values)
    assert (none.strength == 0).all()


@pytest.mark.parametrize("opening", [0.5, 1.5, 2.5])
def test_the_asked_opening_is_drawn_in_any_pose(spoken, basis, opening):
    _, values = spoken
    asked = np.zeros_like(values)
    asked[:, basis.column("open")] = opening * basis.std[basis.column("open")]
    made = targets_of(spoken, basis, asked, 1.0)
    expected = basis.mean_shape + basis.offsets(asked[0])
    lower = list(basis.indices)
    middle = expected[lower.index(14), 1] - expected[lower.index(13), 1]
    drawn = [gaps(points)[5] for points in made.wanted]
    assert np.allclose(drawn, middle, atol=0.012)


def test_lips_never_cross(spoken, basis):
    rng = np.random.default_rng(7)
    for _ in range(5):
        asked = rng.normal(0, 3, (6, len(basis.names))) * basis.std
        asked[:, basis.column("open")] = -4 * basis.std[basis.column("open")]
        made = targets_of(spoken, basis, asked.astype(np.float32), 1.0)
        least = min(gaps(points).min() for points in made.wanted)
        assert least > -1e-3


def test_features_are_the_same_for_the_same_mouth_in_any_pose(face, make_track, basis):
    poses = ({"yaw": 0.0}, {"yaw": 20.0, "pitch": 8.0}, {"roll": 15.0, "scale": 80.0})
    track = make_track([face(**pose, open=1.5, wide=0.5) for pose in poses])
    values, _ = basis.measure(track.landmarks, neutral=basis.mean_shape)
    made = build_targets(
        track, basis, basis.mean_shape, values, values, np.ones(3, np.float32)
    )
    assert np.abs(made.shown_shape - made.shown_shape[0]).max() < 1e-4
    assert np.allclose(made.angles_deg[1], (20, 8), atol=1.5)


def test_absent_faces_are_not_drawn(face, make_track, basis):
    track = make_track([face(open=1.0), None, face(open=0.0)])
    values, _ = basis.measure(track.landmarks, neutral=basis.mean_shape)
    made = build_targets(
        track, basis, basis.mean_shape, values, np.zeros((3, 8), np.float32),
        np.ones(3, np.float32),
    )
    assert made.present.tolist() == [True, False, True]
    assert np.isnan(made.wanted[1]).all()


def test_an_anamorphic_plate_draws_the_same_mouth(face, make_track, basis):
    meshes = [face(yaw=10, open=1.0), face(yaw=12, open=2.0)]
    asked = np.random.default_rng(1).normal(0, 1, (2, 8)) * basis.std
    results = []
    for aspect in (1.0, 2.0):
        track = make_track(meshes, pixel_aspect=aspect)
        square = to_square(track.landmarks, aspect)
        values, _ = basis.measure(square, neutral=basis.mean_shape)
        made = build_targets(
            track, basis, basis.mean_shape, values, asked.astype(np.float32),
            np.ones(2, np.float32),
        )
        results.append(made.wanted)
    assert np.allclose(results[0], results[1], atol=0.01)
