"""How much of the new mouth each frame takes: one number, or a curve with keys."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from lipcore.errors import ConfigError
from lipcore.shot import RenderConfig
from lipcore.types import FloatArray, FrameRange

_HINT = "Write one 'frame value' on each line, values from 0 to 1; # begins a comment."


def parse_strength(text: str) -> tuple[float, Path | None]:
    """What ``--strength`` may be: a number, or the path of a curve.

    Returns:
        ``strength`` and ``strength_curve`` of a ``RenderConfig``.

    Raises:
        ConfigError: The text is neither.
    """
    try:
        return float(text), None
    except ValueError:
        path = Path(text)
    if not path.is_file():
        raise ConfigError(
            f"strength {text!r} is neither a number nor a file",
            hint="Give a number from 0 to 1, or a file with lines 'frame value'.",
        )
    return 1.0, path


def read_strength(config: RenderConfig, frames: FrameRange) -> FloatArray:
    """Strength of each frame.

    Args:
        config: Its ``strength`` multiplies the curve, where one is given.
        frames: The frames that are rendered.

    Returns:
        ``(N,)`` in [0, 1].

    Raises:
        ConfigError: The curve file is absent or not as it should be.
    """
    if config.strength_curve is None:
        return np.full(len(frames), config.strength, np.float32)
    path = config.strength_curve
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the strength curve {path} cannot be read ({error})", hint=_HINT, path=str(path)
        ) from error
    keys: dict[int, float] = {}
    for count, line in enumerate(text.splitlines(), 1):
        content = line.split("#", 1)[0].strip()
        if not content:
            continue
        try:
            number, value = content.replace(",", " ").split()
            keys[int(number)] = float(value)
            usable = math.isfinite(keys[int(number)]) and 0 <= keys[int(number)] <= 1
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError(
                f"line {count} of the strength curve {path} is not 'frame value': {line.strip()}",
                hint=_HINT, path=str(path), line=count,
            )
    if not keys:
        raise ConfigError(f"the strength curve {path} has no keys", hint=_HINT, path=str(path))
    at = sorted(keys)
    values = np.interp(np.array(list(frames)), at, [keys[k] for k in at])
    return (values * config.strength).astype(np.float32)
