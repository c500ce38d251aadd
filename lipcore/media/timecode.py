"""SMPTE timecode as frame counts and back.

Source: SMPTE ST 12-1 for drop-frame counting.
"""

from __future__ import annotations

import re
from fractions import Fraction

_MARK = "[:;.]"
_TIMECODE = re.compile(rf"(\d+){_MARK}(\d+){_MARK}(\d+)({_MARK})(\d+)", re.ASCII)


def count_frames(timecode: str, rate: Fraction) -> tuple[int, bool]:
    """(frames since midnight, whether it counts in drop-frame) of a timecode.

    Args:
        timecode: ``hh:mm:ss:ff``; ``;`` or ``.`` before the frames for drop-frame.
        rate: Frames a second; drop-frame only at 30000/1001 and its multiples.

    Raises:
        ValueError: The text is no timecode.
    """
    match = _TIMECODE.fullmatch(timecode.strip())
    if match is None:
        raise ValueError(f"{timecode!r} is no timecode")
    nominal = max(1, round(rate))
    drop = match[4] != ":" and nominal % 30 == 0
    minutes = int(match[1]) * 60 + int(match[2])
    count = (minutes * 60 + int(match[3])) * nominal + int(match[5])
    return count - (nominal // 15 * (minutes - minutes // 10) if drop else 0), drop


def is_timecode(text: str) -> bool:
    """Whether a text has the form of a timecode; tags of files hold anything."""
    return _TIMECODE.fullmatch(text.strip()) is not None


def advance_timecode(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode ``frames`` later; wraps at 24 hours.

    Args:
        timecode: As for ``count_frames``.
        frames: How many; may be negative.
        rate: Frames a second.

    Raises:
        ValueError: The text is no timecode.
    """
    count, drop = count_frames(timecode, rate)
    nominal = max(1, round(rate))
    dropped = nominal // 15 if drop else 0
    per_ten = nominal * 600 - dropped * 9
    count = (count + frames) % (per_ten * 6 * 24)
    if drop:
        tens, rest = divmod(count, per_ten)
        skipped = (
            0 if rest < nominal * 60 else 1 + (rest - nominal * 60) // (nominal * 60 - dropped)
        )
        count += dropped * (9 * tens + skipped)
    seconds, tail = divmod(count, nominal)
    mark = ";" if drop else ":"
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{tail:02d}"
