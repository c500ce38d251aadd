"""A worker as its clients see it: two pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

Event = dict[str, Any]


class Pipes:
    """A worker's process; lines in, events out."""

    def __init__(self, cache: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lipcore", "worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "LIPCORE_CACHE": str(cache)},
        )  # fmt: skip
        self.pid = self.process.pid

    def send(self, line: bytes | str | Event) -> None:
        assert self.process.stdin is not None
        if isinstance(line, dict):
            line = json.dumps(line)
        self.process.stdin.write((line.encode() if isinstance(line, str) else line) + b"\n")
        self.process.stdin.flush()

    def event(self) -> Event:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the worker is gone"
        event = json.loads(line)
        assert isinstance(event, dict)
        return event

    def until(self, request_id: str | None, *kinds: str) -> Event:
        """The next event of these kinds of one request; others are passed over."""
        while True:
            event = self.event()
            if event["id"] == request_id and event["event"] in kinds:
                return event

    def ask(self, method: str, **params: Any) -> Event:
        self.send({"id": f"ask-{method}", "method": method, "params": params})
        return self.until(f"ask-{method}", "result", "error")

    def end(self) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def worker(cache: Path) -> Iterator[Pipes]:
    pipes = Pipes(cache)
    yield pipes
    if pipes.process.poll() is None:
        pipes.process.kill()
    pipes.process.wait()
