"""What the viewer sees: for every record frame the top-most enabled clip, however nested."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import opentimelineio as otio

from lipcore.timeline.read import ReadTimeline
from lipcore.timeline.retime import Curve, Linear, Retime, effect_steps
from lipcore.timeline.times import exact, exact_rate, seconds

Runs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Record frames ``first`` to ``end`` (excluded, from 0) that show one clip."""

    first: int
    end: int
    clip: Any
    retime: Retime
    """Record seconds to seconds of the clip's source."""
    parents: tuple[Any, ...]
    """The compositions around the clip, the outermost first."""
    unknown_effects: tuple[str, ...] = ()
    """Time effects without figures: the source frames are not known."""
    fade_in: int = 0
    """Record frames before ``first`` in which a transition shows the clip, too."""
    fade_out: int = 0
    """Likewise from ``end`` on."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a walk through the timeline is."""

    runs: tuple[tuple[int, int], ...]
    """The record frames that are still open."""
    retime: Retime
    parents: tuple[Any, ...] = ()
    unknown: tuple[str, ...] = ()


def flatten(read: ReadTimeline, *, skip_tracks: Sequence[str] = ()) -> list[Segment]:
    """The segments of a timeline's picture in record order; frames of none are blank.

    Args:
        read: The timeline.
        skip_tracks: Names of tracks that are looked through, as titles are.
    """
    walk = _Walk(read.rate, frozenset(skip_tracks))
    return sorted(walk.enter(read.timeline.tracks, _whole(read)), key=lambda s: s.first)


def flatten_sound(read: ReadTimeline, tracks: Sequence[Any]) -> list[Segment]:
    """The segments of sound tracks in record order; several may sound at once.

    Args:
        read: The timeline.
        tracks: Tracks of the timeline's own stack; a disabled one gives nothing.
    """
    stack = read.timeline.tracks
    walk = _Walk(read.rate, frozenset(), otio.schema.TrackKind.Audio)
    inside = walk.within(stack, _whole(read))
    found: list[Segment] = []
    for track in tracks:
        span = (Fraction(0), duration_s(track))
        found += walk.enter(track, walk.cut(inside, list(inside.runs), span))
    return sorted(found, key=lambda s: s.first)


