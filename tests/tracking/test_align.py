"""Crops and maps: where a pixel goes, and how it is filtered."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.tracking.align import (
    crop,
    crop_window,
    from_square,
    plate_transform,
    to_square,
    uncrop_map,
)
from lipcore.tracking.head import HeadPose, apply_similarity, canonical_head
from lipcore.types import Window


def head_in_plate(scale: float = 100.0, roll: float = 0.2) -> np.ndarray:
    c, s = np.cos(roll), np.sin(roll)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
    pose = HeadPose(scale, rotation, np.array([400, 300, 0], np.float32))
    return pose.to_plate(canonical_head())


def ramp(window: Window) -> np.ndarray:
    """Red is x and green is y of each pixel's centre."""
    x, y = np.meshgrid(np.arange(window.x, window.x1) + 0.5, np.arange(window.y, window.y1) + 0.5)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.float32)


@pytest.mark.parametrize("size", [64, 256, 768])
@pytest.mark.parametrize("origin", [(0, 0), (-40, 25)])
def test_a_crop_holds_the_pixels_that_the_transform_names(
    size: int, origin: tuple[int, int]
) -> None:
    window = Window(*origin, 900, 700)
    transform = plate_transform(head_in_plate())
    got = crop(ramp(window), window, transform, size)[..., :2]
    centers = (np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1) + 0.5) / size
    back = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))
    wanted = centers @ back[:2, :2].T + back[:2, 2]
    # OpenCV places samples to 1/32 of a pixel.
    assert np.abs(got - wanted).max() < 0.07 * max(1, 225 / size)
    assert np.abs((got - wanted).mean((0, 1))).max() < 0.005


@pytest.mark.parametrize("pixel_aspect", [1.0, 2.0, 0.9])
def test_the_map_is_the_inverse_of_the_crop(pixel_aspect: float) -> None:
    marks = from_square(head_in_plate(), pixel_aspect)
    transform = plate_transform(marks, pixel_aspect)
    window = crop_window(transform, 0.1)
    maps = uncrop_map(transform, window)
    assert maps.shape == (window.height, window.width, 2)
    wanted = apply_similarity(transform, np.array([[window.x + 0.5, window.y + 0.5]], np.float32))
    np.testing.assert_allclose(maps[0, 0], wanted[0], atol=1e-5)
    inside = ((maps > 0) & (maps < 1)).all(-1)
    assert inside.any() and not inside[0].any() and not inside[:, -1].any()


def test_the_crop_of_an_anamorphic_plate_is_that_of_the_square_one() -> None:
    square = head_in_plate()
    marks = from_square(square, 2.0)
    np.testing.assert_allclose(to_square(marks, 2.0), square, rtol=1e-6)
    points = np.array([[10.0, 20.0], [600.0, 400.0]], np.float32)
    a = apply_similarity(plate_transform(square), points)
    b = apply_similarity(plate_transform(marks, 2.0), points / [2, 1])
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_shrinking_does_not_alias() -> None:
    """A checkerboard of single pixels becomes grey, not moire."""
    window = Window(0, 0, 1200, 1200)
    y, x = np.mgrid[:1200, :1200]
    board = np.repeat(((x + y) % 2)[..., None], 3, axis=2).astype(np.float32)
    transform = plate_transform(head_in_plate(scale=300.0) + np.array([200, 100, 0], np.float32))
    got = crop(board, window, transform, 128)
    assert np.abs(got[16:-16, 16:-16] - 0.5).max() < 0.06


def test_scene_linear_values_pass_unclamped() -> None:
    window = Window(0, 0, 900, 700)
    picture = np.full((700, 900, 3), (-0.5, 12.0, 700.0), np.float32)
    got = crop(picture, window, plate_transform(head_in_plate()), 96)
    np.testing.assert_allclose(got, np.broadcast_to(picture[0, 0], got.shape), rtol=1e-5)
