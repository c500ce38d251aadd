"""Jobs that are another command than ``render``, and their options. Light to import.

    - {kind: conform, timeline: reel.otio, dialogue: dub_de.wav, out: reel_de, handles: 8}
    - {kind: adapt, plate: plates/010.mov, out: adapted/010.safetensors, minutes: 15}
    - {kind: evaluate, render: done/010.mov, against: plates/010.mov, out: figures/010.json}
    - {kind: report, render: [done/010, done/020], out: review.html}

Each takes the arguments and options of its command, by their long names; what may be given to
the command several times may be a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from lipcore.errors import ConfigError
from lipcore.evaluate.files import check_files
from lipcore.rates import parse_rate
from lipcore.shot import RenderConfig, Synthesis
from lipcore.types import FrameRange
from lipcore.user_folders import expand_home
from lipcore.weights import shipped_names, split_name

CommandKind = Literal["conform", "adapt", "evaluate", "report"]
Kind = Literal["render", "conform", "adapt", "evaluate", "report"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PAGE_SUFFIXES = (".html", ".htm")
LEAST_MINUTES, MOST_MINUTES = 0.05, 10_000.0
"""Of an adaptation."""


@dataclass(frozen=True, slots=True)
class ConformSettings:
    """Arguments and options of ``lipcore conform``."""

    timeline: str
    dialogue: tuple[str, ...]
    """``FILE``, ``track:NAME`` or ``clips``; with ``TAG=`` before each of several."""
    out: str
    rate: str | None = None
    search: tuple[str, ...] = ()
    path_map: tuple[str, ...] = ()
    skip_track: tuple[str, ...] = ()
    handles: int = 0
    only: tuple[str, ...] = ()
    settings: str | None = None
    format: tuple[str, ...] = ()
    strength: float = 1.0
    synthesis: Synthesis = "auto"
    refine: float = 0.0
    weights: str = "base"
    cache: str | None = None
    report: bool = True
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.dialogue:
            raise ConfigError("a conform needs a dialogue", hint="Add dialogue: dub.wav.")
        if self.handles < 0:
            raise ConfigError(f"handles must be 0 or more, got {self.handles}")
        RenderConfig(strength=self.strength, synthesis=self.synthesis, refine=self.refine)
        if self.rate is not None:
            parse_rate(self.rate)


@dataclass(frozen=True, slots=True)
class AdaptSettings:
    """Arguments and options of ``lipcore adapt``."""

    plate: str
    out: str
    minutes: float = 15.0
    frames: str | None = None
    speaker: str = "largest"
    colorspace: str | None = None
    weights: str = "base"
    device: str = "cpu"
    cache: str | None = None

    def __post_init__(self) -> None:
        check_minutes("minutes", self.minutes)
        check_suffix("out", self.out, (".safetensors",))
        if self.frames is not None:
            FrameRange.parse(self.frames)


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """Arguments and options of ``lipcore evaluate``."""

    render: str
    against: str
    out: tuple[str, ...]
    dialogue: str | None = None
    offset_frames: float = 0.0
    speaker: str = "largest"
    rate: str | None = None
    per_frame: str | None = None
    """A ``.csv`` with a row a frame."""
    cache: str | None = None

    def __post_init__(self) -> None:
        if not self.out:
            raise ConfigError("an evaluation needs a file for its figures",
                              hint="Add out: figures.json.")  # fmt: skip
        check_files(map(Path, self.out), None if self.per_frame is None else Path(self.per_frame))
        if self.rate is not None:
            parse_rate(self.rate)


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """Arguments and options of ``lipcore report``."""

    render: tuple[str, ...]
    """Folders, videos or sequences of finished renders."""
    out: str
    title: str = ""
    cache: str | None = None

    def __post_init__(self) -> None:
        if not self.render:
            raise ConfigError("a report needs a render", hint="Add render: done/010.")
        check_suffix("out", self.out, PAGE_SUFFIXES)


Settings = ConformSettings | AdaptSettings | EvaluateSettings | ReportSettings
SETTINGS: dict[CommandKind, type[Settings]] = {
    "conform": ConformSettings, "adapt": AdaptSettings, "evaluate": EvaluateSettings,
    "report": ReportSettings,
}  # fmt: skip
_ARGUMENTS = {"timeline": ("conform",), "plate": ("adapt",), "render": ("evaluate", "report")}
"""What stands without an option's name in the command line, and of which kinds."""
_PATHS = {
    "conform": ("timeline", "out", "search", "settings", "cache"),
    "adapt": ("plate", "out", "cache"),
    "evaluate": ("render", "against", "out", "dialogue", "per_frame", "cache"),
    "report": ("render", "out", "cache"),
}
NUMBERS_ARE_TEXT = ("frames", "rate", "only", "title")
"""Options that are text, and that YAML may take for numbers."""


