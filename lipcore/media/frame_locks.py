"""Locks on parts of a file, as the two kinds of systems have them; both die with their process."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import struct
import sys
from pathlib import Path
from typing import Any, Protocol

from lipcore.types import FrameRange

_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK, getattr(errno, "EDEADLOCK", errno.EDEADLK))


class ByteLocks(Protocol):
    """How frames of an output are locked through a file beside it: a byte a frame."""

    def take(self, fd: int, frames: FrameRange) -> bool:
        """Lock frames; False where somebody else holds one of them.

        Raises:
            OSError: The file system has no locks.
        """

    def drop(self, fd: int, path: Path) -> None:
        """Let go and close; the file is removed where nobody else holds anything of it."""


class PosixLocks:
    """By ``fcntl``; where there are locks of an open file, two writers of one process count."""

    _ZERO = 1 << 31
    """The byte of frame 0: frame numbers may be negative, places in a file not."""

    def take(self, fd: int, frames: FrameRange) -> bool:
        """See ``ByteLocks``."""
        return self._lock(fd, frames.first + self._ZERO, len(frames))

    def drop(self, fd: int, path: Path) -> None:
        """See ``ByteLocks``."""
        with contextlib.suppress(OSError):  # of a network mount that has gone, too
            if self._lock(fd, 0, 0):  # all that there is: nobody else holds any frame
                path.unlink()
        with contextlib.suppress(OSError):
            os.close(fd)

    def _lock(self, fd: int, start: int, length: int) -> bool:
        import fcntl

        try:
            if hasattr(fcntl, "F_OFD_SETLK"):
                request = struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
            else:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True


class WindowsLocks:
    """By ``msvcrt.locking``, which knows places below 2 GiB alone, and locks by the handle."""

    _ZERO = 1 << 30
    _END = (1 << 31) - 2

    def take(self, fd: int, frames: FrameRange) -> bool:
        """See ``ByteLocks``."""
        start, length = frames.first + self._ZERO, len(frames)
        if start < 0 or start + length > self._END:
            start, length = 0, self._END  # numbers that are no frames' lock the whole output
        return self._lock(fd, start, length)

    def drop(self, fd: int, path: Path) -> None:
        """See ``ByteLocks``."""
        with contextlib.suppress(OSError):
            os.close(fd)  # lets go of all that this handle holds
            # The system refuses to remove a file that somebody has open: no need to ask.
            path.unlink()

    def _lock(self, fd: int, start: int, length: int) -> bool:
        system: Any = importlib.import_module("msvcrt")
        os.lseek(fd, start, os.SEEK_SET)
        try:
            system.locking(fd, system.LK_NBLCK, length)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True


def system_locks() -> ByteLocks:
    """Those of this system."""
    return WindowsLocks() if sys.platform == "win32" else PosixLocks()
