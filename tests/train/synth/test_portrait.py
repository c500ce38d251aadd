"""Portraits that speak: their lips are where they were asked to be, and the folder is whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lipcore.train.data import Clip, load_clips
from lipcore.train.synth.clip import Cast, SynthConfig
from lipcore.train.synth.head import load_head
from lipcore.train.synth.make import synthesize
from lipcore.train.synth.mouth import CLOSED, OPENING_UNIT, spread_gap
from lipcore.train.synth.portrait import ASTRONAUT, Portrait, PortraitMouth, load_portrait

from lipcore.demo.portrait import read_portrait
from lipcore.errors import (
    ConfigError,
    FaceTooSmallError,
    MediaNotFoundError,
    MediaUnreadableError,
    NoFaceError,
)
from lipcore.shapes.basis import ShapeBasis, head_points
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.synthesis.warp import warp_mouth
from lipcore.tracking.head import LIPS_INNER_LOWER, LIPS_INNER_UPPER
from lipcore.types import FloatArray, Window
from lipcore.weights import find_weights

CONFIG = SynthConfig(speakers=1, seconds=2.0, size=128, val_share=0.0, seed=5)


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    """Eileen Collins, as scikit-image carries her."""
    return load_portrait(Path(ASTRONAUT))


@pytest.fixture(scope="module")
def mouth(portrait: Portrait) -> PortraitMouth:
    """Her mouth."""
    return PortraitMouth(portrait.views[0][1], ShapeBasis.load(find_weights("base")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of her. Do not write into it."""
    out = tmp_path_factory.mktemp("portrait") / "shards"
    synthesize(None, out, CONFIG, portraits=(Path(ASTRONAUT),))
    return out


def _gaps(landmarks: FloatArray) -> FloatArray:
    points = head_points(landmarks[None])[0]
    gaps: FloatArray = (
        points[list(LIPS_INNER_LOWER[1:-1]), 1] - points[list(LIPS_INNER_UPPER[1:-1]), 1]
    )
    return gaps


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 3.5), st.floats(-1.8, 1.4), st.floats(-0.4, 1.8), st.floats(-1, 0.5))
def test_the_mesh_opens_exactly_as_asked(
    mouth: PortraitMouth, opening: float, wide: float, pucker: float, lower: float
) -> None:
    landmarks, said, width = mouth.place(np.array([opening, wide, pucker, 0, lower], np.float32))
    assert said == pytest.approx(opening * OPENING_UNIT, abs=2e-4)
    assert inner_opening(landmarks[None])[0] == pytest.approx(said, abs=2e-4)
    assert lip_width(landmarks[None])[0] == pytest.approx(width, abs=2e-4)
    assert _gaps(landmarks).min() > -1e-4  # lips never cross


def test_closed_lips_touch_from_corner_to_corner(mouth: PortraitMouth) -> None:
    landmarks, _, _ = mouth.place(np.array([0, 0, 0, -0.2, 0], np.float32))
    assert np.abs(_gaps(landmarks)).max() < 2e-4


def test_rounded_and_spread_mouths_differ_as_they_should(mouth: PortraitMouth) -> None:
    spread, neutral, round_ = (
        mouth.place(np.array([1, wide, pucker, 0, 0], np.float32))[2]
        for wide, pucker in ((1.4, -0.4), (0, 0), (-1.8, 1.8))
    )
    assert spread > neutral + 0.01 > round_ + 0.04


def test_the_warp_tears_nowhere(portrait: Portrait, mouth: PortraitMouth) -> None:
    for viseme in ((0, 0, 0, -0.2, 0), (3.4, 0.3, -0.2, 0, 0), (1, -1.8, 1.8, 0, 0),
                   (1.2, 1.4, -0.4, 0, 0), (0.35, 0.1, -0.2, 0.5, -1)):
        landmarks, _, _ = mouth.place(np.array(viseme, np.float32))
        assert warp_mouth(landmarks, portrait.views[0][1], Window(150, 90, 150, 120)).fold > 0


def _portraits(folder: Path) -> list[Clip]:
    return load_clips([folder], "train")


