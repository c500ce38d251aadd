"""A client of ``lipcore worker``: the standard library only, Python 3.9 and later.

    with WorkerClient() as worker:
        job = worker.submit("render", {"plate": "a.####.exr", "dialogue": "a.wav", "out": "b"},
                            on_event=print)
        print(job.wait())

The protocol is described in PROTOCOL.md. ``on_event`` is called from a thread of the client.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PROTOCOL = 1
_HOST_VARIABLES = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH",
)  # fmt: skip
"""Set by hosts for their own Python and libraries: another Python must not inherit them."""
_START_S = 120.0
FINAL = ("result", "error", "cancelled")
"""Events that end a request."""

Event = dict[str, Any]


class WorkerError(Exception):
    """The worker says what is wrong, and what to do next."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        kind: str = "WorkerError",
        exit_code: int = 1,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.kind = kind
        """Name of the class of ``lipcore.errors``."""
        self.exit_code = exit_code
        self.facts = dict(facts or {})

    def text(self) -> str:
        """The message, and the hint on a line of its own."""
        return self.message + ("\n" + self.hint if self.hint else "")


class WorkerAbsentError(WorkerError):
    """No worker can be started here."""


class WorkerDiedError(WorkerError):
    """The worker's process ended while jobs were there."""


class JobCancelledError(Exception):
    """The job was cancelled."""


def find_command(environ: Mapping[str, str] | None = None) -> list[str]:
    """The command that starts a worker: LIPCORE_PYTHON's Python, else ``lipcore`` on PATH.

    Raises:
        WorkerAbsentError: There is neither.
    """
    environ = os.environ if environ is None else environ
    python = environ.get("LIPCORE_PYTHON", "").strip()
    if python:
        if not (Path(python).is_file() or shutil.which(python, path=environ.get("PATH"))):
            raise WorkerAbsentError(
                f"LIPCORE_PYTHON names {python}, which is not there",
                "Set it to the Python in which lipcore is installed, as /opt/lipcore/bin/python.",
                "DependencyError", 9,
            )
        return [python, "-m", "lipcore", "worker"]
    found = shutil.which("lipcore", path=environ.get("PATH"))
    if found is None:
        raise WorkerAbsentError(
            "lipcore is not found: LIPCORE_PYTHON is not set and PATH has no lipcore",
            "Install lipcore in a Python of its own, then set LIPCORE_PYTHON to that Python.",
            "DependencyError", 9,
        )
    return [found, "worker"]


