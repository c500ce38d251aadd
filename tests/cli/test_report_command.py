"""``lipcore report`` as a process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Ended = subprocess.CompletedProcess[str]
Command = Callable[..., Ended]


def test_a_render_is_reported_on(
    lipcore_command: Command, portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    out = tmp_path / "rendu n° 1"
    ended = lipcore_command("render", portrait_plate, spoken_line, "--out", out)
    assert ended.returncode == 0, ended.stderr
    page = tmp_path / "page à lire.html"
    ended = lipcore_command("report", out, "--out", page, "--json")
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert events[-1] == {"event": "done", "outputs": [str(page)], "shots": 1}
    assert [e for e in events if e["event"] == "progress"][-1]["done"] == 12
    assert [e["name"] for e in events if e["event"] == "shot"] == ["plate"]
    assert "Lip-sync review: rendu n° 1" in page.read_text("utf-8")
    ended = lipcore_command("report", out, "--out", page)
    assert ended.returncode == 0 and ended.stdout.splitlines()[-1] == str(page)


def test_what_is_no_render_is_one_line_and_a_hint(
    lipcore_command: Command, portrait_plate: Path, tmp_path: Path
) -> None:
    for wrong in (tmp_path, tmp_path / "none.mov", portrait_plate):
        ended = lipcore_command("report", wrong, "--out", tmp_path / "page.html")
        assert ended.returncode == 3, ended.stderr
        assert ended.stderr.startswith("error: ") and "\nhint: " in ended.stderr
    assert not (tmp_path / "page.html").exists()
    assert lipcore_command("report").returncode == 2
