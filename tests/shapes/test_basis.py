from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lipcore.errors import ConfigError, WeightsError
from lipcore.shapes.basis import ShapeBasis, robust_mean
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.tracking import head
from lipcore.types import FloatArray


def _turned(landmarks: FloatArray, degrees: tuple[float, float, float], scale: float) -> FloatArray:
    x, y, z = np.radians(degrees)
    rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    center = landmarks.mean(axis=(0, 1))
    return (scale * (landmarks - center) @ (rz @ ry @ rx).T + [50, -20, 7]).astype(np.float32)


def test_components_are_orthonormal(basis: ShapeBasis) -> None:
    gram = np.einsum("ikd,jkd,kd->ij", basis.components, basis.components, basis.weights)
    np.testing.assert_allclose(gram, np.eye(len(basis.names)), atol=1e-5)


def test_it_has_eight_named_components_over_the_lower_face(basis: ShapeBasis) -> None:
    assert len(basis.names) == 8 == len(set(basis.names))
    assert basis.indices == head.lower_face()
    assert basis.components.shape == (8, 167, 3)


def test_the_lips_count_more_than_the_cheeks(basis: ShapeBasis) -> None:
    per_point = dict(zip(basis.indices, basis.weights.sum(axis=1), strict=True))
    assert per_point[13] > 5 * per_point[head.CHIN]


def test_offsets_and_projection_are_inverse(basis: ShapeBasis) -> None:
    values = np.random.default_rng(0).normal(0, 0.02, (40, 8)).astype(np.float32)
    np.testing.assert_allclose(basis.project(basis.offsets(values)), values, atol=1e-6)


def test_known_values_are_measured(
    basis: ShapeBasis, talking: tuple[FloatArray, FloatArray]
) -> None:
    landmarks, values = talking
    measured, neutral = basis.measure(landmarks)
    np.testing.assert_allclose(measured, values, atol=2e-4)
    np.testing.assert_allclose(neutral, basis.mean_shape, atol=2e-3)


@pytest.mark.parametrize("degrees", [(0, 35, 0), (20, 0, 0), (0, 0, 25), (-12, -28, 10)])
def test_turning_and_scaling_the_head_changes_nothing(
    basis: ShapeBasis,
    talking: tuple[FloatArray, FloatArray],
    degrees: tuple[float, float, float],
) -> None:
    landmarks, values = talking
    turned = _turned(landmarks, degrees, 2.7)
    np.testing.assert_allclose(basis.measure(turned)[0], values, atol=3e-4)
    np.testing.assert_allclose(inner_opening(turned), inner_opening(landmarks), atol=1e-4)
    np.testing.assert_allclose(lip_width(turned), lip_width(landmarks), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "measure", "least"),
    [("open", inner_opening, 0.025), ("wide", lip_width, 0.03)],
)
def test_a_component_grows_with_what_it_is_named_for(
    basis: ShapeBasis, name: str, measure: object, least: float
) -> None:
    face = np.repeat(head.canonical_head()[None], 2, axis=0)
    value = np.zeros((2, 8), np.float32)
    value[1, basis.column(name)] = basis.std[basis.column(name)]
    face[:, list(basis.indices)] = basis.mean_shape + basis.offsets(value)
    assert callable(measure)
    rest, moved = measure(face * 100)
    assert moved - rest > least


def test_new_landmarks_from_old_reach_the_asked_shape(
    basis: ShapeBasis, talking: tuple[FloatArray, FloatArray]
) -> None:
    old = _turned(talking[0], (5, 20, -4), 1.5)
    measured, neutral = basis.measure(old)
    asked = measured[::-1]
    new = old.copy()
    for index, (now, then) in enumerate(zip(measured, asked, strict=True)):
        pose = head.fit_pose(old[index])
        new[index, list(basis.indices)] += pose.turn(basis.offsets(then) - basis.offsets(now))
    np.testing.assert_allclose(basis.measure(new, neutral=neutral)[0], asked, atol=3e-4)


def test_absent_frames_stay_absent_and_do_not_spoil_the_neutral(
    basis: ShapeBasis, talking: tuple[FloatArray, FloatArray]
) -> None:
    landmarks = talking[0].copy()
    landmarks[10:20] = np.nan
    values, neutral = basis.measure(landmarks)
    assert np.isnan(values[10:20]).all()
    assert np.isfinite(values[:10]).all()
    assert np.isfinite(neutral).all()


def test_a_mistracked_frame_does_not_move_the_neutral(basis: ShapeBasis) -> None:
    points = basis.mean_shape + np.random.default_rng(1).normal(0, 0.004, (50, 167, 3))
    points = points.astype(np.float32)
    clean = robust_mean(points[1:])
    points[0] += 3.0
    np.testing.assert_allclose(robust_mean(points), clean, atol=1e-6)


def test_no_face_at_all_is_an_error(basis: ShapeBasis) -> None:
    with pytest.raises(ConfigError, match="no frame shows the face"):
        basis.measure(np.full((3, 478, 3), np.nan, np.float32))


def test_an_unknown_component_is_named(basis: ShapeBasis) -> None:
    with pytest.raises(ConfigError, match="smirk"):
        basis.column("smirk")


def test_a_basis_survives_its_file(basis: ShapeBasis, tmp_path: Path) -> None:
    path = tmp_path / "shape_basis.safetensors"
    basis.write(path, {"note": "copy"})
    again = ShapeBasis.read(path)
    assert again.names == basis.names and again.indices == basis.indices
    for field in ("components", "mean_shape", "std", "weights"):
        np.testing.assert_array_equal(getattr(again, field), getattr(basis, field))
    assert dataclasses.replace(again, digest="").digest == ""


def test_a_damaged_basis_is_a_weights_error(basis: ShapeBasis, tmp_path: Path) -> None:
    path = tmp_path / "shape_basis.safetensors"
    basis.write(path, {})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(WeightsError):
        ShapeBasis.read(path)
