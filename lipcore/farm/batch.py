"""A queue of renders on one machine: each in a process of its own, tried again where it helps.

A job that dies of itself (a decoder that crashes, memory that runs out) takes no other with
it. What a job had finished stays, so a second try, like a second batch, goes on from there.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from lipcore.errors import ConfigError, LipcoreError, OutputExistsError
from lipcore.farm.check import JobCheck
from lipcore.farm.command_lines import CommandLine, command_lines
from lipcore.farm.jobs import Job
from lipcore.farm.process import Ended, RenderProcess

State = Literal["waiting", "running", "retrying", "done", "failed", "stopped"]

_TRANSIENT = {1, 3, 6, 11}
"""Exit codes that another try may cure: unknown, media on a lost mount, output, memory."""
_HOPELESS = (OutputExistsError.__name__,)
"""Errors of those families that no other try cures."""
_STOP_S = 60.0
"""A render that was asked to stop finishes the frames in hand; this long at the most."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What a batch may take of the machine."""

    processes: int = 1
    """Renders at once."""
    memory_bytes: int | None = None
    """Renders start only while their estimates fit into this; one always may."""
    tries: int = 3
    """Of each job."""
    wait_s: float = 5.0
    """Before the second try; twice as long before each further one."""

    def __post_init__(self) -> None:
        for name, least in (("processes", 1), ("tries", 1), ("wait_s", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be {least} or more, got {getattr(self, name)}")
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise ConfigError(f"the memory limit must be above 0, got {self.memory_bytes}")


@dataclass
class JobStatus:
    """How a job stands."""

    check: JobCheck
    state: State = "waiting"
    tries: int = 0
    stage: str = ""
    done: int = 0
    total: int = 0
    """Frames of the stage."""
    exit_code: int | None = None
    error: str = ""
    """The last error's class, where the render told it."""
    message: str = ""
    """The last error, in one line."""
    hint: str = ""
    seconds: float = 0.0
    """Of all tries."""
    memory_bytes: int = 0
    """The most that a try was seen to take; 0 where the system does not say."""
    workers: int | None = None
    """Frames drawn at once, where fewer than asked since memory ran out."""
    outputs: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    """Of the finished render: drawn, kept, passed, synthesis."""
    left: deque[CommandLine] = field(default_factory=deque)
    """Calls that have not succeeded yet, the next first."""

    @property
    def name(self) -> str:
        """Of the job."""
        return self.check.job.name


class BatchListener(Protocol):
    """Is told how a batch goes, in the thread that runs it."""

    def changed(self, jobs: Sequence[JobStatus]) -> None:
        """Something changed; called at most ten times a second, and at the end."""

    def log(self, message: str) -> None:
        """A decision, in words."""


def run_batch(
    checks: Sequence[JobCheck], limits: BatchLimits, listener: BatchListener
) -> list[JobStatus]:
    """Render the jobs; those that cannot be done are failed from the start.

    Returns:
        How each job ended, in order.

    Raises:
        KeyboardInterrupt: The batch was interrupted; its renders were asked to stop, and have.
    """
    jobs = [JobStatus(check) for check in checks]
    for job in jobs:
        if job.check.error is not None:
            job.state, job.exit_code = "failed", job.check.error.exit_code
            job.message, job.hint = job.check.error.message, job.check.error.hint
        else:
            job.left.extend(command_lines(job.check))
    queued = _Queue(jobs, limits, listener)
    try:
        queued.run()
    except BaseException:
        queued.stop()
        raise
    finally:
        listener.changed(jobs)
    return jobs


class _Queue:
    def __init__(
        self, jobs: list[JobStatus], limits: BatchLimits, listener: BatchListener
    ) -> None:
        self._jobs, self._limits, self._listener = jobs, limits, listener
        self._waiting = deque(job for job in jobs if job.state == "waiting")
        self._later: list[tuple[float, JobStatus]] = []
        self._running: dict[str, tuple[JobStatus, RenderProcess]] = {}
        self._events: queue.Queue[tuple[str, dict[str, Any] | Ended]] = queue.Queue()
        self._told = 0.0

    def run(self) -> None:
        while self._waiting or self._later or self._running:
            self._wake()
            while self._waiting and self._fits(self._waiting[0]):
                self._start(self._waiting.popleft())
            try:
                name, event = self._events.get(timeout=0.2)
            except queue.Empty:
                continue
            if isinstance(event, Ended):
                self._end(name, event)
            else:
                self._take(self._running[name][0], event)
            self._tell()

    def stop(self) -> None:
        """Ask all renders to stop and wait for them."""
        for job, process in self._running.values():
            process.stop()
            job.state = "stopped"
        limit = time.monotonic() + _STOP_S
        for _, process in self._running.values():
            process.wait(max(0.0, limit - time.monotonic()))

    def _wake(self) -> None:
        now = time.monotonic()
        due = [entry for entry in self._later if entry[0] <= now]
        self._later = [entry for entry in self._later if entry[0] > now]
        self._waiting.extend(job for _, job in due)

    def _fits(self, job: JobStatus) -> bool:
        if len(self._running) >= self._limits.processes:
            return False
        if self._limits.memory_bytes is None or not self._running:
            return True
        taken = sum(_needed(other) for other, _ in self._running.values())
        return taken + _needed(job) <= self._limits.memory_bytes

    def _start(self, job: JobStatus) -> None:
        job.tries += 1
        job.state = "running"
        job.error = job.message = job.hint = ""  # of the try before
        while job.left and job.left[0].done():
            self._listener.log(f"{job.name}: {job.left.popleft().stage} was done before: kept")
        if not job.left:
            job.state, job.exit_code = "done", 0
            return
        try:
            self._call(job)
        except LipcoreError as error:
            job.state, job.exit_code = "failed", error.exit_code
            job.message, job.hint = error.message, error.hint
            self._listener.log(f"{job.name}: failed: {job.message}")

    def _call(self, job: JobStatus) -> None:
        """Begin the next call of a job."""
        job.stage, job.done, job.total = "", 0, 0
        line = job.left[0]
        line.before()
        arguments = list(line.words)
        if job.workers is not None and line.stage == "render":
            arguments.append(f"--workers={job.workers}")

        def tell(event: dict[str, Any] | Ended) -> None:
            self._events.put((job.name, event))

        self._running[job.name] = (job, RenderProcess(arguments, tell))
        self._tell(force=True)

    def _take(self, job: JobStatus, event: dict[str, Any]) -> None:
        """One line of a render."""
        match event.get("event"):
            case "progress":
                job.stage, job.done, job.total = event["stage"], event["done"], event["total"]
            case "log":
                self._listener.log(f"{job.name}: {event['message']}")
            case "done":
                made = tuple(event.get("outputs", ()))
                if job.left[0].stage != "render":
                    job.outputs += made
                else:  # the picture comes first
                    job.outputs = made + job.outputs
                    job.facts = {k: event[k] for k in ("drawn", "kept", "passed", "synthesis")}
            case "error":
                job.error = event["error"]
                job.message, job.hint = event["message"], event["hint"]

    def _end(self, name: str, ended: Ended) -> None:
        job, _ = self._running.pop(name)
        job.seconds += ended.seconds
        job.memory_bytes = max(job.memory_bytes, ended.memory_bytes)
        job.exit_code = ended.exit_code
        if ended.exit_code == 0:
            self._succeed(job)
            return
        if not job.message or ended.signal:
            job.message = ended.words()
            job.hint = "Run it alone, with --debug, to see more."
        if ended.looks_like_memory and (workers := job.workers or _workers(job)) > 1:
            job.workers = workers // 2
            self._listener.log(
                f"{job.name}: memory ran out: draws {job.workers} frames at once from here on"
            )
        curable = ended.signal is not None or (
            ended.exit_code in _TRANSIENT and job.error not in _HOPELESS
        )
        if not curable or job.tries >= self._limits.tries:
            job.state = "failed"
            self._listener.log(f"{job.name}: failed: {job.message}")
            return
        wait = self._limits.wait_s * 2 ** (job.tries - 1)
        job.state = "retrying"
        self._listener.log(
            f"{job.name}: {job.message}; try {job.tries + 1} of {self._limits.tries} "
            f"in {wait:g} s"
        )
        self._later.append((time.monotonic() + wait, job))

    def _succeed(self, job: JobStatus) -> None:
        """A call has ended well: the next one, if there is one, begins at once."""
        try:
            job.left.popleft().after()
            if job.left:
                self._call(job)
            else:
                job.state = "done"
        except LipcoreError as error:
            job.state, job.exit_code = "failed", error.exit_code
            job.message, job.hint = error.message, error.hint

    def _tell(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._told >= 0.1:
            self._told = now
            self._listener.changed(self._jobs)


def _workers(job: JobStatus) -> int:
    """Frames that its render draws at once; 1 where it is no render."""
    described = job.check.job
    return described.config.workers if isinstance(described, Job) else 1


def _needed(job: JobStatus) -> int:
    """The estimate, or what a former try was seen to take."""
    return max(job.check.memory_bytes, job.memory_bytes)


def _kind(job: JobStatus) -> str:
    described = job.check.job
    return "render" if isinstance(described, Job) else described.kind


def report(jobs: Sequence[JobStatus]) -> dict[str, Any]:
    """How a batch ended, as plain values for JSON."""
    return {
        "done": sum(job.state == "done" for job in jobs),
        "failed": sum(job.state == "failed" for job in jobs),
        "jobs": [
            {
                "name": job.name, "state": job.state, "exit_code": job.exit_code,
                "tries": job.tries, "seconds": round(job.seconds, 1),
                "memory_mib": job.memory_bytes >> 20, "message": job.message,
                "hint": job.hint, "kind": _kind(job), "plate": job.check.job.source,
                "out": str(job.check.job.out), "outputs": len(job.outputs),
                "picture": job.outputs[0] if job.outputs else None, **job.facts,
            }
            for job in jobs
        ],
    }  # fmt: skip

