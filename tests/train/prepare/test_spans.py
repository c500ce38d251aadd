"""Segments: their lengths, their rate, and which frame stands where."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from lipcore.train.prepare.settings import PrepareConfig
from lipcore.train.prepare.spans import cut_spans, pieces, retimed, stretches

from lipcore.types import FaceTrack, FrameRange

RATES = st.sampled_from([Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 50, 60])


def track_of(present: np.ndarray, cuts: tuple[int, ...] = (), number: int = 1) -> FaceTrack:
    """A face in the middle of the frame, frames from 1 on."""
    n = len(present)
    return FaceTrack(
        number, FrameRange(1, n), np.zeros((n, 478, 3), np.float32), present.astype(np.float32),
        present, np.zeros((n, 2, 3), np.float32), cuts=cuts,
    )


def test_a_face_that_goes_away_makes_several_stretches() -> None:
    present = np.ones(30, bool)
    present[10:12] = False
    runs = [str(r) for r in stretches(track_of(present, cuts=(20,)))]
    assert runs == ["1-10", "13-19", "20-30"]


@given(st.integers(0, 3000), RATES, st.floats(0.2, 8), st.floats(1, 3))
def test_pieces_are_neither_too_short_nor_too_long(
    count: int, rate: Fraction, shortest_s: float, ratio: float
) -> None:
    rate, longest_s = Fraction(rate), shortest_s * ratio
    found = pieces(count, rate, shortest_s, longest_s)
    assert all(length >= shortest_s * rate for _, length in found)
    assert all(length <= max(longest_s * rate, np.ceil(shortest_s * rate)) for _, length in found)
    ends = [0, *(start + length for start, length in found)]
    assert [start for start, _ in found] == ends[:-1] and ends[-1] <= count
    assert bool(found) == (count >= max(1, np.ceil(shortest_s * rate)))
    # Where segments may differ by twice, nothing is lost.
    if ratio >= 2 and found and longest_s * rate > 20:
        assert ends[-1] == count


@given(st.integers(1, 500), RATES, RATES)
def test_each_frame_shows_what_stood_there_at_its_time(
    count: int, source: Fraction, rate: Fraction
) -> None:
    shown = retimed(count, Fraction(source), Fraction(rate))
    assert len(shown) == int(Fraction(count) / source * rate)
    if len(shown):
        assert shown[0] >= 0 and shown[-1] < count and (np.diff(shown) >= 0).all()
        middles = (np.arange(len(shown)) + 0.5) / float(rate)
        assert (np.abs((shown + 0.5) / float(source) - middles) <= 0.5 / float(source) + 1e-9).all()


def test_a_segment_knows_when_it_is() -> None:
    track = track_of(np.ones(900, bool))
    config = PrepareConfig(shortest_s=5, longest_s=10)
    spans = list(cut_spans(track, FrameRange(31, 900), 1, Fraction(30), config))
    assert [len(s.numbers) for s in spans] == [242, 241, 242]  # 29 s at 25 a second
    assert spans[0].start_s == 1 and spans[1].start_s == spans[0].end_s
    assert spans[0].frames.first == 31 and spans[2].frames.last == 900
    assert spans[0].shared_s(spans[1]) == 0 and spans[0].shared_s(spans[0]) == spans[0].seconds
    native = PrepareConfig(rate=None, shortest_s=5, longest_s=10)
    kept = list(cut_spans(track, FrameRange(1, 240), 1, Fraction(24), native))
    assert len(kept) == 1 and (kept[0].numbers == np.arange(1, 241)).all()
