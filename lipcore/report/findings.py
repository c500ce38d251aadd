"""What a supervisor should know of a shot, in words, and which of its frames to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lipcore.evaluate.mouths import CLOSED
from lipcore.media.timecode import advance_timecode
from lipcore.report.finished import FinishedRender
from lipcore.report.measure import MeasuredShot
from lipcore.types import BoolArray, FloatArray

# Seen on renders of the development clips (see tests/benchmarks/RESULTS.md); a warning should
# be worth a look, so each limit lies beyond what good shots showed.
_OPEN_S = 0.2
"""Lips open for less than this in silence are not seen."""
_OFFSET_S = 0.06
"""Sound and lips further apart than this are worth a look, once the judge is certain."""
_JITTER = 1.8
_JUMP = 5.0
"""A jump: acceleration this many times the shot's median, and the plate's at that frame."""
_SMALLEST_JUMP = 0.02
_SOFT = 0.55
_STILL = 0.006
"""Standard deviation of the opening in speech, below which lips stand still."""
_LOOSE = 0.6
_UNSURE = 0.5
_SPOKEN_S = 0.5
_LITTLE = 0.05
"""Badness below which frames are alike."""
_MOST_TOLD = 3
"""Places that one sentence names; further ones are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know."""

    text: str
    serious: bool
    """Worth a look; else only to be known."""


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A frame that is worth a look."""

    index: int
    reason: str
    badness: float
    """0 is nothing to see; 1 and above would be a warning."""


def place(render: FinishedRender, index: int) -> str:
    """A frame's number, with its timecode, or its time where the plate has none."""
    number = render.frames.first + index
    return f"frame {number} ({clock(render, index)})"


def clock(render: FinishedRender, index: int) -> str:
    """A frame's timecode; minutes and seconds from the first frame where there is none."""
    if render.timecode is not None:
        try:
            return advance_timecode(render.timecode, index, render.rate)
        except ValueError:
            pass
    minutes, seconds = divmod(float(index / render.rate), 60)
    return f"{int(minutes)}:{seconds:05.2f}"


def find_faults(shot: MeasuredShot) -> list[Finding]:
    """All there is to say of a shot, the serious things first."""
    found = [finding for check in _CHECKS for finding in check(shot)]
    return sorted(found, key=lambda finding: not finding.serious)


def rank(findings: list[Finding], worst: list[BadFrame]) -> tuple[int, float]:
    """The larger, the sooner a shot should be looked at."""
    return sum(f.serious for f in findings), max((frame.badness for frame in worst), default=0.0)


