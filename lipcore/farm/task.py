"""What one task of a farm does, told the way Open Job Description reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipcore.config import from_mapping, parse_yaml, to_mapping
from lipcore.errors import ConfigError
from lipcore.farm.jobs import TEXTS, Job, job_of
from lipcore.farm.kinds import (
    NUMBERS_ARE_TEXT,
    SETTINGS,
    AdaptSettings,
    CommandKind,
    ConformSettings,
    EvaluateSettings,
    ReportSettings,
    Settings,
    as_lists,
    list_options,
)
from lipcore.farm.session import call_session
from lipcore.types import FrameRange

_STEPS = {"track": (0, 60), "bank": (60, 95), "speech": (0, 5), "render": (5, 100),
          "adapt": (0, 100)}  # fmt: skip
"""Share of a task, in percent, that each stage is, where a stage is told at all."""
_MOST_RULES_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """One job for the session's worker."""

    method: str
    params: dict[str, Any]
    title: str = ""
    """What it is of, where a task has several."""


def parse_settings(words: Sequence[str]) -> Job:
    """A render from ``option=value`` words; values are read as a file of jobs would.

    Raises:
        ConfigError: A word has no ``=``, or a value does not fit its option.
    """
    values: dict[str, Any] = {}
    for name, value, word in _split(words):
        values[name] = value if name in TEXTS else parse_yaml(value, f"--set={word}")
    return job_of(values, {}, 1, Path.cwd(), "the task")


def worker_params(job: Job, chunk: FrameRange | None) -> dict[str, Any]:
    """A job as parameters of the worker's ``render`` and ``analyse``."""
    shot, given = job.shot, job.settings
    settings = {
        name: value
        for name, value in to_mapping(job.config).items()
        if value is not None and name != "extra"
    }
    if chunk is not None:
        settings["chunk"] = {"first": chunk.first, "last": chunk.last}
    return _stated({
        "plate": given.plate, "out": given.out, "dialogue": given.dialogue,
        "shapes": given.shapes, "frames": given.frames, "rate": given.rate,
        "colorspace": given.colorspace, "speaker": given.speaker,
        "holdout": None if shot.holdout is None else str(shot.holdout), "settings": settings,
    })  # fmt: skip


def adapt_call(words: Sequence[str]) -> Call:
    """An adaptation as a call of the worker.

    Raises:
        ConfigError: A word cannot be read.
    """
    given = _settings("adapt", words)
    assert isinstance(given, AdaptSettings)
    return Call("adapt", _stated(to_mapping(given)))


def conform_calls(
    words: Sequence[str], shots: FrameRange | None, rules: Path | None
) -> list[Call]:
    """A conform as calls of the worker, one a language.

    Args:
        words: ``option=value``; options that are lists are repeated.
        shots: Numbers of the shots to render, and nothing else is written; None does the whole.
        rules: The farm's path mapping, by which media in the timeline are found.

    Raises:
        ConfigError: A word or the mapping cannot be read.
    """
    from lipcore.timeline.conform import parse_dialogues

    given = _settings("conform", words)
    assert isinstance(given, ConformSettings)
    only = given.only if shots is None else tuple(map(str, shots))
    maps = (*given.path_map, *read_rules(rules))
    calls = []
    for tag in parse_dialogues(given.dialogue):
        dub = next(d for d in given.dialogue if not tag or d.startswith(f"{tag}="))
        out = Path(given.out) / tag
        calls.append(Call("conform", _stated({
            "timeline": given.timeline, "dialogue": dub.removeprefix(f"{tag}=" if tag else ""),
            "language": tag, "out": str(out), "rate": given.rate, "search": list(given.search),
            "path_map": list(maps), "skip_tracks": list(given.skip_track),
            "handles": given.handles, "only": list(only), "shots": given.settings,
            "formats": list(given.format), "report": given.report, "write": shots is None,
            "settings": _stated({
                "strength": given.strength, "synthesis": given.synthesis,
                "refine": given.refine, "weights": given.weights, "overwrite": given.overwrite,
                "cache": given.cache,
            }),
        }), tag))  # fmt: skip
    return calls


def evaluate_call(words: Sequence[str]) -> Call:
    """An evaluation as a call of the worker.

    Raises:
        ConfigError: A word cannot be read.
    """
    given = _settings("evaluate", words)
    assert isinstance(given, EvaluateSettings)
    return Call("evaluate", _stated({
        "render": given.render, "against": given.against, "dialogue": given.dialogue,
        "offset_frames": given.offset_frames, "speaker": given.speaker, "rate": given.rate,
        "outs": list(given.out), "per_frame": given.per_frame, "cache": given.cache,
    }))  # fmt: skip


