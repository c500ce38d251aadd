"""Files that appear whole or not at all, locks that die with their process, and errors."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from lipcore.errors import DiskFullError, OutputError, OutputLockedError, OutputNotWritableError
from lipcore.types import FrameRange

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_FRAME_ZERO = 1 << 31  # frame numbers may be negative, places in a file not


def output_error(error: OSError, path: Path) -> OutputError:
    """The lipcore error that a failed write amounts to."""
    if error.errno in _FULL:
        return DiskFullError(
            f"no space is left for {path}",
            hint="Free some space and run the same command again: finished frames are kept.",
            path=str(path),
        )
    return OutputNotWritableError(
        f"{path} cannot be written: {error.strerror or error}",
        hint="Choose another --out, or ask for write access.",
        path=str(path),
    )


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of ``path``; renamed to it when all went well.

    The file is flushed to the disk before it gets its name. The temporary name keeps the
    suffix, by which libraries choose formats.

    Raises:
        DiskFullError, OutputNotWritableError: Writing failed; nothing is left behind.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise output_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_parent(path: Path) -> None:
    """Make the folder in which a file will be written.

    Raises:
        DiskFullError, OutputNotWritableError: It cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, path) from error


class FrameLock:
    """A lock on some frames of an output, released by the system when its process ends.

    Runs that write other frames of the same output (chunks on a farm) do not disturb each
    other. The lock is a hidden file beside the output, removed with the last holder.

    Raises:
        OutputLockedError: A living process holds some of the frames.
        OutputNotWritableError: The folder does not accept files.
    """

    def __init__(self, output: Path, frames: FrameRange) -> None:
        self._path = output.with_name(f".{output.name}.lock")
        self._range = (frames.first + _FRAME_ZERO, len(frames))
        self._fd: int | None = None
        while True:
            try:
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise output_error(error, output) from error
            if not _lock(fd, *self._range):
                os.close(fd)
                raise OutputLockedError(
                    f"another process writes frames {frames} of {output}",
                    hint="Wait for it to end, stop it, or choose another --out.",
                    path=str(output),
                )
            # The last holder may have removed the file between open and lock.
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_ino == os.fstat(fd).st_ino:
                    self._fd = fd
                    return
            os.close(fd)

    def release(self) -> None:
        """Let the frames go; more than once is fine."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        if _lock(fd, 0, 0):  # the whole file: nobody else holds any frame
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(fd)


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int, start: int, length: int) -> bool:
        # Windows cannot lock beyond 2 GiB here, nor test for sole use: one lock an output.
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return length == 0
        return True

else:
    import fcntl

    def _lock(fd: int, start: int, length: int) -> bool:
        """Lock bytes for writing; a length of 0 is all there are."""
        try:
            if hasattr(fcntl, "F_OFD_SETLK"):
                # Held by the open file, not by the process: two writers of one process count.
                request = struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
            else:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True
