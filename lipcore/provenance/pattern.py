"""A weak pattern, spread over the canonical crop, that a text decides: found again by correlation.

The bits of ``watermark`` are lost where a picture is cropped or coded strongly, and a mouth is
small. Here a text is turned into a band of waves with pseudo-random amplitudes, in brightness and
both colour differences, fixed to the face. Each frame holds too little of it to be seen; summed
over the frames of a clip, aligned by the face, it stands out.

**False positives.** The amplitudes of the waves are independent normal numbers that SHAKE-256
draws from the text. Their product with any picture that was made without the text, divided by
the picture's own length, is therefore a standard normal number, *whatever the picture shows*:
no assumption about faces or codecs is in it. A search tries ``n`` places, sizes and stretches, and
the probability that any of them reaches a score of ``z`` is at most ``n`` times the normal
distribution's tail beyond ``z``. ``threshold`` inverts that.

Source: Cox et al., *Secure spread spectrum watermarking for multimedia*, 1997, for the
principle; the band, the whitening and the bound are ours.
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np
import numpy.typing as npt

from lipcore.types import FloatArray

SIZE = 128
"""Side of the crop, in pixels, on which evidence is gathered."""
FALSE_POSITIVES = 1e-6
"""Highest probability that a face without the mark is taken for one with it."""

_WAVES = ((14.0, 26.0), (9.0, 23.0), (9.0, 23.0))
"""Bands of the waves in Y, Cb and Cr, in cycles over the crop's side: coarser than what codecs
and halving remove, finer than the face's own light and shade."""
_STRENGTH = (1.7, 1.7, 1.7)
"""Root mean square of the pattern in Y, Cb and Cr, in steps of 1/255."""
_FINE = 256
"""Side of the grid on which the pattern is drawn, and of that on which it is searched."""
_SHIFT = 5
"""How far the pattern is searched to each side, in steps of that grid: 2 % of the crop."""
_SCALES = (0.97, 1.0, 1.03)
_DETAIL_SIGMA = 9.0
_LOCAL_SIGMA = 5.0
_FLOOR = 1.0
_CLIP = 2.5
_CLIP_WAVE = 1.5
_WHITENING = 0.75
"""Between 0.5, which levels all waves, and 1, which suits what is equally strong in all."""

_TO_YCBCR = np.array(
    [[0.2126, 0.7152, 0.0722], [-0.1146, -0.3854, 0.5], [0.5, -0.4542, -0.0458]], np.float32
)
"""Rec. 709, as HD video is coded."""

Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Score:
    """How strongly a text's pattern stands out."""

    z: float
    """In standard deviations of what pictures without it give at one place."""
    shift: tuple[int, int]
    """Where it was best, (x, y) in 1/256 of the crop."""
    scale: float


def tried(places: int = 1) -> int:
    """How many scores a search compares: shifts, scales, and ``places`` texts and stretches."""
    return (2 * _SHIFT + 1) ** 2 * len(_SCALES) * places


def threshold(places: int = 1, false_positives: float = FALSE_POSITIVES) -> float:
    """The score from which on a search declares a match.

    Args:
        places: Texts times stretches that are searched.
        false_positives: Bound on the probability of a match where there is no mark.
    """
    return -NormalDist().inv_cdf(false_positives / tried(places))


def chance(z: float, places: int = 1) -> float:
    """Bound on the probability that a picture without the mark scores ``z`` or more."""
    return min(1.0, tried(places) * 0.5 * math.erfc(z / math.sqrt(2)))


