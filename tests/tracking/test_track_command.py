"""`lipcore track`: what it says and what it writes, on real files."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from lipcore.cli.track import command
from lipcore.errors import ConfigError, MissingFrameError
from lipcore.rates import parse_rate
from lipcore.tracking.sheet import sheet_frames
from lipcore.types import FrameRange


def test_the_command_lists_tracks_and_writes_sheet_and_json(
    shared_data: Path, tmp_path: Path
) -> None:
    clip = shared_data / "clips" / "klobuchar.mp4"
    sheet, data = tmp_path / "sheet.png", tmp_path / "tracks.json"
    result = CliRunner().invoke(
        command,
        [str(clip), "--frames", "5-14", "--sheet", str(sheet), "--json", str(data)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    assert "track:1  frames 5-14, seen in 10 of 10" in result.output
    frames = json.loads(data.read_text())["tracks"][0]["frames"]
    assert [f["frame"] for f in frames] == list(range(5, 15))
    picture = cv2.imread(str(sheet))
    assert picture is not None and picture.shape[1] > 1000
    # The bar of the track, in its colour, over the whole width.
    orange = (np.abs(picture.astype(int) - (0, 196, 255)) < 3).all(-1)
    assert orange[-60:].sum() > 0.5 * picture.shape[1] * 18


def test_frames_outside_the_plate_are_an_error(shared_data: Path) -> None:
    clip = shared_data / "clips" / "klobuchar.mp4"
    with pytest.raises(MissingFrameError, match="frame 9000 is outside"):
        CliRunner().invoke(command, [str(clip), "--frames", "5-9000"], catch_exceptions=False)


def test_the_command_imports_nothing_heavy() -> None:
    code = (
        "import sys, lipcore.cli.track; "
        "print([m for m in ('torch', 'mediapipe', 'cv2', 'numpy.fft', 'av') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout and "mediapipe" not in done.stdout
    assert "cv2" not in done.stdout and "'av'" not in done.stdout


def test_start_up_notes_of_the_networks_stay_off_stderr(shared_data: Path) -> None:
    code = (
        "from lipcore.cli.track import command; "
        f"command([{str(shared_data / 'clips' / 'klobuchar.mp4')!r}, '--frames', '1-2'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    noise = [line for line in done.stderr.splitlines() if line and "tracking" not in line]
    assert noise == []


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", Fraction(24)),
        ("23.976", Fraction(24000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_rates_are_exact(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "fast", "0", "-24", "1/0", "nan", "1001", "1e999999999", "1e-999999999", "2" * 5000],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a frame rate") as raised:
        parse_rate(text)
    assert len(str(raised.value)) < 100


def test_a_sheet_shows_both_ends_and_every_scene() -> None:
    chosen = sheet_frames(FrameRange(1001, 1100), (1042, 1077), 8)
    assert len(chosen) <= 8 and chosen == sorted(set(chosen))
    assert {1001, 1042, 1077} <= set(chosen)
    assert sheet_frames(FrameRange(1, 3), (), 8) == [1, 2, 3]
