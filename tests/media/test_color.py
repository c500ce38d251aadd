"""Plate encodings to the display and back."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.errors import ColorError
from lipcore.media.color import ColorTransform, check_colorspace
from lipcore.media.plate import open_plate

VALUES = np.float32(
    [[-3, -0.1, -1e-5], [0, 0.18, 0.5], [0.9999, 1, 1.0001], [4, 60, 900], [2e4, 3e4, 6e4]]
)


@pytest.mark.parametrize(
    "name",
    ["lin_rec709_scene", "ACEScg", "ACES2065-1", "lin_rec2020", "srgb", "rec709", "pq", "cineon",
     "chromaticities:0.7,0.3,0.2,0.7,0.15,0.05,0.3127,0.329"],
)  # fmt: skip
@pytest.mark.parametrize("level", [0.001, 0.18, 20.0])
def test_round_trip(name, level):
    transform = ColorTransform.for_plate(name, np.full((8, 8, 3), level, np.float32))
    back = transform.from_display(transform.to_display(VALUES))
    # A matrix mixes channels: what counts is the size of the pixel's largest.
    scale = np.maximum(np.abs(VALUES).max(axis=-1, keepdims=True), 1e-3)
    assert (np.abs(back - VALUES) / scale).max() < 1e-5


def test_log_encodings_round_trip_inside_their_range():
    transform = ColorTransform.for_plate("ARRI LogC4")
    values = np.linspace(0.02, 1.0, 99, dtype=np.float32).reshape(33, 3)
    back = transform.from_display(transform.to_display(values))
    assert np.abs(back - values).max() < 1e-4


def test_the_curve_is_srgb_odd_and_monotone():
    transform = ColorTransform.for_plate("lin_rec709_scene")
    grey = transform.to_display(np.full((1, 3), 0.18, np.float32))
    assert grey[0, 0] == pytest.approx(0.4613561, abs=1e-5)
    ramp = np.linspace(-8, 8, 3000, dtype=np.float32).reshape(-1, 3)
    display = transform.to_display(ramp).reshape(-1)
    assert (np.diff(display) > 0).all()
    assert np.allclose(display, -display[::-1], atol=1e-5)


@pytest.mark.parametrize("level", [0.002, 0.18, 30.0])
def test_dark_and_bright_plates_land_mid_range(level):
    plate = np.full((64, 64, 3), level, np.float32)
    picture = ColorTransform.for_plate("lin_rec709_scene", plate).tracking_picture(plate)
    assert picture.dtype == np.uint8
    assert 60 < picture.mean() < 190


def test_tracking_picture_takes_nan_and_infinity():
    plate = np.float32([[[np.nan, np.inf, -np.inf]]])
    for name in ("lin_rec709_scene", "ACEScg", "srgb"):
        assert ColorTransform.for_plate(name).tracking_picture(plate).shape == (1, 1, 3)
    assert ColorTransform.for_plate("srgb").tracking_picture(plate).tolist() == [[[0, 255, 0]]]


def test_acescg_to_rec709_is_the_published_matrix():
    white = ColorTransform.for_plate("ACEScg").to_display(np.ones((1, 3), np.float32))
    assert np.allclose(white, 1, atol=2e-4)
    red = np.float32([[0.2, 0, 0]])
    linear = ColorTransform.for_plate("ACEScg")._encoding.forward(red.astype(np.float64))
    assert np.allclose(linear / 0.2, [[1.70505, -0.13026, -0.02400]], atol=2e-3)


def test_unknown_names_list_near_ones():
    with pytest.raises(ColorError) as caught:
        check_colorspace("ACEScgg")
    assert "ACEScg" in caught.value.hint
    with pytest.raises(ColorError):
        check_colorspace("chromaticities:1,2,3")


def test_aliases_and_case():
    assert check_colorspace("acescg") == "ACEScg"
    assert check_colorspace("sRGB") == "srgb"


def test_exr_chromaticities_are_read(shared_data):
    with open_plate(shared_data / "exr" / "Chromaticities" / "XYZ.exr") as plate:
        xyz = plate.read(1).rgb
        transform = ColorTransform.for_plate(plate.info.colorspace)
    with open_plate(shared_data / "exr" / "Chromaticities" / "Rec709.exr") as plate:
        rec709 = plate.read(709).rgb
    display = ColorTransform.for_plate("lin_rec709_scene").to_display(rec709)
    assert np.abs(transform.to_display(xyz) - display).mean() < 0.01
