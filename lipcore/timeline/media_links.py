"""Where a timeline's media lies: URLs in all their spellings, search folders, path maps."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import opentimelineio as otio

from lipcore.errors import ConfigError, LipcoreError
from lipcore.media.plate import Plate, open_plate
from lipcore.timeline.times import exact_rate, parse_timecode, seconds


def url_to_path(url: str) -> str:
    """The path that a media URL stands for; bare paths stay as they are.

    ``file:///a%20b``, ``file://localhost/D%3a/a``, ``file://server/share`` and signs that a
    URL should not hold (``#``, ``?``, a lone ``%``) are all understood.
    """
    match = re.match(r"(?i)file:(//([^/]*))?", url)
    if match is None:
        return url
    path, host = unquote(url[match.end() :]), unquote(match[2] or "")
    if re.fullmatch(r"[A-Za-z]:", host):
        return host + path
    if re.match(r"/[A-Za-z]:(/|$)", path):
        path = path[1:]
    return path if host.lower() in ("", "localhost") else f"//{host}{path}"


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How media is looked for."""

    base: Path
    """The timeline's folder: relative paths start there."""
    search: tuple[Path, ...] = ()
    path_map: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Media:
    """A clip's media as it was found."""

    path: Path | None
    """A file, or the pattern of a sequence."""
    problem: str = ""


class MediaFinder:
    """Finds and opens media; each folder is listed once, each file opened once."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options
        self._index: dict[str, list[Path]] | None = None
        self._known: dict[tuple[str, ...], Media] = {}
        self._plates: dict[tuple[Path, Fraction | None], Plate | str] = {}

    def find(self, clip: Any) -> Media:
        """The media of a clip."""
        wanted = self._wanted(clip)
        if wanted not in self._known:
            self._known[wanted] = self._look(wanted)
        return self._known[wanted]

    def plate(self, path: Path, rate: Fraction | None = None) -> Plate | str:
        """The opened media, or why it cannot be opened.

        Args:
            path: As ``find`` gave it.
            rate: Frames a second where the media itself does not say.
        """
        if (path, rate) not in self._plates:
            try:
                plate = open_plate(path)
                if rate is not None and plate.info.rate_source == "default":
                    plate.close()
                    plate = open_plate(path, rate=rate)
                self._plates[path, rate] = plate
            except LipcoreError as error:
                self._plates[path, rate] = error.message
        return self._plates[path, rate]

    def close(self) -> None:
        """Close all that was opened."""
        for plate in self._plates.values():
            if isinstance(plate, Plate):
                plate.close()
        self._plates.clear()

    def _wanted(self, clip: Any) -> tuple[str, ...]:
        media = clip.media_reference
        if isinstance(media, otio.schema.ImageSequenceReference):
            base = url_to_path(media.target_url_base)
            return ("sequence", base, media.name_prefix, media.name_suffix)
        if isinstance(media, otio.schema.ExternalReference):
            return ("file", url_to_path(media.target_url))
        if isinstance(media, otio.schema.GeneratorReference):
            return ("generator", media.name or clip.name)
        return ("missing", clip.name)

    def _look(self, wanted: tuple[str, ...]) -> Media:
        kind = wanted[0]
        if kind == "generator":
            return Media(None, f"a generator ({wanted[1]})")
        if kind == "missing":
            return self._searched(wanted[1], "the timeline names no media")
        if kind == "sequence":
            _, base, prefix, suffix = wanted
            folders = self._places(base)
            told = f"not found: {base.rstrip('/')}/{prefix}*{suffix}"
        else:
            places = self._places(wanted[1])
            for path in places:
                if path.exists():
                    return Media(path)
            name, told = places[0].name, f"not found: {wanted[1]}"
            mark = re.fullmatch(r"(.*)(?:%0?\d*d|(?<!#)#+|\[\d+-\d+\])(.*)", name)
            media = self._searched(name, told)  # "take#3.mov" is no sequence
            if mark is None or media.path is not None:
                return media
            prefix, suffix = mark[1], mark[2]
            folders = [path.parent for path in places]
        for folder in folders:
            pattern = _sequence_in(folder, prefix, suffix)
            if pattern:
                return Media(pattern)
        return self._searched_sequence(prefix, suffix, told)

    def _places(self, text: str) -> list[Path]:
        plain = text.replace("\\", "/")
        options = [plain]
        for old, new in self._options.path_map:
            rest = _after(plain, old.replace("\\", "/"))
            if rest is not None:
                options.insert(0, new.rstrip("/\\") + "/" + rest if rest else new)
        name = Path(plain.rstrip("/")).name
        return [
            *(self._options.base / option for option in options),
            *(folder / name for folder in self._options.search),
        ]

    def _searched(self, name: str, told: str) -> Media:
        """A file of the search folders by name, or by name without suffix, if just one."""
        found = self._files().get(name, [])
        if len(found) == 1:
            return Media(found[0])
        return Media(None, f"{told}; {len(found)} of this name with --search" if found else told)

    def _searched_sequence(self, prefix: str, suffix: str, told: str) -> Media:
        """A sequence below the search folders, if just one."""
        named = re.compile(re.escape(prefix) + r"-?\d+" + re.escape(suffix))
        folders = {
            path.parent
            for name, paths in self._files().items() if named.fullmatch(name)
            for path in paths if path.name == name
        }  # fmt: skip
        if len(folders) == 1:
            return Media(_pattern(folders.pop(), prefix, suffix))
        return Media(None, f"{told}; {len(folders)} folders with --search" if folders else told)

    def _files(self) -> dict[str, list[Path]]:
        """The search folders' files by name, and by name without suffix."""
        if self._index is None:
            self._index = {}
            for folder in self._options.search:
                for here, _, names in os.walk(folder):
                    for file in sorted(names):
                        path = Path(here) / file
                        for key in {file, path.stem}:
                            self._index.setdefault(key, []).append(path)
        return self._index


def _after(path: str, start: str) -> str | None:
    """What follows whole folders at the start of a path; drive letters know no case."""
    start = start.rstrip("/")
    drive = re.match(r"[A-Za-z]:", start) is not None
    here = path[: len(start)]
    same = here.lower() == start.lower() if drive else here == start
    if not same or path[len(start) :][:1] not in ("", "/"):
        return None
    return path[len(start) + 1 :]


def _sequence_in(folder: Path, prefix: str, suffix: str) -> Path | None:
    """The pattern of a sequence; digits that end the prefix stay part of it."""
    if not folder.is_dir():
        return None
    named = re.compile(re.escape(prefix) + r"-?\d+" + re.escape(suffix))
    there = any(named.fullmatch(p.name) for p in folder.iterdir())
    return _pattern(folder, prefix, suffix) if there else None


def _pattern(folder: Path, prefix: str, suffix: str) -> Path:
    return folder / f"{prefix}%04d{suffix}"


def stated_rate(clip: Any) -> Fraction | None:
    """The rate at which the timeline says that a clip's media counts."""
    media = clip.media_reference
    if isinstance(media, otio.schema.ImageSequenceReference) and media.rate > 0:
        return exact_rate(media.rate)
    available = None if media is None else media.available_range
    return None if available is None else exact_rate(available.duration.rate)


@dataclass(frozen=True, slots=True)
class MediaTimes:
    """What media says of its own time."""

    lasts_s: Fraction
    frame_s: Fraction
    """What a range may exceed the media by."""
    timecode_s: Fraction | None = None
    """Of its first frame or sample."""
    first_number: int | None = None
    """Of a sequence's first frame."""


def times_of_plate(plate: Plate) -> MediaTimes:
    """The times of a picture."""
    info = plate.info
    code = info.timecode
    return MediaTimes(
        Fraction(len(info.frames)) / info.rate, 1 / info.rate,
        None if code is None else parse_timecode(code, info.rate) / info.rate,
        info.frames.first if info.kind == "sequence" else None,
    )


def source_origin(
    clip: Any, times: MediaTimes, first_s: Fraction, end_s: Fraction
) -> tuple[Fraction | None, str]:
    """The source time, seconds, of the media's first frame, and a warning.

    The file's own timecode counts where the clip's range lies in it; else the timeline's
    available range; else frame numbers, or 0.

    Args:
        clip: The clip.
        times: Of its media.
        first_s: Earliest source time that the clip shows.
        end_s: One past the latest.
    """

    def holds(origin: Fraction) -> bool:
        return origin <= first_s and end_s <= origin + times.lasts_s + times.frame_s

    media = clip.media_reference
    available = media.available_range
    stated = None if available is None else seconds(available.start_time)
    number = times.first_number
    sequence = isinstance(media, otio.schema.ImageSequenceReference)
    if sequence and stated is not None and number is not None:
        stated += (number - media.start_frame) * times.frame_s
    own = times.timecode_s
    if own is not None and holds(own):
        differs = stated is not None and stated != own
        return own, "the file's timecode differs from the timeline's" if differs else ""
    if stated is not None and holds(stated):
        return stated, ""
    if number is not None and holds(number * times.frame_s):
        return number * times.frame_s, "taken by frame number"
    if holds(Fraction(0)):
        return Fraction(0), "taken as counted from 0" if stated is not None else ""
    return None, "the clip's source range lies outside of its media"


def parse_path_map(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """``A=B`` pairs.

    Raises:
        ConfigError: A text is no pair.
    """
    for text in texts:
        if not text.partition("=")[1] or not text.partition("=")[0]:
            raise ConfigError(f"{text!r} is no path map", hint="Write --path-map OLD=NEW.")
    return tuple((t.partition("=")[0], t.partition("=")[2]) for t in texts)
