"""What is said of a shot follows from its figures, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lipcore.evaluate.offset import SoundOffset
from lipcore.report.findings import find_faults, spans, worst_frames
from lipcore.report.measure import MeasuredShot, Sound
from lipcore.types import BoolArray, FloatArray

COUNT = 100
Make = Callable[..., MeasuredShot]


def talk() -> FloatArray:
    """Lips that open and close smoothly; shut in the last 40 frames."""
    opening = 0.05 * (1 - np.cos(np.arange(COUNT) / 3)).astype(np.float32)
    opening[60:] = 0
    return opening


def heard(
    silent_from: int = 60, frames: int = 0, certain: bool = True, early_s: float = 0.0
) -> Sound:
    """Speech up to a frame; lips and sound fit best at a shift."""
    silent: BoolArray = np.arange(COUNT) >= silent_from
    shifts = np.arange(-15, 16)
    fit = np.where(np.abs(shifts - frames) < 2, 0.7, 0.1).astype(np.float32)
    offset = SoundOffset(frames, 0.7, 0.6 if certain else 0.02, shifts, fit)
    samples = np.zeros(COUNT * 640, np.float32)
    return Sound(samples, ((0.0, silent_from / 25),), silent, offset, early_s)


def told(shot: MeasuredShot) -> list[str]:
    return [f.text for f in find_faults(shot) if f.serious]


def test_of_a_good_shot_nothing_is_said(shot_of: Make) -> None:
    assert told(shot_of(talk(), heard())) == []


def test_lips_open_in_silence_are_named_by_timecode(shot_of: Make) -> None:
    opening = talk()
    opening[84:92] = 0.09
    shot = shot_of(opening, heard())
    (text,) = [t for t in told(shot) if "silence" in t]
    assert text == "Lips open in silence: frames 1085-1092 (01:00:03:09)."
    opening[84:92] = 0
    opening[84:86] = 0.09
    assert not any("silence" in t for t in told(shot_of(opening, heard())))


def test_without_a_timecode_the_time_is_told(shot_of: Make) -> None:
    opening = talk()
    opening[84:92] = 0.09
    assert "(0:03.36)" in " ".join(told(shot_of(opening, heard(), timecode=None)))


def test_an_offset_is_told_in_its_direction_once_it_is_certain(shot_of: Make) -> None:
    assert "Sound lags the lips by 3 frames." in told(shot_of(talk(), heard(frames=3)))
    assert "Sound leads the lips by 4 frames." in told(shot_of(talk(), heard(frames=-4)))
    assert told(shot_of(talk(), heard(frames=9, certain=False))) == []
    assert told(shot_of(talk(), heard(frames=1))) == []


def test_frames_without_a_face_are_named(shot_of: Make) -> None:
    policies = ["track"] * COUNT
    policies[30:34] = ["passthrough"] * 4
    policies[50] = "hold"
    strength = np.ones(COUNT, np.float32)
    strength[30:34] = 0
    said = told(shot_of(talk(), heard(), policies=tuple(policies), strength=strength))
    assert "4 frames passed through, no face: frames 1031-1034 (01:00:01:05)." in said
    assert "Face not seen, held between sightings: frame 1051 (01:00:02:00)." in said


def test_a_jump_a_soft_mouth_and_a_changed_background_are_named(shot_of: Make) -> None:
    opening = talk()
    opening[75] = 0.12
    said = " ".join(told(shot_of(opening, heard(), sharp=0.3, outside=0.25)))
    assert "The mouth jumps: frames 1075-1077 (01:00:02:24)." in said
    assert "softer than the plate's: 30% of its detail" in said
    assert "Pixels outside the mouth differ from the plate" in said
    said = " ".join(told(shot_of(talk(), heard(), outside=0.25, lossless=False)))
    assert "outside" not in said, "a codec may do so"


def test_lips_that_do_not_do_what_is_asked_are_named(shot_of: Make) -> None:
    still = np.full(COUNT, 0.02, np.float32)
    assert "Lips hardly move while the dialogue speaks." in told(shot_of(still, heard()))
    other = np.roll(talk(), 9)
    other[60:] = 0
    assert "only loosely" in " ".join(told(shot_of(other, heard(), asked=talk())))


def test_what_is_absent_is_said(shot_of: Make) -> None:
    shot = shot_of(talk(), None, no_plate="no plate at /x", no_sound="No dialogue at /y.")
    said = " ".join(told(shot))
    assert "The plate is not there to compare with: no plate at /x." in said
    assert "No dialogue at /y." in said


def test_the_worst_frame_comes_first_and_frames_are_spread(shot_of: Make) -> None:
    opening, asked = talk(), talk()
    opening[40] += 0.2
    worst = worst_frames(shot_of(opening, heard(), asked=asked), 4)
    assert abs(worst[0].index - 40) <= 1 and worst[0].badness > worst[1].badness
    places = sorted(bad.index for bad in worst)
    assert len(worst) == 4 and min(np.diff(places)) >= 10


def test_where_nothing_is_bad_frames_are_spread(shot_of: Make) -> None:
    places = sorted(bad.index for bad in worst_frames(shot_of(talk(), heard()), 4))
    assert places[-1] - places[0] > COUNT / 2 and min(np.diff(places)) >= 10


def test_a_shot_of_one_frame_has_a_worst_frame(shot_of: Make) -> None:
    (only,) = worst_frames(shot_of(np.zeros(1, np.float32)), 3)
    assert only.index == 0
    find_faults(shot_of(np.zeros(1, np.float32)))


def test_spans_are_runs() -> None:
    frames = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], bool)
    assert spans(frames) == [(0, 1), (3, 3), (6, 8)]
    assert spans(frames, 2) == [(0, 1), (6, 8)]
    assert spans(np.zeros(3, bool)) == []
