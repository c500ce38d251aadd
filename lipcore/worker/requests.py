"""What a worker may be asked: one dataclass a method, checked strictly."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipcore.config import from_mapping
from lipcore.errors import ConfigError
from lipcore.evaluate.files import check_files
from lipcore.farm.kinds import check_minutes
from lipcore.media.plate import MissingPolicy
from lipcore.rates import parse_rate
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange

_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Hello:
    """Says who is there. Answered at once, whatever runs."""


@dataclass(frozen=True, slots=True)
class Status:
    """Says what runs and what waits. Answered at once."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ends jobs. Answered at once; each job then ends with ``cancelled``."""

    job: str | None = None
    """The ``id`` of one job; None cancels all."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Ends the worker."""

    finish: bool = False
    """Do what is queued first; otherwise everything is cancelled."""


@dataclass(frozen=True, slots=True)
class Render:
    """Renders a shot, as ``lipcore render``."""

    plate: Path
    out: Path
    dialogue: Path | None = None
    shapes: Path | None = None
    frames: str | None = None
    """As ``1001-1050``; None takes all."""
    rate: str | None = None
    """As ``24``, ``23.976`` or ``24000/1001``."""
    colorspace: str | None = None
    speaker: str = "largest"
    holdout: Path | None = None
    settings: RenderConfig = field(default_factory=RenderConfig)

    def shot(self) -> Shot:
        """The shot that is asked for."""
        return Shot(
            self.plate, self.dialogue, self.shapes, parse_frames(self.frames),
            None if self.rate is None else parse_rate(self.rate), self.colorspace, self.speaker,
            self.holdout,
        )


@dataclass(frozen=True, slots=True)
class Plan(Render):
    """Says what ``render`` with the same parameters would do, and writes nothing."""


@dataclass(frozen=True, slots=True)
class Analyse(Render):
    """Does what ``render`` with the same parameters does before it looks at the dialogue, and
    keeps it in the cache."""


@dataclass(frozen=True, slots=True)
class Track:
    """Finds the faces of a plate; a render of the same frames need not look again."""

    plate: Path
    frames: str | None = None
    rate: str | None = None
    colorspace: str | None = None
    missing_frame: MissingPolicy = "error"
    cache: Path | None = None
    json: Path | None = None
    """Write landmarks and crop transforms of every frame there, too."""


@dataclass(frozen=True, slots=True)
class Conform:
    """Renders the shots of a timeline, as ``lipcore conform``."""

    timeline: Path
    dialogue: str | None = None
    """A file, its first sample at the timeline's first frame; ``track:NAME``, a sound track of
    the timeline; or ``clips``, their own sound. None, with ``dry_run``, plans only."""
    out: Path | None = None
    language: str = ""
    rate: str | None = None
    search: tuple[Path, ...] = ()
    path_map: tuple[str, ...] = ()
    """``OLD=NEW`` starts of media paths."""
    skip_tracks: tuple[str, ...] = ()
    handles: int = 0
    only: tuple[str, ...] = ()
    """Names or numbers of shots; empty takes all."""
    shots: Path | None = None
    """YAML with settings of single shots."""
    formats: tuple[str, ...] = ()
    """What else to write the new track as: ``edl``, ``xml``, ``fcpx``, ``aaf``."""
    report: bool = True
    """Write a page about the rendered shots."""
    write: bool = True
    """Write the new timeline, too; without it, shots are rendered and nothing else is written:
    a later run without ``only`` writes the rest."""
    dry_run: bool = False
    settings: RenderConfig = field(default_factory=RenderConfig)

    def __post_init__(self) -> None:
        if not self.dry_run and (self.dialogue is None or self.out is None):
            raise ConfigError(
                "conform needs 'dialogue' and 'out'", hint="Or plan only, with dry_run: true."
            )
        if self.handles < 0:
            raise ConfigError(f"handles must be 0 or more, got {self.handles}")