def clean_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a worker: this one, less what the host set for its own Python."""
    environ = os.environ if environ is None else environ
    return {k: v for k, v in environ.items() if k not in _HOST_VARIABLES}


class Job:
    """A request that was sent."""

    def __init__(
        self, client: WorkerClient, job_id: str, on_event: Callable[[Event], None] | None
    ) -> None:
        self.id = job_id
        self._client = client
        self._on_event = on_event
        self._ended = threading.Event()
        self._final: Event = {}

    @property
    def done(self) -> bool:
        """It ended, one way or the other."""
        return self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> Event:
        """The values of its ``result``.

        Raises:
            WorkerError: It failed.
            JobCancelledError: It was cancelled.
            TimeoutError: It is not over after ``timeout_s``.
        """
        if not self._ended.wait(timeout_s):
            raise TimeoutError(f"job {self.id} is not over after {timeout_s} s")
        final = self._final
        if final["event"] == "cancelled":
            raise JobCancelledError(self.id)
        if final["event"] == "error":
            kind = WorkerDiedError if final.get("error") == "WorkerDiedError" else WorkerError
            raise kind(
                final.get("message", ""), final.get("hint", ""), final.get("error", ""),
                final.get("exit_code", 1), final.get("facts"),
            )
        return final

    def cancel(self) -> None:
        """Ask for its end; ``wait`` then raises JobCancelledError."""
        self._client.submit("cancel", {"job": self.id})

    def take(self, event: Event) -> None:
        """Called by the client with each of its events."""
        try:
            if self._on_event is not None:
                self._on_event(event)
        finally:
            if event["event"] in FINAL:
                self._final = event
                self._ended.set()


class WorkerClient:
    """One worker process; started with the first request, or again after it has died.

    Args:
        command: The command that starts it; None looks for it.
        on_log: Called with each line that the worker prints on its stderr.
        environ: What to add to the worker's environment, as ``OCIO``.
    """

    def __init__(
        self,
        command: list[str] | None = None,
        on_log: Callable[[str], None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._environ = dict(environ or {})
        self._on_log = on_log
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs: dict[str, tuple[Job, subprocess.Popen[bytes]]] = {}
        """What is not over yet, and the process that does it."""
        self._count = 0
        self._said: collections.deque[str] = collections.deque(maxlen=40)

    @property
    def alive(self) -> bool:
        """The worker's process runs."""
        process = self._process
        return process is not None and process.poll() is None

    @property
    def pid(self) -> int | None:
        """The worker's process, where there is one."""
        return None if self._process is None else self._process.pid

    def hello(self, timeout_s: float = _START_S) -> Event:
        """Who the worker is; it is started where it does not run.

        Raises:
            WorkerError: It cannot be started, or speaks another protocol.
        """
        try:
            told = self.submit("hello").wait(timeout_s)
        except TimeoutError:
            raise WorkerError(
                "the worker does not answer", "Run `lipcore plugins doctor` in a terminal."
            ) from None
        if told.get("protocol") != PROTOCOL:
            raise WorkerError(
                "lipcore {} speaks protocol {}, this plugin {}".format(
                    told.get("version"), told.get("protocol"), PROTOCOL),
                "Run `lipcore plugins install` again, with the lipcore that you use.",
            )  # fmt: skip
        return told

    def submit(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Job:
        """Send a request.

        Args:
            method: As in PROTOCOL.md.
            params: Its parameters.
            on_event: Called with each event of it, from a thread of the client.

        Raises:
            WorkerError: No worker can be started.
        """
        with self._lock:
            process = self._start()
            self._count += 1
            job = Job(self, str(self._count), on_event)
            self._jobs[job.id] = job, process
            line = json.dumps({"id": job.id, "method": method, "params": dict(params or {})})
            assert process.stdin is not None
            try:
                process.stdin.write(line.encode("ascii") + b"\n")
                process.stdin.flush()
            except OSError:
                pass  # it died just now: the reading thread ends the job with an error
        return job

    def close(self, timeout_s: float = 5.0) -> None:
        """End the worker; what runs is cancelled."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        command = self._command or find_command()
        options: dict[str, Any] = {}
        if os.name == "nt":  # no console window, and no share in the host's Ctrl-C
            options["creationflags"] = 0x08000000 | 0x00000200
        else:
            options["start_new_session"] = True
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**clean_environment(), **self._environ}, **options
            )
        except OSError as error:
            raise WorkerAbsentError(
                f"the worker cannot be started ({command[0]}: {error.strerror})",
                "Set LIPCORE_PYTHON to the Python in which lipcore is installed.",
                "DependencyError", 9,
            ) from error
        self._process = process
        self._said.clear()
        errors = threading.Thread(target=self._read_log, args=(process,), daemon=True)
        errors.start()
        threading.Thread(target=self._read, args=(process, errors), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[bytes], errors: threading.Thread) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                event = json.loads(line.decode("utf-8"))
            except ValueError:
                continue
            with self._lock:
                job, _ = self._jobs.get(event.get("id") or "", (None, None))
                if job is not None and event["event"] in FINAL:
                    del self._jobs[job.id]
            if job is not None:
                _call(job.take, event)
        process.wait()
        errors.join(2)
        process.stdout.close()
        with self._lock:
            # Jobs of a worker that was started since belong to that one.
            left = [job for job, doer in self._jobs.values() if doer is process]
            for job in left:
                del self._jobs[job.id]
        for job in left:
            _call(job.take, self._died(job.id, process.returncode))

    def _died(self, job_id: str, code: int) -> Event:
        last = " / ".join(list(self._said)[-3:])
        return {
            "event": "error", "id": job_id, "error": "WorkerDiedError", "exit_code": 1,
            "message": f"the worker ended (exit code {code})" + (f": {last}" if last else ""),
            "hint": "Start the job again: finished frames are kept. "
                    "`lipcore plugins doctor` in a terminal tells what is wrong with the install.",
            "facts": {"exit_code": code},
        }  # fmt: skip

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                text = line.decode("utf-8", "replace").rstrip()
                self._said.append(text)
                if self._on_log is not None:
                    _call(self._on_log, text)


def _call(function: Callable[[Any], None], value: Any) -> None:
    """Call what the host gave; its faults must not end the thread that reads."""
    try:
        function(value)
    except Exception:
        import traceback

        traceback.print_exc()


_shared: dict[tuple[tuple[str, str], ...], WorkerClient] = {}
_shared_lock = threading.Lock()


def shared_worker(environ: Mapping[str, str] | None = None) -> WorkerClient:
    """The one worker of this host for an environment; it ends with the host."""
    key = tuple(sorted((environ or {}).items()))
    with _shared_lock:
        if key not in _shared:
            _shared[key] = WorkerClient(environ=environ)
            atexit.register(_shared[key].close)
        return _shared[key]
