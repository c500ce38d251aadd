"""Reading timelines: OpenTimelineIO's own formats, and others through its adapters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import opentimelineio as otio

from lipcore.errors import ConfigError, DependencyError
from lipcore.timeline.guard import check_timeline
from lipcore.timeline.times import exact_rate

INSTALL = "Run: pip install 'lipcore[timelines]'"
ADAPTERS = {
    ".edl": "cmx_3600", ".xml": "fcp_xml", ".fcpxml": "fcpx_xml", ".aaf": "AAF", ".ale": "ALE",
}  # fmt: skip
_NATIVE = (".otio", ".otioz", ".otiod")


@dataclass(frozen=True, slots=True, eq=False)
class ReadTimeline:
    """A timeline, the grid of frames that it is played on, and what reading it lost."""

    timeline: Any
    """An ``otio.schema.Timeline``; the file itself is never changed."""
    rate: Fraction
    """Record frames a second."""
    start_frame: int
    """Record timecode of the first frame, as a count of frames."""
    warnings: tuple[str, ...] = ()
    lost_retimes: frozenset[str] = frozenset()
    """Names of clips that are retimed in a way that the adapter did not carry."""


def read_timeline(path: Path, *, rate: Fraction | None = None) -> ReadTimeline:
    """Read a timeline of any format that has an adapter.

    Args:
        path: The file (``.otiod``: the folder).
        rate: Record frames a second; an EDL does not state it and is taken as 24.

    Raises:
        ConfigError: The file is absent, damaged, too large or too deep, of a newer schema, holds
            no timeline, or the rate does not fit its timecodes.
        DependencyError: The format's adapter is not installed.
    """
    if not path.exists():
        raise ConfigError(f"no timeline at {path}", hint="Give an OTIO, EDL, XML or AAF file.")
    suffix = path.suffix.lower()
    if suffix not in _NATIVE and suffix not in ADAPTERS:
        raise ConfigError(
            f"{path.name} is of no timeline format that is known",
            hint=f"Give one of {', '.join((*_NATIVE, *ADAPTERS))}.",
        )
    check_timeline(path)
    found = _read(path, suffix, rate)
    timeline = _one_timeline(found, path)
    lost = _lost_retimes(path, suffix)
    _place_edl(timeline)
    record = rate or _rate_of(timeline)
    start = timeline.global_start_time
    first = 0 if start is None else round(Fraction(start.value / start.rate) * record)
    warnings = (
        [f"{path.name} retimes {len(lost)} clips, and its adapter does not say how"] if lost else []
    )
    return ReadTimeline(timeline, record, first, tuple(warnings), lost)


def find_adapter(suffix: str) -> str | None:
    """The name of a format's adapter where it is installed; releases spell it differently."""
    wanted = ADAPTERS.get(suffix, "").lower()
    names = otio.adapters.available_adapter_names()
    return next((name for name in names if name.lower() == wanted), None)


