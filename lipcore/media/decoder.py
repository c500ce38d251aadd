"""Image files decoded in a process of their own.

A damaged EXR file can crash or hang the library that decodes it. So pixels are decoded by a
child process that lives as long as its plate: where it dies or takes too long, it is
replaced, and the caller gets an error that names the file. Pixels come back through a pipe,
which costs about a tenth of what decoding does.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lipcore.errors import MediaNotFoundError, MediaUnreadableError
from lipcore.media.exr_format import MAX_FRAME_BYTES, damaged
from lipcore.types import Window

TIMEOUT_S = 60.0
"""For one file; a 16K frame on a slow disk takes a few seconds."""

_WORKER = Path(__file__).with_name("decode_worker.py")
_MAX_REPLY = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """The channels of one part of an image file, as they are stored."""

    format: str
    """OpenImageIO's name of the file format."""
    data: Window
    display: Window
    """Both in the file's own coordinates."""
    groups: tuple[tuple[tuple[str, ...], npt.NDArray[Any]], ...]
    """Channel names, and their samples ``(height, width, names)``."""
    attributes: Mapping[str, Any]
    bits: int
    """Bits a sample where the file says so (10-bit DPX is widened to uint16), else 0."""

    def channel(self, name: str) -> npt.NDArray[Any]:
        """``(height, width)`` samples of a channel."""
        for names, pixels in self.groups:
            if name in names:
                return pixels[..., names.index(name)]
        raise KeyError(name)

    @property
    def names(self) -> list[str]:
        """All channels."""
        return [name for names, _ in self.groups for name in names]


class IsolatedDecoder:
    """Decodes image files in a child process; safe to share between threads.

    Args:
        threads: How many threads the child decodes with; 0 is one per core.
        timeout_s: How long one file may take.
    """

    def __init__(self, *, threads: int = 0, timeout_s: float = TIMEOUT_S) -> None:
        self._threads = threads
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def decode(
        self,
        path: Path,
        *,
        part: int = 0,
        channels: Sequence[str] = (),
        window: Window | None = None,
    ) -> DecodedImage:
        """Decode channels of one part.

        Args:
            path: The file.
            part: Index of the part (OpenImageIO's subimage).
            channels: Names; none means all.
            window: The data window that the file must turn out to have.

        Raises:
            MediaNotFoundError: The file is gone.
            MediaUnreadableError: The file cannot be decoded, or crashed or stalled the
                decoder. The caller's process is unharmed.
        """
        if not path.is_file():
            raise MediaNotFoundError(
                f"{path} is not there any more", hint="Put the frame back.", path=str(path)
            )
        request = {
            "path": str(path),
            "part": part,
            "channels": list(channels),
            "window": None if window is None else [window.x, window.y, window.width, window.height],
            "max_bytes": MAX_FRAME_BYTES,
        }
        with self._lock:
            return self._ask(path, json.dumps(request).encode() + b"\n")

    def close(self) -> None:
        """End the child process."""
        with self._lock:
            self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            command = [
                sys.executable, "-P", str(_WORKER), str(self._threads), str(MAX_FRAME_BYTES),
            ]  # fmt: skip
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def _ask(self, path: Path, request: bytes) -> DecodedImage:
        process = self._start()
        assert process.stdin is not None and process.stdout is not None
        stalled = threading.Event()

        def give_up() -> None:
            stalled.set()
            process.kill()

        watchdog = threading.Timer(self._timeout_s, give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            fd = process.stdout.fileno()
            size = int.from_bytes(_read(fd, 8), "little")
            if size > _MAX_REPLY:
                raise EOFError
            reply = json.loads(_read(fd, size))
            if "error" in reply:
                raise damaged(path, f"cannot be decoded: {_one_line(reply['error'])}")
            return _image(reply, fd)
        except (EOFError, OSError, ValueError) as error:
            if isinstance(error, MediaUnreadableError):
                raise
            self._stop()
            what = (
                f"stalled the decoder for {self._timeout_s:.0f} s"
                if stalled.is_set()
                else "is damaged: it crashed the decoder"
            )
            raise damaged(path, what) from error
        except BaseException:
            self._stop()  # a reply half read would answer the next request
            raise
        finally:
            watchdog.cancel()


def _one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())[:400]


def _read(fd: int, count: int) -> bytearray:
    taken = bytearray(count)
    _read_into(fd, memoryview(taken))
    return taken


def _read_into(fd: int, view: memoryview) -> None:
    while len(view):
        count = os.readv(fd, [view]) if hasattr(os, "readv") else _readinto(fd, view)
        if count == 0:
            raise EOFError("the decoder's process has ended")
        view = view[count:]


def _readinto(fd: int, view: memoryview) -> int:
    taken = os.read(fd, min(len(view), 1 << 20))
    view[: len(taken)] = taken
    return len(taken)


def _image(reply: Mapping[str, Any], fd: int) -> DecodedImage:
    groups = []
    for group in reply["groups"]:
        pixels = np.empty(tuple(group["shape"]), np.dtype(group["dtype"]))
        if pixels.nbytes:
            _read_into(fd, memoryview(cast(Any, pixels)).cast("B"))
        groups.append((tuple(group["names"]), pixels))
    return DecodedImage(
        format=reply["format"],
        data=Window(*reply["data"]),
        display=Window(*reply["display"]),
        groups=tuple(groups),
        attributes=reply["attributes"],
        bits=reply["bits"],
    )
