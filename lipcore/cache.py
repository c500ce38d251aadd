"""Results that do not depend on the dialogue, kept on disk by what they were made from.

An entry is a folder named by a hash. It is built under a temporary name and renamed when it
is whole; a list of its files, their sizes and checksums inside says so. A damaged entry is built
again. A process looks at every byte of an entry when it first uses it, not again while the
files' sizes and times stay.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from lipcore.errors import DiskFullError, LipcoreError, OutputError, OutputNotWritableError
from lipcore.user_folders import user_folder

_MANIFEST = "entry.json"
_LIMIT_BYTES = 20 * 2**30
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def default_folder() -> Path:
    """``$LIPCORE_CACHE``, else ``lipcore`` in the user's cache folder."""
    if named := os.environ.get("LIPCORE_CACHE"):
        return Path(named)
    return user_folder("XDG_CACHE_HOME", "LOCALAPPDATA", ".cache")


def make_key(*parts: object) -> str:
    """A hash of values that a result was made from (their JSON or text)."""
    text = json.dumps([str(part) for part in parts], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Cache:
    """Entries in one folder; the oldest go when the folder grows past its limit.

    Args:
        folder: Where entries are kept; made when first used.
        limit_bytes: Size past which the least recently used entries are deleted.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.folder = folder or default_folder()
        self._limit = limit_bytes

    def entry(self, kind: str, key: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
        """The folder of an entry, built where it is absent or damaged.

        Args:
            kind: What it is, for people who look into the folder.
            key: From ``make_key``.
            build: Fills an empty folder.

        Returns:
            (folder, whether it was there already).

        Raises:
            OutputNotWritableError: The cache folder does not accept files.
            DiskFullError: No space is left.
        """
        path = self.folder / f"{kind}-{key}"
        if _is_whole(path):
            with contextlib.suppress(OSError):  # only the order of deletion is at stake
                os.utime(path)
            return path, True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=self.folder))
        except OSError as error:
            raise self._refused(error) from error
        try:
            with _alive(making):
                build(making)
                files = {
                    p.name: [p.stat().st_size, _checksum(p)] for p in sorted(making.iterdir())
                }
                (making / _MANIFEST).write_text(json.dumps(files))
                _publish(making, path)
        except OSError as error:
            if isinstance(error, LipcoreError):  # of what is built, not of the cache
                raise
            raise self._refused(error) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
        self._trim(keep=path)
        return path, False

    def find(self, kind: str, key: str) -> Path | None:
        """The folder of an entry that is there and whole; nothing is built."""
        path = self.folder / f"{kind}-{key}"
        return path if _is_whole(path) else None

    def discard(self, path: Path) -> None:
        """Delete an entry that turned out to be unusable."""
        shutil.rmtree(path, ignore_errors=True)

    def _refused(self, error: OSError) -> OutputError:
        if error.errno in _FULL:
            return DiskFullError(
                f"no space is left for the cache in {self.folder}",
                hint="Free some space, or set LIPCORE_CACHE to another disk.",
                path=str(self.folder),
            )
        return OutputNotWritableError(
            f"the cache folder {self.folder} cannot be written ({error.strerror or error})",
            hint="Set LIPCORE_CACHE, or give --cache, a folder that you may write to.",
            path=str(self.folder),
        )

    def _trim(self, keep: Path) -> None:
        entries = []
        try:
            here = list(self.folder.iterdir())
        except OSError as error:  # it was there a moment ago
            raise self._refused(error) from error
        for path in here:
            with contextlib.suppress(OSError):  # another process may delete it meanwhile
                if path.name.startswith(".") and _is_alive(path):
                    continue  # another process builds it
                size = sum(p.stat().st_size for p in path.iterdir())
                entries.append((path.stat().st_mtime, size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._limit:
                break
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)
                total -= size


def _publish(making: Path, path: Path) -> None:
    """Give a finished folder its name, unless a whole one came first.

    A whole entry never leaves its name, not even for a moment: somebody may be reading it.
    """
    with _one_at_a_time(path.parent):
        if not _is_whole(path):
            shutil.rmtree(path, ignore_errors=True)
            making.rename(path)


if sys.platform == "win32":

    @contextlib.contextmanager
    def _one_at_a_time(_folder: Path) -> Iterator[None]:
        yield  # a folder cannot be locked there; nor can one be renamed while it is read

    _alive = _one_at_a_time

    def _is_alive(path: Path) -> bool:
        return time.time() - path.stat().st_mtime < 24 * 3600

else:
    import fcntl

    @contextlib.contextmanager
    def _one_at_a_time(folder: Path) -> Iterator[None]:
        """Lock a folder against other threads and processes that do the same."""
        fd = os.open(folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    _alive = _one_at_a_time
    """Holds a folder while it is built: its lock goes with the process, whatever clocks say."""

    def _is_alive(path: Path) -> bool:
        """Whether a living process builds an entry in a folder."""
        fd = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.EACCES)
        finally:
            os.close(fd)
        return False


_looked_at: dict[Path, list[tuple[int, int]]] = {}
"""Sizes and times of entries whose every byte this process has looked at."""


def _is_whole(path: Path) -> bool:
    try:
        files: dict[str, list[int]] = json.loads((path / _MANIFEST).read_text())
        facts = [(path / name).stat() for name in files]
        if any(fact.st_size != size for fact, (size, _) in zip(facts, files.values(), strict=True)):
            return False
        now = [(fact.st_size, fact.st_mtime_ns) for fact in facts]
        if _looked_at.get(path) == now:
            return True
        if any(_checksum(path / name) != checksum for name, (_, checksum) in files.items()):
            return False
        _looked_at[path] = now
        return True
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _checksum(path: Path) -> int:
    """CRC-32 of a file: against disks and networks, not against people."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found
