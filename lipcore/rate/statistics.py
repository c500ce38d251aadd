"""What votes come to: means with intervals, agreement of raters, and who is to be left out.

The votes of one rater hang together, so intervals are over raters: each rater's votes are
averaged first, and Student's t is of the raters' means.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Key = Hashable
Votes = Mapping[tuple[int, Key], float]
"""Value by (rater, what was judged)."""

LEVEL = 0.95
LEAST_CORRELATION = 0.75
"""Of a rater with the mean of all, over what was judged: r1 of P.913."""
LEAST_SYSTEM_CORRELATION = 0.8
"""Likewise, over means of systems: r2."""
LEAST_POINTS = 4
"""Of a correlation: fewer say nothing."""
LEAST_SYSTEMS = 4
"""Of r2, likewise."""
_LEAST_RATERS = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    """NaN, as ``high``, where one rater alone cannot give an interval."""
    high: float
    raters: int
    votes: int


def mean_over_raters(votes: Iterable[tuple[int, float]]) -> Estimate | None:
    """Mean of the raters' own means, with the interval of Student's t; None without votes.

    Args:
        votes: (rater, value).
    """
    means, count = _own_means(votes)
    if not count:
        return None
    middle = float(np.mean(means))
    half = math.nan
    if len(means) > 1:
        spread = float(np.std(means, ddof=1)) / math.sqrt(len(means))
        half = float(stats.t.ppf(0.5 + LEVEL / 2, len(means) - 1)) * spread
    return Estimate(middle, middle - half, middle + half, len(means), count)


def share_over_raters(votes: Iterable[tuple[int, float]]) -> Estimate | None:
    """Mean of the raters' own shares, with Wilson's interval of as many trials as raters.

    It stays within 0 and 1, and does not vanish where all agree.

    Args:
        votes: (rater, value 0-1).
    """
    shares, count = _own_means(votes)
    if not count:
        return None
    share, n = float(np.mean(shares)), len(shares)
    z = float(stats.norm.ppf(0.5 + LEVEL / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), n, count)


def _own_means(votes: Iterable[tuple[int, float]]) -> tuple[list[float], int]:
    by_rater: dict[int, list[float]] = defaultdict(list)
    for rater, value in votes:
        by_rater[rater].append(value)
    return [float(np.mean(v)) for v in by_rater.values()], sum(map(len, by_rater.values()))


def krippendorff_alpha(votes: Votes) -> float:
    """Krippendorff's alpha for interval data; 1 is full agreement, 0 that of chance.

    Raters may have judged different things; what only one of them judged does not count.

    Returns:
        NaN where nothing was judged twice, or all values are the same.

    Source: Krippendorff, *Computing Krippendorff's alpha-reliability*, 2011.
    """
    units: dict[Key, list[float]] = defaultdict(list)
    for (_, unit), value in votes.items():
        units[unit].append(value)
    paired = [np.array(values) for values in units.values() if len(values) > 1]
    if not paired:
        return math.nan
    every = np.concatenate(paired)
    count = len(every)

    def squares(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        """Sum of squared differences over ordered pairs."""
        return 2 * float(len(values) * np.square(values).sum() - values.sum() ** 2)

    seen = sum(squares(values) / (len(values) - 1) for values in paired) / count
    chance = squares(every) / (count * (count - 1))
    return math.nan if chance <= 0 else 1 - seen / chance


def screen_by_correlation(
    votes: Votes, system_of: Mapping[Key, str]
) -> dict[int, tuple[float, float]]:
    """Raters whose votes do not go with those of the others, on one scale.

    r1 is the correlation (Pearson) of a rater's votes with the mean vote of all over what was
    judged (the processed video sequences), r2 that of the means of systems (the hypothetical
    reference circuits). A rater is out where r1 is below 0.75 and r2 below 0.8. One is left out at
    a time, the one who falls short of the two by most on the average, and all is computed again.
    With fewer than four systems r2 says little: there r1 decides alone, the first of its methods.

    Args:
        votes: Of raters and what was judged.
        system_of: The system of each thing judged.

    Returns:
        The raters out: correlation over things, and over systems (NaN with too few).

    Source: ITU-T P.913 (screening after the experiment by Pearson correlation: by what was
    judged; by that and by systems). Its text was not at hand: limits, and that both must fail,
    are those of the screening code of the Recommendation's editor (M. Pinson, after annex VI of
    VQEG's multimedia test plan); that one is left out at a time is from memory.
    We differ where votes are few: who judged fewer than four things, or two raters alone, cannot
    be screened; whose votes do not vary at all has a correlation of 0.
    """
    left = dict(votes)
    out: dict[int, tuple[float, float]] = {}
    while True:
        raters = sorted({rater for rater, _ in left})
        if len(raters) < _LEAST_RATERS:
            return out
        means = _mean_of_each((unit, value) for (_, unit), value in left.items())
        worst: tuple[float, int, tuple[float, float]] | None = None
        for rater in raters:
            own = {unit: value for (r, unit), value in left.items() if r == rater}
            if len(own) < LEAST_POINTS:
                continue
            things = correlation([*own.values()], [means[unit] for unit in own])
            mine = _mean_of_each((system_of[u], v) for u, v in own.items())
            all_of = _mean_of_each((system_of[u], means[u]) for u in own)
            enough = len(mine) >= LEAST_SYSTEMS
            systems = (
                correlation([*mine.values()], [all_of[s] for s in mine]) if enough else math.nan
            )
            if things >= LEAST_CORRELATION or (enough and systems >= LEAST_SYSTEM_CORRELATION):
                continue
            short = LEAST_CORRELATION - things
            if enough:
                short = (short + LEAST_SYSTEM_CORRELATION - systems) / 2
            if worst is None or short > worst[0]:
                worst = (short, rater, (things, systems))
        if worst is None:
            return out
        out[worst[1]] = worst[2]
        left = {key: value for key, value in left.items() if key[0] != worst[1]}


def correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Pearson's, 0 where one side does not vary."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 1e-12 else 0.0


def _mean_of_each(values: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    found: dict[Key, list[float]] = defaultdict(list)
    for key, value in values:
        found[key].append(value)
    return {key: float(np.mean(v)) for key, v in found.items()}
