"""Segments of a track: unbroken, inside one scene, of a given length and rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lipcore.types import FaceTrack, FrameRange

from .settings import PrepareConfig


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """A segment before it is written: N frames of one face."""

    track: FaceTrack
    numbers: npt.NDArray[np.int64]
    """(N,) the plate's frame that each shows; one may be shown twice."""
    rate: Fraction
    """Frames a second."""
    start_s: Fraction
    """Seconds from the plate's first frame to this one's."""

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """(N,) places in the arrays of the track."""
        return self.numbers - self.track.frames.first

    @property
    def seconds(self) -> Fraction:
        """Its length."""
        return len(self.numbers) / self.rate

    @property
    def end_s(self) -> Fraction:
        """Where its last frame ends."""
        return self.start_s + self.seconds

    @property
    def frames(self) -> FrameRange:
        """The plate's frames that it is made of."""
        return FrameRange(int(self.numbers[0]), int(self.numbers[-1]))

    def shared_s(self, other: Span) -> Fraction:
        """Seconds that both cover."""
        both = min(self.end_s, other.end_s) - max(self.start_s, other.start_s)
        return max(Fraction(0), both)


def stretches(track: FaceTrack) -> list[FrameRange]:
    """Unbroken runs of frames that show the face, cut where scenes begin."""
    runs: list[list[int]] = []
    for frame in track.frames:
        if not track.present[track.frames.index(frame)]:
            continue
        if not runs or frame != runs[-1][1] + 1 or frame in track.cuts:
            runs.append([frame, frame])
        runs[-1][1] = frame
    return [FrameRange(first, last) for first, last in runs]


def cut_spans(
    track: FaceTrack, stretch: FrameRange, first: int, plate_rate: Fraction, config: PrepareConfig
) -> Iterator[Span]:
    """The segments of one stretch: equal pieces, none too long; nothing where it is too short.

    Args:
        track: Whose face.
        stretch: Frames in which it is seen.
        first: The plate's first frame.
        plate_rate: The plate's frames a second.
        config: Lengths and rate.
    """
    rate = config.rate or plate_rate
    numbers = stretch.first + retimed(len(stretch), plate_rate, rate)
    begin = (stretch.first - first) / plate_rate
    for start, count in pieces(len(numbers), rate, config.shortest_s, config.longest_s):
        yield Span(track, numbers[start : start + count], rate, begin + start / rate)


def retimed(count: int, source: Fraction, rate: Fraction) -> npt.NDArray[np.int64]:
    """Which of ``count`` frames stands in the middle of each frame of another rate."""
    places = 2 * np.arange(int(count / source * rate), dtype=np.int64) + 1
    ratio = source / rate
    shown: npt.NDArray[np.int64] = places * ratio.numerator // (2 * ratio.denominator)
    return shown


def pieces(
    count: int, rate: Fraction, shortest_s: float, longest_s: float
) -> list[tuple[int, int]]:
    """(start, frames) of equal pieces of ``count`` frames.

    Where equal pieces would be too short, pieces of the greatest length, and the rest is lost.
    """
    least = max(1, math.ceil(shortest_s * rate))
    most = max(least, math.floor(longest_s * rate))
    if count < least:
        return []
    parts = math.ceil(count / most)
    if count // parts < least:
        return [(i * most, most) for i in range(count // most)]
    edges = [round(i * count / parts) for i in range(parts + 1)]
    return [(a, b - a) for a, b in pairwise(edges)]
