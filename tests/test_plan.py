"""The plan agrees with what a render of the same shot does."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from lipcore.errors import (
    ConfigError,
    DialogueLengthError,
    MissingFrameError,
    NoFaceError,
    OutputExistsError,
)
from lipcore.media.audio import load_dialogue
from lipcore.pipeline import render_shot
from lipcore.plan import check_render, plan_render
from lipcore.shapes.curves import write_curves
from lipcore.shapes.from_speech import shapes_from_dialogue
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange
from lipcore.weights import find_weights


@pytest.fixture
def config(tmp_path: Path) -> RenderConfig:
    return RenderConfig(cache=tmp_path / "cache")


def test_facts_of_the_shot(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, config: RenderConfig
) -> None:
    plan = plan_render(Shot(portrait_plate, spoken_line), config, tmp_path / "out")
    assert plan.frames == FrameRange(1001, 1012)
    assert plan.rate == Fraction(24)
    assert (plan.width, plan.height) == (640, 480)
    assert plan.colorspace == "lin_rec709_scene"
    assert plan.dialogue_s == pytest.approx(0.5)
    assert plan.picture_s == pytest.approx(0.5)
    assert len(plan.sample) == 5
    for looked in plan.sample:
        (face,) = looked.faces
        assert face.chosen
        assert 160 < face.width < 240
        assert abs(face.x - 320) < 40
    assert plan.estimate_s > 0
    assert not plan.cached
    assert plan.warnings == ()
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


def test_text_and_dict_hold_the_same(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, config: RenderConfig
) -> None:
    plan = plan_render(Shot(portrait_plate, spoken_line), config, tmp_path / "a.mov")
    facts = json.loads(json.dumps(plan.as_dict()))
    assert facts["output"] == str(tmp_path / "a.mov")
    assert facts["rate"] == "24"
    text = plan.as_text()
    for part in ("1001-1012 (12)", "24 a second", "640x480", "prores4444", str(spoken_line)):
        assert part in text


@pytest.mark.slow
def test_the_render_does_what_was_planned(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, config: RenderConfig
) -> None:
    shot = Shot(portrait_plate, spoken_line, frames=FrameRange(1002, 1005))
    before = plan_render(shot, config, tmp_path / "out")
    result = render_shot(shot, config, tmp_path / "out")
    after = plan_render(shot, config, tmp_path / "out")
    assert result.frames == before.frames
    assert result.synthesis == before.synthesis
    assert before.output.replace("####", "1002") == str(result.outputs[0])
    assert (before.existing, after.existing) == (0, 4)
    assert (before.cached, after.cached) == (False, True)
    assert after.estimate_s < before.estimate_s
    guessed, tracked = (plan.sample[0].faces[0].width for plan in (before, after))
    assert guessed == pytest.approx(tracked, rel=0.05)


def test_short_and_long_dialogues(portrait_plate: Path, tmp_path: Path) -> None:
    for seconds, word in ((0.3, "silence fills"), (2.0, "trimmed")):
        line = tmp_path / f"{seconds}.wav"
        soundfile.write(line, np.zeros(int(seconds * 16_000)), 16_000)
        plan = plan_render(Shot(portrait_plate, line), RenderConfig(cache=tmp_path), tmp_path)
        assert word in plan.fitting
        strict = RenderConfig(cache=tmp_path, audio_short="error", audio_long="error")
        with pytest.raises(DialogueLengthError):
            plan_render(Shot(portrait_plate, line), strict, tmp_path)


def test_missing_frames_and_faces_are_warned_of(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "holes"
    folder.mkdir()
    for path in portrait_plate.parent.glob("*.exr"):
        if path.name not in ("plate.1006.exr", "plate.1007.exr"):
            (folder / path.name).symlink_to(path)
    config = RenderConfig(cache=tmp_path / "cache", missing_frame="hold")
    plan = plan_render(Shot(folder, spoken_line), config, tmp_path / "out")
    (warning,) = plan.warnings
    assert "2 frames are missing (1006, 1007)" in warning
    assert "stands in" in warning


def test_what_a_render_would_refuse_is_refused(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, config: RenderConfig
) -> None:
    outside = Shot(portrait_plate, spoken_line, frames=FrameRange(900, 1001))
    with pytest.raises(ConfigError):
        plan_render(outside, config, tmp_path)
    patch = RenderConfig(deliver="patch", cache=tmp_path)
    with pytest.raises(ConfigError):
        plan_render(Shot(portrait_plate, spoken_line), patch, tmp_path / "a.mov")
    with pytest.raises(OutputExistsError, match="frame of the plate"):
        plan_render(Shot(portrait_plate, spoken_line), config, portrait_plate.parent)
    with pytest.raises(ConfigError):
        plan_render(Shot(portrait_plate, spoken_line, speaker="loudest"), config, tmp_path)
    with pytest.raises(ConfigError, match="chunk"):
        apart = replace(config, chunk=FrameRange(1010, 1020))
        plan_render(Shot(portrait_plate, spoken_line), apart, tmp_path)
    matte = tmp_path / "matte"
    matte.mkdir()
    for number in (1001, 1002):
        cv2.imwrite(str(matte / f"m.{number}.png"), np.zeros((480, 640), np.uint8))
    with pytest.raises(MissingFrameError, match="no frame 1003"):
        plan_render(Shot(portrait_plate, spoken_line, holdout=matte), config, tmp_path)
    early = replace(config, offset_frames=-6, audio_short="error")
    with pytest.raises(DialogueLengthError):
        plan_render(Shot(portrait_plate, spoken_line), early, tmp_path)


def test_jobs_are_refused_a_codec_that_the_file_cannot_hold(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, config: RenderConfig
) -> None:
    with pytest.raises(ConfigError, match="prores4444"):
        check_render(
            Shot(portrait_plate, spoken_line), replace(config, codec="prores4444"),
            tmp_path / "a.mp4",
        )


def test_speaker_of_a_tracked_shot(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, config: RenderConfig
) -> None:
    shot = Shot(portrait_plate, spoken_line, frames=FrameRange(1002, 1004), speaker="track:2")
    plan = plan_render(shot, config, tmp_path / "out")
    assert not any(face.chosen for looked in plan.sample for face in looked.faces)
    tracked = Shot(portrait_plate, spoken_line, frames=FrameRange(1002, 1004))
    render_shot(tracked, config, tmp_path / "out")
    with pytest.raises(NoFaceError):
        plan_render(shot, config, tmp_path / "out")


def test_curves_that_lack_frames_are_refused_before_tracking(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, config: RenderConfig
) -> None:
    weights, dialogue = find_weights("base"), load_dialogue(spoken_line)
    for rate, name in ((24, "short.csv"), (25, "other_rate.csv")):
        curves = shapes_from_dialogue(dialogue, Fraction(rate), FrameRange(1001, 1004), weights)
        write_curves(tmp_path / name, curves)
    short = Shot(portrait_plate, shapes=tmp_path / "short.csv")
    for start in (plan_render, render_shot):
        with pytest.raises(ConfigError, match="holds frames 1001-1004, and 1001-1012"):
            start(short, config, tmp_path / "out")
    assert not (tmp_path / "cache").exists()
    other = Shot(portrait_plate, shapes=tmp_path / "other_rate.csv")
    assert "by time" in plan_render(other, config, tmp_path / "out").fitting