def report_call(words: Sequence[str]) -> Call:
    """A report as a call of the worker.

    Args:
        words: As of the kind ``report``; and ``plate`` and ``dialogue``, where the single
            render's lie on this machine.

    Raises:
        ConfigError: A word cannot be read.
    """
    media = {n: v for n, v, _ in _split(words) if n in ("plate", "dialogue")}
    rest = [word for name, _, word in _split(words) if name not in media]
    given = _settings("report", rest)
    assert isinstance(given, ReportSettings)
    return Call("report", {
        "renders": list(given.render), "out": given.out, "title": given.title, **media,
        **({} if given.cache is None else {"cache": given.cache}),
    })  # fmt: skip


def read_rules(path: Path | None) -> list[str]:
    """``OLD=NEW`` for each rule of a farm's path mapping.

    Args:
        path: As Open Job Description hands it to a task; None has no rules.

    Raises:
        ConfigError: It is no path mapping.
    """
    if path is None:
        return []
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_RULES_BYTES + 1)
        if len(content) > _MOST_RULES_BYTES:
            raise ValueError("it is larger than 1 MiB")
        values = json.loads(content)
        rules = values.get("path_mapping_rules", [])
        return [f"{r['source_path']}={r['destination_path']}" for r in rules]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is no path mapping ({error})",
            hint="Open Job Description writes it: give {{Session.PathMappingRulesFile}}.",
            path=str(path),
        ) from error


def run_calls(session: Path, calls: Sequence[Call], say: Callable[[str], None]) -> int:
    """Have the session's worker do a task, and tell the farm how it goes.

    Args:
        session: The session's folder.
        calls: What the task consists of; the first that fails ends it.
        say: Prints a line at once.

    Returns:
        The exit code: 0, or that of the error's family.

    Raises:
        SessionError: The worker is not there.
    """
    for number, call in enumerate(calls):
        told = _Progress(say, number, len(calls), call.title)
        final = call_session(session, call.method, call.params, told.take)
        if final["event"] == "cancelled":
            say("openjd_status: cancelled")
            return 143
        if final["event"] != "result":
            say(f"openjd_fail: {final['message']}")
            if final.get("hint"):
                say(f"hint: {final['hint']}")
            return int(final.get("exit_code") or 1)
    say("openjd_progress: 100")
    return 0


class _Progress:
    """Events of a worker as the lines that a farm reads."""

    def __init__(self, say: Callable[[str], None], number: int, of: int, title: str) -> None:
        self._say, self._number, self._of = say, number, of
        self._title = f"{title}: " if title else ""
        self._last: tuple[str, int] | None = None
        self._told = 0.0

    def take(self, event: dict[str, Any]) -> None:
        if event["event"] == "log":
            self._say(event["message"])
        if event["event"] != "progress":
            return
        stage, done, total = event["stage"], event["done"], event["total"]
        low, high = _STEPS.get(stage, (0, 100))
        share = low + round((high - low) * done / max(1, total))
        share = round((100 * self._number + share) / self._of)
        now = time.monotonic()
        if (stage, share) == self._last or (now - self._told < 0.5 and done < total):
            return
        self._last, self._told = (stage, share), now
        self._say(f"openjd_progress: {share}")
        self._say(f"openjd_status: {self._title}{stage}, {done} of {total}")


def _split(words: Sequence[str]) -> list[tuple[str, str, str]]:
    """(option, value, the word) of each word."""
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not option=value", hint="As --set=speaker=left.")
        found.append((name.replace("-", "_"), value, word))
    return found


def _settings(kind: CommandKind, words: Sequence[str]) -> Settings:
    """The settings of a kind from words; those of lists are repeated."""
    cls, many = SETTINGS[kind], list_options(kind)
    hints = {name: str(field.type) for name, field in cls.__dataclass_fields__.items()}
    values: dict[str, Any] = {}
    for name, value, word in _split(words):
        if name in many:
            values.setdefault(name, []).append(value)
        elif name in NUMBERS_ARE_TEXT or hints.get(name, "str").startswith("str"):
            values[name] = value
        else:
            values[name] = parse_yaml(value, f"--set={word}")
    return from_mapping(cls, as_lists(kind, values), where="the task")


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
