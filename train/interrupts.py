"""Ctrl-C in a run: the step is finished and the run saved before the program ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Holds interrupts back, so that a loop can end between two steps; a second one is not held.

    Outside the main thread, where signals cannot be caught, it holds nothing.
    """

    def __init__(self) -> None:
        self._before: dict[int, signal.Handlers | object] = {}
        self._held: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and ``&`` have it
                    self._before[number] = signal.signal(number, self._hold)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._give_back()

    @property
    def held(self) -> bool:
        """Whether an interrupt waits."""
        return self._held is not None

    def let_go(self) -> None:
        """Do what the interrupt does without this class."""
        self._give_back()
        if self._held is not None:
            signal.raise_signal(self._held)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._held = number
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()
