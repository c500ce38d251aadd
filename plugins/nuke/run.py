"""Jobs inside Nuke: in a thread with a progress bar, or in line where there are no windows."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import nuke

from ..client import FINAL, Event, Job, JobCancelledError, WorkerError, shared_worker

_POLL_S = 0.2
_WEIGHTS = {"track": (0, 15), "bank": (15, 25), "crops": (25, 30), "encode": (25, 35),
            "refine": (35, 40), "render": (25, 100), "learn": (30, 100)}  # fmt: skip
"""Where each stage lies in the bar."""
_running: dict[str, threading.Event] = {}


class Progress:
    """The bar of one job; a printed percentage where there are no windows."""

    def __init__(self, title: str) -> None:
        self._task: Any = nuke.ProgressTask(title) if nuke.GUI else None
        self._title = title
        self.percent = 0

    def tell(self, event: Event) -> None:
        """Show an event of the worker."""
        if event["event"] == "progress":
            low, high = _WEIGHTS.get(event["stage"], (0, 0))
            share = event["done"] / max(1, event["total"])
            self.show(round(low + share * (high - low)), f"{event['stage']} {event['done']}"
                      f" of {event['total']}")  # fmt: skip
        elif event["event"] == "log":
            self.show(self.percent, event["message"])

    def show(self, percent: int, message: str) -> None:
        """Move the bar; it never goes back."""
        percent = max(self.percent, min(100, percent))
        if self._task is not None:
            self._task.setProgress(percent)
            self._task.setMessage(message)
        elif percent != self.percent:
            nuke.tprint(f"{self._title}: {percent} % ({message})")
        self.percent = percent

    def cancelled(self) -> bool:
        """The bar's own button was pressed."""
        return self._task is not None and bool(self._task.isCancelled())


def start(
    group: Any,
    method: str,
    params: dict[str, Any],
    environ: dict[str, str],
    *,
    on_event: Callable[[Event], None] = lambda _: None,
    on_end: Callable[[Event | None, WorkerError | None], None],
) -> threading.Thread | None:
    """Run a job for a node.

    Args:
        group: The node; one job at a time.
        method: Of the worker.
        params: Its parameters.
        environ: What the worker's environment needs.
        on_event: Called in the main thread with events that change the node.
        on_end: Called in the main thread with the result, or the error, or neither where
            the job was cancelled.

    Returns:
        The thread; None in a terminal, where all is over.

    Raises:
        WorkerError: A job of this node runs already, or no worker can be started.
    """
    name = str(group.fullName())
    if name in _running:
        raise WorkerError(f"{name} is at work", "Wait for it, or press Cancel.")
    worker = shared_worker(environ)
    worker.hello()
    stop = _running[name] = threading.Event()
    events: queue.Queue[Event] = queue.Queue()

    def work() -> None:
        result: Event | None = None
        failed: WorkerError | None = None
        # Made, told and asked in one thread: nothing says that it bears several.
        progress = Progress(f"{name}: {method}")
        try:
            job = worker.submit(method, params, events.put)
            _follow(job, events, stop, progress, on_event)
            result = job.wait()
            progress.show(100, "done")
        except JobCancelledError:
            pass
        except WorkerError as error:
            failed = error
        finally:
            _running.pop(name, None)
        in_main(on_end, result, failed)

    if not nuke.GUI:
        work()
        return None
    thread = threading.Thread(target=work, name=f"lipcore {name}", daemon=True)
    thread.start()
    return thread


def _follow(
    job: Job,
    events: queue.Queue[Event],
    stop: threading.Event,
    progress: Progress,
    on_event: Callable[[Event], None],
) -> None:
    """Until the job's last event; cancelling is looked for on a clock, too."""
    asked = False
    while True:
        if not asked and (stop.is_set() or progress.cancelled()):
            asked = True
            job.cancel()
        try:
            event = events.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        progress.tell(event)
        if event["event"] == "frame-done":
            in_main(on_event, event)
        if event["event"] in FINAL:
            return


def cancel(group: Any) -> bool:
    """Ask the node's job to end; False where it has none."""
    stop = _running.get(str(group.fullName()))
    if stop is not None:
        stop.set()
    return stop is not None


def in_main(call: Callable[..., None], *args: Any) -> None:
    """Call something that edits nodes; from the main thread directly, as Nuke wants it."""
    if not nuke.GUI or threading.current_thread() is threading.main_thread():
        call(*args)
    else:
        nuke.executeInMainThread(call, args)


def tell_error(error: WorkerError) -> None:
    """Say what is wrong and what to do: in a panel, or as an exception in a terminal."""
    if not nuke.GUI:
        raise RuntimeError(error.text())
    nuke.message(error.text())
