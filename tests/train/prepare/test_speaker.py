"""Whose mouth the sound fits, decided from measures that are given."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from lipcore.train.prepare.settings import PrepareConfig
from lipcore.train.prepare.spans import Span
from lipcore.train.prepare.speaker import Candidate, settle
from lipcore.train.sync_offset import SyncOffset

from .test_spans import track_of

CONFIG = PrepareConfig(least_sync=0.25)
TRACKS = [track_of(np.ones(2000, bool), number=number) for number in range(4)]


def candidate(
    face: int, start_s: int, seconds: int, confidence: float | None, offset: int = 1,
    face_px: int = 100,
) -> Candidate:  # fmt: skip
    numbers = np.arange(start_s * 25, (start_s + seconds) * 25) + 1
    span = Span(TRACKS[face], numbers, Fraction(25), Fraction(start_s))
    found = None if confidence is None else SyncOffset(offset, confidence, np.zeros(31, np.float32))
    return Candidate(span, found, {"face_px": face_px})


def told(candidates: list[Candidate], stated: float | None = None) -> tuple[list, list[str]]:
    kept, left_out = settle(candidates, stated, CONFIG)
    faces = [(s.candidate.span.track.track_id, s.offset_frames) for s in kept]
    return faces, [reason for _, reason in left_out]


def test_of_two_faces_the_one_that_speaks_stays() -> None:
    kept, reasons = told([candidate(0, 0, 8, 0.3, face_px=300), candidate(1, 0, 8, 0.5, 2)])
    assert kept == [(1, 2.0)] and reasons == ["another face speaks (confidence 0.50 against 0.30)"]


def test_two_who_speak_in_turn_both_stay() -> None:
    turns = [candidate(0, 0, 8, 0.5), candidate(1, 0, 8, 0.1), candidate(0, 8, 8, 0.12),
             candidate(1, 8, 8, 0.6)]  # fmt: skip
    kept, reasons = told(turns)
    assert [face for face, _ in kept] == [0, 1]
    assert len(reasons) == 2 and all("not this mouth's" in r for r in reasons)


def test_a_loser_does_not_shut_out_others() -> None:
    """The middle one loses to the last; the first, which it outdoes, stays."""
    kept, _ = told([candidate(0, 0, 8, 0.4), candidate(1, 5, 8, 0.5), candidate(2, 9, 8, 0.6)])
    assert [face for face, _ in kept] == [0, 2]


def test_without_sound_the_larger_face_stays() -> None:
    kept, reasons = told([candidate(0, 0, 8, None), candidate(1, 0, 8, None, face_px=200)])
    assert kept == [(1, 0.0)] and "who speaks was not measured" in reasons[0]


def test_a_short_segment_takes_the_offset_of_its_file() -> None:
    kept, _ = told([candidate(0, 0, 8, 0.5, 3), candidate(0, 10, 2, 0.1, -9)])
    assert kept == [(0, 3.0), (0, 3.0)]


def test_offsets_of_one_file_agree_or_are_left_out() -> None:
    parts = [candidate(0, 10 * i, 8, 0.5, offset) for i, offset in enumerate((2, 3, 2, 11))]
    kept, reasons = told(parts)
    assert kept == [(0, 2.5)] * 3
    assert reasons == ["its sound lags by 11 frames, that of the rest by 2.5"]


def test_a_stated_offset_stands() -> None:
    kept, _ = told([candidate(0, 0, 8, 0.5, 3)], stated=-2)
    assert kept == [(0, -2)]
