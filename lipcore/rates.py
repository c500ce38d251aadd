"""Frame rates as people type them."""

from __future__ import annotations

import re
from fractions import Fraction

from lipcore.errors import ConfigError

_SHOWN = 40
"""Characters of what is no rate."""
FASTEST = 1000
"""Frames a second."""
_NTSC_RATES = ("23.976", "23.98", "29.97", "47.952", "59.94", "119.88")
_NUMBER = re.compile(r"[-+]?(\d{1,60}(\.\d{0,30}|/\d{1,60})?|\.\d{1,30})", re.ASCII)


def read_fraction(text: str) -> Fraction:
    """An exact number from text: ``25``, ``-0.5`` or ``24000/1001``.

    There is no exponent: a Fraction of ``1e999999999`` would write out every digit.

    Raises:
        ValueError: The text is no such number.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{_short(text)} is not an exact number")
    try:
        return Fraction(text.strip())
    except ZeroDivisionError as error:
        raise ValueError(f"{_short(text)} divides by 0") from error


def parse_rate(text: str) -> Fraction:
    """Read frames a second: ``24``, ``24000/1001``, or the NTSC rates as people write them.

    Raises:
        ConfigError: The text is no rate above 0, up to 1000.
    """
    try:
        rate = read_fraction(text)
    except ValueError:
        rate = Fraction(0)
    if not 0 < rate <= FASTEST:
        raise ConfigError(
            f"{_short(text)} is not a frame rate",
            hint=f"Write a rate as 24, 23.976 or 24000/1001, {FASTEST} at the most.",
        )
    if text.strip() in _NTSC_RATES:
        return Fraction(round(rate) * 1000, 1001)
    return rate


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
