"""Files that appear whole or not at all, locks that die with their process, and errors."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from lipcore.errors import DiskFullError, OutputError, OutputLockedError, OutputNotWritableError
from lipcore.media.frame_locks import system_locks
from lipcore.types import FrameRange

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
_LOCKS = system_locks()


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


def check_place(path: Path) -> None:
    """Check, before long work, that a file may be written where it shall go.

    Raises:
        OutputNotWritableError: Its folder is not there, or it is a folder itself.
    """
    if path.is_dir():
        raise OutputNotWritableError(
            f"{path} is a folder", hint="Name a file.", path=str(path)
        )
    if not path.absolute().parent.is_dir():
        raise OutputNotWritableError(
            f"no folder is at {path.absolute().parent}",
            hint="Make it, or choose another place.", path=str(path),
        )  # fmt: skip


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
        self._fd: int | None = None
        while True:
            try:
                fd = os.open(self._path, _OPEN, 0o666)
            except OSError as error:
                raise output_error(error, output) from error
            try:
                ours = _LOCKS.take(fd, frames)
            except OSError as error:
                os.close(fd)
                raise output_error(error, output) from error
            if not ours:
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
        _LOCKS.drop(fd, self._path)
