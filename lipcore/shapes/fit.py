"""A person's own amplitude: from asked shapes in standard units to this face's values.

The shot says how far the person's mouth goes and what it looks like shut. So a restrained
speaker stays restrained, and silence is that person's own closed mouth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipcore.shapes.basis import ShapeBasis
from lipcore.tracking import head
from lipcore.types import FloatArray

GAIN_BOUNDS = (0.4, 2.0)
"""Least and most of the mean speaker's amplitude that is believed of a shot."""
SPEAKS_FROM = 0.25
"""Below this share of the mean speaker's opening the shot shows nobody speaking."""
FEWEST_FRAMES = 12
"""With fewer, a shot says nothing about amplitude."""
CLOSED_GAP = 0.03
"""An inner-lip opening below this, interocular, can be a closed mouth."""
TOUCHING_GAP = 0.008
"""What a mesh still sees between lips that touch, at most."""

_LEADING = 3
"""Components (open, wide, pucker) whose amplitude a shot shows well; the others are small,
and in a shot as much pose and noise as motion."""

_LEAST_OWN = 0.5
"""Share of a person's opening that ``open`` makes at least."""


@dataclass(frozen=True, slots=True, eq=False)
class PersonFit:
    """``value = closed + gain * standard``, for each component."""

    gain: FloatArray
    """``(C,)`` value units a standard deviation."""
    closed: FloatArray
    """``(C,)`` values of the person's closed mouth, from the person's neutral."""
    amplitude: float
    """Opening of this person against the mean speaker; 1.0 where the shot does not tell."""
    speaks: bool
    """The shot shows the person speaking, so that the gains are the person's own."""

    def apply(self, standard: FloatArray) -> FloatArray:
        """Standard units ``(N, C)`` to the person's values ``(N, C)``."""
        values: FloatArray = (self.closed + self.gain * standard).astype(np.float32)
        return values

    def standardise(self, values: FloatArray) -> FloatArray:
        """The person's values ``(N, C)`` to standard units ``(N, C)``."""
        standard: FloatArray = ((values - self.closed) / self.gain).astype(np.float32)
        return standard


def fit_person(values: FloatArray, neutral: FloatArray, basis: ShapeBasis) -> PersonFit:
    """Fit gains and the closed mouth to what a shot shows.

    Args:
        values: ``(N, C)`` measured on the shot; NaN where the face is absent.
        neutral: ``(K, 3)`` the neutral that they start from.
        basis: Of the values.
    """
    seen = values[np.isfinite(values).all(axis=1)]
    closed = closed_shape(seen, neutral, basis)
    ratio = _spread(seen) / basis.std if len(seen) >= FEWEST_FRAMES else np.zeros_like(basis.std)
    amplitude = float(ratio[0])
    if amplitude < SPEAKS_FROM:
        return PersonFit(basis.std.copy(), closed, 1.0, speaks=False)
    ratio[_LEADING:] = np.sqrt(ratio[_LEADING:] * amplitude)
    ratio = np.clip(ratio, *GAIN_BOUNDS)
    ratio[0] = np.clip(_opening_ratio(seen, ratio, basis), *GAIN_BOUNDS)
    gain = basis.std * ratio
    return PersonFit(gain.astype(np.float32), closed, amplitude, speaks=True)


def _opening_ratio(seen: FloatArray, ratio: FloatArray, basis: ShapeBasis) -> float:
    """What ``open`` needs for the lips to part as far as they do in the shot.

    Other components part the lips too. On a face they work with or against ``open`` as the
    person has it (one who purses the lips with an open jaw parts them less than ``open``
    says), but what speech asks of them goes nearly its own way. So their share is taken off
    as if they were independent, and ``open`` makes up what is missing.
    """
    slope = opening_slope(basis)
    asked = _spread((seen @ slope)[:, None])[0]
    others = slope[1:_LEADING] * basis.std[1:_LEADING] * ratio[1:_LEADING]
    left = max(float(asked) ** 2 - float(others @ others), (_LEAST_OWN * float(asked)) ** 2)
    return float(np.sqrt(left)) / float(slope[0] * basis.std[0])


def closed_shape(seen: FloatArray, neutral: FloatArray, basis: ShapeBasis) -> FloatArray:
    """The person's closed mouth.

    The mean of the tenth of frames with the least opening, then the smallest change (in
    standard deviations) that brings the lips together where these frames leave them apart:
    a shot may never show them shut.

    Args:
        seen: ``(N, C)`` finite values; N may be 0.
        neutral: ``(K, 3)``.
        basis: Of the values.

    Returns:
        ``(C,)`` values.
    """
    slopes, gaps = gap_slopes(basis), lip_gaps(neutral, basis)
    rest = np.zeros(len(basis.names))
    if len(seen):
        opening = (gaps + seen @ slopes.T).mean(axis=1)
        rest = seen[opening <= np.quantile(opening, 0.1)].mean(axis=0)
    left = gaps + slopes @ rest
    target = np.clip(left, 0.0, TOUCHING_GAP) if left.mean() < CLOSED_GAP else np.zeros(len(left))
    # Ridge: one standard deviation of change costs as much as half a thousandth of gap.
    scaled = slopes * basis.std
    pull = scaled.T @ scaled + np.eye(len(rest)) * 0.0005**2
    change = basis.std * np.linalg.solve(pull, scaled.T @ (target - left))
    return (rest + change).astype(np.float32)


def lip_gaps(neutral: FloatArray, basis: ShapeBasis) -> FloatArray:
    """``(P,)`` vertical gaps between the facing points of the inner lips, interocular."""
    upper, lower = _pairs(basis)
    gaps: FloatArray = neutral[lower, 1] - neutral[upper, 1]
    return gaps


def gap_slopes(basis: ShapeBasis) -> FloatArray:
    """``(P, C)`` how each gap changes with each value."""
    upper, lower = _pairs(basis)
    slopes: FloatArray = (basis.components[:, lower, 1] - basis.components[:, upper, 1]).T
    return slopes


def opening_slope(basis: ShapeBasis) -> FloatArray:
    """``(C,)`` how the mean inner-lip opening changes with each value."""
    mean: FloatArray = gap_slopes(basis).mean(axis=0)
    return mean


def width_slope(basis: ShapeBasis) -> FloatArray:
    """``(C,)`` how the distance between the mouth's corners changes with each value."""
    left, right = (basis.indices.index(i) for i in head.MOUTH_CORNERS)
    slope: FloatArray = basis.components[:, right, 0] - basis.components[:, left, 0]
    return slope


def _pairs(basis: ShapeBasis) -> tuple[list[int], list[int]]:
    """Positions of the facing inner-lip points, corners left out."""
    upper = [basis.indices.index(i) for i in head.LIPS_INNER_UPPER[1:-1]]
    lower = [basis.indices.index(i) for i in head.LIPS_INNER_LOWER[1:-1]]
    return upper, lower


def _spread(seen: FloatArray) -> FloatArray:
    """``(C,)`` standard deviations, mistracked frames cut off."""
    low, high = np.percentile(seen, [2, 98], axis=0)
    spread: FloatArray = np.clip(seen, low, high).std(axis=0)
    return spread