@functools.lru_cache(maxsize=8)
def draw_pattern(text: str) -> FloatArray:
    """The pattern of a text over the canonical crop.

    Args:
        text: The key; any.

    Returns:
        ``(256, 256, 3)`` what is added to display-referred RGB, 0-1.
    """
    spectra = np.zeros((3, _FINE, _FINE // 2 + 1), np.complex128)
    spectra[:, _BAND[0], _BAND[1]] = _amplitudes(text) * _TAKEN
    spectra[..., 0] *= 2  # a real transform takes these for their own opposites
    waves = np.fft.irfft2(spectra, s=(_FINE, _FINE), axes=(1, 2))
    waves *= np.array(_STRENGTH)[:, None, None] / 255 / waves.std(axis=(1, 2), keepdims=True)
    rgb = np.moveaxis(waves, 0, -1) @ np.linalg.inv(_TO_YCBCR.astype(np.float64)).T
    drawn: FloatArray = rgb.astype(np.float32)
    drawn.flags.writeable = False
    return drawn


class Evidence:
    """What the frames of one face show, summed; texts are looked for in the sum."""

    def __init__(self) -> None:
        self._sum = np.zeros((3, SIZE, SIZE), np.float64)
        self.frames = 0

    def add(self, crop: FloatArray, matte: FloatArray) -> None:
        """Take in one frame.

        Args:
            crop: ``(128, 128, 3)`` canonical crop, display-referred, 0-1.
            matte: ``(128, 128)`` where the mark may be, 0-1.
        """
        ycc = crop.astype(np.float32) @ (255 * _TO_YCBCR.T)
        detail = ycc - cv2.GaussianBlur(ycc, (0, 0), _DETAIL_SIGMA)
        local = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _LOCAL_SIGMA)) + _FLOOR
        even = np.clip(detail / local, -_CLIP, _CLIP) * matte[..., None]
        self._sum += np.moveaxis(even, -1, 0)
        self.frames += 1

    def merge(self, other: Evidence) -> None:
        """Take in all that another has."""
        self._sum += other._sum
        self.frames += other.frames

    def score(self, text: str) -> Score:
        """How strongly the pattern of a text stands out, at its best place.

        Args:
            text: As ``draw_pattern`` was given.
        """
        amplitudes = _amplitudes(text)
        best = Score(-math.inf, (0, 0), 1.0)
        for scale in _SCALES:
            spectra = np.fft.rfft2(_resized(self._sum, scale), axes=(1, 2))
            seen = _whiten(spectra[:, _BAND[0], _BAND[1]])
            length = float(np.sqrt((np.abs(seen) ** 2).sum()))
            if length == 0:
                return Score(0.0, (0, 0), 1.0)
            product = np.zeros((_FINE, _FINE), np.complex128)
            product[_BAND[0], _BAND[1]] = (seen * amplitudes.conj()).sum(axis=0)
            everywhere = np.fft.ifft2(product).real * _FINE**2 / length
            near = np.roll(everywhere, (_SHIFT, _SHIFT), (0, 1))[: 2 * _SHIFT + 1, : 2 * _SHIFT + 1]
            y, x = np.unravel_index(int(near.argmax()), near.shape)
            if near[y, x] > best.z:
                best = Score(float(near[y, x]), (int(x) - _SHIFT, int(y) - _SHIFT), scale)
        return best


def _band() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(rows, columns) of the waves in a spectrum: one of each pair of opposite ones."""
    most = int(max(high for _, high in _WAVES))
    y, x = np.mgrid[-most : most + 1, 0 : most + 1]
    radius = np.hypot(x, y)
    taken = (radius >= min(low for low, _ in _WAVES)) & (radius <= most) & ((x > 0) | (y > 0))
    return y[taken], x[taken]


_BAND = _band()
_RADIUS = np.hypot(*_BAND)
_TAKEN = np.stack([(low <= _RADIUS) & (high >= _RADIUS) for low, high in _WAVES])
"""``(3, waves)`` which waves each channel has."""
_DIRECTIONS = 6
_GROUP = np.round(_RADIUS / 2).astype(int) * _DIRECTIONS + (
    (np.arctan2(*_BAND) / np.pi + 0.5) * _DIRECTIONS
).astype(int).clip(0, _DIRECTIONS - 1)
"""Waves of about one length and direction."""


@functools.lru_cache(maxsize=8)
def _amplitudes(text: str) -> Complex:
    """``(3, waves)`` independent normal numbers, real and imaginary, after Box and Muller."""
    count = 3 * len(_BAND[0])
    stream = hashlib.shake_256(b"lipcore pattern 1\0" + text.encode()).digest(count * 8)
    uniform = (np.frombuffer(stream, "<u4").reshape(2, 3, -1) + 0.5) / 2**32
    out: Complex = np.sqrt(-2 * np.log(uniform[0])) * np.exp(2j * np.pi * uniform[1])
    return out


def _whiten(seen: Complex) -> Complex:
    """Give quiet waves more say: each by the power of all of about its length and direction.

    Args:
        seen: ``(3, waves)``.
    """
    out = np.zeros_like(seen)
    for channel, power in enumerate(np.abs(seen) ** 2):
        level = (np.bincount(_GROUP, power) / np.maximum(np.bincount(_GROUP), 1))[_GROUP]
        level = np.maximum(level, 1e-30)
        # A wave far above its group is the face's own: its size tells nothing.
        limit = np.minimum(1.0, _CLIP_WAVE * np.sqrt(level / np.maximum(power, 1e-30)))
        out[channel] = seen[channel] * limit / level**_WHITENING
    return out * _TAKEN


def _resized(pictures: npt.NDArray[np.float64], scale: float) -> npt.NDArray[np.float64]:
    """Pictures enlarged about the mouth."""
    if scale == 1:
        return pictures
    x, y = 0.5 * SIZE - 0.5, 0.66 * SIZE - 0.5
    matrix = np.array([[scale, 0, x - scale * x], [0, scale, y - scale * y]])
    return np.stack([cv2.warpAffine(p, matrix, (SIZE, SIZE)) for p in pictures])
