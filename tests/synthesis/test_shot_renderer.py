"""A shot drawn from its own frames: jumps dissolved, cuts respected, light and place kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from lipcore.media.color import ColorTransform
from lipcore.synthesis.bank import BankWriter, FrameBank
from lipcore.synthesis.inner_mouth import InnerMouthPainter
from lipcore.synthesis.select import SelectionConfig
from lipcore.synthesis.shot_renderer import Moments, ShotRenderer, _blend_jumps
from lipcore.synthesis.targets import build_targets
from lipcore.tracking.head import (
    JAW_LINE,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
)
from lipcore.types import Frame, Window
from lipcore.weights import find_weights

PLATE = Window(0, 0, 320, 240)


def moments(numbers, cuts=()):
    return Moments.of(np.array(numbers, np.int64), cuts)


def test_a_jump_is_dissolved_over_two_frames():
    shot = moments(range(1001, 1011))
    made = _blend_jumps(np.array([0, 1, 6, 7]), moments(range(1001, 1005)), shot)
    assert made[1001] == ((0, 1.0),)
    assert dict(made[1002]) == pytest.approx({1: 2 / 3, 5: 1 / 3})
    assert dict(made[1003]) == pytest.approx({6: 2 / 3, 2: 1 / 3})
    assert made[1004] == ((7, 1.0),)


def test_shares_always_sum_to_one():
    rng = np.random.default_rng(0)
    path = rng.integers(0, 20, 60)
    shot = moments([*range(1001, 1011), *range(1020, 1030)], cuts=(1025,))
    made = _blend_jumps(path, moments(range(1001, 1061), cuts=(1025,)), shot)
    assert all(sum(share for _, share in sources) == pytest.approx(1) for sources in made.values())


def test_what_is_asked_on_both_sides_of_a_cut_is_not_mixed():
    shot = moments(range(1001, 1011), cuts=(1006,))
    made = _blend_jumps(np.array([2, 3, 8, 9]), moments(range(1004, 1008), cuts=(1006,)), shot)
    assert [dict(s) for s in made.values()] == [{2: 1.0}, {3: 1.0}, {8: 1.0}, {9: 1.0}]


def test_sources_are_not_continued_over_a_cut_or_a_gap():
    asked = moments(range(2001, 2003))
    ends_at_cut = moments(range(1001, 1011), cuts=(1004,))
    made = _blend_jumps(np.array([2, 8]), asked, ends_at_cut)
    assert dict(made[2002]) == pytest.approx({8: 2 / 3, 2: 1 / 3})
    ends_at_gap = moments([1001, 1002, 1003, 1010, 1011, 1012])
    made = _blend_jumps(np.array([2, 5]), asked, ends_at_gap)
    assert dict(made[2002]) == pytest.approx({5: 2 / 3, 2: 1 / 3})


def drawn_face(points, background=0.2):
    """A plain face: skin with a slow shade, red lips, a dark inner mouth with teeth."""
    picture = np.full((*PLATE.shape, 3), background, np.float32)
    y, x = np.mgrid[: PLATE.height, : PLATE.width]
    skin = np.stack([0.6 + 0.0005 * x, 0.45 + 0.0003 * y, 0.4 + 0 * x], -1)

    def fill(indices, color):
        mask = np.zeros(PLATE.shape, np.uint8)
        polygon = np.round((points[indices, :2] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [polygon], 255, cv2.LINE_AA, 4)
        share = mask[..., None].astype(np.float32) / 255
        picture[...] = picture * (1 - share) + color * share

    hull = cv2.convexHull(points[:468, :2].astype(np.float32), returnPoints=False)[:, 0]
    fill(hull, skin)
    fill([*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER[::-1]], np.array([0.6, 0.2, 0.2], np.float32))
    fill([*LIPS_INNER_UPPER, *LIPS_INNER_LOWER[::-1]], np.array([0.08, 0.03, 0.03], np.float32))
    return picture


@pytest.fixture
def shot(tmp_path, face, make_track, basis):
    """Twelve frames of a drawn face that opens and shuts its mouth, in scene-linear."""
    color = ColorTransform.for_plate("scene_linear")
    meshes = [
        face(scale=80, at=(160 + 0.5 * i, 90), yaw=0.5 * i, open=1.3 + 1.2 * np.sin(i))
        for i in range(12)
    ]
    track = make_track(meshes)
    frames = [
        Frame(1001 + i, color.from_display(drawn_face(mesh)), PLATE)
        for i, mesh in enumerate(meshes)
    ]
    with BankWriter(tmp_path) as writer:
        for frame, mesh in zip(frames, meshes, strict=True):
            writer.add(frame, mesh, 1.0)
    bank = FrameBank(tmp_path)
    values, _ = basis.measure(track.landmarks, neutral=basis.mean_shape)

    def renderer(asked, strength=1.0, **selection):
        targets = build_targets(
            track, basis, basis.mean_shape, values, asked,
            np.full(12, strength, np.float32),
        )
        made = ShotRenderer(
            targets, track, bank, targets.shown, targets.shown_shape, targets.angles_deg, color,
            InnerMouthPainter(find_weights("base")), selection=SelectionConfig(**selection),
            feather=0.1,
        )
        return made, targets

    return renderer, frames, values, color


def test_the_plates_own_mouth_is_drawn_as_the_plate(shot):
    renderer, frames, values, color = shot
    made, _ = renderer(values)
    for frame in frames[::4]:
        patch = made.render(frame)
        cut = patch.window.slices_in(frame.window)
        plate = frame.rgb[cut]
        merged = plate * (1 - patch.alpha[..., None]) + patch.rgb
        away = np.abs(color.to_display(merged) - color.to_display(plate))
        assert away.mean() < 0.004
        assert np.quantile(away, 0.99) < 0.06
    assert {n for s in made.sources.values() for n, _ in s} == set(range(1001, 1013))


def test_nothing_is_drawn_at_strength_0(shot):
    renderer, frames, values, _ = shot
    made, _ = renderer(np.zeros_like(values), strength=0.0)
    assert all(made.render(frame) is None for frame in frames)
    assert made.sources == {}


def test_a_little_strength_draws_a_thin_matte(shot):
    renderer, frames, values, _ = shot
    made, _ = renderer(np.zeros_like(values), strength=0.05)
    patch = made.render(frames[3])
    assert patch.alpha.max() == pytest.approx(0.5, abs=0.01)


def test_an_asked_opening_shows_between_the_lips(shot, basis):
    renderer, frames, values, color = shot
    dark = {}
    for opening in (0.3, 1.3, 2.4):
        asked = np.zeros_like(values)
        asked[:, basis.column("open")] = opening * basis.std[basis.column("open")]
        made, _ = renderer(asked, exclude_frames=1)
        patch = made.render(frames[5])
        full = patch.alpha > 0.99
        shown = color.to_display(patch.rgb / np.maximum(patch.alpha[..., None], 1e-6))
        dark[opening] = int((full & (shown.sum(-1) < 0.4)).sum())
    assert dark[0.3] < dark[1.3] < dark[2.4]
    assert dark[2.4] > 4 * max(dark[0.3], 1)


def test_light_that_changes_between_source_and_target_is_followed(shot, basis):
    """Lit at half, the same shot draws a mouth that is lit at half, with no seam."""
    renderer, frames, values, _ = shot
    asked = values[::-1].copy()
    made, _ = renderer(asked)
    frame = frames[4]
    bright = made.render(frame)
    dim = made.render(Frame(frame.number, frame.rgb * 0.5, frame.window))
    rim = (bright.alpha > 0.05) & (bright.alpha < 0.5)
    ratio = dim.rgb[rim].mean() / bright.rgb[rim].mean()
    assert ratio == pytest.approx(0.5, abs=0.06)


def test_a_patch_is_premultiplied_and_ends_inside_its_window(shot):
    renderer, frames, values, _ = shot
    made, _ = renderer(values[::-1].copy())
    for frame in frames[::3]:
        patch = made.render(frame)
        assert (patch.rgb[patch.alpha == 0] == 0).all()
        border = np.concatenate(
            [patch.alpha[0], patch.alpha[-1], patch.alpha[:, 0], patch.alpha[:, -1]]
        )
        assert (border == 0).all()
        assert patch.window.intersect(frame.window) == patch.window
        assert np.isfinite(patch.rgb).all()


def test_the_background_beside_a_jaw_that_drops_is_not_painted_with_skin(shot, basis):
    renderer, frames, values, _ = shot
    asked = np.zeros_like(values)
    asked[:, basis.column("open")] = 2.5 * basis.std[basis.column("open")]
    made, targets = renderer(asked)
    patch = made.render(frames[5])
    jaw = np.concatenate([targets.shown[5], targets.wanted[5]])[:, :2]
    below = int(np.ceil(jaw[list(JAW_LINE), 1].max())) + 12 - patch.window.y
    if below < patch.window.height:
        assert patch.alpha[below:].max() == 0


def test_drawing_is_the_same_from_any_thread(shot):
    renderer, frames, values, _ = shot
    made, _ = renderer(values[::-1].copy())
    alone = [made.render(frame).rgb for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda frame: made.render(frame).rgb, frames))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


