"""Frame rates as people type them."""

from __future__ import annotations

from fractions import Fraction

from lipcore.errors import ConfigError

_NTSC_RATES = ("23.976", "23.98", "29.97", "47.952", "59.94", "119.88")


def parse_rate(text: str) -> Fraction:
    """Read frames a second: ``24``, ``24000/1001``, or the NTSC rates as people write them.

    Raises:
        ConfigError: The text is no rate above 0.
    """
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise ConfigError(
            f"{text!r} is not a frame rate", hint="Write a rate as 24, 23.976 or 24000/1001."
        )
    if text.strip() in _NTSC_RATES:
        return Fraction(round(rate) * 1000, 1001)
    return rate
