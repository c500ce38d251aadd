"""Looks at a timeline's file before this process parses it.

OpenTimelineIO's parser ends in a segmentation fault on files that nest a few thousand deep,
and on some objects that lack a value. So depth is counted first, and a child process has
to survive the file.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

from lipcore.errors import ConfigError

MOST_BYTES = 512 << 20
"""Of a timeline; an hour of 1,500 clips has 3 MiB."""
MOST_DEPTH = 1000
"""Brackets within brackets; twelve nested stacks have about 60."""
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_CONTENT = "content.otio"
_TRY_S = 300.0
_TRY = """
import contextlib, sys
import opentimelineio
with contextlib.suppress(Exception):
    opentimelineio.adapters.read_from_file(sys.argv[1])
"""


def check_timeline(path: Path) -> None:
    """Refuse what no timeline looks like.

    Args:
        path: A ``.otio``, ``.otioz`` or ``.otiod``, or another format's file.

    Raises:
        ConfigError: It is larger, or nested deeper, than can be read, is no JSON, or ends the
            parser; or a ``.otioz`` is no archive of a timeline, or unpacks to more than can be
            held.
    """
    try:
        suffix = path.suffix.lower()
        if suffix == ".otioz":
            content = _unpacked(path)
        else:
            file = path / _CONTENT if suffix == ".otiod" else path
            if file.stat().st_size > MOST_BYTES:
                raise _too_large(path)
            if suffix not in (".otio", ".otiod"):
                return
            content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path.name} cannot be read: {error.strerror or error}",
            hint="Check the path and the permissions.", path=str(path),
        ) from error
    if _depth(content) > MOST_DEPTH:
        raise ConfigError(
            f"{path.name} nests more than {MOST_DEPTH} deep, as no timeline does",
            hint="Export the timeline again.", path=str(path),
        )
    try:
        json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise ConfigError(
            f"{path.name} cannot be read: {error}", hint="Export the timeline again.",
            path=str(path),
        ) from error
    _try_parser(path)


def _try_parser(path: Path) -> None:
    """Let a child process parse the file; errors that the parser raises itself are not for here."""
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-c", _TRY, str(path)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_TRY_S, check=False,
        )  # fmt: skip
        survived = ended.returncode == 0
    except subprocess.TimeoutExpired:
        survived = False
    if not survived:
        raise ConfigError(
            f"{path.name} ends the parser of OpenTimelineIO: it is damaged",
            hint="Export the timeline again.", path=str(path),
        )


def _unpacked(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_CONTENT).file_size > MOST_BYTES:
                raise _too_large(path)
            with archive.open(_CONTENT) as file:
                content = file.read(MOST_BYTES + 1)
    except (
        zipfile.BadZipFile, zlib.error, struct.error, ValueError, KeyError, RuntimeError,
        NotImplementedError, EOFError,
    ) as error:  # fmt: skip
        raise ConfigError(
            f"{path.name} is no bundle of a timeline ({' '.join(str(error).split())})",
            hint="Export the timeline again.", path=str(path),
        ) from error
    if len(content) > MOST_BYTES:
        raise _too_large(path)
    return content


def _too_large(path: Path) -> ConfigError:
    return ConfigError(
        f"{path.name} is larger than {MOST_BYTES >> 20} MiB", hint="Export a part of it.",
        path=str(path),
    )


def _depth(content: bytes) -> int:
    deep = most = 0
    for mark in _MARKS.finditer(content):
        match content[mark.start()]:
            case 0x5B | 0x7B:
                deep += 1
                most = max(most, deep)
            case 0x5D | 0x7D:
                deep -= 1
    return most
