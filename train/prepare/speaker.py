"""Whose mouth the sound fits, and by how much the sound lags it.

Each segment of each face is measured with the sync expert (``sync_offset``). Of segments that
are seen at the same time, the one whose mouth fits the sound best is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from ..sync_offset import SyncOffset
from .settings import PrepareConfig
from .spans import Span

AUDIO_RATE = 25
"""Frames a second in which ``offset_frames`` of a clip's facts are counted."""
JUDGED_S = Fraction(3)
"""Seconds of a segment that a measured offset needs; shorter ones are taken as they are."""
_SHARED = 0.25
"""Two segments are of one moment if they share so much of the shorter one."""
_STRAYS = 2.0
"""Frames by which a segment's offset may differ from the rest of its file's."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A segment that is good enough to be seen; whether it is to be heard is open."""

    span: Span
    sound: SyncOffset | None
    """None where nothing was measured."""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def offset_frames(self) -> float:
        """Of what was measured, at 25 frames a second."""
        assert self.sound is not None
        return round(self.sound.frames * AUDIO_RATE / float(self.span.rate), 2)

    @property
    def confidence(self) -> float:
        """-1 where nothing was measured."""
        return -1.0 if self.sound is None else self.sound.confidence

    @property
    def is_judged(self) -> bool:
        """Long enough for the measure to decide."""
        return self.sound is not None and self.span.seconds >= JUDGED_S


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A candidate that stays."""

    candidate: Candidate
    offset_frames: float
    """By which its sound lags, 25 a second."""


def has_rivals(span: Span, others: Sequence[Span]) -> bool:
    """Whether another face is seen at the same time."""
    return any(_rival(span, other) for other in others)


def settle(
    candidates: Sequence[Candidate], stated: float | None, config: PrepareConfig
) -> tuple[list[Settled], list[tuple[Span, str]]]:
    """Decide which segments stay, and what their offsets are.

    Args:
        candidates: Of one part of a file, all faces.
        stated: The offset of the file, where it is known.
        config: How sure the measure must be.

    Returns:
        What stays, in order of time; and what does not, with the reason.
    """
    left_out: list[tuple[Span, str]] = []
    believed: list[Candidate] = []
    for one in candidates:
        if one.is_judged and one.confidence < config.least_sync:
            left_out.append((one.span, f"the sound is not this mouth's (confidence "
                             f"{one.confidence:.2f}, {config.least_sync:.2f} is asked for)"))
        else:
            believed.append(one)
    chosen: list[Candidate] = []
    # The surest first; where nothing tells who speaks, the larger face.
    for one in sorted(believed, key=lambda c: (-c.confidence, -c.facts.get("face_px", 0))):
        rival = next((c for c in chosen if _rival(one.span, c.span)), None)
        if rival is None:
            chosen.append(one)
        elif one.sound is None:
            left_out.append((one.span, "another face is larger, and who speaks was not measured"))
        else:
            left_out.append((one.span, f"another face speaks (confidence {rival.confidence:.2f} "
                             f"against {one.confidence:.2f})"))
    chosen.sort(key=lambda c: c.span.start_s)
    usual = _usual(chosen) if stated is None else stated
    settled = []
    for one in chosen:
        offset = usual if stated is not None or not one.is_judged else one.offset_frames
        if stated is None and len([c for c in chosen if c.is_judged]) > 2:
            if abs(offset - usual) > _STRAYS:
                left_out.append((one.span, f"its sound lags by {offset:g} frames, that of the "
                                 f"rest by {usual:g}"))
                continue
            offset = usual
        settled.append(Settled(one, offset))
    return settled, left_out


def _usual(chosen: Sequence[Candidate]) -> float:
    """The offset of most of a file; 0 where none was measured."""
    known = [c.offset_frames for c in chosen if c.is_judged]
    return round(float(np.median(known)), 2) if known else 0.0


def _rival(one: Span, other: Span) -> bool:
    if one.track.track_id == other.track.track_id:
        return False
    return one.shared_s(other) > _SHARED * min(one.seconds, other.seconds)