@dataclass(frozen=True, slots=True)
class Adapt:
    """Fine-tunes the latent networks to a shot, as ``lipcore adapt``."""

    plate: Path
    out: Path
    minutes: float = 15.0
    frames: str | None = None
    speaker: str = "largest"
    colorspace: str | None = None
    weights: str = "base"
    device: str = "cpu"
    cache: Path | None = None

    def __post_init__(self) -> None:
        check_minutes("minutes", self.minutes)


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Measures a render against its plate, as ``lipcore evaluate``."""

    render: Path
    against: Path
    dialogue: Path | None = None
    offset_frames: float = 0.0
    speaker: str = "largest"
    rate: str | None = None
    outs: tuple[Path, ...] = ()
    """Files to write, ``.json``, ``.csv`` or ``.html``."""
    per_frame: Path | None = None
    """A ``.csv`` with a row a frame."""
    cache: Path | None = None

    def __post_init__(self) -> None:
        check_files(self.outs, self.per_frame)


@dataclass(frozen=True, slots=True)
class Report:
    """Writes a page about finished renders, as ``lipcore report``."""

    renders: tuple[Path, ...]
    """Folders, videos or sequences, each with its sidecar."""
    out: Path
    title: str = ""
    plate: Path | None = None
    """Of a single render: where its plate lies, if not where the sidecar says."""
    dialogue: Path | None = None
    """Likewise."""
    cache: Path | None = None


Question = Hello | Status | Cancel | Shutdown
"""Answered at once."""
Job = Render | Track | Conform | Adapt | Evaluate | Report
"""Queued and done one after another."""

METHODS: dict[str, type[Question | Job]] = {
    "hello": Hello, "status": Status, "cancel": Cancel, "shutdown": Shutdown, "plan": Plan,
    "analyse": Analyse, "render": Render, "track": Track, "conform": Conform, "adapt": Adapt,
    "evaluate": Evaluate, "report": Report,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Envelope:
    id: str
    method: str


@dataclass(frozen=True, slots=True)
class Request:
    """One line from the client."""

    id: str
    method: str
    params: Question | Job


class RequestError(Exception):
    """A line that is no request: what is wrong, and the id, where one could be read."""

    def __init__(self, error: ConfigError, request_id: str | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.id = request_id


def parse_request(line: bytes) -> Request:
    """Read a request.

    Args:
        line: JSON in UTF-8: ``{"id": "1", "method": "render", "params": {...}}``.

    Raises:
        RequestError: It is none.
    """
    try:
        values = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(ConfigError(
            f"a line is not JSON ({' '.join(str(error).split())[:200]})",
            hint="Send one JSON object a line, in UTF-8.",
        )) from error  # fmt: skip
    request_id: str | None = None
    if isinstance(values, dict) and isinstance(values.get("id"), str):
        request_id = values["id"][:_LONGEST_ID]
    try:
        return _check(values)
    except ConfigError as error:
        raise RequestError(error, request_id) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _check(values: object) -> Request:
    if not isinstance(values, dict):
        raise ConfigError(
            "a request is not a JSON object",
            hint='Send {"id": "1", "method": "hello", "params": {}}.',
        )
    params = values.get("params", {})
    head = from_mapping(
        _Envelope, {k: v for k, v in values.items() if k != "params"}, where="request"
    )
    if not 0 < len(head.id) <= _LONGEST_ID:
        raise ConfigError(f"an id has from 1 to {_LONGEST_ID} characters")
    if head.method not in METHODS:
        raise ConfigError(
            f"no method is called {head.method[:80]!r}", hint=f"There are {', '.join(METHODS)}."
        )
    return Request(head.id, head.method, from_mapping(METHODS[head.method], params, where="params"))


def parse_frames(text: str | None) -> FrameRange | None:
    """``1001-1050``, or None for all."""
    return None if text is None else FrameRange.parse(text)
