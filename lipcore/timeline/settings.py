"""What a timeline, or a file beside it, says of single shots.

In the timeline: metadata ``lipcore: {speaker: left, strength: 0.8}`` on a clip or on what it is
nested in, or a marker whose name begins with ``lipsync``, as ``lipsync exclude`` or
``lipsync speaker=left strength=0.8``. In a file: YAML (or JSON), shots by name or number::

    0003_interview: {strength: 0.6, offset: -1}
    7: {exclude: true}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lipcore.config import from_mapping, parse_yaml, read_yaml
from lipcore.errors import ConfigError

_WORD = "lipsync"
_VALUED = {
    "speaker": "Write it as speaker=left.", "strength": "Write it as strength=0.6.",
    "refine": "Write it as refine=0.5.", "offset": "Write it as offset=-2.",
}
"""Settings that are nothing without a value, and how they are written."""


@dataclass(frozen=True, slots=True)
class ShotSettings:
    """Settings of one shot; None takes what the whole conform has."""

    speaker: str | None = None
    """As ``lipcore render --speaker``."""
    strength: float | None = None
    """0 to 1."""
    offset: float | None = None
    """Frames; positive makes the mouth speak later."""
    exclude: bool | None = None
    """True leaves the shot as it is; False brings back one that the timeline leaves out."""
    refine: float | None = None
    """Share of the refiner's picture, 0 to 1, where a network draws."""

    def __post_init__(self) -> None:
        if self.strength is not None and not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be from 0 to 1, got {self.strength}")
        if self.refine is not None and not 0 <= self.refine <= 1:
            raise ConfigError(f"refine must be from 0 to 1, got {self.refine}")
        if self.offset is not None and not math.isfinite(self.offset):
            raise ConfigError("offset must be a number of frames")

    def over(self, below: ShotSettings) -> ShotSettings:
        """These settings, and those below where these say nothing."""
        return replace(below, **self.stated())

    def stated(self) -> dict[str, Any]:
        """What is said, as plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def settings_of(items: Sequence[Any]) -> ShotSettings:
    """What a clip and what it is nested in say; the inner says more than the outer.

    Args:
        items: OTIO items, the clip first, then its parents outwards.

    Raises:
        ConfigError: A setting is unknown or not one of its values.
    """
    found = ShotSettings()
    for item in reversed(items):
        facts = item.metadata.get("lipcore")
        if isinstance(facts, Mapping):
            # What lipcore wrote of an earlier conform lies under the same name.
            known = {k: v for k, v in facts.items() if k in ShotSettings.__slots__}
            found = _read(known, f"the metadata of {item.name!r}").over(found)
        for marker in item.markers:
            words = marker.name.strip().split()
            if words and words[0].lower() == _WORD:
                where = f"the marker {marker.name!r}"
                told = dict(_pair(word, where) for word in words[1:])
                found = _read(told, where).over(found)
    return found


def read_settings(path: Path) -> dict[str, ShotSettings]:
    """A file of settings by the shot's name or number.

    Raises:
        ConfigError: The file is absent, is no mapping, or holds a setting that is unknown.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} holds no shots", hint="Write lines as: 0003_interview: {strength: 0.6}",
            path=str(path),
        )
    return {
        str(shot): _read(values, f"{path.name}, shot {shot}") for shot, values in content.items()
    }


def _pair(word: str, where: str) -> tuple[str, Any]:
    """``exclude`` or ``strength=0.8``."""
    name, equals, value = word.partition("=")
    return name.lower(), parse_yaml(value, where) if equals else True


def _read(values: Any, where: str) -> ShotSettings:
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{where}: {values!r} is no mapping", hint="Write it as {strength: 0.6}."
        )
    plain = {}
    for name, value in values.items():
        if isinstance(value, bool) and name in _VALUED:
            raise ConfigError(f"{where}: {name} has no value", hint=_VALUED[name])
        number = isinstance(value, int) and name != "exclude"
        plain[name] = str(value) if name == "speaker" else float(value) if number else value
    try:
        return from_mapping(ShotSettings, plain)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error
