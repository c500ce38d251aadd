"""``lipcore demo`` from end to end, with a short text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from lipcore.demo.run import make_demo, say
from lipcore.errors import ConfigError
from lipcore.media.plate import open_plate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def _demo(out: Path, cache: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lipcore", "demo", "--text", "Oh!", "--out", str(out), *more],
        capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "LIPCORE_CACHE": str(cache)},
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("demo") / "it's here"  # people have such folders
    ended = _demo(out, cache)
    assert ended.returncode == 0, ended.stderr
    return out, ended.stdout


def test_it_leaves_what_it_says(finished: tuple[Path, str]) -> None:
    out, told = finished
    frames = len(list((out / "plate").glob("plate.*.exr")))
    assert frames >= 15
    assert len(list((out / "render").glob("plate.*.exr"))) == frames
    for name in ("before_after.mp4", "contact_sheet.png", "dialogue.wav"):
        assert (out / name).is_file()
        assert name in told
    with open_plate(out / "plate") as before, open_plate(out / "render") as after:
        assert (before.info.display.width, before.info.display.height) == (1920, 1080)
        assert after.info.frames == before.info.frames
        assert after.info.timecode == before.info.timecode
        number = before.info.frames.first + frames // 2
        old, new = before.read(number).rgb, after.read(number).rgb
        changed = np.flatnonzero((old != new).any(axis=(1, 2)))
        assert changed.size, "the mouth did not move"
        assert changed[0] > 300 and changed[-1] < 800, "more than the lower face changed"


def test_the_movie_has_both_halves_and_the_sound(finished: tuple[Path, str]) -> None:
    out, _ = finished
    frames = len(list((out / "plate").glob("*.exr")))
    with av.open(str(out / "before_after.mp4")) as container:
        video = container.streams.video[0]
        assert (video.width, video.height, video.average_rate) == (1920, 1080, 24)
        assert video.codec_context.name == "h264"
        assert container.streams.audio[0].rate == 48_000
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video)]
    assert len(pictures) == frames
    middle = pictures[frames // 2].astype(int)
    before, after = middle[:, :960], middle[:, 960:]
    assert np.abs(before - after)[:300].mean() < 2  # hair and eyes are the same
    assert np.abs(before - after)[400:700].mean() > 0.5  # the mouth is not


def test_the_sheet_is_a_picture(finished: tuple[Path, str]) -> None:
    sheet = cv2.imread(str(finished[0] / "contact_sheet.png"))
    assert sheet is not None
    assert sheet.shape[0] > 700 and sheet.shape[1] > 3000


def test_the_next_commands_can_be_pasted(finished: tuple[Path, str], cache: Path) -> None:
    """Each line that the demo suggests, but the long one, runs in a shell as it stands."""
    out, told = finished
    lines = [line.strip() for line in told.splitlines() if line.startswith("  lipcore ")]
    assert [line.split()[1] for line in lines] == ["demo", "shapes", "render"]
    for line in lines[1:]:
        line = line.replace("lipcore", f"{sys.executable} -m lipcore", 1)
        ended = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, check=False, cwd=out.parent,
            env={**os.environ, "LIPCORE_CACHE": str(cache)}, timeout=600,
        )
        assert ended.returncode == 0, ended.stderr
    assert len(list((out / "again").glob("*.exr"))) == len(list((out / "plate").glob("*.exr")))


def test_run_again_it_keeps_what_is_there(finished: tuple[Path, str], cache: Path) -> None:
    out, _ = finished
    lost = next((out / "render").glob("plate.1005.exr"))
    stale = lost.with_name("plate.1900.exr")  # as a longer text would have left
    lost.rename(stale)
    ended = _demo(out, cache, "--json")
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert events[-1]["event"] == "done"
    assert events[-1]["drawn"] == 1
    assert lost.is_file() and not stale.exists()
    assert {e["stage"] for e in events if e["event"] == "progress"} >= {"plate", "compare"}


def test_the_dialogue_has_silence_at_both_ends() -> None:
    sound = say("Hello there.")
    edge = int(0.29 * 48_000)
    assert not sound[:edge].any() and not sound[-edge:].any()
    assert np.abs(sound).max() > 0.1


def test_texts_that_cannot_be_said(tmp_path: Path) -> None:
    for text in ("", "  ", "...", "word " * 300):
        with pytest.raises(ConfigError) as caught:
            make_demo(tmp_path / "out", text)
        assert caught.value.hint
    assert not (tmp_path / "out").exists()
