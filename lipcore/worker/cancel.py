"""Cancelling a job within a second, wherever it is.

A job looks at its token whenever it reports progress. Some steps report nothing for longer (a
plate is hashed, a path through the bank is searched): then the main thread, in which jobs
run, is interrupted as Ctrl-C would, but never while a module is imported or a line is
written, which could not be done again.
"""

from __future__ import annotations

import _thread
import signal
import threading
from types import FrameType

_PATIENCE_S = 0.3
"""How long the job may take to notice by itself."""
_AGAIN_S = 0.05
_LEAVE_ALONE = (
    "importlib._bootstrap", "lipcore/worker/channel.py", "lipcore/media/output_files.py",
)  # fmt: skip

INTERRUPT: signal.Signals = getattr(signal, "SIGUSR1", None) or signal.Signals["SIGBREAK"]
"""What a worker sends to itself; Ctrl-C keeps its own meaning."""


class JobCancelled(BaseException):
    """Raised inside a job that was cancelled; not an ``Exception``, so that nothing keeps it."""


class CancelToken:
    """Whether one job shall end."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._ended = threading.Event()
        self._raised = False

    @property
    def asked(self) -> bool:
        """Somebody wants the job to end."""
        return self._asked.is_set()

    def check(self) -> None:
        """Called by the job.

        Raises:
            JobCancelled: It shall end.
        """
        if self._asked.is_set():
            if threading.current_thread() is threading.main_thread():
                self._raised = True
            raise JobCancelled

    def cancel(self) -> None:
        """Ask the job to end; returns at once."""
        if not self._asked.is_set():
            self._asked.set()
            threading.Thread(target=self._insist, name="lipcore-cancel", daemon=True).start()

    def end(self) -> None:
        """The job is over: there is nothing left to interrupt."""
        self._ended.set()

    def _insist(self) -> None:
        delay = _PATIENCE_S
        while not self._ended.wait(delay) and not self._raised:
            _interrupt_main()
            delay = _AGAIN_S

    def interrupt(self, frame: FrameType | None) -> None:
        """Called in the main thread by the signal handler.

        Raises:
            JobCancelled: The job shall end, and may be interrupted where it is.
        """
        if self._ended.is_set() or self._raised or not may_interrupt(frame):
            return
        self._raised = True
        raise JobCancelled


def may_interrupt(frame: FrameType | None) -> bool:
    """Whether what runs may be broken off: no import, no line of the protocol, no file's end."""
    while frame is not None:
        name = frame.f_code.co_filename.replace("\\", "/")
        if any(part in name for part in _LEAVE_ALONE):
            return False
        frame = frame.f_back
    return True


def _interrupt_main() -> None:
    if hasattr(signal, "pthread_kill"):
        ident = threading.main_thread().ident
        assert ident is not None
        signal.pthread_kill(ident, INTERRUPT)  # wakes it from waiting for a lock, too
    else:
        _thread.interrupt_main(INTERRUPT)
