"""The OTIO file of a simulated timeline, in the manner of Resolve's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import opentimelineio as otio

if TYPE_CHECKING:
    from .timeline import Timeline, TimelineItem, Track


def write_otio(timeline: Timeline, path: Path) -> None:
    rate = float(timeline.sim_fps)
    made = otio.schema.Timeline(timeline.sim_name)
    made.global_start_time = otio.opentime.RationalTime(timeline.sim_start, rate)
    for kind, word in (("Video", "video"), ("Audio", "audio")):
        for track in timeline.sim_tracks[word]:
            made.tracks.append(_track(track, kind, rate, timeline.sim_start))
    path.write_text(otio.adapters.write_to_string(made, "otio_json"), encoding="utf-8")


def _track(track: Track, kind: str, rate: float, start: int) -> Any:
    made = otio.schema.Track(track.name, kind=kind)
    made.enabled = track.enabled
    made.metadata["Resolve_OTIO"] = {"Locked": False}
    at = start
    for item in sorted(track.items, key=lambda i: i.sim_start):
        if item.sim_start > at:
            made.append(otio.schema.Gap(source_range=_range(0, item.sim_start - at, rate)))
        made.append(_clip(item, rate))
        at = item.sim_start + item.sim_count
    return made


def _clip(item: TimelineItem, rate: float) -> Any:
    media = item.sim_clip
    reference = otio.schema.ExternalReference(
        target_url=media.sim_properties["File Path"],  # a bare path, as Resolve writes it
        available_range=_range(0, media.sim_count, float(media.sim_properties["FPS"])),
    )
    made = otio.schema.Clip(media.GetName(), reference, _range(item.sim_left, item.sim_count, rate))
    made.enabled = item.sim_enabled
    if item.sim_speed != 1 and not item.sim_timeline.sim_lossy:
        made.effects.append(otio.schema.LinearTimeWarp(time_scalar=item.sim_speed))
    for frame, marker in item.sim_markers.items():
        made.markers.append(otio.schema.Marker(marker["name"], _range(frame, 1, rate)))
    return made


def _range(first: float, count: float, rate: float) -> Any:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, rate), otio.opentime.RationalTime(count, rate)
    )
