"""``lipcore adapt`` as a process."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Ended = subprocess.CompletedProcess[str]


@pytest.mark.slow
def test_adapt_prints_a_next_command_that_a_shell_takes(
    portrait_plate: Path, tmp_path: Path, lipcore_command: Callable[..., Ended]
) -> None:
    plate = tmp_path / "anna's shot" / "plate.####.exr"
    out = tmp_path / "anna's.safetensors"
    plate.parent.symlink_to(portrait_plate.parent)
    ended = lipcore_command("adapt", plate, "--out", out, "--minutes", "0.05")
    assert ended.returncode == 0, ended.stderr
    words = shlex.split(ended.stdout.splitlines()[-1])
    assert words[:4] == ["next:", "lipcore", "render", str(plate)]
    assert words[-1] == f"base+{out}"
