"""The lips that really said a line: what a mouth is held against that says it in another face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipcore.analysis import cover, find_tracks
from lipcore.cache import Cache
from lipcore.evaluate.sync import correlate, probe_offset
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.tracking.align import to_square
from lipcore.tracking.speakers import select_speaker
from lipcore.types import FloatArray, FrameRange


@dataclass(frozen=True, slots=True)
class SaidBy:
    """A picture of who said the line, from the line's beginning."""

    plate: Path
    lag_frames: float = 0.0
    """By how much its sound lags its picture."""
    speaker: str = "largest"


@dataclass(frozen=True, slots=True, eq=False)
class SaidLips:
    """Their lips at the moments of N frames of another picture; NaN where unknown."""

    opening: FloatArray
    """``(N,)`` interocular units."""
    width: FloatArray
    """``(N,)``"""


def read_lips(said: SaidBy, count: int, rate: float, cache: Cache) -> SaidLips:
    """Track who said the line.

    Args:
        said: Where to look.
        count: Frames of the picture that is to be held against them.
        rate: Its frames a second.
        cache: Keeps tracks.

    Raises:
        MediaError: The picture cannot be read.
        FaceError: It shows no face.
    """
    with open_plate(said.plate) as plate:
        own = float(plate.info.rate)
        moments = ((np.arange(count) + 0.5) / rate - said.lag_frames / own) * own - 0.5
        last = min(len(plate.info.frames) - 1, max(1, int(np.ceil(moments[-1]))))
        first = plate.info.frames.first
        frames = FrameRange(first, first + last)
        tracks, _, _ = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate), cache=cache,
            progress=lambda *_: None,
        )
        track = cover(select_speaker(tracks, said.speaker), frames)
    landmarks = to_square(track.landmarks, track.pixel_aspect)
    at = np.arange(len(frames))

    def read(values: FloatArray) -> FloatArray:
        found: FloatArray = np.interp(moments, at, values, left=np.nan, right=np.nan).astype(
            np.float32
        )
        return found

    return SaidLips(read(inner_opening(landmarks)), read(lip_width(landmarks)))


def compare_lips(
    said: SaidLips, opening: FloatArray, width: FloatArray
) -> tuple[float, float, int]:
    """Correlation of the opening and of the width with theirs, and by how many frames the lips
    lag behind theirs at the best shift.

    Args:
        said: Of who said the line.
        opening: ``(N,)`` of the render; NaN where unknown.
        width: ``(N,)`` likewise.
    """
    lag, _ = probe_offset(said.opening, opening)
    return correlate(opening, said.opening), correlate(width, said.width), lag