@dataclass(frozen=True, slots=True)
class CommandJob:
    """A job that is one call of a command, its paths absolute."""

    number: int
    """From 1, as in the file."""
    name: str
    """Of its own in the file; fit for a file name."""
    kind: CommandKind
    settings: Settings

    @property
    def source(self) -> str:
        """What it is made from, for tables."""
        given = self.settings
        if isinstance(given, ConformSettings):
            return given.timeline
        if isinstance(given, AdaptSettings):
            return given.plate
        return given.render if isinstance(given.render, str) else ", ".join(given.render)

    @property
    def out(self) -> str:
        """Where the result goes."""
        out = self.settings.out
        return out if isinstance(out, str) else out[0]

    def arguments(self) -> list[str]:
        """The job as arguments of ``lipcore``."""
        return [self.kind, *words_of(self.settings, self.kind)]


def words_of(settings: Any, kind: str) -> list[str]:
    """Settings as a command's words: arguments first, then options that differ from defaults."""
    first: list[str] = []
    rest: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if kind in _ARGUMENTS.get(field.name, ()):
            first += list(value) if isinstance(value, tuple) else [str(value)]
            continue
        if value == field.default:
            continue
        option = field.name.replace("_", "-")
        if isinstance(value, bool):
            rest.append(f"--{option}" if value else f"--no-{option}")
        else:
            many = value if isinstance(value, tuple) else (value,)
            rest += [f"--{option}={one}" for one in many]
    return [*first, *rest]


def list_options(kind: CommandKind) -> set[str]:
    """Options of a kind that may be given several times."""
    return {f.name for f in fields(SETTINGS[kind]) if str(f.type).startswith("tuple")}


def as_lists(kind: CommandKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, lone ones of options that may be lists made lists."""
    many = list_options(kind)
    return {
        name: [value] if name in many and not isinstance(value, list | tuple) else value
        for name, value in values.items()
    }


def absolute(settings: Settings, kind: CommandKind, folder: Path) -> Settings:
    """The same with every path absolute, counted from a folder."""

    def whole(path: str) -> str:
        return str(folder / expand_home(path))

    found: dict[str, Any] = {
        name: _each(getattr(settings, name), whole)
        for name in _PATHS[kind]
        if getattr(settings, name) is not None
    }
    if isinstance(settings, ConformSettings):
        found["dialogue"] = tuple(_absolute_dub(text, whole) for text in settings.dialogue)
        found["path_map"] = settings.path_map
    if isinstance(settings, AdaptSettings | ConformSettings):
        found["weights"] = absolute_weights(settings.weights, folder)
    made: Settings = replace(settings, **found)
    return made


def absolute_weights(name: str, folder: Path) -> str:
    """``SET+FILE+FILE`` with every path in it absolute, counted from a folder."""
    weights, laid_over = split_name(name)
    paths = laid_over if weights in shipped_names() else [weights, *laid_over]
    told = [str(folder / expand_home(path)) for path in paths]
    return "+".join([weights, *told] if weights in shipped_names() else told)


def split_dub(text: str) -> tuple[str, str | None, str]:
    """(``TAG=`` or nothing, the file or None, what stands for no file) of a conform's dialogue."""
    tag, equals, rest = text.partition("=")
    if not equals or not tag.replace("-", "").isalnum() or Path(text).exists():
        tag, equals, rest = "", "", text
    if rest == "clips" or rest.startswith("track:"):
        return tag + equals, None, rest
    return tag + equals, rest, ""


def check_minutes(name: str, minutes: float) -> None:
    """Check the time of an adaptation.

    Raises:
        ConfigError: It is too short or too long.
    """
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise ConfigError(f"{name} must be from {LEAST_MINUTES:g} to {MOST_MINUTES:g}, "
                          f"got {minutes:g}", hint="Give minutes of training.")  # fmt: skip


def check_suffix(name: str, path: str, suffixes: tuple[str, ...]) -> None:
    """Check the kind of a file that will be written.

    Raises:
        ConfigError: It is another.
    """
    if Path(path).suffix.lower() not in suffixes:
        raise ConfigError(f"{name} is {path!r}", hint=f"Name a file {' or '.join(suffixes)}.")


def _absolute_dub(text: str, whole: Callable[[str], str]) -> str:
    tag, file, other = split_dub(text)
    return tag + (other if file is None else whole(file))


def _each(value: Any, change: Callable[[str], str]) -> Any:
    return tuple(map(change, value)) if isinstance(value, tuple) else change(value)
