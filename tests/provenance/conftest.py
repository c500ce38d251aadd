"""The command line, as users call it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def lipcore() -> Command:
    """Runs ``lipcore`` in a process of its own and checks its exit code."""

    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "lipcore", *map(str, words)],
            capture_output=True, text=True, check=False, timeout=600,
        )
        assert ended.returncode == code, ended.stderr
        return ended

    return run
