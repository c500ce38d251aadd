"""Formats whose adapters drop speed changes: such shots are never rendered at the wrong speed."""

from __future__ import annotations

from pathlib import Path

import opentimelineio as otio
import pytest

from lipcore.timeline.media_links import LinkOptions, MediaFinder
from lipcore.timeline.plan import plan_shots
from lipcore.timeline.read import read_timeline

_REMAP = """<filter><effect><name>Time Remap</name><effectid>timeremap</effectid>
<parameter><parameterid>speed</parameterid><value>{speed}</value></parameter></effect></filter>"""


def _cut(folder: Path, speed: str) -> Path:
    """Two clips on a track of a FCP 7 XML; the second carries a time remap."""
    timeline = otio.schema.Timeline("cut")
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    for name in ("plain", "fast"):
        held = otio.opentime.TimeRange(
            otio.opentime.RationalTime(0, 24), otio.opentime.RationalTime(24, 24)
        )
        media = otio.schema.ExternalReference(f"file:///none/{name}.mov", held)
        track.append(otio.schema.Clip(name, media, held))
    path = folder / "cut.xml"
    otio.adapters.write_to_file(timeline, str(path), adapter_name="fcp_xml")
    head, mark, tail = path.read_text(encoding="utf-8").rpartition("</clipitem>")
    path.write_text(head + _REMAP.format(speed=speed) + mark + tail, encoding="utf-8")
    return path


@pytest.mark.parametrize(("speed", "lost"), [("200", {"fast"}), ("100", set())])
def test_a_retime_that_the_adapter_drops_passes_its_shot_through(
    tmp_path: Path, speed: str, lost: set[str]
) -> None:
    read = read_timeline(_cut(tmp_path, speed))
    assert read.lost_retimes == lost and bool(read.warnings) == bool(lost)
    finder = MediaFinder(LinkOptions(tmp_path, (), ()))
    shots = plan_shots(read, finder, None)
    finder.close()
    because = {s.segment.clip.name for s in shots if "not carried" in s.problem}
    assert len(shots) == 2 and because == lost
