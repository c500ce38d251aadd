"""A face before a camera, as a plate to the tracker and as a clip with truth to training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lipcore.speech.espeak import Phoneme
from lipcore.tracking.align import sample
from lipcore.types import FaceTrack, FloatArray, Frame, FrameRange, PlateInfo, Window

from .mouth import Habits, viseme_track
from .picture import decode

RATE = Fraction(25)


class Scene(ABC):
    """N pictures of somebody who speaks; each is taken once, in order.

    Args:
        size: Side of the pictures in pixels.
        sound: (samples,) at 16 kHz.
        phonemes: Of the sound.
        habits: How the mouth moves.
        count: N.
    """

    def __init__(
        self, size: int, sound: FloatArray, phonemes: tuple[Phoneme, ...], habits: Habits,
        count: int,
    ) -> None:  # fmt: skip
        window = Window(0, 0, size, size)
        self.info = PlateInfo(
            Path("synthetic"), "video", FrameRange(0, count - 1), RATE, window, "srgb", "uint8"
        )
        self.sound, self.phonemes = sound, phonemes
        self.visemes = viseme_track(phonemes, times_of(count), habits)
        """(N, 5) standard units."""
        self._pictures: list[bytes] = []
        self._measures: list[tuple[float, float]] = []

    @abstractmethod
    def take(self, number: int) -> tuple[bytes, float, float]:
        """One picture as a JPEG, its inner-lip opening and its mouth width (interocular)."""

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        """Take the pictures; see ``TrackablePlate``."""
        for number in frames:
            code, opening, width = self.take(number)
            self._pictures.append(code)
            self._measures.append((opening, width))
            yield Frame(number, decode(code).astype(np.float32) / 255, self.info.display)

    def truth(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Segment.truth``."""
        opening, width = np.array(self._measures, np.float32).T
        return {
            "opening": opening, "width": width, "shapes": self.visemes,
            "phonemes": np.array([p.symbol for p in self.phonemes]),
            "phoneme_times_s": np.array([(p.start_s, p.end_s) for p in self.phonemes], np.float32),
        }

    def crops(
        self, track: FaceTrack, size: int, margin_px: int
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """The canonical crops, ``size`` pixels a side, with their margin."""
        side = size + 2 * margin_px
        for code, transform in zip(self._pictures, track.transforms, strict=True):
            wider = transform.astype(np.float64) * (size / side)
            wider[:, 2] += margin_px / side
            picture = decode(code).astype(np.float32)
            cut = sample(picture, self.info.display, wider.astype(np.float32), side)
            yield cut.round().clip(0, 255).astype(np.uint8)


def times_of(count: int) -> FloatArray:
    """(count,) middles of the frames in seconds."""
    return ((np.arange(count) + 0.5) / float(RATE)).astype(np.float32)


def drift(
    rng: np.random.Generator, times_s: FloatArray, columns: int
) -> npt.NDArray[np.float64]:
    """(N, columns) slow motion about 0, most of it within -1 to 1."""
    rates = rng.uniform(0.05, 0.7, (4, columns))
    phases = rng.uniform(0, 2 * np.pi, (4, columns))
    waves = np.sin(2 * np.pi * rates * times_s[:, None, None] + phases)
    total: npt.NDArray[np.float64] = waves.mean(axis=1) * 1.4
    return total
