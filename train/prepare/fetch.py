"""Lists of videos: files, and addresses that yt-dlp fetches.

A list has a line for each video: a path (from the list's folder on), a ``file://`` address, or
an address that yt-dlp knows; then, behind a tab, who speaks, where that is known. Lines that
begin with ``#`` are notes. What was fetched stays, and is not fetched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lipcore.errors import ConfigError, DependencyError, OutputNotWritableError, TrainingError
from lipcore.user_folders import expand_home

_UNFINISHED = {".part", ".ytdl", ".temp", ".tmp"}
_BESIDE = {".vtt", ".srt", ".json", ".txt", ".jpg", ".webp", ".png", ".description"}


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A line of a list."""

    address: str
    """As it stands there."""
    path: Path | None
    """Where the file is; None for what must be fetched."""
    identity: str

    def file(self, folder: Path, tell: Callable[[str], None]) -> Path:
        """The video, fetched into ``folder`` where need be.

        Raises:
            TrainingError: There is no such file, or it cannot be fetched.
            DependencyError: yt-dlp is absent.
            OutputNotWritableError: The folder cannot be made.
        """
        if self.path is None:
            return fetch(self.address, folder, tell)
        if not self.path.is_file():
            raise TrainingError(f"no file is at {self.path}")
        return self.path


def read_list(path: Path) -> list[ListEntry]:
    """The lines of a list.

    Raises:
        ConfigError: It cannot be read, or is empty.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the list {path} cannot be read ({error})", hint="Give a text file in UTF-8.",
            path=str(path),
        ) from error
    entries = []
    for line in lines:
        address, _, identity = line.strip().partition("\t")
        if address and address[0] != "#":
            entries.append(_entry(address.strip(), identity.strip(), path.absolute().parent))
    if not entries:
        raise ConfigError(
            f"the list {path} names no video", hint="Write a path or an address on each line.",
            path=str(path),
        )
    return entries


def _entry(address: str, identity: str, folder: Path) -> ListEntry:
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", address)
    if scheme is None:
        return ListEntry(address, folder / expand_home(address), identity)
    if scheme[1].lower() == "file":
        place = urllib.request.url2pathname(urllib.parse.urlsplit(address).path)
        return ListEntry(address, Path(place), identity)
    return ListEntry(address, None, identity)


def fetch(address: str, folder: Path, tell: Callable[[str], None]) -> Path:
    """A video of the net, with its captions where it has some; kept in ``folder``.

    Raises:
        TrainingError: yt-dlp does not get it; its last words are the reason.
        DependencyError: yt-dlp is absent.
        OutputNotWritableError: The folder cannot be made.
    """
    stem = hashlib.sha256(address.encode()).hexdigest()[:16]
    there = _fetched(folder, stem)
    if there is not None:
        return there
    command = _command()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritableError(
            f"{folder} cannot be made ({error})", hint="Choose another --fetched.",
            path=str(folder),
        ) from error
    tell(f"{address}: fetching")
    # Pictures and sound of their own can be joined only where FFmpeg is installed.
    wanted = "bv*+ba/b" if shutil.which("ffmpeg") else "b"
    ended = subprocess.run(
        [*command, "--ignore-config", "--no-playlist", "--no-progress", "--format", wanted,
         "--merge-output-format", "mkv", "--write-subs", "--write-auto-subs",
         "--sub-format", "vtt", "--sub-langs", "en.*", "--output", f"{stem}.%(ext)s",
         "--paths", str(folder), "--", address],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    found = _fetched(folder, stem)
    said = [line for line in ended.stderr.splitlines() if line.strip()]
    if found is None:
        raise TrainingError(f"cannot be fetched: {said[-1] if said else 'yt-dlp made no file'}")
    if ended.returncode and said:  # of the captions, as a rule: the video is whole
        tell(f"{address}: fetched, but {said[-1]}")
    return found


def _fetched(folder: Path, stem: str) -> Path | None:
    files = sorted(folder.glob(f"{stem}.*")) if folder.is_dir() else []
    unfinished = any(f.suffix in _UNFINISHED for f in files)
    whole = [f for f in files if f.suffix not in _BESIDE | _UNFINISHED and f.stem == stem]
    return None if unfinished or not whole else whole[0]


def _command() -> list[str]:
    """How yt-dlp is called: the program, or the module of this Python."""
    program = shutil.which("yt-dlp")
    if program is not None:
        return [program]
    with contextlib.suppress(ValueError):  # what find_spec says of a module that is shut out
        if importlib.util.find_spec("yt_dlp") is not None:
            return [sys.executable, "-m", "yt_dlp"]
    raise DependencyError(
        "addresses in lists are fetched by yt-dlp, which is not installed",
        hint='Install it with: pip install "lipcore[fetch]"',
    )