def worst_frames(shot: MeasuredShot, count: int) -> list[BadFrame]:
    """Frames to look at, the worst first, spread over the shot; never empty.

    Args:
        shot: Measured.
        count: How many at most.
    """
    drawn = shot.render.strength > 0
    parts = {name: np.where(drawn, np.nan_to_num(values, nan=0.0), 0.0)
             for name, values in _badness(shot).items()}  # fmt: skip
    total = np.sum(list(parts.values()), axis=0)
    apart = max(3, shot.count // (2 * count))
    left = total.copy()
    chosen: list[BadFrame] = []
    while len(chosen) < count and left.max() >= 0:
        index = int(left.argmax()) if left.max() > _LITTLE else _farthest(left, chosen)
        name = max(parts, key=lambda key: parts[key][index])
        reason = name if parts[name][index] > 0.4 else "typical"
        chosen.append(BadFrame(index, reason, float(total[index])))
        left[max(0, index - apart) : index + apart + 1] = -1
    return chosen


def _farthest(left: FloatArray, chosen: list[BadFrame]) -> int:
    """Where nothing is bad any more: the free frame that lies farthest from those shown."""
    free = np.flatnonzero(left >= 0)
    places = np.array([bad.index for bad in chosen] or [0])
    return int(free[np.abs(free[:, None] - places).min(axis=1).argmax()])


def open_in_silence(shot: MeasuredShot) -> BoolArray:
    """``(N,)`` frames whose drawn lips stay apart though nobody speaks."""
    if shot.sound is None:
        return np.zeros(shot.count, bool)
    with np.errstate(invalid="ignore"):
        apart = shot.opening > CLOSED * shot.width
    found = np.zeros(shot.count, bool)
    silent = shot.sound.silent & (shot.render.strength > 0.99)
    for first, last in spans(apart & silent, _frames_of(shot, _OPEN_S)):
        found[first : last + 1] = True
    return found


def spans(frames: BoolArray, least: int = 1) -> list[tuple[int, int]]:
    """Runs of True as (first, last), those of ``least`` frames and more."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], frames.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)
            if b - a >= least]  # fmt: skip


def _badness(shot: MeasuredShot) -> dict[str, FloatArray]:
    """By reason, how bad each frame is; 1 is where a warning would be in order."""
    loose = np.abs(shot.opening - shot.asked_opening) / 0.06
    size = np.maximum(shot.plate_shake, np.nanmedian(_or_zero(shot.shake)))
    jumps = shot.shake / np.maximum(_JUMP * size, _SMALLEST_JUMP)
    soft = 1 - np.sqrt(shot.meshes.sharp_after / np.maximum(shot.meshes.sharp_before, 1.0))
    return {
        "open in silence": open_in_silence(shot) * shot.opening / 0.06,
        "lips not as asked": np.maximum(loose - 0.25, 0),
        "lips jump": np.maximum(jumps - 0.3, 0),
        "softer than the plate": np.maximum(soft / 0.4 - 0.3, 0),
        "no face seen": np.where(shot.meshes.score < _UNSURE, 1.0, 0.0),
        "face unsure": np.where(shot.render.confidence < _UNSURE, 0.8, 0.0),
    }


def _or_zero(values: FloatArray) -> FloatArray:
    return values if np.isfinite(values).any() else np.zeros_like(values)


def _frames_of(shot: MeasuredShot, seconds: float) -> int:
    return max(2, round(seconds * float(shot.render.rate)))


def _told(shot: MeasuredShot, runs: list[tuple[int, int]]) -> str:
    """Where, in words."""
    first = shot.render.frames.first
    shown = [
        place(shot.render, a) if a == b
        else f"frames {first + a}-{first + b} ({clock(shot.render, a)})" for a, b in runs
    ]  # fmt: skip
    more = len(shown) - _MOST_TOLD
    return ", ".join(shown[:_MOST_TOLD]) + (f" and {more} more places" if more > 0 else "")


def _silence(shot: MeasuredShot) -> Iterator[Finding]:
    runs = spans(open_in_silence(shot))
    if runs:
        yield Finding(f"Lips open in silence: {_told(shot, runs)}.", True)


def _offset(shot: MeasuredShot) -> Iterator[Finding]:
    found = None if shot.sound is None else shot.sound.offset
    if found is None or not found.certain:
        return
    if abs(found.frames) > _OFFSET_S * float(shot.render.rate):
        word = "lags" if found.frames > 0 else "leads"
        count = abs(found.frames)
        yield Finding(f"Sound {word} the lips by {count} frame{'s' * (count > 1)}.", True)


def _jitter(shot: MeasuredShot) -> Iterator[Finding]:
    if shot.jitter > _JITTER:
        yield Finding(f"Lips and jaw shake {shot.jitter:.1f} times as much as the plate's.", True)
    with np.errstate(invalid="ignore"):
        limit = np.maximum(_JUMP * np.nanmedian(_or_zero(shot.shake)), _SMALLEST_JUMP)
        jumps = (shot.shake > limit) & ~(shot.plate_shake > limit / 2)
    runs = spans(jumps & (shot.render.strength > 0))
    if runs:
        yield Finding(f"The mouth jumps: {_told(shot, runs)}.", True)


def _lips(shot: MeasuredShot) -> Iterator[Finding]:
    full = shot.render.strength > 0.99
    if shot.sound is not None:
        speaking = full & ~shot.sound.silent & np.isfinite(shot.opening)
        if speaking.sum() > _frames_of(shot, _SPOKEN_S) and (
            float(shot.opening[speaking].std()) < _STILL
        ):
            yield Finding("Lips hardly move while the dialogue speaks.", True)
            return
    if shot.follows < _LOOSE:
        yield Finding(
            f"The drawn lips follow what was asked only loosely (correlation "
            f"{shot.follows:.2f}).", True,
        )  # fmt: skip


def _face(shot: MeasuredShot) -> Iterator[Finding]:
    policies = np.array(shot.render.policies)
    passed = spans(policies == "passthrough")
    if passed:
        count = int((policies == "passthrough").sum())
        yield Finding(f"{count} frames passed through, no face: {_told(shot, passed)}.", True)
    held = spans(policies == "hold")
    if held:
        yield Finding(f"Face not seen, held between sightings: {_told(shot, held)}.", True)
    unsure = spans((shot.render.confidence < _UNSURE) & (policies == "track"), 2)
    if unsure:
        yield Finding(f"The face is tracked unsurely: {_told(shot, unsure)}.", False)
    with np.errstate(invalid="ignore"):
        lost = spans((shot.meshes.score < _UNSURE) & (shot.render.strength > 0), 2)
    if lost:
        yield Finding(f"The render shows no face that is recognised: {_told(shot, lost)}.", True)


def _picture(shot: MeasuredShot) -> Iterator[Finding]:
    if shot.sharp < _SOFT:
        yield Finding(
            f"The mouth is softer than the plate's: {shot.sharp:.0%} of its detail.", True
        )
    if shot.lossless and float(np.nanmax(_or_zero(shot.meshes.outside))) > 0:
        runs = spans(np.nan_to_num(shot.meshes.outside) > 0)
        yield Finding(f"Pixels outside the mouth differ from the plate: {_told(shot, runs)}.", True)
    if shot.no_plate:
        yield Finding(
            f"The plate is not there to compare with: {shot.no_plate}.", True
        )


def _notes(shot: MeasuredShot) -> Iterator[Finding]:
    render = shot.render
    if shot.no_sound:
        yield Finding(shot.no_sound, shot.render.dialogue is not None)
    if shot.sound is not None and not shot.sound.spans_s:
        yield Finding("No speech is heard in the dialogue under this shot.", False)
    if shot.sound is not None and abs(early := shot.sound.ends_early_s) > 1 / float(render.rate):
        what = "before the picture: silence follows" if early > 0 else "after the picture: cut off"
        yield Finding(f"The dialogue ends {abs(early):.2f} s {what}.", False)
    weak = (render.strength < 0.99) & (np.array(render.policies) != "passthrough")
    if weak.any():
        yield Finding(f"Strength below 1: {_told(shot, spans(weak))}.", False)
    if render.cuts:
        numbers = [(cut - render.frames.first,) * 2 for cut in render.cuts]
        yield Finding(f"The plate cuts inside the shot: {_told(shot, numbers)}.", False)


_CHECKS: tuple[Callable[[MeasuredShot], Iterator[Finding]], ...] = (
    _offset, _silence, _lips, _jitter, _face, _picture, _notes,
)  # fmt: skip
