"""Entries of the cache: built once, whole or not at all, the oldest dropped first."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import pytest

from lipcore.cache import Cache, default_folder, make_key
from lipcore.errors import DiskFullError, OutputNotWritableError


def filler(count, size=100):
    """A build that counts its calls."""

    def build(folder):
        count.append(folder)
        (folder / "data.bin").write_bytes(b"x" * size)

    return build


def test_an_entry_is_built_once(tmp_path):
    cache, built = Cache(tmp_path / "deep" / "cache"), []
    first, there = cache.entry("tracks", "k", filler(built))
    second, again = cache.entry("tracks", "k", filler(built))
    assert (there, again) == (False, True)
    assert first == second
    assert len(built) == 1
    assert (first / "data.bin").read_bytes() == b"x" * 100


def test_kinds_and_keys_are_apart(tmp_path):
    cache, built = Cache(tmp_path), []
    folders = {cache.entry(kind, key, filler(built))[0] for kind in "ab" for key in "xy"}
    assert len(folders) == len(built) == 4


@pytest.mark.parametrize(
    "damage", ["shorter", "longer", "gone", "no list", "torn list", "one bit", "older list"]
)
def test_a_damaged_entry_is_built_again(tmp_path, damage):
    cache, built = Cache(tmp_path), []
    folder, _ = cache.entry("bank", "k", filler(built))
    data, listing = folder / "data.bin", folder / "entry.json"
    if damage == "shorter":
        os.truncate(data, 10)
    elif damage == "longer":
        os.truncate(data, 200)
    elif damage == "gone":
        data.unlink()
    elif damage == "one bit":
        content = bytearray(data.read_bytes())
        content[50] ^= 1
        data.write_bytes(content)
    elif damage == "older list":
        listing.write_text('{"data.bin": 100}')
    elif damage == "no list":
        listing.unlink()
    else:
        listing.write_text('{"data.b')
    again, there = cache.entry("bank", "k", filler(built))
    assert not there
    assert len(built) == 2
    assert (again / "data.bin").stat().st_size == 100
    assert cache.entry("bank", "k", filler(built))[1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_build_leaves_nothing(tmp_path, error):
    def build(folder):
        (folder / "half.bin").write_bytes(b"y" * 50)
        raise error

    cache, built = Cache(tmp_path), []
    with pytest.raises(error):
        cache.entry("bank", "k", build)
    assert list(tmp_path.iterdir()) == []
    assert cache.entry("bank", "k", filler(built))[1] is False
    assert len(built) == 1


def test_a_build_that_another_finished_first_is_no_error(tmp_path):
    cache, built = Cache(tmp_path), []

    def build(folder):
        filler(built)(folder)
        if len(built) == 1:
            Cache(tmp_path).entry("bank", "k", filler(built))

    folder, _ = cache.entry("bank", "k", build)
    assert (folder / "data.bin").exists()
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]


@pytest.mark.parametrize("damaged", [False, True])
def test_threads_that_want_the_same_entry_all_get_a_whole_one(tmp_path, damaged):
    for attempt in range(60):  # a race shows itself once in twenty
        folder = tmp_path / str(attempt)
        if damaged:
            entry, _ = Cache(folder).entry("bank", "k", filler([]))
            (entry / "data.bin").write_bytes(b"")
        results, wait = [], threading.Barrier(4)

        def want(folder=folder, results=results, wait=wait):
            wait.wait()
            entry, _ = Cache(folder).entry("bank", "k", filler([], size=100_000))
            results.append((entry / "data.bin").stat().st_size)

        threads = [threading.Thread(target=want) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert results == [100_000] * 4
        assert len(list(folder.iterdir())) == 1


def test_the_oldest_go_when_the_folder_is_full(tmp_path):
    cache, built = Cache(tmp_path, limit_bytes=3500), []
    for age, key in enumerate("abc"):
        folder, _ = cache.entry("bank", key, filler(built, size=1000))
        os.utime(folder, (1000 + age, 1000 + age))
    cache.entry("bank", "a", filler(built))  # used again: no longer the oldest
    cache.entry("bank", "d", filler(built, size=1000))
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"bank-a", "bank-c", "bank-d"}


def test_an_entry_larger_than_the_limit_is_kept_while_it_is_used(tmp_path):
    cache = Cache(tmp_path, limit_bytes=100)
    folder, _ = cache.entry("bank", "k", filler([], size=1000))
    assert (folder / "data.bin").exists()


def test_a_build_under_way_elsewhere_is_not_trimmed(tmp_path):
    small = Cache(tmp_path, limit_bytes=100)

    def build(folder):
        (folder / "data.bin").write_bytes(b"x" * 1000)
        small.entry("tracks", "other", filler([], size=500))
        assert (folder / "data.bin").exists()

    folder, _ = small.entry("bank", "k", build)
    assert (folder / "data.bin").exists()


def test_a_clock_that_jumps_takes_no_build_away(tmp_path):
    small = Cache(tmp_path, limit_bytes=100)

    def build(folder):
        (folder / "data.bin").write_bytes(b"x" * 1000)
        os.utime(folder, (1000, 1000))  # days ago, by today's clock
        small.entry("tracks", "other", filler([], size=500))

    folder, there = small.entry("bank", "k", build)
    assert not there and (folder / "data.bin").exists()


def test_what_a_killed_build_left_goes_when_space_is_needed(tmp_path):
    (tmp_path / ".bank-left").mkdir()
    (tmp_path / ".bank-left" / "data.bin").write_bytes(b"x" * 1000)
    Cache(tmp_path, limit_bytes=900).entry("bank", "k", filler([], size=500))
    assert {p.name for p in tmp_path.iterdir()} == {"bank-k"}


def test_a_discarded_entry_is_built_again(tmp_path):
    cache, built = Cache(tmp_path), []
    folder, _ = cache.entry("bank", "k", filler(built))
    cache.discard(folder)
    assert not cache.entry("bank", "k", filler(built))[1]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritableError, match="cannot be written") as caught:
        Cache(tmp_path / "file" / "cache").entry("bank", "k", filler([]))
    assert "LIPCORE_CACHE" in caught.value.hint


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path):
    def build(folder):
        (folder / "data.bin").write_bytes(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DiskFullError):
        Cache(tmp_path).entry("bank", "k", build)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
def test_a_file_that_the_system_refuses_is_a_lipcore_error(tmp_path):
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from lipcore.cache import Cache\n"
        "from lipcore.errors import OutputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try:\n"
        "    Cache(Path(sys.argv[1])).entry('bank', 'k',\n"
        "        lambda f: (f / 'data.bin').write_bytes(b'x' * 50_000))\n"
        "except OutputError as error:\n"
        "    print('said:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("said:"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_keys_tell_values_apart():
    assert make_key(1, "a") == make_key(1, "a")
    parts = [("a", "b"), ("ab",), ("a", "b", ""), ("b", "a")]
    assert len({make_key(*some) for some in parts}) == 4
    assert len(make_key("x")) == 32


def test_the_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LIPCORE_CACHE", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"
    monkeypatch.delenv("LIPCORE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "lipcore"
