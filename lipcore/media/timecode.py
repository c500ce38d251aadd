"""SMPTE timecode as frame counts and back.

Source: SMPTE ST 12-1 for drop-frame counting.
"""

from __future__ import annotations

import re
from fractions import Fraction


def advance_timecode(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode ``frames`` later; wraps at 24 hours.

    Args:
        timecode: ``hh:mm:ss:ff``, or ``hh:mm:ss;ff`` for drop-frame.
        frames: How many; may be negative.
        rate: Frames a second; drop-frame only at 30000/1001 and its multiples.

    Raises:
        ValueError: The text is no timecode.
    """
    match = re.fullmatch(r"(\d+):(\d+):(\d+)([:;.])(\d+)", timecode.strip())
    if match is None:
        raise ValueError(f"{timecode!r} is no timecode")
    nominal = max(1, round(rate))
    drop = match[4] != ":" and nominal % 30 == 0
    hours, minutes, seconds, tail = int(match[1]), int(match[2]), int(match[3]), int(match[5])
    dropped = nominal // 15 if drop else 0
    total_minutes = hours * 60 + minutes
    count = (total_minutes * 60 + seconds) * nominal + tail
    count -= dropped * (total_minutes - total_minutes // 10)
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