def _read(path: Path, suffix: str, rate: Fraction | None) -> Any:
    name = find_adapter(suffix)
    if name is None and suffix in ADAPTERS:
        raise DependencyError(
            f"{suffix} timelines need an adapter: {ADAPTERS[suffix]}", hint=INSTALL
        )
    arguments: dict[str, Any] = {}
    if name:
        arguments["adapter_name"] = name
    if suffix == ".edl" and rate is not None:
        arguments["rate"] = float(rate)
    if suffix == ".ale" and rate is not None:
        arguments["fps"] = float(rate)
    try:
        return otio.adapters.read_from_file(str(path), **arguments)
    except otio.exceptions.UnsupportedSchemaError as error:
        raise ConfigError(
            f"{path.name} holds a schema that is newer than OpenTimelineIO {otio.__version__} "
            f"reads ({_one_line(error)})",
            hint="Export it for an older version, or install a newer OpenTimelineIO.",
        ) from error
    except Exception as error:  # adapters raise whatever their parsers do
        text = _one_line(error)
        if suffix == ".edl" and ("rate" in text.lower() or "frames beyond" in text):
            raise ConfigError(
                f"{path.name} does not count at {float(rate or 24):g} frames a second ({text})",
                hint="Give the EDL's own rate with --rate.",
            ) from error
        raise ConfigError(
            f"{path.name} cannot be read: {text}", hint="Export the timeline again."
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _one_timeline(found: Any, path: Path) -> Any:
    if isinstance(found, otio.schema.Timeline):
        return found
    if isinstance(found, otio.core.Composition | otio.schema.Clip):
        return _wrapped([found], path)
    if isinstance(found, otio.schema.SerializableCollection):
        timelines = [item for item in found if isinstance(item, otio.schema.Timeline)]
        if len(timelines) == 1:
            return timelines[0]
        if timelines:
            names = ", ".join(item.name for item in timelines[:6])
            raise ConfigError(
                f"{path.name} holds {len(timelines)} timelines: {names}",
                hint="Export the one that you mean.",
            )
        clips = [item for item in found if isinstance(item, otio.schema.Clip)]
        if clips:  # an ALE: a list of takes, one after the other
            return _wrapped(clips, path)
    raise ConfigError(f"{path.name} holds no timeline", hint="Export a sequence, not a bin.")


def _wrapped(items: list[Any], path: Path) -> Any:
    timeline = otio.schema.Timeline(path.stem)
    track = otio.schema.Track(path.stem, kind=otio.schema.TrackKind.Video)
    track.extend([item.deepcopy() for item in items])
    timeline.tracks.append(track)
    return timeline


def _place_edl(timeline: Any) -> None:
    """The EDL adapter says where a record starts by a track range far below 0: move it."""
    starts = [
        -track.source_range.start_time.value
        for track in timeline.tracks
        if isinstance(track, otio.schema.Track)
        and track.source_range is not None
        and track.source_range.start_time.value <= -track.source_range.duration.value
    ]
    if timeline.global_start_time is not None or not starts:
        return
    first = min(starts)
    for track in timeline.tracks:
        held = track.source_range
        if held is None:
            continue
        moved = otio.opentime.RationalTime(held.start_time.value + first, held.start_time.rate)
        track.source_range = otio.opentime.TimeRange(moved, held.duration)
        timeline.global_start_time = otio.opentime.RationalTime(first, held.start_time.rate)


def _rate_of(timeline: Any) -> Fraction:
    """The rate that the timeline states, else the one that most of its picture counts in."""
    if timeline.global_start_time is not None:
        return exact_rate(timeline.global_start_time.rate)
    counts: dict[Fraction, int] = {}
    for item in _items(timeline.tracks):
        if item.source_range is not None:
            rate = exact_rate(item.source_range.duration.rate)
            counts[rate] = counts.get(rate, 0) + 1
    return max(counts, key=lambda r: counts[r]) if counts else Fraction(24)


def _items(item: Any) -> Iterator[Any]:
    for child in item:
        if isinstance(child, otio.core.Item):
            yield child
            if isinstance(child, otio.core.Composition):
                yield from _items(child)


def _lost_retimes(path: Path, suffix: str) -> frozenset[str]:
    """Names of the clips whose retime the file holds, and its adapter does not carry."""
    if suffix not in (".fcpxml", ".xml"):
        return frozenset()
    tree = ElementTree.parse(path)
    if suffix == ".fcpxml":
        found = [clip.get("name") for clip in tree.iter() if clip.find("timeMap") is not None]
    else:
        found = [c.findtext("name") for c in tree.iter("clipitem") if any(map(_changes_speed, c))]
    return frozenset(name or "" for name in found)


def _changes_speed(item: ElementTree.Element) -> bool:
    """Whether a child of a FCP 7 clip is a time remap other than to 100 %."""
    if (item.findtext("effect/effectid") or "").strip() != "timeremap":
        return False
    speeds = [
        parameter.findtext("value")
        for parameter in item.iter("parameter")
        if parameter.findtext("parameterid") == "speed"
    ]
    return speeds != ["100"]
