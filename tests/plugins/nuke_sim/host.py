"""The state of the simulated Nuke: its main thread, undo, panels."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Host:
    """One simulated Nuke."""

    def __init__(self) -> None:
        self.main = threading.main_thread()
        self.calls: queue.Queue[Callable[[], Any]] = queue.Queue()
        self.messages: list[str] = []
        self.printed: list[str] = []
        self.progress: list[Any] = []
        self.commands: dict[str, Any] = {}
        self.on_create: list[tuple[Any, str]] = []
        self.filters: list[Any] = []
        self.this: list[Any] = []
        self.undo_off = 0
        self.open_step: list[Callable[[], None]] | None = None
        self.steps: list[tuple[str, list[Callable[[], None]]]] = []
        self.executed: list[tuple[str, int, int]] = []
        self.fail_execute = False
        self.layers: dict[str, list[str]] = {}

    def need_main(self, what: str) -> None:
        """Nodes and knobs belong to the main thread."""
        if threading.current_thread() is not self.main:
            raise RuntimeError(f"simulated Nuke: {what} outside of the main thread")

    def changed(self, what: str, back: Callable[[], None]) -> None:
        """Something was changed; ``back`` takes it back."""
        if self.undo_off:
            return
        if self.open_step is not None:
            self.open_step.append(back)
        else:
            self.steps.append((what, [back]))

    def undo(self) -> None:
        _, step = self.steps.pop()
        self.undo_off += 1
        for back in reversed(step):
            back()
        self.undo_off -= 1

    def pump(self, thread: threading.Thread | None, timeout_s: float = 120) -> None:
        """The main loop, until a thread (if any) has ended and nothing is left to be done."""
        self.need_main("the main loop")
        while (thread is not None and thread.is_alive()) or not self.calls.empty():
            try:
                self.calls.get(timeout=0.05)()
            except queue.Empty:
                timeout_s -= 0.05
                assert timeout_s > 0, "the job does not end"


host = Host()
