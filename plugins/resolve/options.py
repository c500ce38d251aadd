"""What to do: a settings file, a marker of the timeline, or the fields of the window."""

from __future__ import annotations

import configparser
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client import WorkerError

if TYPE_CHECKING:
    from fusionscript import Timeline

MARK = "lipsync"
"""First word of markers that are meant for us, and start of the names of our tracks."""
MODES = ("takes", "track", "comp")
_TEMPLATE = """\
# What the script "Lipsync" of DaVinci Resolve does. Lines with # are notes.
# A section [timeline NAME] sets what differs for one timeline; a timeline marker named
# "lipsync" may do the same in the lines of its note.

[lipsync]
# A sound file that begins with the timeline, track:NAME (a sound track of the timeline, by
# name or number), or clips (the clips' own sound):
dialogue =

# takes: beside the original in the clip's take selector. track: on a new track "lipsync".
# comp: a Fusion composition of the clip, Loader over MediaIn.
mode = takes

# all, current (under the playhead), pool (selected in the media pool), marked (with a clip
# marker "lipsync"), or a clip colour, as Orange:
clips = all

# Folder of the frames; empty: lipcore/PROJECT/TIMELINE in your home folder.
out =

# Frames to render on either side of each cut, as far as the media reaches:
handles = 0
strength = 1.0

# auto, shot, adapted or latent: who draws the mouths. refine, from 0 to 1, is the share of a
# refiner's picture in what adapted and latent draw; weights that hold one: base+FILE.
synthesis = auto
refine = 0.0
weights = base

# Where to look for media that have moved, and OLD=NEW starts of their paths; parted by ;
search =
path_map =
"""


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    dialogue: str = ""
    mode: str = "takes"
    clips: str = "all"
    out: str = ""
    handles: int = 0
    strength: float = 1.0
    synthesis: str = "auto"
    refine: float = 0.0
    weights: str = "base"
    search: str = ""
    path_map: str = ""

    def changed(self, values: Mapping[str, str], where: str) -> Options:
        """These, with others in their place.

        Args:
            values: By name, as texts; empty ones change nothing.
            where: Where they stand, for the error.

        Raises:
            WorkerError: A name is unknown, or a value is not one of its.
        """
        known: dict[str, Any] = {f.name: type(getattr(self, f.name)) for f in fields(self)}
        told: dict[str, Any] = {}
        for name, text in values.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise WorkerError(
                    f"{where} has no setting {name!r}",
                    f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}.",
                )
            if not text.strip():
                continue
            try:
                told[name] = known[name](text.strip())
            except ValueError:
                kind = "a whole number" if known[name] is int else "a number"
                raise WorkerError(
                    f"{where}: {name} is {text.strip()!r}, which is not {kind}", "Correct it."
                ) from None
        made = replace(self, **told)
        if made.mode not in MODES:
            raise WorkerError(
                f"{where}: mode is {made.mode!r}", f"It is one of {', '.join(MODES)}."
            )
        return made

    def listed(self, name: str) -> list[str]:
        """The parts of a setting that holds several."""
        return [part.strip() for part in str(getattr(self, name)).split(";") if part.strip()]


def settings_file() -> Path:
    """Where the settings lie: LIPCORE_RESOLVE_SETTINGS, or in the user's home folder."""
    told = os.environ.get("LIPCORE_RESOLVE_SETTINGS", "").strip()
    return Path(told) if told else Path.home() / ".lipcore" / "resolve.ini"


def write_template(path: Path) -> None:
    """Put a settings file with notes there; one that is there stays.

    Raises:
        WorkerError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE)
    except FileExistsError:
        pass
    except OSError as error:
        raise WorkerError(
            f"the settings {path} cannot be written ({error.strerror})",
            "Set LIPCORE_RESOLVE_SETTINGS to a file that can.",
        ) from error


def read_options(timeline: Timeline, path: Path) -> Options:
    """The settings file, its section of the timeline, and the timeline's marker, in this order.

    Raises:
        WorkerError: One of them says what it cannot.
    """
    options = Options()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if path.is_file():
            parser.read_string(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise WorkerError(
            f"the settings {path} cannot be read ({' '.join(str(error).split())})",
            "Correct them, or delete the file: the next run writes a fresh one.",
        ) from error
    for section in (MARK, f"timeline {timeline.GetName()}"):
        if parser.has_section(section):
            options = options.changed(dict(parser.items(section)), f"{path}, [{section}]")
    for marker in (timeline.GetMarkers() or {}).values():
        if marker["name"].strip().lower() == MARK:
            pairs = (line.partition("=") for line in marker["note"].splitlines())
            told = {name.strip(): value for name, equals, value in pairs if equals}
            options = options.changed(told, f"the timeline marker {marker['name']!r}")
    return options


def clip_settings(names: list[str]) -> dict[str, Any]:
    """What markers of a clip say, as ``lipsync strength=0.6``; the worker checks it."""
    found: dict[str, Any] = {}
    for name in names:
        words = name.split()
        if words and words[0].lower() == MARK:
            for word in words[1:]:
                key, equals, value = word.partition("=")
                found[key.lower()] = _plain(value) if equals else True
    return found


def _plain(text: str) -> Any:
    """A number as a number: ``2`` stays whole, as it may be a speaker."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
