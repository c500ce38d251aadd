"""``lipcore render`` as a process: what it leaves, tells and survives."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so
import pytest
import soundfile

from lipcore.demo.portrait import CameraMove, write_plate
from lipcore.media.plate import open_plate
from lipcore.types import FrameRange, Window

Ended = subprocess.CompletedProcess[str]
Command = Callable[..., Ended]

pytestmark = pytest.mark.slow


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _frames(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.exr"))


def test_json_events_and_outputs(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, lipcore_command: Command
) -> None:
    out = tmp_path / "out"
    ended = lipcore_command("render", portrait_plate, spoken_line, "--out", out, "--json")
    assert ended.returncode == 0, ended.stderr
    events = _events(ended.stdout)
    kinds = [event["event"] for event in events]
    assert set(kinds) == {"progress", "log", "done"}
    assert kinds[-1] == "done"
    done = events[-1]
    assert done["frames"] == "1001-1012"
    assert done["drawn"] == 12
    assert all(Path(path).is_file() for path in done["outputs"])
    last = [event for event in events if event["event"] == "progress"][-1]
    assert (last["stage"], last["done"], last["total"]) == ("render", 12, 12)
    assert _frames(out) == [f"plate.{number}.exr" for number in range(1001, 1013)]


def test_a_rate_that_nobody_stated_is_told(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, lipcore_command: Command
) -> None:
    for number in (1001, 1002, 1003):
        picture = oiio.ImageBuf(str(portrait_plate.with_name(f"plate.{number}.exr")))
        assert picture.write(str(tmp_path / f"still.{number}.png"), "uint8")
    asked = ("render", tmp_path / "still.####.png", spoken_line, "--json", "--out")
    told = "the plate states no rate: 24 is taken"
    for options, expected in (((), True), (("--rate", "24"), False)):
        ended = lipcore_command(*asked, tmp_path / f"out{len(options)}", *options)
        assert ended.returncode == 0, ended.stderr
        logs = [event.get("message", "") for event in _events(ended.stdout)]
        assert any(told in line for line in logs) is expected


def test_error_events(spoken_line: Path, tmp_path: Path, lipcore_command: Command) -> None:
    ended = lipcore_command(
        "render", tmp_path / "no.mov", spoken_line, "--out", tmp_path, "--json"
    )
    assert ended.returncode == 3
    (event,) = _events(ended.stdout)
    assert event["event"] == "error"
    assert event["error"] == "MediaNotFoundError"
    assert event["exit_code"] == 3
    assert event["hint"]
    assert event["path"] == str(tmp_path / "no.mov")


def test_silence_shuts_the_mouth(
    portrait_plate: Path, tmp_path: Path, lipcore_command: Command
) -> None:
    """The portrait smiles with open lips; a silent dialogue closes them."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(24_000), 48_000)
    ended = lipcore_command(
        "render", portrait_plate, tmp_path / "silence.wav", "--out", tmp_path / "out"
    )
    assert ended.returncode == 0, ended.stderr
    facts = json.loads((tmp_path / "out" / "plate.lipsync.json").read_text())
    for row in facts["per_frame"]:
        before = np.array(row["landmarks"])[:, :2]
        after = np.array(row["new_landmarks"])
        lips = (13, 14)  # the middle of the upper and the lower inner lip
        assert abs(after[lips[1], 1] - after[lips[0], 1]) < 2.0
        assert before[lips[1], 1] - before[lips[0], 1] > 6.0


def test_strength_0_gives_the_plate_back(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, lipcore_command: Command
) -> None:
    ended = lipcore_command(
        "render", portrait_plate, spoken_line, "--out", tmp_path, "--strength", 0,
        "--frames", "1003-1005",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    with open_plate(portrait_plate) as before, open_plate(tmp_path) as after:
        for number in range(1003, 1006):
            assert np.array_equal(before.read(number).rgb, after.read(number).rgb)


def test_dry_run_writes_nothing(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, lipcore_command: Command
) -> None:
    out = tmp_path / "out"
    ended = lipcore_command(
        "render", portrait_plate, spoken_line, "--out", out, "--dry-run", "--json"
    )
    assert ended.returncode == 0, ended.stderr
    (plan,) = _events(ended.stdout)
    assert plan["event"] == "plan"
    assert plan["frames"] == [1001, 1012]
    assert plan["output"] == str(out / "plate.####.exr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_interrupted_run_goes_on(
    spoken_line: Path,
    tmp_path: Path,
    environment: dict[str, str],
    lipcore_command: Command,
) -> None:
    count = 72  # enough that the interrupt cannot come after the last frame
    move = CameraMove(
        FrameRange(1001, 1000 + count), center_from=(228, 128), center_to=(224, 126),
        width_from=300, width_to=292, display=Window(0, 0, 480, 360),
    )
    plate, out = write_plate(tmp_path / "plate", move), tmp_path / "out"
    arguments = ["render", str(plate), str(spoken_line), "--out", str(out), "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "lipcore", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        # A shell that starts its jobs in the background has them ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        for line in running.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["stage"] == "render":
                running.send_signal(signal.SIGINT)
                break
        running.stdout.read()
        told = running.stderr.read()
    assert running.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    left = len(_frames(out))
    assert 0 < left < count
    assert not list(out.glob(".*.part*"))
    ended = lipcore_command(*arguments)
    assert ended.returncode == 0, ended.stderr
    done = _events(ended.stdout)[-1]
    assert done["kept"] == left
    assert done["kept"] + done["drawn"] == count
