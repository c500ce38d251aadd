"""What a run says of the shots that it finished, and when a later one believes it."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pytest

from lipcore.media.audio import load_dialogue
from lipcore.pipeline import SilentListener
from lipcore.shot import RenderConfig
from lipcore.timeline.media_links import LinkOptions, MediaFinder
from lipcore.timeline.outcome import ShotOutcome
from lipcore.timeline.plan import ShotPlan, plan_shots
from lipcore.timeline.read import read_timeline
from lipcore.timeline.run import render_shots, rendered_before
from lipcore.timeline.settings import ShotSettings
from lipcore.types import Dialogue

pytestmark = pytest.mark.slow

_RATE = Fraction(24)


def _span(first: int, count: int) -> otio.opentime.TimeRange:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, 24), otio.opentime.RationalTime(count, 24)
    )


class _Stops(SilentListener):
    """Looks at the folder while frames are drawn, and interrupts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.there: list[bool] = []

    def progress(self, stage: str, done: int, total: int) -> None:
        self.there.append(bool(list(self._folder.rglob("finished.jsonl"))))
        if stage == "render":
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def planned(
    portrait_plate: Path, spoken_line: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ShotPlan, Dialogue, Path, RenderConfig]:
    folder = tmp_path_factory.mktemp("reel")
    plate = portrait_plate if portrait_plate.is_dir() else portrait_plate.parent
    first = sorted(plate.glob("*.exr"))[0].name
    media = otio.schema.ImageSequenceReference(
        str(plate), first.split("1001")[0], ".exr", 1001, 1, 24, 4,
        available_range=_span(1001, 12),
    )  # fmt: skip
    timeline = otio.schema.Timeline("reel")
    clip = otio.schema.Clip("one", media, _span(1003, 6))
    timeline.tracks.append(otio.schema.Track("V1", [clip]))
    otio.adapters.write_to_file(timeline, str(folder / "reel.otio"))
    finder = MediaFinder(LinkOptions(folder))
    dub = load_dialogue(spoken_line)
    (shot,) = plan_shots(read_timeline(folder / "reel.otio"), finder, dub, handles=1)
    finder.close()
    assert shot.problem == ""
    return shot, dub, folder / "out", RenderConfig(cache=folder / "cache")


def test_a_finished_shot_is_believed_for_what_it_was_made_from(
    planned: tuple[ShotPlan, Dialogue, Path, RenderConfig], portrait_plate: Path
) -> None:
    shot, dub, out, config = planned
    (made,) = render_shots([shot], dub, _RATE, out, config, SilentListener())
    assert isinstance(made, ShotOutcome)
    assert str(made.frames) == "1001-1008" and str(made.cut) == "1002-1007"
    assert made.plate_frame(1002) == 1003 and made.record_frame(1002) == 0
    assert made.file(1008).is_file() and made.facts.is_file() and made.dialogue.is_file()
    assert made.result.drawn == 8

    def kept(shot: ShotPlan = shot, dub: Dialogue = dub, config: RenderConfig = config) -> bool:
        return rendered_before(shot, dub, _RATE, out, config)

    assert kept()
    again = replace(shot, kept=True)
    (known,) = render_shots([again], dub, _RATE, out, config, SilentListener())
    assert known.result == made.result

    assert not kept(config=replace(config, strength=0.5))
    assert not kept(replace(shot, settings=ShotSettings(speaker="left")))
    assert not kept(replace(shot, settings=ShotSettings(offset=1.0)))
    assert not kept(replace(shot, numbers=tuple(n + 1 for n in shot.numbers)))
    assert not kept(replace(shot, missing_frame="hold"))
    assert not kept(dub=Dialogue(np.roll(dub.samples, 800)))
    assert kept(dub=Dialogue(np.pad(dub.samples, (0, 16_000))))  # beyond the shot's end
    assert not kept(config=replace(config, feather=0.2))
    assert kept(config=replace(config, workers=1))
    (source, *_) = sorted(portrait_plate.parent.glob("*.exr"))
    times = source.stat()
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))  # rendered anew
    assert not kept()
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    hidden = made.file(1004).rename(made.file(1004).with_suffix(".away"))
    assert not kept()
    hidden.rename(made.file(1004))
    assert kept()

    stops = _Stops(out)
    with pytest.raises(KeyboardInterrupt):
        render_shots([shot], dub, _RATE, out, replace(config, strength=0.5, overwrite=True), stops)
    assert stops.there and not any(stops.there)
    assert not kept() and not kept(config=replace(config, strength=0.5))
