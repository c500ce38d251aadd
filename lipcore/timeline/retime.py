"""Exact retimes: which moment of the source each record frame shows.

A record frame is a span of time ``[t, t + length)``. Each effect maps the span one level
further down, towards the media, and what is seen is the source frame at the span's earlier
end, also where time runs backwards. So a reversed clip shows the frames of the forward one in
the opposite order, at any speed and however deep it is nested, and nothing is rounded before
the frame number itself.

"At the earlier end" means half a source frame into the span (or its middle, where that comes
first): frames of 23.976 in a record of 24 are then the nearest ones, where the very start of
the span would fall short of the second frame by a thousandth and show the first one twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

Span = tuple[Fraction, Fraction]
"""(earlier end, length), seconds."""


@dataclass(frozen=True, slots=True)
class Linear:
    """``inner = offset + scale * outer``; a scale below 0 runs backwards."""

    scale: Fraction
    offset: Fraction

    def map(self, span: Span) -> Span:
        start, length = span
        if self.scale < 0:
            return self.offset + self.scale * (start + length), -self.scale * length
        return self.offset + self.scale * start, self.scale * length


@dataclass(frozen=True, slots=True)
class Hold:
    """A freeze: always the same moment, for as long as a frame lasts."""

    at: Fraction

    def map(self, span: Span) -> Span:
        return self.at, span[1]


@dataclass(frozen=True, slots=True)
class Curve:
    """A time warp: straight lines between points ``(outer, inner)``; the first and the last
    line go on outside."""

    points: tuple[tuple[Fraction, Fraction], ...]

    def map(self, span: Span) -> Span:
        start, length = span
        here = self.value(start)
        moved = abs(self.value(start + length) - here)
        return here, moved or length

    def value(self, outer: Fraction) -> Fraction:
        """The inner time that belongs to an outer one."""
        points = self.points
        if len(points) == 1:
            return points[0][1] + outer - points[0][0]
        place = bisect_right([x for x, _ in points], outer) - 1
        place = min(max(place, 0), len(points) - 2)
        (x0, y0), (x1, y1) = points[place], points[place + 1]
        return y0 + (y1 - y0) * (outer - x0) / (x1 - x0)

    @property
    def monotone(self) -> bool:
        """Never turns back."""
        slopes = [b[1] - a[1] for a, b in pairwise(self.points)]
        return all(s >= 0 for s in slopes)


Step = Linear | Hold | Curve


@dataclass(frozen=True, slots=True)
class Retime:
    """Steps from record time down to source time, the outermost first."""

    steps: tuple[Step, ...] = ()

    def then(self, step: Step) -> Retime:
        """With one more step towards the media; straight lines are joined into one."""
        if not self.steps:
            return Retime((step,))
        last = self.steps[-1]
        if isinstance(last, Linear) and isinstance(step, Linear):
            joined = Linear(step.scale * last.scale, step.offset + step.scale * last.offset)
            return Retime((*self.steps[:-1], joined))
        return Retime((*self.steps, step))

    def map(self, span: Span) -> Span:
        """The source's span of a record frame's."""
        for step in self.steps:
            span = step.map(span)
        return span

    def position(self, frame: int, rate: Fraction) -> Fraction:
        """Source time, seconds, of record frame ``frame`` (from 0) at ``rate``."""
        return self.map((frame / rate, 1 / rate))[0]

    @property
    def speed(self) -> Fraction | None:
        """Source seconds in a record second: 0 is a freeze, below 0 backwards; None varies."""
        speed = Fraction(1)
        for step in self.steps:
            if isinstance(step, Curve):
                return None
            speed *= step.scale if isinstance(step, Linear) else 0
        return speed

    @property
    def direction(self) -> int | None:
        """1 never goes back, -1 never goes on, 0 stands still; None does both."""
        direction = 1
        for step in self.steps:
            if isinstance(step, Hold):
                direction = 0
            elif isinstance(step, Linear):
                direction *= (step.scale > 0) - (step.scale < 0)
            elif not step.monotone:
                return None
        return direction

    def frames_within(
        self, window: tuple[int, int], inner: Span, rate: Fraction
    ) -> list[tuple[int, int]]:
        """Record frames whose source time lies in a span: runs ``(first, end)``, end excluded.

        Args:
            window: The frames to look at, end excluded.
            inner: Start and length of the source's span, seconds.
            rate: Of the record.
        """
        low, high = inner[0], inner[0] + inner[1]
        first, end = window
        if first >= end or low >= high:
            return []
        direction = self.direction
        if direction is None:
            inside = (low <= self.position(n, rate) < high for n in range(first, end))
            return _runs(inside, first)
        if direction == 0:
            return [window] if low <= self.position(first, rate) < high else []
        if direction > 0:
            start = _first(lambda n: self.position(n, rate) >= low, first, end)
            stop = _first(lambda n: self.position(n, rate) >= high, start, end)
        else:
            start = _first(lambda n: self.position(n, rate) < high, first, end)
            stop = _first(lambda n: self.position(n, rate) < low, start, end)
        return [(start, stop)] if start < stop else []

    def source_frames(
        self, frames: range, rate: Fraction, source_start_s: Fraction, source_rate: Fraction
    ) -> list[int]:
        """The source frame of each record frame, counted from ``source_start_s``.

        Args:
            frames: Record frames, from 0.
            rate: Of the record.
            source_start_s: Source time of the source's first frame.
            source_rate: Of the source.
        """
        if len(self.steps) == 1 and isinstance(self.steps[0], Linear):
            # position * rate is a + b * n: whole numbers all the way, one division a frame.
            start, length = self.steps[0].map((Fraction(0), 1 / rate))
            b = self.steps[0].scale / rate * source_rate
            a = _seen_at(start - source_start_s, length, source_rate)
            common = a.denominator * b.denominator
            top, step = a.numerator * b.denominator, b.numerator * a.denominator
            return [(top + step * n) // common for n in frames]
        found = []
        for n in frames:
            start, length = self.map((n / rate, 1 / rate))
            found.append(_seen_at(start - source_start_s, length, source_rate) // 1)
        return found


def _seen_at(start_s: Fraction, length_s: Fraction, rate: Fraction) -> Fraction:
    """The moment of a source's span that is seen, in its frames."""
    return start_s * rate + min(length_s * rate, Fraction(1)) / 2


def effect_steps(
    scalars: Sequence[Fraction | Curve], duration_s: Fraction
) -> list[Step]:
    """The steps of an item's stacked effects, outermost first.

    Args:
        scalars: Speeds and time warps in the order of the item's list: the first is applied
            to the media first. 0 is a freeze.
        duration_s: How long the item lasts; effects do not change it.

    Returns:
        From a time within the item to how far into its source range it reaches.
    """
    steps: list[Step] = []
    for scalar in reversed(scalars):
        if isinstance(scalar, Curve):
            steps.append(scalar)
        elif scalar == 0:
            steps.append(Hold(Fraction(0)))
            duration_s = Fraction(0)
        else:
            # Backwards: the source range is the same, played from its other end.
            covered = duration_s * abs(scalar)
            steps.append(Linear(scalar, covered if scalar < 0 else Fraction(0)))
            duration_s = covered
    return steps


def _first(holds: Callable[[int], bool], first: int, end: int) -> int:
    """The first number for which a condition holds that, once true, stays true."""
    while first < end:
        middle = (first + end) // 2
        if holds(middle):
            end = middle
        else:
            first = middle + 1
    return first


def _runs(inside: Iterable[bool], first: int) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number, yes in enumerate(inside, first):
        if not yes:
            continue
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs
