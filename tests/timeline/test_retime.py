"""Retimes and flattening against a brute-force sampler that walks down for every frame."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import opentimelineio as otio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipcore.timeline.flatten import flatten
from lipcore.timeline.read import ReadTimeline
from lipcore.timeline.retime import Linear, Retime
from lipcore.timeline.times import exact, exact_rate

RATES = (24.0, 25.0, 30.0, 24000 / 1001, 30000 / 1001, 60.0)
SPEEDS = (1.0, 2.0, 0.5, -1.0, -2.0, 1 / 3, -0.75, 0.0, 1.2345, 24 / 25)

Seen = tuple[str, Fraction, Fraction] | None
"""Clip, source time, and how much of it, seconds."""


def _s(time: Any) -> Fraction:
    return exact(time.value) / exact_rate(time.rate)


def sample(item: Any, start: Fraction, length: Fraction) -> Seen:
    """What an item shows of the span that begins ``start`` after the item does."""
    if not item.enabled or isinstance(item, otio.schema.Gap):
        return None
    total = _s(item.source_range.duration)
    if not 0 <= start < total:
        return None
    # Each effect sees the span from the time within the item towards the media.
    for effect in reversed(list(item.effects)):
        k = exact(effect.time_scalar)
        if k == 0:
            start, total = Fraction(0), Fraction(0)  # for as long as it was
        elif k > 0:
            start, length, total = start * k, length * k, total * k
        else:
            end = start + length
            total = total * -k
            start, length = total - end * -k, length * -k
    start += _s(item.source_range.start_time)
    if isinstance(item, otio.schema.Clip):
        return item.name, start, length
    if isinstance(item, otio.schema.Track):
        at = Fraction(0)
        for child in item:
            lasts = _s(child.source_range.duration)
            if at <= start < at + lasts:
                return sample(child, start - at, length)
            at += lasts
        return None
    for child in reversed(list(item)):
        seen = sample(child, start, length)
        if seen is not None:
            return seen
    return None


@st.composite
def items(draw: st.DrawFn, depth: int) -> Any:
    rate = draw(st.sampled_from(RATES))
    kinds = ["clip", "clip", "gap"] + (["track", "stack"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    held = otio.opentime.TimeRange(
        otio.opentime.RationalTime(draw(st.integers(-3, 20)), rate),
        otio.opentime.RationalTime(draw(st.integers(1, 24)), rate),
    )
    if kind == "gap":
        return otio.schema.Gap(source_range=held)
    effects = [
        otio.schema.FreezeFrame() if speed == 0 else otio.schema.LinearTimeWarp(time_scalar=speed)
        for speed in draw(st.lists(st.sampled_from(SPEEDS), max_size=2))
    ]
    if kind == "clip":
        made: Any = otio.schema.Clip(str(draw(st.integers(0, 10**9))), source_range=held)
    else:
        made = otio.schema.Track() if kind == "track" else otio.schema.Stack()
        made.source_range = held
        made.extend(draw(st.lists(items(depth - 1), min_size=1, max_size=4)))
    made.effects.extend(effects)
    made.enabled = draw(st.integers(0, 9)) > 0
    return made


@given(items(3), st.sampled_from(RATES))
@settings(max_examples=3000, deadline=None)
def test_flattening_agrees_with_sampling_every_frame(item: Any, rate: float) -> None:
    timeline = otio.schema.Timeline()
    timeline.tracks.append(item)
    record = exact_rate(rate)
    shown: dict[int, tuple[str, Fraction, Fraction]] = {}
    for segment in flatten(ReadTimeline(timeline, record, 0)):
        for frame in range(segment.first, segment.end):
            assert frame not in shown
            span = (frame / record, 1 / record)
            shown[frame] = segment.clip.name, *segment.retime.map(span)
        numbers = segment.retime.source_frames(
            range(segment.first, segment.end), record, Fraction(0), record
        )
        assert numbers == [
            (shown[n][1] * record + min(shown[n][2] * record, Fraction(1)) / 2) // 1
            for n in range(segment.first, segment.end)
        ]
    for frame in range(60):
        assert shown.get(frame) == sample(item, frame / record, 1 / record), frame


@pytest.mark.parametrize(
    ("speeds", "expected"),
    [
        ((), [10, 11, 12, 13]),
        ((2.0,), [10, 12, 14, 16]),
        ((0.5,), [10, 10, 11, 11]),
        ((-1.0,), [13, 12, 11, 10]),
        ((-2.0,), [16, 14, 12, 10]),
        ((-0.5,), [11, 11, 10, 10]),
        ((0.0,), [10, 10, 10, 10]),
        ((-1.0, -1.0), [10, 11, 12, 13]),
        ((2.0, 0.5), [10, 11, 12, 13]),
    ],
)
def test_source_frames_of_one_clip(speeds: tuple[float, ...], expected: list[int]) -> None:
    clip = otio.schema.Clip("a", source_range=otio.opentime.TimeRange(
        otio.opentime.RationalTime(10, 24), otio.opentime.RationalTime(4, 24)))  # fmt: skip
    clip.effects.extend(otio.schema.LinearTimeWarp(time_scalar=speed) for speed in speeds)
    timeline = otio.schema.Timeline()
    timeline.tracks.append(otio.schema.Track(children=[clip]))
    (segment,) = flatten(ReadTimeline(timeline, Fraction(24), 0))
    assert segment.retime.source_frames(
        range(4), Fraction(24), Fraction(0), Fraction(24)
    ) == expected


@pytest.mark.parametrize(
    ("record", "source", "expected"),
    [
        ("24", "24000/1001", {0: 0, 1: 1, 24: 24, 500: 500, 501: 500, 502: 501, 1000: 999}),
        ("24000/1001", "24", {0: 0, 1: 1, 499: 499, 500: 501}),
        ("24", "25", {0: 0, 1: 1, 11: 11, 12: 13, 24: 25}),
        ("25", "50", {0: 0, 1: 2, 2: 4}),
        ("50", "25", {0: 0, 1: 0, 2: 1, 3: 1}),
        ("60", "24", {0: 0, 1: 0, 2: 1, 3: 1, 4: 1, 5: 2}),
    ],
)
def test_a_source_of_another_rate_shows_its_nearest_frame(
    record: str, source: str, expected: dict[int, int]
) -> None:
    found = Retime((Linear(Fraction(1), Fraction(7)),)).source_frames(
        range(1001), Fraction(record), Fraction(7), Fraction(source)
    )
    assert {n: found[n] for n in expected} == expected
