"""The command line as people run it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the commands, with a cache that all tests share."""
    return {**os.environ, "LIPCORE_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="session")
def lipcore_command(environment: dict[str, str]) -> Callable[..., Ended]:
    """Run ``lipcore ARGUMENTS`` to its end."""

    def run(*arguments: object, cwd: Path | None = None) -> Ended:
        return subprocess.run(
            [sys.executable, "-m", "lipcore", *map(str, arguments)],
            capture_output=True, text=True, env=environment, cwd=cwd, timeout=300, check=False,
        )

    return run
