"""Where a timeline's media lies: URLs in all their spellings, search folders, path maps."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import opentimelineio as otio

from lipcore.errors import LipcoreError
from lipcore.media.plate import Plate, open_plate
from lipcore.timeline.times import parse_timecode, seconds


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


@dataclass(slots=True)
class Media:
    """A clip's media as it was found."""

    path: Path | None
    """A video file, or one frame of a sequence."""
    problem: str = ""
    warnings: list[str] = field(default_factory=list)


class MediaFinder:
    """Finds and opens media; each folder is listed once, each file opened once."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options
        self._index: dict[str, list[Path]] | None = None
        self._known: dict[tuple[str, ...], Media] = {}
        self._plates: dict[Path, Plate | str] = {}

    def find(self, clip: Any) -> Media:
        """The media of a clip."""
        wanted = self._wanted(clip)
        if wanted not in self._known:
            self._known[wanted] = self._look(wanted)
        return self._known[wanted]

    def plate(self, path: Path) -> Plate | str:
        """The opened media, or why it cannot be opened."""
        if path not in self._plates:
            try:
                self._plates[path] = open_plate(path)
            except LipcoreError as error:
                self._plates[path] = error.message
        return self._plates[path]

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
            found = self._searched(wanted[1])
            return Media(found) if found else Media(None, "the timeline names no media")
        if kind == "sequence":
            for folder in self._places(wanted[1]):
                frame = _one_frame(folder, wanted[2], wanted[3])
                if frame:
                    return Media(frame)
            return Media(None, f"not found: {wanted[1]}/{wanted[2]}*{wanted[3]}")
        for path in self._places(wanted[1]):
            pattern = re.fullmatch(r"(.*?)(?:%0?\d*d|#+|\[\d+-\d+\])([^/]*)", str(path))
            if path.exists():
                return Media(path)
            if pattern:
                before, after = Path(pattern[1] + "x"), pattern[2]
                frame = _one_frame(before.parent, before.name[:-1], after)
                if frame:
                    return Media(frame)
        found = self._searched(Path(wanted[1].replace("\\", "/")).name)
        return Media(found) if found else Media(None, f"not found: {wanted[1]}")

    def _places(self, text: str) -> list[Path]:
        options = [text]
        for old, new in self._options.path_map:
            if text.startswith(old):
                options.insert(0, new + text[len(old) :])
        places = [self._options.base / option.replace("\\", "/") for option in options]
        name = Path(text.replace("\\", "/").rstrip("/")).name
        return [*places, *(folder / name for folder in self._options.search)]

    def _searched(self, name: str) -> Path | None:
        """A file of the search folders by name, or by name without suffix, if just one."""
        if self._index is None:
            self._index = {}
            for folder in self._options.search:
                for here, _, names in os.walk(folder):
                    for file in sorted(names):
                        path = Path(here) / file
                        for key in {file, path.stem}:
                            self._index.setdefault(key, []).append(path)
        found = self._index.get(name, [])
        return found[0] if len(found) == 1 else None


def _one_frame(folder: Path, prefix: str, suffix: str) -> Path | None:
    if not folder.is_dir():
        return None
    named = re.compile(re.escape(prefix) + r"-?\d+" + re.escape(suffix))
    return next((p for p in sorted(folder.iterdir()) if named.fullmatch(p.name)), None)


def source_origin(
    clip: Any, plate: Plate, first_s: Fraction, end_s: Fraction
) -> tuple[Fraction | None, str]:
    """The source time, seconds, of the media's first frame, and a warning.

    The file's own timecode counts where the clip's range lies in it; else the timeline's
    available range; else frame numbers, or 0.

    Args:
        clip: The clip.
        plate: Its media.
        first_s: Earliest source time that the clip shows.
        end_s: One past the latest.
    """
    info = plate.info
    lasts = Fraction(len(info.frames)) / info.rate

    def holds(origin: Fraction) -> bool:
        return origin <= first_s and end_s <= origin + lasts + 1 / info.rate

    media = clip.media_reference
    available = media.available_range
    stated = None if available is None else seconds(available.start_time)
    if stated is not None and isinstance(media, otio.schema.ImageSequenceReference):
        stated += (info.frames.first - media.start_frame) / info.rate
    if info.timecode is not None:
        own = parse_timecode(info.timecode, info.rate) / info.rate
        if holds(own):
            differs = stated is not None and stated != own
            return own, "the file's timecode differs from the timeline's" if differs else ""
    if stated is not None and holds(stated):
        return stated, ""
    if info.kind == "sequence" and holds(info.frames.first / info.rate):
        return info.frames.first / info.rate, "taken by frame number"
    if holds(Fraction(0)):
        return Fraction(0), "taken as counted from 0" if stated is not None else ""
    return None, "the clip's source range lies outside of its media"


def parse_path_map(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """``A=B`` pairs.

    Raises:
        ConfigError: A text is no pair.
    """
    from lipcore.errors import ConfigError

    for text in texts:
        if not text.partition("=")[1] or not text.partition("=")[0]:
            raise ConfigError(f"{text!r} is no path map", hint="Write --path-map OLD=NEW.")
    return tuple((t.partition("=")[0], t.partition("=")[2]) for t in texts)
