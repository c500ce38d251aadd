"""Exact times: OpenTimelineIO counts in floats, lipcore in fractions of a second."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

from lipcore.errors import ConfigError
from lipcore.media.timecode import advance_timecode, count_frames

_BOUNDS = (1001, 1_000_000, 1_000_000_000)


class Counted(Protocol):
    """What is needed of an ``opentime.RationalTime``."""

    @property
    def value(self) -> float:
        """How many."""

    @property
    def rate(self) -> float:
        """Of how many a second."""


def exact(value: float) -> Fraction:
    """The simplest fraction that a float stands for: 0.333... is a third.

    Raises:
        ConfigError: The value is no finite number.
    """
    try:
        whole = Fraction(value)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"the timeline holds a time of {value}", hint="Export it again."
        ) from error
    if whole.denominator == 1:
        return whole
    for bound in _BOUNDS:
        simple = whole.limit_denominator(bound)
        if float(simple) == value:
            return simple
    return whole


def exact_rate(rate: float) -> Fraction:
    """The frame rate that a float stands for: 23.976 and 23.98 are 24000/1001.

    Raises:
        ConfigError: The rate is not above 0.
    """
    if not rate > 0:
        raise ConfigError(
            f"the timeline counts in a rate of {rate} a second", hint="Export it again."
        )
    whole = Fraction(round(rate))
    ntsc = Fraction(round(rate * 1.001) * 1000, 1001)
    for known in (whole, ntsc):
        if known > 0 and abs(float(known) - rate) < 0.005:
            return known
    return exact(rate)


def seconds(time: Counted) -> Fraction:
    """A time in seconds."""
    return exact(time.value) / exact_rate(time.rate)


def timecode(frame: int, rate: Fraction, *, drop: bool = False) -> str:
    """A count of frames as ``hh:mm:ss:ff`` (``;`` before the frames in drop-frame)."""
    return advance_timecode("00:00:00;00" if drop else "00:00:00:00", frame, rate)


def parse_timecode(text: str, rate: Fraction) -> int:
    """The count of frames since midnight that a timecode stands for.

    Raises:
        ValueError: The text is no timecode.
    """
    return count_frames(text, rate)[0]
