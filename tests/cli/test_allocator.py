"""The allocator's thresholds are held by the command, and only where they may be."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROBE = """
import ctypes, resource
{settle}
blocks = [ctypes.create_string_buffer(24 << 20) for _ in range(4)]
del blocks  # glibc, left alone, now takes 24 MB from the heap
heap = ctypes.CDLL(None).mallinfo2
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost").split()]
heap.restype = Info
keep = ctypes.CDLL(None).malloc
keep.restype = ctypes.c_void_p
keep(ctypes.c_size_t(24 << 20))
print(heap().hblkhd >= 24 << 20)
"""
SETTLE = "from lipcore.cli.allocator import settle_allocator; print(settle_allocator())"

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is tuned")


def _run(settle: str, **environment: str) -> list[str]:
    kept = {
        k: v for k, v in os.environ.items()
        if not k.startswith("MALLOC_") and k not in ("GLIBC_TUNABLES", "LD_PRELOAD")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE.replace("{settle}", settle)], env={**kept, **environment},
        capture_output=True, text=True, check=True,
    )
    return done.stdout.split()


@glibc
def test_a_picture_is_mapped_by_itself_however_many_were_freed() -> None:
    assert _run("print('left')") == ["left", "False"]
    assert _run(SETTLE) == ["True", "True"]


@glibc
def test_what_the_user_tuned_is_left_alone() -> None:
    assert _run(SETTLE, MALLOC_ARENA_MAX="1")[0] == "False"
    assert _run(SETTLE, GLIBC_TUNABLES="glibc.malloc.check=0")[0] == "False"
