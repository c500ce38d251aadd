"""A take in the order in which a timeline shows it: a plate of record frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import groupby, pairwise

from lipcore.cache import make_key
from lipcore.media.plate import Plate, SharedTracking
from lipcore.media.prefetch import Prefetch
from lipcore.types import Frame, FrameRange, PlateInfo


class RetimedPlate(Plate):
    """Shows frames of another plate, each record frame one of them.

    Args:
        source: The take; closed with this plate.
        numbers: The take's frame for each record frame.
        first: Number of the first record frame.
        rate: Record frames a second.
        tracked: The take's frames in which faces are tracked for several plates at once;
            None tracks each plate as it is shown.
    """

    def __init__(
        self,
        source: Plate,
        numbers: tuple[int, ...],
        first: int,
        rate: Fraction,
        *,
        tracked: FrameRange | None = None,
    ) -> None:
        self._source = source
        self._numbers = numbers
        self._tracked = tracked
        self._info = replace(
            source.info, frames=FrameRange(first, first + len(numbers) - 1), rate=rate,
            missing=(), timecode=None, rate_source="option", source_frames=numbers,
        )

    @property
    def info(self) -> PlateInfo:
        return self._info

    def read(self, number: int) -> Frame:
        self.require(number)
        shown = self._source.read(self._numbers[self._info.frames.index(number)])
        return shown.numbered(number)

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        self.require(frames.first)
        self.require(frames.last)
        return iter(Prefetch(lambda: self._in_order(frames)))

    def content_key(self) -> str:
        return make_key(
            "retimed", self._source.content_key(), self._numbers, self._info, self._tracked
        )

    def shared_tracking(self, frames: FrameRange) -> SharedTracking | None:
        if self._tracked is None:
            return None
        start = frames.first - self._info.frames.first
        wanted = self._numbers[start : start + len(frames)]
        return SharedTracking(self._source, self._tracked, wanted)

    def close(self) -> None:
        self._source.close()

    def _in_order(self, frames: FrameRange) -> Iterator[Frame]:
        """A take that runs forwards is streamed; otherwise frames are looked up."""
        start = self._info.frames.first
        wanted = self._numbers[frames.first - start : frames.last - start + 1]
        back = any(b < a for a, b in pairwise(wanted))
        if back or any(wanted[0] < n < wanted[-1] for n in self._source.info.missing):
            shown: Iterator[Frame] = (self._source.read(n) for n, _ in groupby(wanted))
        else:
            shown = self._source.stream(FrameRange(wanted[0], wanted[-1]))
        held = next(shown)
        for number, source in zip(frames, wanted, strict=True):
            while held.number != source:
                held = next(shown)
            yield held.numbered(number)
