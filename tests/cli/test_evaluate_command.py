"""``lipcore evaluate`` as a process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_a_plate_is_evaluated_against_itself(
    lipcore_command: Command, portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    out = tmp_path / "chiffres à lire.json"
    ended = lipcore_command(
        "evaluate", portrait_plate, "--against", portrait_plate, "--dialogue", spoken_line,
        "--out", out, "--out", tmp_path / "f.csv", "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    last = json.loads(ended.stdout.splitlines()[-1])
    assert last["event"] == "done" and last["outputs"] == [str(out), str(tmp_path / "f.csv")]
    facts = json.loads(out.read_text("utf-8"))
    assert facts["figures"] == last["figures"]
    assert facts["protocol"]["dialogue"] == str(spoken_line)
    ended = lipcore_command("evaluate", portrait_plate, "--against", portrait_plate)
    assert ended.returncode == 0 and "\nprotocol: " in ended.stdout
    assert "PSNR dB" in ended.stdout and "inf" in ended.stdout


def test_wrong_inputs_are_one_line_and_a_hint(
    lipcore_command: Command, portrait_plate: Path, tmp_path: Path
) -> None:
    for code, arguments in (
        (3, (tmp_path / "none.mov", "--against", portrait_plate)),
        (4, (portrait_plate, "--against", portrait_plate, "--dialogue", tmp_path / "no.wav")),
        (2, (portrait_plate, "--against", portrait_plate, "--out", tmp_path / "x.txt")),
        (2, (portrait_plate, "--against", portrait_plate, "--rate", "0")),
    ):
        ended = lipcore_command("evaluate", *arguments)
        assert ended.returncode == code, ended.stderr
        assert ended.stderr.lstrip().startswith("error: ") and "\nhint: " in ended.stderr
