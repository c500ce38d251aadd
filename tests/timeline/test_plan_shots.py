"""Which shots a plan leaves as they are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pytest
from skimage.io import imsave

from lipcore.errors import ConfigError
from lipcore.timeline.media_links import LinkOptions, MediaFinder
from lipcore.timeline.plan import ShotPlan, plan_shots
from lipcore.timeline.read import read_timeline
from lipcore.timeline.settings import ShotSettings
from lipcore.types import Dialogue


def _span(first: int, count: int) -> otio.opentime.TimeRange:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, 24), otio.opentime.RationalTime(count, 24)
    )


def _plan(
    folder: Path, *clips: otio.schema.Clip, handles: int = 0,
    settings: dict[str, ShotSettings] | None = None,
) -> list[ShotPlan]:  # fmt: skip
    """The plan of clips in a row; the dub speaks in the first second only."""
    for number in range(1001, 1021):
        imsave(folder / f"a.{number}.png", np.zeros((8, 8, 3), np.uint8), check_contrast=False)
    timeline = otio.schema.Timeline("t")
    timeline.tracks.append(otio.schema.Track("V1", clips))
    otio.adapters.write_to_file(timeline, str(folder / "t.otio"))
    finder = MediaFinder(LinkOptions(folder))
    dub = Dialogue(np.repeat(np.float32([0.2, 0]), 16_000))
    try:
        return plan_shots(
            read_timeline(folder / "t.otio"), finder, dub, handles=handles, settings=settings
        )
    finally:
        finder.close()


def _clip(first: int, count: int, start: int = 1001) -> otio.schema.Clip:
    media = otio.schema.ImageSequenceReference(
        ".", "a.", ".png", 1001, 1, 24, 0, available_range=_span(start, 20)
    )
    return otio.schema.Clip("a", media, _span(first, count))


def test_marks_and_silence_leave_a_shot_as_it_is(tmp_path: Path) -> None:
    marked, noted = _clip(1003, 8), _clip(1003, 8)
    marked.markers.append(otio.schema.Marker("Lipsync exclude"))
    noted.metadata["lipcore"] = {"exclude": True}
    shots = _plan(tmp_path, marked, noted, _clip(1003, 8), _clip(1003, 8))
    assert [shot.problem for shot in shots] == [
        "excluded by a mark", "excluded by a mark", "", "no dialogue"
    ]


def test_a_settings_file_goes_before_the_timeline(tmp_path: Path) -> None:
    marked = _clip(1003, 8)
    marked.markers.append(otio.schema.Marker("lipsync exclude"))
    told = {"1": ShotSettings(exclude=False), "0002_a": ShotSettings(strength=0.5)}
    first, second = _plan(tmp_path, marked, _clip(1003, 8), settings=told)
    assert (first.problem, second.settings.strength) == ("", 0.5)
    with pytest.raises(ConfigError, match="'9'"):
        _plan(tmp_path, _clip(1003, 8), settings={"9": ShotSettings(exclude=True)})


def test_the_inner_nest_says_more_than_the_outer(tmp_path: Path) -> None:
    inner, outer = otio.schema.Stack("inner"), otio.schema.Stack("outer")
    inner.append(_clip(1003, 8))
    outer.append(inner)
    inner.metadata["lipcore"] = {"strength": 0.8}
    outer.metadata["lipcore"] = {"strength": 0.2, "offset": 2}
    (shot,) = _plan(tmp_path, outer)
    assert shot.settings == ShotSettings(strength=0.8, offset=2.0)


def test_sequences_that_start_at_a_frame_number_or_at_a_timecode(tmp_path: Path) -> None:
    by_number, by_time = _plan(tmp_path, _clip(1003, 4), _clip(86402, 4, start=86400))
    assert by_number.numbers == by_time.numbers == (1003, 1004, 1005, 1006)


def test_handles_end_where_the_media_does(tmp_path: Path) -> None:
    (shot,) = _plan(tmp_path, _clip(1003, 8), handles=5)
    assert shot.numbers == tuple(range(1001, 1016))
    assert shot.lead == 2


def test_a_speed_skips_frames(tmp_path: Path) -> None:
    clip = _clip(1003, 8)
    clip.effects.append(otio.schema.LinearTimeWarp(time_scalar=2.0))
    (shot,) = _plan(tmp_path, clip)
    assert shot.numbers == tuple(range(1003, 1019, 2))
    assert shot.segment.retime.speed == Fraction(2)
