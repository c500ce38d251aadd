"""How the C library hands out memory while a command runs.

As it comes, glibc raises the size from which it maps a block by itself with each large block
that is freed, up to 32 MB: whole pictures then live on the heaps of many threads, which grow
and are trimmed again at every frame. With the size held, a 4K render peaks a seventh lower, and
spends a quarter less time in the kernel (``tests/benchmarks/RESULTS.md``). Only the command
does this, not the library: a host's memory is the host's.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Numbers of glibc's ``malloc.h``."""
_SETTINGS = {_M_ARENA_MAX: 2, _M_MMAP_THRESHOLD: 4 << 20, _M_TRIM_THRESHOLD: 64 << 20}


def settle_allocator() -> bool:
    """Hold glibc's thresholds; gives whether it did.

    Another C library is left alone, and so is one that the user has tuned (``MALLOC_*`` or
    ``GLIBC_TUNABLES`` in the environment, or another allocator preloaded).
    """
    tuned = any(name.startswith("MALLOC_") for name in os.environ)
    if tuned or "GLIBC_TUNABLES" in os.environ or "LD_PRELOAD" in os.environ:
        return False
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return all(library.mallopt(key, value) == 1 for key, value in _SETTINGS.items())
