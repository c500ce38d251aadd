"""The new track in other formats: read again, each shot stands where it should."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pytest
from skimage.io import imsave

from lipcore.errors import OutputError
from lipcore.media.locate import frame_path
from lipcore.timeline.flatten import flatten
from lipcore.timeline.media_links import LinkOptions, MediaFinder, url_to_path
from lipcore.timeline.plan import ShotPlan, plan_shots
from lipcore.timeline.read import ReadTimeline, read_timeline
from lipcore.timeline.run import picture_of
from lipcore.timeline.write import write_timeline


def _span(first: int, count: int) -> otio.opentime.TimeRange:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, 24), otio.opentime.RationalTime(count, 24)
    )


def _rendered(
    folder: Path, *, dissolve: bool = False, retimed: bool = True
) -> tuple[ReadTimeline, list[ShotPlan]]:
    """A cut that starts at an hour, and its shots as if they had been rendered."""
    black = np.zeros((8, 8, 3), np.uint8)
    for number in range(60):
        imsave(folder / f"a b#é.{number:04d}.png", black, check_contrast=False)
    media = otio.schema.ImageSequenceReference(
        ".", "a b#é.", ".png", 0, 1, 24, 4, available_range=_span(0, 60)
    )
    first, second, third = (
        otio.schema.Clip(name, media.clone(), _span(at, 12))
        for name, at in (("one", 4), ("two", 10), ("three", 30))
    )
    if retimed:
        second.effects.append(otio.schema.LinearTimeWarp(time_scalar=2.0))
    mix = otio.schema.Transition(
        "mix", otio.schema.TransitionTypes.SMPTE_Dissolve,
        otio.opentime.RationalTime(2, 24), otio.opentime.RationalTime(2, 24),
    )  # fmt: skip
    gap = otio.schema.Gap(source_range=_span(0, 5))
    middle = [mix] if dissolve else [gap]
    track = otio.schema.Track("V1", [first, *middle, second, third])
    timeline = otio.schema.Timeline("reel", global_start_time=otio.opentime.RationalTime(86400, 24))
    timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(folder / "reel.otio"))
    read = read_timeline(folder / "reel.otio")
    finder = MediaFinder(LinkOptions(folder))
    shots = plan_shots(read, finder, None, handles=3)
    finder.close()
    assert [shot.problem for shot in shots] == ["", "", ""]
    for shot in shots:
        picture = picture_of(shot, folder / "out")
        picture.parent.mkdir(parents=True)
        for n in range(len(shot.numbers)):
            shutil.copy(folder / "a b#é.0000.png", frame_path(picture, 1001 + n))
    return read, shots


def _write(folder: Path, made: tuple[ReadTimeline, list[ShotPlan]], *names: str) -> Sequence[Path]:
    read, shots = made
    return write_timeline(read, shots, folder / "out", folder / "out" / "new é.otio", formats=names)


@pytest.mark.parametrize("name", ["edl", "xml", "fcpx", "aaf"])
def test_each_format_is_read_again_as_the_same_cut(name: str, tmp_path: Path) -> None:
    pytest.importorskip("otio_aaf_adapter", reason="the extra 'timelines' is not installed")
    made = _rendered(tmp_path)
    _, path = _write(tmp_path, made, name)
    read = read_timeline(path, rate=Fraction(24))
    segments = flatten(read)
    assert [(s.first, s.end) for s in segments] == [(0, 12), (17, 29), (29, 41)]
    first_s = 1001 + 3  # three frames of handle; no speed anywhere
    assert [s.retime.speed for s in segments] == [1, 1, 1]
    start = segments[0].retime.position(0, Fraction(24)) * 24
    assert start == first_s
    if name in ("edl", "xml"):
        assert read.start_frame == 86400
    if name in ("xml", "fcpx"):
        media = [url_to_path(s.clip.media_reference.target_url) for s in segments]
        assert [Path(m).name for m in media] == [
            "0001_one.1001.png", "0002_two.1001.png", "0003_three.1001.png"
        ]
        assert all(Path(m).is_file() for m in media)
    if name == "edl":
        text = path.read_text("utf-8")
        assert "01:00:00:17 01:00:01:05" in text
        assert "0001_one" in text and "0001_one.[1004-1015].png" in text


@pytest.mark.parametrize("name", ["edl", "xml", "fcpx", "aaf"])
def test_a_dissolve_is_written_or_said_to_be_a_cut(name: str, tmp_path: Path) -> None:
    pytest.importorskip("otio_aaf_adapter", reason="the extra 'timelines' is not installed")
    made = _rendered(tmp_path, dissolve=True, retimed=False)
    _, path = _write(tmp_path, made, name)
    segments = flatten(read_timeline(path, rate=Fraction(24)))
    seen = [(s.first - s.fade_in, s.end + s.fade_out) for s in segments]
    told = [w for shot in made[1] for w in shot.warnings if "transition in" in w]
    if name in ("edl", "xml"):
        assert seen == [(0, 14), (10, 24), (24, 36)] and not told
    else:
        assert seen == [(0, 12), (12, 24), (24, 36)] and len(told) == 1


def test_an_adapter_that_writes_another_cut_is_an_error_that_leaves_the_otio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _rendered(tmp_path)
    write = otio.adapters.write_to_file

    def shortened(timeline: otio.schema.Timeline, path: str, **how: object) -> object:
        del timeline.tracks[0][-1]
        return write(timeline, path, **how)

    monkeypatch.setattr(otio.adapters, "write_to_file", shortened)
    with pytest.raises(OutputError, match=r"another cut to new é\.edl") as caught:
        _write(tmp_path, made, "edl")
    assert ".otio beside it" in caught.value.hint
    assert (tmp_path / "out" / "new é.otio").is_file()
    assert not (tmp_path / "out" / "new é.edl").exists()
