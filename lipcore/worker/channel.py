"""The two pipes of a worker: bounded lines in, whole lines of JSON out, nothing else on stdout."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from lipcore.errors import ConfigError

LINE_LIMIT = 1 << 20
"""Bytes of the longest request; what is longer is refused, not kept."""
_CHUNK = 1 << 16


def claim_stdout() -> int:
    """Take stdout for the protocol; whatever else prints there goes to stderr from now on.

    Libraries write to descriptor 1 from C, too: so the descriptor itself is redirected.

    Returns:
        A descriptor of the real stdout.
    """
    private = os.dup(1)
    os.dup2(2, 1)
    return private


def claim_stdin() -> int:
    """Take stdin for the protocol; children of the worker read nothing from it.

    Returns:
        A descriptor of the real stdin.
    """
    private = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return private


class EventWriter:
    """Writes events, a line each, from any thread.

    Args:
        fd: Where to.
        lost: Called once, when nobody reads any more; writing itself never raises.
    """

    def __init__(self, fd: int, lost: Callable[[], None]) -> None:
        self._fd = fd
        self._lost = lost
        self._lock = threading.Lock()
        self._broken = False

    def emit(self, event: str, **values: object) -> None:
        """Write one event."""
        line = encode({"event": event, **values})
        with self._lock:
            if self._broken:
                return
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
                return
            except OSError:
                self._broken = True
        self._lost()


def encode(event: dict[str, Any]) -> bytes:
    """One line of JSON; values that JSON has no form for become text."""
    try:
        text = json.dumps(event, default=str, allow_nan=False)
    except ValueError:  # NaN or infinity among the facts of an error
        text = json.dumps({k: v if _is_plain(v) else str(v) for k, v in event.items()})
    return text.encode("ascii") + b"\n"


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int)


def read_lines(fd: int, limit: int = LINE_LIMIT) -> Iterator[bytes | ConfigError]:
    """Lines from a descriptor, until its other end closes.

    Yields:
        Each line without its end; an error in place of one that is longer than ``limit``.
    """
    held = bytearray()
    skipping = False
    while True:
        try:
            chunk = os.read(fd, _CHUNK)
        except OSError:
            return
        if not chunk:
            return
        held += chunk
        while (end := held.find(b"\n")) >= 0:
            line = bytes(held[:end])
            del held[: end + 1]
            if skipping:
                skipping = False
            elif len(line) > limit:
                yield _too_long(limit)
            elif line.strip():
                yield line
        if len(held) > limit:
            held.clear()
            if not skipping:
                skipping = True
                yield _too_long(limit)


def _too_long(limit: int) -> ConfigError:
    return ConfigError(
        f"a request is longer than {limit} bytes",
        hint="Write large values to a file and give its path.",
        limit=limit,
    )
