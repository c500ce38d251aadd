"""An invisible watermark: bits in a picture that outlast compression, not cropping.

The bits lie in the low frequencies of one chroma channel (DWT, DCT, SVD in blocks of 8 pixels),
repeated all over the picture, as the package invisible-watermark writes and reads them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError, DependencyError
from lipcore.types import BoolArray

Picture = npt.NDArray[np.uint8]

_SCALES = [0, 36, 0]
"""How strong, in the channels of YUV, as the package's own decoder expects it."""
_BLOCK_PX = 8
_LEAST_BLOCKS = 8
"""Blocks a bit: with fewer, the majority among them tells little."""


def embed(picture: Picture, bits: Sequence[bool]) -> Picture:
    """A picture with bits in it, about 41 dB from the one without.

    The package takes fine detail for noise (it swaps horizontal and vertical detail), so that
    it is given the picture without detail, and what it changes there is carried over.

    Args:
        picture: (H, W, 3) sRGB, 0-255.
        bits: What it shall hold, at most one for each 8 blocks of 8x8 pixels.

    Returns:
        The same size.

    Raises:
        ConfigError: There are no bits, or too many for this picture.
        DependencyError: The package is absent.
    """
    _check(picture, len(bits))
    height, width = picture.shape[:2]
    inner = picture[: height // 4 * 4, : width // 4 * 4]
    half = cv2.resize(inner, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    plain = cv2.resize(half, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    bgr = np.ascontiguousarray(plain[..., ::-1])
    marked = _method([int(bit) for bit in bits], len(bits)).encode(bgr)[..., ::-1]
    out = picture.copy()
    changed = inner.astype(np.int16) + marked.astype(np.int16) - plain
    out[: inner.shape[0], : inner.shape[1]] = changed.clip(0, 255).astype(np.uint8)
    return out


def decode(picture: Picture, count: int) -> BoolArray:
    """The bits of a picture; random ones where it holds none.

    Args:
        picture: (H, W, 3) sRGB, 0-255, neither cropped nor resized since.
        count: How many bits were embedded.

    Returns:
        (count,).

    Raises:
        ConfigError: The picture is too small for so many.
        DependencyError: The package is absent.
    """
    _check(picture, count)
    bits: BoolArray = _method([], count).decode(np.ascontiguousarray(picture[..., ::-1]))
    return bits


def text_bits(text: str) -> tuple[bool, ...]:
    """The bits of a text in UTF-8, the highest of each byte first."""
    return tuple(np.unpackbits(np.frombuffer(text.encode(), np.uint8)).astype(bool).tolist())


def largest_count(height: int, width: int) -> int:
    """How many bits a picture of this size takes."""
    return (height // _BLOCK_PX) * (width // _BLOCK_PX) // _LEAST_BLOCKS


def smallest_side(count: int) -> int:
    """Side of the smallest square picture that takes so many bits."""
    return _BLOCK_PX * math.ceil(math.sqrt(count * _LEAST_BLOCKS))


def require_package() -> None:
    """Check that watermarks can be written here.

    Raises:
        DependencyError: The package is absent.
    """
    _method([], 1)


def _check(picture: Picture, count: int) -> None:
    height, width = picture.shape[:2]
    most = largest_count(height, width)
    if not 1 <= count <= most:
        raise ConfigError(
            f"a picture of {width}x{height} cannot hold a watermark of {count} bits",
            hint=f"It holds 1 to {most}." if most else "Larger pictures can.",
            expected=most, got=count,
        )


def _method(bits: list[int], count: int) -> Any:
    try:
        from imwatermark.dwtDctSvd import EmbedDwtDctSvd
    except ImportError as error:
        raise DependencyError(
            f"watermarks need the package invisible-watermark ({error})",
            hint='Install it with: pip install "lipcore[watermark]"',
        ) from error
    return EmbedDwtDctSvd(bits, wmLen=count, scales=_SCALES)
