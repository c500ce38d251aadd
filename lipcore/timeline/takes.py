"""Takes that several shots use: which of their frames are tracked once for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lipcore.timeline.plan import ShotPlan
from lipcore.types import FrameRange


def shared_ranges(shots: Sequence[ShotPlan]) -> dict[int, FrameRange]:
    """Frames of a take that are tracked once for several shots, by the shot's number.

    Shots of one take share where their ranges overlap and the whole of them is shorter than
    the shots together. It follows from the timeline and its handles alone, not from a dialogue
    or from what is asked for: so every language and every run tracks the same frames.
    """
    by_take: dict[Path, list[ShotPlan]] = {}
    for shot in shots:
        if shot.media is not None and shot.numbers and shot.whole:
            by_take.setdefault(shot.media, []).append(shot)
    shared: dict[int, FrameRange] = {}
    for users in by_take.values():
        for group in _overlapping(users):
            hull = FrameRange(min(min(s.numbers) for s in group),
                              max(max(s.numbers) for s in group))  # fmt: skip
            if len(group) > 1 and len(hull) < sum(len(s.numbers) for s in group):
                shared.update((shot.number, hull) for shot in group)
    return shared


def _overlapping(shots: Sequence[ShotPlan]) -> list[list[ShotPlan]]:
    """Shots in groups whose ranges hang together."""
    groups: list[list[ShotPlan]] = []
    reach = 0
    for shot in sorted(shots, key=lambda s: min(s.numbers)):
        if groups and min(shot.numbers) <= reach:
            groups[-1].append(shot)
            reach = max(reach, max(shot.numbers))
        else:
            groups.append([shot])
            reach = max(shot.numbers)
    return groups
