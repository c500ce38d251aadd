"""How large the faces of Wav2Lip and LipGAN may be."""

from __future__ import annotations

from lipcore.errors import ConfigError

SIDE = 96
"""Pixels of a face's side, as published."""
_DIVISORS = (1, 2, 4, 8, 16)


def check_sizes(size: int, divide: int) -> int:
    """How often 96 is doubled.

    Args:
        size: Pixels of a face's side.
        divide: By what the channels of all layers are divided.

    Raises:
        ConfigError: ``size`` is not 96 doubled, or ``divide`` no power of 2 up to 16.
    """
    doublings = max(0, (size // SIDE).bit_length() - 1)
    if size != SIDE << doublings or size > 1536:
        raise ConfigError(
            f"faces of {size} pixels do not suit this network",
            hint=f"Take {SIDE}, or {SIDE} doubled: 192, 384, 768, 1536.",
        )
    check_divide(divide)
    return doublings


def check_divide(divide: int) -> None:
    """What channels can be divided by.

    Raises:
        ConfigError: It is no power of 2 up to 16.
    """
    if divide not in _DIVISORS:
        raise ConfigError(
            f"channels cannot be divided by {divide}",
            hint=f"Take one of: {', '.join(map(str, _DIVISORS))}.",
        )
