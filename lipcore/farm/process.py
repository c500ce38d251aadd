"""One render in a process of its own, its events read as they come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lipcore.errors import OutOfMemoryError

_LINES_KEPT = 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended."""

    exit_code: int
    """As a shell has it: 128 and the signal's number where a signal ended it."""
    signal: int | None
    seconds: float
    memory_bytes: int
    """Most that it held at once; 0 where the system does not say."""
    last_line: str
    """Of its error output."""

    @property
    def looks_like_memory(self) -> bool:
        """It said so, or was killed as the system does where memory runs out."""
        return self.signal == signal.SIGKILL or self.exit_code == OutOfMemoryError.exit_code

    def words(self) -> str:
        """What happened, where the process could not say it."""
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            more = ", as where memory runs out" if self.signal == signal.SIGKILL else ""
            return f"the render was ended by {name}{more}"
        return self.last_line or f"the render ended with exit code {self.exit_code}"


class RenderProcess:
    """A running ``lipcore`` command with ``--json``.

    Args:
        arguments: Of ``lipcore``, without ``--json``.
        tell: Called, from a thread, with each event and at last with ``Ended``.
    """

    def __init__(
        self, arguments: Sequence[str], tell: Callable[[dict[str, Any] | Ended], None]
    ) -> None:
        self._tell = tell
        self._start = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lipcore", *arguments, "--json"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
            errors="replace",
            # Ctrl-C in the terminal reaches the batch alone, which then asks its renders.
            start_new_session=True,
        )  # fmt: skip
        self._errors: deque[str] = deque(maxlen=_LINES_KEPT)
        self._drain = threading.Thread(target=self._read_errors, daemon=True)
        self._drain.start()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to finish what it has in hand and end."""
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end; what has not ended by then is killed."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._process.kill()
            self._thread.join()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.strip():
                self._errors.append(line.strip())

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                self._tell(event)
        code, memory = _reap(self._process)
        self._drain.join(5)
        ended_by = -code if code < 0 else None
        self._tell(Ended(
            128 - code if code < 0 else code, ended_by, time.monotonic() - self._start, memory,
            self._errors[-1] if self._errors else "",
        ))  # fmt: skip


if hasattr(os, "wait4"):

    def _reap(process: subprocess.Popen[str]) -> tuple[int, int]:
        """(exit code, most memory in bytes) once it has ended."""
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except ChildProcessError:  # somebody else has asked for it
            return process.wait(), 0
        process.returncode = os.waitstatus_to_exitcode(status)
        scale = 1 if sys.platform == "darwin" else 1024
        return process.returncode, usage.ru_maxrss * scale

else:

    def _reap(process: subprocess.Popen[str]) -> tuple[int, int]:
        return process.wait(), 0
