"""Bits in a picture: they outlast compression, and the picture stays what it was."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipcore.errors import ConfigError
from lipcore.provenance.watermark import decode, embed, largest_count, smallest_side, text_bits


def photo(height: int, width: int) -> np.ndarray:
    """The astronaut of scikit-image: skin, cloth, fine detail."""
    from skimage.data import astronaut

    resized = cv2.resize(astronaut()[:400, :400], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.mark.parametrize(("quality", "share"), [(97, 1.0), (90, 1.0), (75, 0.8)])
def test_bits_outlast_jpeg(quality: int, share: float) -> None:
    picture, bits = photo(288, 288), text_bits("lipc")
    marked = embed(picture, bits)
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    data = cv2.imencode(".jpg", np.ascontiguousarray(marked[..., ::-1]), settings)[1]
    read = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    assert (decode(read, 32) == np.array(bits)).mean() >= share


def test_the_picture_stays_what_it_was() -> None:
    picture = photo(288, 288)
    marked = embed(picture, text_bits("lipc"))
    assert marked.shape == picture.shape and psnr_db(picture, marked) > 38
    # Fine detail of brightness is carried over unchanged.
    luma = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(float) for p in (picture, marked)]
    fine = [part - cv2.GaussianBlur(part, (0, 0), 1.0) for part in luma]
    assert np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1] > 0.98


def test_a_picture_without_a_mark_gives_other_bits() -> None:
    assert decode(photo(288, 288), 32).tolist() != list(text_bits("lipc"))


@settings(max_examples=8, deadline=None)
@given(st.integers(64, 150), st.integers(64, 150), st.binary(min_size=1, max_size=1))
def test_any_size_holds_a_byte(height: int, width: int, byte: bytes) -> None:
    bits = np.unpackbits(np.frombuffer(byte, np.uint8)).astype(bool).tolist()
    if largest_count(height, width) < 8:
        with pytest.raises(ConfigError, match="cannot hold"):
            embed(photo(height, width), bits)
        return
    marked = embed(photo(height, width), bits)
    assert marked.shape == (height, width, 3) and decode(marked, 8).tolist() == bits


def test_other_readers_can_read_it() -> None:
    from imwatermark import WatermarkDecoder

    marked = embed(photo(288, 288), text_bits("lipc"))
    found = WatermarkDecoder("bytes", 32).decode(marked[..., ::-1].copy(), "dwtDctSvd")
    assert found == b"lipc"


@given(st.integers(1, 500))
def test_the_smallest_square_is_just_enough(count: int) -> None:
    side = smallest_side(count)
    assert largest_count(side, side) >= count > largest_count(side - 8, side - 8)


def test_too_many_bits_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot hold a watermark of 0 bits"):
        embed(photo(64, 64), ())
    with pytest.raises(ConfigError, match="of 800 bits"):
        embed(photo(64, 64), (True,) * 800)


def test_without_the_package_the_install_line_is_told() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['imwatermark'] = None\n"
         "sys.argv = ['lipcore', 'data', 'prepare', '.', '--out', '/dev/null/x', "
         "'--watermark', 'ab']\nfrom lipcore.cli.main import main; main()"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 9, ended.stderr
    assert 'pip install "lipcore[watermark]"' in ended.stderr
