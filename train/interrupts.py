"""Ctrl-C in a run: the step is finished and the run saved before the program ends."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Interrupts that are held back, so that a loop can end between two steps."""

    def __init__(self) -> None:
        self.held: int | None = None
        """The signal that waits."""
        self._before: dict[int, Any] = {}

    def hold(self) -> None:
        """Hold back the first interrupt from now on; one that is ignored stays ignored."""
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and ``&`` have it
                self._before[number] = signal.signal(number, self._keep)

    def give_back(self) -> None:
        """Hold nothing back any more."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def let_go(self) -> None:
        """Do what the interrupt that waits does without this class."""
        self.give_back()
        if self.held is not None:
            signal.raise_signal(self.held)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        self.held = number
        self.give_back()  # a second one acts at once


@contextlib.contextmanager
def held_interrupts(wanted: bool) -> Iterator[Interrupts]:
    """Interrupts held back inside; none where not wanted, or outside the main thread, in which
    signals cannot be caught."""
    interrupts = Interrupts()
    if wanted and threading.current_thread() is threading.main_thread():
        interrupts.hold()
    try:
        yield interrupts
    finally:
        interrupts.give_back()
