"""Which shots a plan leaves as they are."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
from skimage.io import imsave

from lipcore.demo.run import say
from lipcore.errors import ConfigError
from lipcore.timeline.media_links import LinkOptions, MediaFinder
from lipcore.timeline.plan import ShotPlan, plan_shots
from lipcore.timeline.read import read_timeline
from lipcore.timeline.settings import ShotSettings
from lipcore.timeline.takes import shared_ranges
from lipcore.types import Dialogue, FloatArray


def _span(first: int, count: int, rate: float = 24) -> otio.opentime.TimeRange:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, rate), otio.opentime.RationalTime(count, rate)
    )


@cache
def _voice() -> FloatArray:
    said = say("Mama, papa, my boat is over there.")[int(0.2 * 48_000) :]
    return said[: len(said) // 3 * 3].reshape(-1, 3).mean(axis=1, dtype=np.float32)


def _plan(
    folder: Path, *clips: otio.schema.Clip, handles: int = 0,
    settings: dict[str, ShotSettings] | None = None,
) -> list[ShotPlan]:  # fmt: skip
    """The plan of clips in a row; the dub speaks for 0.7 s, then there is noise."""
    for number in range(1001, 1021):
        imsave(folder / f"a.{number}.png", np.zeros((8, 8, 3), np.uint8), check_contrast=False)
    timeline = otio.schema.Timeline("t")
    timeline.tracks.append(otio.schema.Track("V1", clips))
    otio.adapters.write_to_file(timeline, str(folder / "t.otio"))
    finder = MediaFinder(LinkOptions(folder))
    noise = np.random.default_rng(0).normal(0, 0.005, 20_500).astype(np.float32)
    dub = Dialogue(np.concatenate([_voice()[:11_500], noise]))
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


def _sequence(folder: Path, numbers: range, **how: Any) -> otio.schema.ImageSequenceReference:
    for number in numbers:
        imsave(folder / f"v2{number}.png", np.zeros((8, 8, 3), np.uint8), check_contrast=False)
    return otio.schema.ImageSequenceReference(
        ".", "v2", ".png", numbers[0], numbers.step, how.pop("rate", 24), 0,
        available_range=_span(0, 20), **how,
    )  # fmt: skip


def test_a_sequence_on_twos_without_padding_whose_name_ends_in_a_digit(tmp_path: Path) -> None:
    clip = otio.schema.Clip("t", _sequence(tmp_path, range(95, 115, 2)), _span(3, 6))
    (shot,) = _plan(tmp_path, clip)
    assert (shot.problem, shot.numbers) == ("", (97, 99, 99, 101, 101, 103))


@pytest.mark.parametrize(
    ("policy", "problem", "shown"),
    [("error", "frame 14 is missing", "error"), ("hold", "", "hold"), ("black", "", "black")],
)
def test_what_stands_in_for_absent_frames(
    tmp_path: Path, policy: str, problem: str, shown: str
) -> None:
    kinds = otio.schema.ImageSequenceReference.MissingFramePolicy
    media = _sequence(tmp_path, range(10, 30), missing_frame_policy=getattr(kinds, policy))
    (tmp_path / "v214.png").unlink()
    (shot,) = _plan(tmp_path, otio.schema.Clip("t", media, _span(2, 6)))
    assert (shot.problem, shot.missing_frame) == (problem, shown)
    assert shot.numbers == (12, 13, 14, 15, 16, 17) and not shot.whole
    assert bool(shot.warnings) != bool(problem)


def test_a_sequence_counts_at_the_rate_that_the_timeline_states(tmp_path: Path) -> None:
    media = _sequence(tmp_path, range(20), rate=12)
    media.available_range = _span(0, 20, 12)
    (shot,) = _plan(tmp_path, otio.schema.Clip("t", media, _span(4, 6)))
    assert shot.numbers == (2, 2, 3, 3, 4, 4)


def test_the_files_own_timecode_counts_where_the_timeline_says_another(
    tmp_path: Path, numbered: SimpleNamespace
) -> None:
    black = [np.zeros((16, 80, 3), np.uint8)] * 20
    numbered.write_exrs(black, f"{tmp_path}/e.{{n:04d}}.exr", 1001, hour=1)
    hour = 3600 * 24

    def clip(first: int, available: int) -> otio.schema.Clip:
        media = otio.schema.ImageSequenceReference(
            ".", "e.", ".exr", 1001, 1, 24, 4, available_range=_span(available, 20)
        )
        return otio.schema.Clip("e", media, _span(first, 4))

    same, moved, counted = _plan(
        tmp_path, clip(hour + 3, hour), clip(hour + 3, hour - 2), clip(3, 0)
    )
    assert same.numbers == moved.numbers == counted.numbers == (1004, 1005, 1006, 1007)
    assert same.warnings == counted.warnings == []
    assert moved.warnings == ["the file's timecode differs from the timeline's"]


def test_shots_of_one_take_are_tracked_together_where_that_is_less_work(tmp_path: Path) -> None:
    def shared(*spans: tuple[int, int], handles: int = 0) -> dict[int, str]:
        shots = _plan(tmp_path, *(_clip(*span) for span in spans), handles=handles)
        return {number: str(frames) for number, frames in shared_ranges(shots).items()}

    assert shared((1001, 6), (1004, 6), (1012, 4)) == {1: "1001-1009", 2: "1001-1009"}
    assert shared((1001, 4), (1005, 4)) == {}
    assert shared((1001, 4), (1005, 4), handles=1) == {1: "1001-1009", 2: "1001-1009"}
