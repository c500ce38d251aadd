"""A worker's life: one thread reads requests, the main thread does the jobs, in order."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections import deque
from pathlib import Path
from types import FrameType

from lipcore import __version__
from lipcore.errors import ConfigError, LipcoreError
from lipcore.worker.cancel import INTERRUPT, CancelToken, JobCancelled
from lipcore.worker.channel import EventWriter, claim_stdin, claim_stdout, read_lines
from lipcore.worker.requests import (
    METHODS,
    Cancel,
    Hello,
    Job,
    Question,
    Request,
    RequestError,
    Shutdown,
    Status,
    parse_request,
)

PROTOCOL = 1
"""Raised when a client of the former number would no longer understand."""
_MOST_QUEUED = 1000
_LOOK_FOR_PARENT_S = 1.0
_GRACE_S = 10.0
"""So long a job may take to end once nobody listens any more."""


class Worker:
    """Reads requests and does jobs until its client goes.

    Args:
        requests: Descriptor to read from.
        events: Descriptor to write to.
    """

    def __init__(self, requests: int, events: int) -> None:
        self._requests = requests
        self._writer = EventWriter(events, self._leave)
        self._changed = threading.Condition()
        self._queue: deque[tuple[Request, CancelToken]] = deque()
        self._running: tuple[Request, CancelToken] | None = None
        self._closing = False
        self._finishing = False
        self._done = 0
        self._start = time.monotonic()

    def run(self) -> None:
        """Serve; returns when the client asked for it, has gone, or a signal came."""
        signal.signal(INTERRUPT, self._on_interrupt)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_end)
        for target in (self._read, self._watch_parent):
            threading.Thread(target=target, name=f"lipcore{target.__name__}", daemon=True).start()
        _import_all()
        while (taken := self._take()) is not None:
            self._do(*taken)

    def _on_interrupt(self, _number: int, frame: FrameType | None) -> None:
        running = self._running
        if running is not None:
            running[1].interrupt(frame)

    def _on_end(self, _number: int, _frame: FrameType | None) -> None:
        self._leave()

    def _take(self) -> tuple[Request, CancelToken] | None:
        """The next job, once there is one; None where the worker shall end."""
        with self._changed:
            while not self._queue:
                if self._closing:
                    return None
                self._changed.wait(0.5)  # a signal is noticed in between
            self._running = self._queue.popleft()
            return self._running

    def _do(self, request: Request, token: CancelToken) -> None:
        emit = functools.partial(self._writer.emit, id=request.id)
        ending: dict[str, object] = {}
        try:
            try:
                token.check()
                emit("started")
                from lipcore.worker.jobs import run_job

                assert isinstance(request.params, Job)
                ending = {"event": "result", **run_job(request.params, token, emit)}
            finally:
                token.end()
        except JobCancelled:
            ending = {"event": "cancelled"}
        except (Exception, SystemExit) as error:
            ending = {"event": "error", **describe_error(error)}
            if not isinstance(error, LipcoreError):
                traceback.print_exc()
        with self._changed:
            self._running = None
            self._done += 1
        self._writer.emit(str(ending.pop("event")), **{**ending, "id": request.id})

    def _read(self) -> None:
        """Take requests until the client closes its end."""
        for line in read_lines(self._requests):
            if isinstance(line, ConfigError):
                self._writer.emit("error", id=None, **describe_error(line))
                continue
            try:
                request = parse_request(line)
            except RequestError as bad:
                self._writer.emit("error", id=bad.id, **describe_error(bad.error))
                continue
            if isinstance(request.params, Question):
                self._answer(request.id, request.params)
            else:
                self._enqueue(request)
        if not self._finishing:
            self._leave()

    def _answer(self, request_id: str, question: Question) -> None:
        values: dict[str, object] = {}
        if isinstance(question, Hello):
            values = describe_worker()
        elif isinstance(question, Status):
            values = self._status()
        elif isinstance(question, Cancel):
            values = {"cancelled": self._cancel(question.job)}
        elif isinstance(question, Shutdown):
            self._finishing = question.finish
        # Before the end begins: the main thread may take the process with it at once.
        self._writer.emit("result", id=request_id, **values)
        if isinstance(question, Shutdown):
            self._close(cancel=not question.finish)

    def _enqueue(self, request: Request) -> None:
        token = CancelToken()
        with self._changed:
            alive = {r.id for r, _ in self._queue}
            if self._running is not None:
                alive.add(self._running[0].id)
            problem = None
            if self._closing:
                problem = ConfigError("the worker is closing", hint="Start another one.")
            elif request.id in alive:
                problem = ConfigError(
                    f"a job {request.id!r} is there already", hint="Give each job an id of its own."
                )
            elif len(self._queue) >= _MOST_QUEUED:
                problem = ConfigError(
                    f"{_MOST_QUEUED} jobs wait already", hint="Wait until some are done."
                )
            if problem is None:
                # Before the job can be taken, so that it comes before ``started``.
                self._writer.emit("queued", id=request.id, before=len(alive))
                self._queue.append((request, token))
                self._changed.notify_all()
        if problem is not None:
            self._writer.emit("error", id=request.id, **describe_error(problem))

    def _cancel(self, job: str | None) -> list[str]:
        """Cancel one job or all; the ids of those that were there."""
        with self._changed:
            found = [item for item in self._queue if job in (None, item[0].id)]
            for item in found:
                self._queue.remove(item)
            ids = [request.id for request, _ in found]
            if self._running is not None and job in (None, self._running[0].id):
                self._running[1].cancel()
                ids.append(self._running[0].id)
        for request, _ in found:
            self._writer.emit("cancelled", id=request.id)
        return ids

    def _status(self) -> dict[str, object]:
        with self._changed:
            return {
                "running": None if self._running is None else self._running[0].id,
                "queued": [request.id for request, _ in self._queue],
                "done": self._done,
                "uptime_s": round(time.monotonic() - self._start, 1),
                "memory_mb": memory_mb(),
                "threads": threading.active_count(),
            }

    def _close(self, *, cancel: bool) -> None:
        if cancel:
            self._cancel(None)
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _leave(self) -> None:
        """Nobody listens any more: end soon, in any case."""
        threading.Thread(target=self._end_now, name="lipcore-end", daemon=True).start()

    def _end_now(self) -> None:
        self._close(cancel=True)
        if self._running is None:
            os._exit(0)  # it may still be importing what no job will need
        time.sleep(_GRACE_S)
        os._exit(1)  # the job does not end: what it had finished stays

    def _watch_parent(self) -> None:
        """End with the parent, even if another process keeps the pipe open."""
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(_LOOK_FOR_PARENT_S)
        self._leave()


def _import_all() -> None:
    """Import what jobs need, before the first one: it takes seconds, and no job could be
    cancelled meanwhile."""
    import lipcore.adaptation
    import lipcore.media.sequence
    import lipcore.media.video
    import lipcore.plan
    import lipcore.timeline.run
    import lipcore.worker.jobs  # noqa: F401


def describe_error(error: BaseException) -> dict[str, object]:
    """An error as the values of an event."""
    if isinstance(error, LipcoreError):
        return {
            "error": type(error).__name__, "message": error.message, "hint": error.hint,
            "exit_code": error.exit_code, "facts": dict(error.facts),
        }  # fmt: skip
    text = " ".join(str(error).split())
    return {
        "error": type(error).__name__, "message": text or type(error).__name__,
        "hint": "This is a fault of lipcore: the traceback is on the worker's stderr.",
        "exit_code": 1, "facts": {},
    }  # fmt: skip


def describe_worker() -> dict[str, object]:
    """What ``hello`` answers."""
    from lipcore.shot import DELIVERIES, SYNTHESES
    from lipcore.weights import shipped_names

    return {
        "name": "lipcore", "version": __version__, "protocol": PROTOCOL, "pid": os.getpid(),
        "python": platform.python_version(), "executable": sys.executable,
        "methods": list(METHODS), "weights": shipped_names(), "syntheses": list(SYNTHESES),
        "deliveries": list(DELIVERIES),
    }  # fmt: skip


def memory_mb() -> int | None:
    """Resident memory of this process; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") >> 20
    return None


def serve() -> None:
    """Be a worker on this process's stdin and stdout until the client goes."""
    events, requests = claim_stdout(), claim_stdin()
    Worker(requests, events).run()
    sys.stderr.flush()
    # Daemon threads of libraries may hold the interpreter up; nothing is left to be done.
    os._exit(0)
