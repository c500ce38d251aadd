"""How a command tells its progress: a bar for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from lipcore.cli.pipes import say

STAGES = {"plate": "plate", "track": "faces", "bank": "mouths", "speech": "speech",
          "render": "frames", "compare": "movie", "report": "looking", "stream": "live",
          "search": "search", "hash": "hashing", "evaluate": "looking", "tables": "runs",
          "check": "jobs"}


class BarListener:
    """A progress bar on stderr, from the first progress on; what was decided goes above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._ended: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tasks:  # without a bar there is no line to end
            self._progress.stop()

    def progress(self, stage: str, done: int, total: int) -> None:
        """See ``RenderListener``."""
        if done < total and stage in self._ended:
            # The next shot of a conform: the bars of the one before go.
            for ended in self._ended:
                self._progress.remove_task(self._tasks.pop(ended))
            self._ended.clear()
        if not self._tasks:
            self._progress.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(STAGES.get(stage, stage), total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)
        if done >= total:
            self._ended.add(stage)

    def log(self, message: str) -> None:
        """See ``RenderListener``."""
        self._console.print(message, markup=False, soft_wrap=True)


class JsonListener:
    """One JSON object a line on stdout, at most ten of progress a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def emit(self, **event: object) -> None:
        """Print one event."""
        with self._lock:
            if not say(json.dumps(event, default=str)):
                raise SystemExit(1)  # no error of ours: as any program ends whose pipe is closed

    def progress(self, stage: str, done: int, total: int) -> None:
        """See ``RenderListener``."""
        now = time.monotonic()
        if done < total and now - self._told.get(stage, 0.0) < 0.1:
            return
        self._told[stage] = now
        self.emit(event="progress", stage=stage, done=done, total=total)

    def log(self, message: str) -> None:
        """See ``RenderListener``."""
        self.emit(event="log", message=message)
