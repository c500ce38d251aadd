"""Figures of two pictures against known answers and calculations by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.evaluate.lips import landmark_distance, open_share
from lipcore.evaluate.pictures import flicker, identity_proxy, largest_outside, psnr, seam, ssim
from lipcore.tracking.head import LIPS_INNER_LOWER, canonical_head

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.random(shape).astype(np.float32)


def test_psnr_of_known_errors() -> None:
    picture = noise(8, 8, 3)
    assert psnr(picture, picture) == float("inf")
    assert psnr(picture, picture + 0.1) == pytest.approx(20, abs=1e-4)
    assert psnr(picture * 255, picture * 255 + 25.5, peak=255) == pytest.approx(20, abs=1e-4)


def test_ssim_equals_its_formula() -> None:
    one, other = noise(15, 16, 1).astype(np.float64), noise(15, 16, 1).astype(np.float64)
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for row in range(5, 10):
        for column in range(5, 11):
            place = slice(row - 5, row + 6), slice(column - 5, column + 6), 0
            x, y = one[place], other[place]
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * x * x).sum() - mx**2, (window * y * y).sum() - my**2
            both = (window * x * y).sum() - mx * my
            values.append(
                (2 * mx * my + 1e-4) * (2 * both + 9e-4)
                / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
            )  # fmt: skip
    assert ssim(one, other) == pytest.approx(np.mean(values), abs=1e-6)
    assert ssim(one, one) == pytest.approx(1)


def test_a_seam_shows_and_its_absence_does_too() -> None:
    rows, columns = np.mgrid[:60, :60]
    ramp = (columns / 60)[..., None].repeat(3, axis=2).astype(np.float32)
    alpha = np.clip((20 - np.hypot(rows - 30, columns - 30)) / 3, 0, 1).astype(np.float32)
    assert seam(ramp, ramp, alpha) == pytest.approx(1)
    brighter = ramp + 0.3 * alpha[..., None]
    assert seam(ramp, brighter, alpha) > 3
    assert np.isnan(seam(ramp, ramp, np.zeros_like(alpha)))
    assert np.isnan(seam(np.zeros_like(ramp), ramp, alpha))


def test_outside_the_matte_every_difference_counts() -> None:
    plate = noise(6, 7, 3)
    inside = np.zeros((6, 7), np.float32)
    inside[2:4, 2:4] = 0.01
    render = plate.copy()
    render[2:4, 2:4] += 9
    plate[0, 0] = render[0, 0] = np.nan
    plate[0, 1] = render[0, 1] = np.inf
    assert largest_outside(plate, render, inside) == 0
    render[5, 6, 1] += 0.25
    assert largest_outside(plate, render, inside) == pytest.approx(0.25, abs=1e-6)
    render[1, 1, 2] = np.nan
    assert largest_outside(plate, render, inside) == float("inf")


def test_flicker_is_the_acceleration_of_light() -> None:
    face = noise(48, 48) * 100
    brighter = np.stack([face + 3 * t for t in range(6)])  # a slow fade is none
    assert np.nanmax(flicker(brighter)) == pytest.approx(0, abs=1e-3)
    flickering = np.stack([face + 5 * (t % 2) for t in range(6)])
    assert np.nanmean(flicker(flickering)) == pytest.approx(10, abs=1e-3)
    cut = np.concatenate([brighter[:3], 255 - brighter[3:]])
    assert np.nanmax(flicker(cut)) > 20 and np.nanmax(flicker(cut, [3])) < 1e-3
    assert np.isnan(flicker(flickering)[[0, -1]]).all() and np.isnan(flicker(face[None])).all()


def test_the_identity_proxy_grows_as_a_face_dissolves() -> None:
    from skimage.data import astronaut

    face = astronaut()[40:240, 130:330]
    other = np.ascontiguousarray(np.rot90(face))
    assert identity_proxy(face, face) == pytest.approx(0, abs=1e-6)
    blended = (face * 0.8 + other * 0.2).astype(np.uint8)
    assert 0 < identity_proxy(face, blended) < identity_proxy(face, other)


def test_lip_distance_is_in_units_of_the_eyes_and_free_of_pose() -> None:
    head = canonical_head().copy()
    lower = list(LIPS_INNER_LOWER[1:-1])
    moved = head.copy()
    moved[lower, 1] += 0.2
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    real = (head @ turn.T * 80 + 300)[None].astype(np.float32)
    made = (moved @ turn.T * 50 + 100)[None].astype(np.float32)
    assert landmark_distance(made, real)[0] == pytest.approx(0.2 * len(lower) / 40, abs=1e-3)
    assert landmark_distance(real, real)[0] == pytest.approx(0, abs=1e-5)


def test_open_mouths_leak_into_silence() -> None:
    head = canonical_head().copy()
    lower = list(LIPS_INNER_LOWER[1:-1])
    from lipcore.shapes.measure import inner_opening

    gap = float(inner_opening(head[None])[0])
    shut, wide = head.copy(), head.copy()
    shut[lower, 1] -= gap
    wide[lower, 1] += 0.3
    meshes = np.stack([shut, wide, shut, wide, np.full_like(head, np.nan)]).astype(np.float32)
    assert open_share(meshes, np.array([1, 1, 1, 0, 1], bool)) == pytest.approx(1 / 3)
    assert np.isnan(open_share(meshes, np.zeros(5, bool)))
