"""The merge of a patch over a plate: what the formula promises, at the stored precision."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.composite import merge, quantise, stored_patch
from lipcore.types import Patch, Window

WINDOW = Window(-6, -4, 60, 40)


def patch_of(window, seed=0):
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0, 1, window.shape).astype(np.float32)
    alpha[rng.random(window.shape) < 0.3] = 0
    alpha[rng.random(window.shape) < 0.2] = 1
    color = rng.normal(0.4, 1.5, (*window.shape, 3)).astype(np.float32)
    return Patch(window, color * alpha[..., None], alpha, (alpha > 0.5).astype(np.float32))


def plate_of(seed=1):
    rng = np.random.default_rng(seed)
    plate = rng.normal(0.3, 2, (*WINDOW.shape, 3)).astype(np.float16).astype(np.float32)
    return plate


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_full_is_plate_times_one_minus_alpha_plus_patch(dtype):
    plate, patch = plate_of(), patch_of(Window(5, 6, 20, 15))
    full = merge(plate, WINDOW, patch, dtype)
    stored = stored_patch(patch, WINDOW, dtype)
    cut = stored.window.slices_in(WINDOW)
    expected = plate.copy()
    mixed = plate[cut] * (1 - stored.alpha[..., None]) + stored.rgb
    expected[cut] = np.where(stored.alpha[..., None] > 0, mixed, plate[cut])
    assert np.array_equal(full, expected)
    assert not np.array_equal(full, plate)


def test_what_is_stored_survives_a_file(tmp_path):
    stored = stored_patch(patch_of(Window(0, 0, 30, 20)), WINDOW)
    for values in (stored.rgb, stored.alpha):
        assert np.array_equal(values.astype(np.float16).astype(np.float32), values)


def test_an_alpha_that_rounds_away_takes_its_color_with_it():
    window = Window(0, 0, 8, 8)
    patch = Patch(
        window, np.ones((8, 8, 3), np.float32), np.full((8, 8), 1e-9, np.float32),
        np.zeros((8, 8), np.float32),
    )
    stored = stored_patch(patch, WINDOW)
    assert stored.alpha.max() == 0
    assert stored.rgb.max() == 0
    plate = plate_of()
    assert np.array_equal(merge(plate, WINDOW, patch), plate)


def test_bits_outside_the_matte_stay_even_where_they_are_no_numbers():
    plate = plate_of()
    plate[10, 10] = (np.nan, np.inf, -np.inf)
    plate[12, 12] = -0.0
    patch = patch_of(Window(-6, -4, 60, 40))
    patch.alpha[10, 10] = patch.alpha[12, 12] = 0
    full = merge(plate, WINDOW, patch)
    outside = patch.alpha == 0
    assert np.array_equal(full.view(np.uint32)[outside], plate.view(np.uint32)[outside])


def test_a_broken_plate_pixel_is_healed_under_full_alpha():
    plate = plate_of()
    plate[10, 10] = np.nan
    patch = patch_of(WINDOW)
    patch.alpha[10, 10], patch.rgb[10, 10] = 1, 0.25
    assert merge(plate, WINDOW, patch)[10, 10].tolist() == [0.25] * 3


@pytest.mark.parametrize(
    "window", [Window(-20, -20, 30, 30), Window(40, 30, 50, 50), Window(500, 500, 9, 9)]
)
def test_a_patch_that_leaves_the_picture_is_cut(window):
    plate, patch = plate_of(), patch_of(window)
    full = merge(plate, WINDOW, patch)
    inside = window.intersect(WINDOW)
    changed = np.nonzero((full != plate).any(-1))
    if inside.width == 0 or inside.height == 0:
        assert len(changed[0]) == 0
    else:
        assert len(changed[0]) > 10
        rows, columns = inside.slices_in(WINDOW)
        assert changed[0].min() >= rows.start
        assert changed[0].max() < rows.stop
        assert changed[1].min() >= columns.start
        assert changed[1].max() < columns.stop


def test_the_plate_given_is_left_as_it_is():
    plate = plate_of()
    before = plate.copy()
    merge(plate, WINDOW, patch_of(Window(0, 0, 20, 20)))
    assert np.array_equal(plate, before)


def test_half_holds_no_infinity_that_was_not_there():
    values = np.array([1e6, -1e6, 65504, 1e-9], np.float32)
    assert quantise(values).tolist() == [65504, -65504, 65504, 0]
    assert quantise(values, np.float32).tolist() == values.tolist()