@pytest.mark.slow
def test_the_tracker_sees_the_mouth_that_was_asked(folder: Path) -> None:
    (clip,) = _portraits(folder)
    assert clip.truth is not None
    truth, seen = clip.truth["opening"], inner_opening(clip.plate_landmarks)
    assert np.corrcoef(truth, seen)[0, 1] > 0.9
    assert 0.8 < np.polyfit(truth, seen, 1)[0] < 1.6
    shut = truth < 0.002
    assert shut.sum() >= 2 and truth.max() > 0.05
    # Since the warp sends corners all their way, shut lips are read up to 0.0245 apart, for
    # 0.0195 before: a sixth of a pixel in this crop.
    assert np.median(seen[shut]) < 0.016
    assert seen[shut].max() < 0.026 < 0.25 * seen.max()
    assert np.corrcoef(clip.truth["width"], lip_width(clip.plate_landmarks))[0, 1] > 0.5


@pytest.mark.slow
def test_the_camera_moves_and_the_sound_is_there(folder: Path) -> None:
    (clip,) = _portraits(folder)
    places = clip.plate_landmarks[:, 168, :2]
    assert places.std(axis=0).max() > 0.5
    assert abs(len(clip.sound) / 16_000 - clip.frames / 25) < 0.01
    assert clip.crop(0).shape == (3, 128, 128)


@pytest.mark.slow
def test_the_same_portrait_gives_the_same_bytes_in_other_processes(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "é face.png"
    picture = (read_portrait(1) * 255).round().astype(np.uint8)
    cv2.imencode(".png", picture[..., ::-1])[1].tofile(copy)
    out = tmp_path / "again"
    done = subprocess.run(
        [sys.executable, "-m", "lipcore", "data", "synth", "--portrait", str(copy), "--out",
         str(out), "--speakers", "2", "--seconds", "2", "--size", "128", "--val-share", "0",
         "--seed", "5", "--jobs", "2", "--voices", "espeak", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"event": "log", "message": "voices: espeak"} in events
    assert (out / "synth-00000.tar").read_bytes() == (folder / "synth-00000.tar").read_bytes()
    clips = json.loads((out / "manifest.json").read_text())["clips"]
    assert len({c["identity"] for c in clips.values()}) == 1  # one face is one person
    assert len({c["split"] for c in clips.values()}) == 1


def test_heads_and_portraits_take_turns(portrait: Portrait) -> None:
    cast = Cast(None, (portrait, portrait))
    assert [cast.portrait_of(n) for n in range(4)] == [0, 1, 0, 1]
    assert [cast.side_of(n, 0.5) for n in range(4)] == ["train", "val", "train", "val"]
    with pytest.raises(ConfigError, match="nobody to speak"):
        Cast(None)


def test_both_kinds_are_kept_out_in_their_share(portrait: Portrait, shared_data: Path) -> None:
    path = shared_data / "head" / "ict_facekit_light.npz"
    if not path.is_file():
        pytest.skip("the head (../shared/data/head) is not on this machine")
    cast = Cast(load_head(path), (portrait, portrait))
    assert [cast.portrait_of(n) for n in range(5)] == [None, 0, None, 1, None]
    heads = [cast.side_of(n, 0.5) for n in range(0, 16, 2)]
    assert heads.count("val") == 4
    assert [cast.side_of(n, 0.5) for n in (1, 3, 5, 7)] == ["train", "val", "train", "val"]


def test_what_is_no_portrait_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFoundError, match="no portrait is at"):
        load_portrait(tmp_path / "none.jpg")
    wrong = tmp_path / "wrong.jpg"
    wrong.write_bytes(b"\xff\xd8 not a picture")
    with pytest.raises(MediaUnreadableError, match="not a picture"):
        load_portrait(wrong)
    (tmp_path / "empty.png").touch()
    with pytest.raises(MediaUnreadableError, match="not a picture"):
        load_portrait(tmp_path / "empty.png")
    blank, small = tmp_path / "blank.png", tmp_path / "small.png"
    cv2.imwrite(str(blank), np.full((200, 200, 3), 90, np.uint8))
    with pytest.raises(NoFaceError, match=r"blank\.png"):
        load_portrait(blank)
    picture = (read_portrait(1) * 255).astype(np.uint8)[..., ::-1]
    cv2.imwrite(str(small), cv2.resize(picture, (240, 240), interpolation=cv2.INTER_AREA))
    with pytest.raises(FaceTooSmallError, match=r"small\.png"):
        load_portrait(small)


@given(
    st.lists(st.floats(-0.05, 0.2), min_size=9, max_size=9), st.floats(0, 0.15)
)
def test_gaps_have_the_asked_mean_and_never_cross(gaps: list[float], opening: float) -> None:
    spread = spread_gap(np.array(gaps), opening)
    assert spread.mean() == pytest.approx(opening, abs=1e-9)
    assert spread.min() >= 0
    if opening < CLOSED / 100:
        assert np.ptp(spread) < CLOSED / 10
