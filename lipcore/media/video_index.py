"""Which packet holds which frame of a video file, found without decoding it."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

_STANDARD_RATES = tuple(
    Fraction(rate)
    for rate in (
        Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 48, 50, Fraction(60000, 1001), 60,
    )
)  # fmt: skip
_UNSEEKABLE = {"mpeg", "mpegvideo", "h264", "hevc", "m4v", "mpegts", "avi", "vobsub", "obu", "ivf"}


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """The pictures of a stream by time, and the constant grid that the plate shows them on."""

    times: tuple[int, ...]
    """Presentation time of each picture, ascending, in units of ``time_base``; where the file
    has no times, the picture's place."""
    shown: tuple[int, ...]
    """Which picture stands on each place of the grid."""
    rate: Fraction
    variable: bool
    timed: bool
    """The file has times; without, pictures are counted from the start."""
    keys: tuple[tuple[int, int], ...]
    """(presentation time, time to seek to) of each picture that decoding can start at."""
    seekable: bool
    torn: bool = False
    """The file ends before it should: its last pictures may not decode."""

    def seek_time(self, picture: int) -> int | None:
        """Where to seek so that decoding reaches a picture; None is the start of the file."""
        if not self.seekable or not self.timed:
            return None
        at = bisect.bisect_right(self.keys, (self.times[picture], math.inf)) - 1
        # One more back: an open group of pictures shows some before its key picture.
        return self.keys[at - 1][1] if at >= 1 else None

    def picture(self, time: int | None) -> int | None:
        """Place of the picture with this time, or None."""
        if time is None:
            return None
        at = bisect.bisect_left(self.times, time)
        return at if at < len(self.times) and self.times[at] == time else None


def read_index(path: Path, *, rate: Fraction | None = None) -> VideoIndex:
    """Walk through the packets of the first video stream.

    A file of constant rate gives one frame a picture. In one of variable rate, each place of
    a constant grid shows the last picture that has begun by then, give or take half a frame;
    the grid's rate is ``rate``, else the standard rate nearest to the file's average.
    """
    with av.open(str(path)) as container:
        stream = picture_stream(container)
        base = stream.time_base or Fraction(1, 1000)
        times: list[int | None] = []
        keys: list[tuple[int, int]] = []
        last_duration = 0
        torn = False
        try:
            for packet in container.demux(stream):
                if packet.size == 0 or packet.is_discard:
                    continue
                times.append(packet.pts)
                last_duration = packet.duration or last_duration
                torn = torn or packet.is_corrupt
                if packet.is_keyframe and packet.pts is not None:
                    dts = packet.pts if packet.dts is None else packet.dts
                    keys.append((packet.pts, min(packet.pts, dts)))
        except av.error.FFmpegError:
            torn = True  # what came before stands
        torn = torn or stream.frames > len(times)
        declared = stream.guessed_rate or stream.average_rate
        names = set(container.format.name.split(","))
    if not times:
        return VideoIndex((), (), rate or declared or Fraction(25), False, False, (), False)
    known = sorted({time for time in times if time is not None})
    if len(known) < len(times):
        count = tuple(range(len(times)))
        grid = rate or declared or Fraction(25)
        return VideoIndex(count, count, grid, False, False, (), False, torn)
    seconds = [time * base for time in known]
    measured = _measured_rate(seconds, last_duration * base, declared)
    variable = _is_variable(seconds, measured)
    if not variable:
        shown: Sequence[int] = range(len(known))
        grid = rate or measured
    else:
        grid = rate or min(_STANDARD_RATES, key=lambda r: abs(math.log(r / measured)))
        shown = _on_grid(seconds, last_duration * base, grid)
    return VideoIndex(
        tuple(known),
        tuple(shown),
        grid,
        variable,
        True,
        tuple(sorted(keys)),
        not names & _UNSEEKABLE,
        torn,
    )


def picture_stream(container: Any) -> Any:
    """The first video stream that is no cover art.

    Raises:
        LookupError: There is none.
    """
    for stream in container.streams.video:
        if not int(stream.disposition) & 0x400:  # AV_DISPOSITION_ATTACHED_PIC
            stream.thread_type = "AUTO"
            return stream
    raise LookupError("the file has no video stream")


def _measured_rate(seconds: list[Fraction], last: Fraction, declared: Fraction | None) -> Fraction:
    if len(seconds) < 2:
        return declared or (1 / last if last > 0 else Fraction(25))
    measured = (len(seconds) - 1) / (seconds[-1] - seconds[0])
    # Times in whole milliseconds blur the rate of a short clip.
    blur = max(Fraction(2, 1000) / (seconds[-1] - seconds[0]), Fraction(1, 2000))
    nearest = min(_STANDARD_RATES, key=lambda candidate: abs(candidate - measured))
    for exact in (declared, nearest):
        if exact and abs(exact / measured - 1) <= blur:
            return exact
    return measured.limit_denominator(1001)


def _is_variable(seconds: list[Fraction], rate: Fraction) -> bool:
    start = seconds[0]
    return any(
        abs((time - start) * rate - place) > Fraction(6, 10) for place, time in enumerate(seconds)
    )


def _on_grid(seconds: list[Fraction], last: Fraction, rate: Fraction) -> list[int]:
    start = seconds[0]
    length = seconds[-1] - start + (last if last > 0 else 1 / rate)
    count = max(1, round(length * rate))
    return [
        max(0, bisect.bisect_right(seconds, start + (place + Fraction(1, 2)) / rate) - 1)
        for place in range(count)
    ]
