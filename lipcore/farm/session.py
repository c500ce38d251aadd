"""A worker that stays from task to task of a farm's session.

``start`` leaves a server behind that owns one ``lipcore worker``; tasks speak with it over a
port of this machine only, by a secret that lies in the session's folder, readable by its
owner alone. It ends when it is told to, when the folder goes, or when nobody has called for
long.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from lipcore.errors import DependencyError, LipcoreError
from lipcore.media.output_files import appearing
from lipcore.plugins.client import Job, JobCancelledError, WorkerClient, WorkerError

_FILE = "lipcore_worker.json"
_LOG = "lipcore_worker.log"
_START_S = 120.0
_IDLE_S = 4 * 3600.0
_LOOK_S = 2.0
_LONGEST = 1 << 20


class SessionError(LipcoreError, ConnectionError):
    """The worker of a session is not there, or has gone."""


def start_session(folder: Path) -> None:
    """Leave a worker running for the tasks of a session.

    Raises:
        DependencyError: It did not start; the end of its log is in the message.
    """
    log = folder / _LOG
    (folder / _FILE).unlink(missing_ok=True)  # of a worker that was killed; a living one ends
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "lipcore", "farm", "serve", f"--session={folder}"],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
        )
    limit = time.monotonic() + _START_S
    while not (folder / _FILE).exists():
        if process.poll() is not None or time.monotonic() > limit:
            with contextlib.suppress(OSError):
                process.kill()
            said = log.read_text("utf-8", "replace").strip().splitlines()
            raise DependencyError(
                "the worker did not start" + (f": {said[-1]}" if said else ""),
                hint="Run `lipcore plugins doctor` on this machine.", log=str(log),
            )
        time.sleep(0.05)


def stop_session(folder: Path) -> None:
    """End a session's worker; nothing happens where there is none."""
    with contextlib.suppress(SessionError):
        call_session(folder, "stop", {}, lambda event: None)


def call_session(
    folder: Path, method: str, params: Mapping[str, Any], tell: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Have the session's worker do a job.

    Args:
        folder: The session's.
        method: Of the worker's protocol, or ``stop``.
        params: Of the method.
        tell: Called with each event.

    Returns:
        The last event: ``result``, ``error`` or ``cancelled``.

    Raises:
        SessionError: There is no worker, or it went away.
    """
    try:
        facts = json.loads((folder / _FILE).read_text("utf-8"))
        link = socket.create_connection(("127.0.0.1", int(facts["port"])), 10)
    except (OSError, ValueError, KeyError) as error:
        raise SessionError(
            f"no worker runs for the session in {folder}",
            hint="Start one with `lipcore farm start --session FOLDER`.", path=str(folder),
        ) from error
    with link:
        link.settimeout(None)
        request = {"secret": facts["secret"], "method": method, "params": dict(params)}
        # A server that goes away ends the lines, one way or the other.
        with contextlib.suppress(OSError), link.makefile("r", encoding="utf-8") as lines:
            link.sendall(json.dumps(request).encode("ascii") + b"\n")
            for line in lines:
                event: dict[str, Any] = json.loads(line)
                if event["event"] in ("result", "error", "cancelled"):
                    return event
                tell(event)
    raise SessionError(
        "the session's worker went away", hint="Run the task again: finished frames are kept."
    )


class SessionServer:
    """Serves the tasks of one session until it is told to stop.

    Args:
        folder: The session's; the server ends when it is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._secret = secrets.token_hex(32)
        self._client = WorkerClient([sys.executable, "-m", "lipcore", "worker"])
        self._called = time.monotonic()
        self._busy: set[socket.socket] = set()
        self._ended = threading.Event()

    def serve(self) -> None:
        """Run; returns when the session is over."""
        self._client.hello()
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(_LOOK_S)
            self._announce(server.getsockname()[1])
            try:
                while not self._ended.is_set() and self._wanted():
                    with contextlib.suppress(TimeoutError):
                        link, _ = server.accept()
                        threading.Thread(target=self._answer, args=(link,), daemon=True).start()
            finally:
                self._withdraw()
                self._client.close()

    def _announce(self, port: int) -> None:
        text = json.dumps({"port": port, "secret": self._secret, "pid": os.getpid()})
        with appearing(self._folder / _FILE) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text(text, "utf-8")

    def _announced(self) -> bool:
        """The session's file is there, and this server's."""
        try:
            return self._secret in (self._folder / _FILE).read_text("utf-8")
        except OSError:
            return False

    def _withdraw(self) -> None:
        if self._announced():
            with contextlib.suppress(OSError):
                (self._folder / _FILE).unlink()

    def _wanted(self) -> bool:
        idle = not self._busy and time.monotonic() - self._called > _IDLE_S
        return self._announced() and not idle

    def _answer(self, link: socket.socket) -> None:
        self._busy.add(link)
        try:
            with link, contextlib.suppress(OSError):
                self._talk(link)
        finally:
            self._called = time.monotonic()
            self._busy.discard(link)

    def _talk(self, link: socket.socket) -> None:
        link.settimeout(10)
        with link.makefile("rb") as lines:
            try:
                request = json.loads(lines.readline(_LONGEST))
                allowed = hmac.compare_digest(str(request["secret"]), self._secret)
                method, params = str(request["method"]), dict(request["params"])
            except (ValueError, KeyError, TypeError):
                return
            if not allowed:
                return
            link.settimeout(None)
            if method == "stop":
                self._ended.set()
                self._withdraw()  # before the answer: the next worker may come at once
                _send(link, {"event": "result"})
                return
            events = threading.Lock()

            def tell(event: dict[str, Any]) -> None:
                if event["event"] not in ("result", "error", "cancelled"):
                    with events, contextlib.suppress(OSError):
                        _send(link, event)

            try:
                job = self._client.submit(method, params, tell)
            except WorkerError as error:
                _send(link, _event_of(error))
                return
            threading.Thread(target=cancel_when_gone, args=(link, job), daemon=True).start()
            final = _result_of(job)
            with events:
                _send(link, final)


class _Cancellable(Protocol):
    """What is needed of a ``Job``."""

    @property
    def done(self) -> bool: ...

    def cancel(self) -> None: ...


def cancel_when_gone(link: socket.socket, job: _Cancellable) -> None:
    """Wait for a task to end, and cancel its job where that is not over by then."""
    try:
        gone = not link.recv(1)
    except OSError:  # it was killed with events unread, which resets the connection
        gone = True
    if gone and not job.done:
        with contextlib.suppress(WorkerError):
            job.cancel()


def _result_of(job: Job) -> dict[str, Any]:
    try:
        final: dict[str, Any] = job.wait()
    except JobCancelledError:
        return {"event": "cancelled"}
    except WorkerError as error:
        return _event_of(error)
    return final


def _event_of(error: WorkerError) -> dict[str, Any]:
    return {
        "event": "error", "error": error.kind, "message": error.message, "hint": error.hint,
        "exit_code": error.exit_code, "facts": error.facts,
    }  # fmt: skip


def _send(link: socket.socket, event: Mapping[str, Any]) -> None:
    link.sendall(json.dumps(event, default=str).encode("ascii") + b"\n")
