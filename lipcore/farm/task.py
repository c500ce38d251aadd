"""What one task of a farm does, told the way Open Job Description reads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lipcore.config import parse_yaml, to_mapping
from lipcore.errors import ConfigError
from lipcore.farm.jobs import TEXTS, Job, job_of
from lipcore.farm.session import call_session
from lipcore.types import FrameRange

_STEPS = {"track": (0, 60), "bank": (60, 95), "speech": (0, 5), "render": (5, 100),
          "adapt": (0, 100)}  # fmt: skip
"""Share of a task, in percent, that each stage is, where a stage is told at all."""


def parse_settings(words: Sequence[str]) -> Job:
    """A job from ``option=value`` words; values are read as a file of jobs would.

    Raises:
        ConfigError: A word has no ``=``, or a value does not fit its option.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not option=value", hint="As --set=speaker=left.")
        name = name.replace("-", "_")
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
    params = {
        "plate": given.plate, "out": given.out, "dialogue": given.dialogue,
        "shapes": given.shapes, "frames": given.frames, "rate": given.rate,
        "colorspace": given.colorspace, "speaker": given.speaker,
        "holdout": None if shot.holdout is None else str(shot.holdout), "settings": settings,
    }  # fmt: skip
    return {name: value for name, value in params.items() if value is not None}


def adapt_params(job: Job, minutes: float) -> dict[str, Any]:
    """A job as parameters of the worker's ``adapt``."""
    given = job.settings
    params = {
        "plate": given.plate, "out": given.out, "minutes": minutes, "frames": given.frames,
        "speaker": given.speaker, "colorspace": given.colorspace, "weights": given.weights,
        "device": given.device, "cache": given.cache,
    }  # fmt: skip
    return {name: value for name, value in params.items() if value is not None}


def run_task(
    session: Path, method: str, params: dict[str, Any], say: Callable[[str], None]
) -> int:
    """Have the session's worker do a task, and tell the farm how it goes.

    Args:
        session: The session's folder.
        method: Of the worker's protocol.
        params: Of the method.
        say: Prints a line at once.

    Returns:
        The exit code: 0, or that of the error's family.

    Raises:
        SessionError: The worker is not there.
    """
    told = _Progress(say)
    final = call_session(session, method, params, told.take)
    if final["event"] == "result":
        say("openjd_progress: 100")
        return 0
    if final["event"] == "cancelled":
        say("openjd_status: cancelled")
        return 143
    say(f"openjd_fail: {final['message']}")
    if final.get("hint"):
        say(f"hint: {final['hint']}")
    return int(final.get("exit_code") or 1)


class _Progress:
    """Events of a worker as the lines that a farm reads."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
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
        now = time.monotonic()
        if (stage, share) == self._last or (now - self._told < 0.5 and done < total):
            return
        self._last, self._told = (stage, share), now
        self._say(f"openjd_progress: {share}")
        self._say(f"openjd_status: {stage}, {done} of {total}")
