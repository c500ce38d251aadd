"""A digest that an EXR file carries of itself: whoever finds it later knows whether a bit changed.

The attribute ``lipcore:digest`` holds BLAKE2b over the whole file, read with ``BLANK`` in the
attribute's own place. It needs no second file, so it goes where the frame goes, and processes
that write frames of the same output have nothing to share.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lipcore.errors import MediaError
from lipcore.media.exr_format import read_header

DIGEST = "lipcore:digest"
"""The attribute's name."""
BLANK = "0" * 32
"""Its value before the file is sealed."""

_LEAD = DIGEST.encode() + b"\0string\0" + struct.pack("<i", len(BLANK))
_BLOCK = 1 << 20


def seal(path: Path) -> None:
    """Fill in the digest of a file that was written with ``BLANK`` in a string ``DIGEST``.

    Raises:
        OSError: The file system refuses.
        MediaUnreadableError: The file has no whole header.
        ValueError: The header has no blank digest.
    """
    header = _header(path)
    at = header.index(_LEAD + BLANK.encode()) + len(_LEAD)
    with path.open("r+b") as file:
        digest = _digest(file, at)
        file.seek(at)
        file.write(digest)


def holds_its_digest(path: Path) -> bool:
    """The file is, bit for bit, what was sealed; False where it cannot be read, too."""
    try:
        header = _header(path)
        with path.open("rb") as file:
            # A part that was copied from another sealed file brings that one's digest along.
            return any(_digest(file, at) == header[at:][: len(BLANK)] for at in _places(header))
    except (OSError, MediaError):
        return False


def _header(path: Path) -> bytes:
    tables_at = read_header(path).tables_at
    with path.open("rb") as file:
        return file.read(tables_at)


def _places(header: bytes) -> Iterator[int]:
    at = 0
    while (found := header.find(_LEAD, at)) >= 0:
        at = found + len(_LEAD)
        yield at


def _digest(file: BinaryIO, at: int) -> bytes:
    """Of the whole file, ``BLANK`` standing at ``at``."""
    state = hashlib.blake2b(digest_size=len(BLANK) // 2)
    file.seek(0)
    state.update(file.read(at))
    state.update(BLANK.encode())
    file.seek(at + len(BLANK))
    while block := file.read(_BLOCK):
        state.update(block)
    return state.hexdigest().encode()