def _whole(read: ReadTimeline) -> _Place:
    length = int(-(-duration_s(read.timeline.tracks) * read.rate // 1))
    return _Place(((0, length),), Retime())


def duration_s(item: Any) -> Fraction:
    """How long an item lasts in its parent, seconds; effects do not change it."""
    if item.source_range is not None:
        return seconds(item.source_range.duration)
    return content_s(item)


def content_s(item: Any) -> Fraction:
    """How long an item's whole content is, seconds."""
    if isinstance(item, otio.schema.Track):
        parts = (duration_s(c) for c in item if isinstance(c, otio.core.Item))
        return sum(parts, Fraction(0))
    if isinstance(item, otio.core.Composition):
        parts = (duration_s(c) for c in item if isinstance(c, otio.core.Item))
        return max(parts, default=Fraction(0))
    media = getattr(item, "media_reference", None)
    available = None if media is None else media.available_range
    return Fraction(0) if available is None else seconds(available.duration)


def start_s(item: Any) -> Fraction:
    """Where an item's range begins in its content, seconds."""
    if item.source_range is not None:
        return seconds(item.source_range.start_time)
    media = getattr(item, "media_reference", None)
    available = None if media is None else media.available_range
    return Fraction(0) if available is None else seconds(available.start_time)


class _Walk:
    def __init__(
        self, rate: Fraction, skip: frozenset[str], kind: str = otio.schema.TrackKind.Video
    ) -> None:
        self._rate = rate
        self._skip = skip
        self._kind = kind

    def enter(self, item: Any, place: _Place) -> Iterator[Segment]:
        """Segments of an item; ``place.retime`` leads to the time within it, from 0."""
        if not item.enabled or not place.runs:
            return
        inner = self.within(item, place)
        if isinstance(item, otio.schema.Clip):
            for first, end in place.runs:
                yield Segment(first, end, item, inner.retime, place.parents, inner.unknown)
        elif isinstance(item, otio.schema.Track):
            yield from self._track(item, inner)
        elif isinstance(item, otio.core.Composition):
            yield from self._stack(item, inner)

    def within(self, item: Any, place: _Place) -> _Place:
        """The same record frames, led on through an item's effects into its content."""
        steps, unknown = _effects(item)
        retime = place.retime
        for step in steps:
            retime = retime.then(step)
        return replace(
            place, retime=retime.then(Linear(Fraction(1), start_s(item))),
            parents=(*place.parents, item), unknown=(*place.unknown, *unknown),
        )

    def _stack(self, stack: Any, place: _Place) -> Iterator[Segment]:
        runs = list(place.runs)
        for child in reversed(list(stack)):
            if not isinstance(child, otio.core.Item) or not self._is_seen(child):
                continue
            span = (Fraction(0), duration_s(child))
            found = list(self.enter(child, self.cut(place, runs, span)))
            yield from found
            if self._kind == otio.schema.TrackKind.Video:  # sounds do not hide each other
                runs = _without(runs, [(s.first, s.end) for s in found])

    def _is_seen(self, child: Any) -> bool:
        if isinstance(child, otio.schema.Track):
            return child.kind == self._kind and child.name not in self._skip
        return True

    def _track(self, track: Any, place: _Place) -> Iterator[Segment]:
        at = Fraction(0)
        children, runs = list(track), list(place.runs)
        for index, child in enumerate(children):
            if not isinstance(child, otio.core.Item):
                continue
            span = (at, duration_s(child))
            at += span[1]
            if isinstance(child, otio.schema.Gap):
                continue
            inside = self.cut(place, runs, span)
            moved = replace(inside, retime=inside.retime.then(Linear(Fraction(1), -span[0])))
            found = list(self.enter(child, moved))
            if not found:
                continue
            before = children[index - 1] if index else None
            after = children[index + 1] if index + 1 < len(children) else None
            yield from self._faded(found, place, before, after, span)

    def _faded(
        self, found: list[Segment], place: _Place, before: Any, after: Any,
        span: tuple[Fraction, Fraction],
    ) -> list[Segment]:
        """Segments that reach as far as the transitions beside them show them."""
        head = tail = Fraction(0)
        if isinstance(before, otio.schema.Transition):
            head = seconds(before.in_offset)
        if isinstance(after, otio.schema.Transition):
            tail = seconds(after.out_offset)
        if not head and not tail:
            return found
        low, high = span[0], span[0] + span[1]
        least, most = place.runs[0][0], place.runs[-1][1]
        window = (least - 10_000, most + 10_000)
        whole = place.retime.frames_within(window, (low, high - low), self._rate)
        wider = place.retime.frames_within(
            window, (low - head, high - low + head + tail), self._rate
        )
        if not whole or not wider:
            return found
        first, last = found[0], found[-1]
        if first.first == whole[0][0]:
            reach = whole[0][0] - wider[0][0]
            found[0] = replace(first, fade_in=max(first.fade_in, reach))
        if last.end == whole[-1][1]:
            reach = wider[-1][1] - whole[-1][1]
            found[-1] = replace(found[-1], fade_out=max(last.fade_out, reach))
        return found

    def cut(self, place: _Place, runs: Runs, span: tuple[Fraction, Fraction]) -> _Place:
        """The part of the open record frames in which a child's span is seen."""
        if not runs:
            return replace(place, runs=())
        hull = (runs[0][0], runs[-1][1])
        inside: Runs = []
        for first, end in place.retime.frames_within(hull, span, self._rate):
            near = bisect_right(runs, first, key=lambda run: run[1])
            for run in runs[near:]:
                if run[0] >= end:
                    break
                inside.append((max(first, run[0]), min(end, run[1])))
        return replace(place, runs=tuple(inside))


def _effects(item: Any) -> tuple[list[Any], tuple[str, ...]]:
    """Retime steps of an item's effects, and the names of those without figures."""
    speeds: list[Fraction | Curve] = []
    unknown: list[str] = []
    for effect in item.effects:
        if isinstance(effect, otio.schema.FreezeFrame):
            speeds.append(Fraction(0))
        elif isinstance(effect, otio.schema.LinearTimeWarp):
            speeds.append(exact(effect.time_scalar))
        elif isinstance(effect, otio.schema.TimeEffect):
            curve = _curve(effect, item)
            if curve is None:
                unknown.append(effect.name or effect.effect_name or "time effect")
            else:
                speeds.append(curve)
    return effect_steps(speeds, duration_s(item)), tuple(unknown)


def _curve(effect: Any, item: Any) -> Curve | None:
    """A time warp given as ``lookup``: how far each frame lies from where it would be."""
    lookup = effect.metadata.get("lookup")
    if not lookup or item.source_range is None:
        return None
    frame_s = 1 / exact_rate(item.source_range.duration.rate)
    return Curve(tuple(
        (n * frame_s, (n + exact(float(away))) * frame_s) for n, away in enumerate(lookup)
    ))


def _without(runs: Runs, taken: Runs) -> Runs:
    """Runs, ascending, less what is taken."""
    left: Runs = []
    cuts = sorted(taken)
    for start, end in runs:
        at = start
        for first, last in cuts[bisect_right(cuts, start, key=lambda cut: cut[1]) :]:
            if first >= end:
                break
            if at < first:
                left.append((at, first))
            at = max(at, last)
        if at < end:
            left.append((at, end))
    return left
