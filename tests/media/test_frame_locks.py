"""Locks of an output's frames, on this system's own terms and on those of Windows."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipcore.errors import OutputError, OutputLockedError
from lipcore.media import output_files
from lipcore.media.frame_locks import ByteLocks, PosixLocks, WindowsLocks
from lipcore.media.output_files import FrameLock
from lipcore.types import FrameRange


class Msvcrt(SimpleNamespace):
    """``msvcrt`` as its documentation has it: regions from the handle's place on, each handle's
    own, refused where they meet any other; a place beyond 2 GiB cannot be said."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.held: dict[int, list[tuple[int, int, int, int]]] = {}

    def locking(self, fd: int, mode: int, count: int) -> None:
        assert mode == self.LK_NBLCK
        start = os.lseek(fd, 0, os.SEEK_CUR)
        assert 0 <= start < 1 << 31 and 0 < count < 1 << 31, "a long has 32 bits there"
        facts = os.fstat(fd)
        for others in self.held.values():
            for device, inode, first, many in others:
                same = (device, inode) == (facts.st_dev, facts.st_ino)
                if same and start < first + many and first < start + count:
                    raise OSError(errno.EACCES, "Permission denied")
        self.held.setdefault(fd, []).append((facts.st_dev, facts.st_ino, start, count))


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    """``FrameLock`` as on Windows: closing lets go, and a file that is open is not removed."""
    system = Msvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", system)
    monkeypatch.setattr(output_files, "_LOCKS", WindowsLocks())
    opened: dict[int, str] = {}
    really_open, really_close, really_unlink = os.open, os.close, Path.unlink

    def open_(path: Path, *rest: int) -> int:
        fd = really_open(path, *rest)
        opened[fd] = str(path)
        return fd

    def close(fd: int) -> None:
        system.held.pop(fd, None)
        opened.pop(fd, None)
        really_close(fd)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if str(path) in opened.values():
            raise PermissionError(errno.EACCES, "in use", str(path))
        really_unlink(path, missing_ok)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "close", close)
    monkeypatch.setattr(Path, "unlink", unlink)
    return system


def _chunks_do_not_collide(folder: Path) -> None:
    out = folder / "done.mkv"
    first = FrameLock(out, FrameRange(1001, 1040))
    second = FrameLock(out, FrameRange(1041, 1080))
    for wrong in (FrameRange(1040, 1041), FrameRange(900, 1200), FrameRange(1080, 1080)):
        with pytest.raises(OutputLockedError):
            FrameLock(out, wrong)
    first.release()
    first.release()
    FrameLock(out, FrameRange(1001, 1040)).release()
    assert (folder / ".done.mkv.lock").exists(), "the second still holds its own"
    with pytest.raises(OutputLockedError):
        FrameLock(out, FrameRange(1, 2000))
    second.release()
    assert not list(folder.iterdir())
    FrameLock(out, FrameRange(-5, 1 << 20)).release()


def test_chunks_of_one_output_do_not_collide(tmp_path: Path) -> None:
    _chunks_do_not_collide(tmp_path)


def test_chunks_of_one_output_do_not_collide_on_windows(tmp_path: Path, windows: Msvcrt) -> None:
    _chunks_do_not_collide(tmp_path)
    assert not windows.held


_RANGES = st.tuples(
    st.integers(-(1 << 31), 1 << 31) | st.integers(0, 60), st.integers(1, 30)
).map(lambda pair: FrameRange(pair[0], pair[0] + pair[1] - 1))


@given(one=_RANGES, other=_RANGES)
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("locks", [PosixLocks(), WindowsLocks()], ids=["posix", "windows"])
def test_ranges_that_meet_are_never_both_locked(
    locks: ByteLocks, one: FrameRange, other: FrameRange, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "lock"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "msvcrt", Msvcrt())
        fds = [os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2)]
        try:
            assert locks.take(fds[0], one)
            meet = one.first <= other.last and other.first <= one.last
            taken = locks.take(fds[1], other)
            assert not (meet and taken)
            if min(one.first, other.first) >= 0 and not meet:
                near = max(one.last, other.last) < 1 << 30
                assert taken or not near
        finally:
            for fd in fds:
                os.close(fd)


def test_a_file_system_without_locks_is_an_error_of_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Without(PosixLocks):
        def take(self, fd: int, frames: FrameRange) -> bool:
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(output_files, "_LOCKS", Without())
    with pytest.raises(OutputError, match="No locks"):
        FrameLock(tmp_path / "done.mkv", FrameRange(1, 2))


def test_letting_go_on_a_mount_that_has_gone_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(PosixLocks):
        def _lock(self, fd: int, start: int, length: int) -> bool:
            if length == 0:
                raise OSError(errno.ESTALE, "Stale file handle")
            return super()._lock(fd, start, length)

    monkeypatch.setattr(output_files, "_LOCKS", Gone())
    lock = FrameLock(tmp_path / "done.mkv", FrameRange(1, 2))
    lock.release()
    monkeypatch.undo()
    FrameLock(tmp_path / "done.mkv", FrameRange(1, 2)).release()
