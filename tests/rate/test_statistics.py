"""Figures against scipy and published answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lipcore.rate.statistics import (
    correlation,
    krippendorff_alpha,
    mean_over_raters,
    screen_by_correlation,
    share_over_raters,
)


def test_intervals_are_students_t_over_raters() -> None:
    drawn = np.random.default_rng(1)
    votes = drawn.integers(1, 6, (9, 7))
    found = mean_over_raters((r, v) for r, row in enumerate(votes) for v in row)
    assert found is not None and (found.raters, found.votes) == (9, 63)
    means = votes.mean(axis=1)
    interval = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(means.mean())
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    alone = mean_over_raters([(0, 3.0), (0, 4.0)])
    assert alone is not None and alone.mean == 3.5 and math.isnan(alone.low)
    assert mean_over_raters([]) is None


@pytest.mark.parametrize(("agreed", "raters"), [(0, 6), (4, 11), (13, 13), (1, 1)])
def test_shares_have_wilsons_interval(agreed: int, raters: int) -> None:
    found = share_over_raters((r, float(r < agreed)) for r in range(raters) for _ in range(5))
    known = stats.binomtest(agreed, raters).proportion_ci(0.95, "wilson")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-12)


def test_alpha_is_that_of_its_authors_example() -> None:
    """The four observers and twelve units of Krippendorff (2011): 0.849 for interval data."""
    observers = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    votes = {
        (rater, unit): float(mark)
        for rater, marks in enumerate(observers)
        for unit, mark in enumerate(marks)
        if mark != "."
    }
    assert krippendorff_alpha(votes) == pytest.approx(0.849, abs=5e-4)


def test_alpha_of_full_agreement_of_chance_and_of_nothing() -> None:
    drawn = np.random.default_rng(2)
    assert krippendorff_alpha({(r, u): float(u % 5) for r in range(4) for u in range(9)}) == 1
    noise = {(r, u): float(drawn.integers(1, 6)) for r in range(20) for u in range(200)}
    assert abs(krippendorff_alpha(noise)) < 0.02
    assert math.isnan(krippendorff_alpha({(0, 0): 3.0, (1, 1): 4.0}))
    assert math.isnan(krippendorff_alpha({(0, 0): 3.0, (1, 0): 3.0}))


def test_correlation_is_pearsons() -> None:
    a, b = np.random.default_rng(3).normal(size=(2, 20))
    assert correlation(list(a), list(b)) == pytest.approx(stats.pearsonr(a, b).statistic)
    assert correlation([1, 1, 1], [1, 2, 3]) == 0


def _panel(seed: int, clips: int, systems: int) -> tuple[dict, dict]:  # type: ignore[type-arg]
    """Eight raters who see what is there, the ninth rolls dice, the tenth turns the scale over."""
    drawn = np.random.default_rng(seed)
    units = [(c, s) for c in range(clips) for s in range(systems)]
    truth = {u: 1 + 4 * u[1] / (systems - 1) for u in units}
    votes = {(r, u): truth[u] + drawn.normal(0, 0.4) for r in range(8) for u in units}
    votes |= {(8, u): float(drawn.integers(1, 6)) for u in units}
    votes |= {(9, u): 6 - truth[u] for u in units}
    return votes, {u: str(u[1]) for u in units}


@pytest.mark.parametrize("systems", [3, 5])
def test_who_agrees_with_nobody_is_screened_out(systems: int) -> None:
    votes, system_of = _panel(4, 8, systems)
    out = screen_by_correlation(votes, system_of)
    assert set(out) == {8, 9}
    things, of_systems = out[9]
    assert things < -0.8
    assert math.isnan(of_systems) == (systems < 4)


def test_good_systems_vouch_for_a_noisy_rater() -> None:
    """Noise on single videos that averages out over a system's many does not cost a place."""
    votes, system_of = _panel(5, 40, 5)
    drawn = np.random.default_rng(6)
    votes = {k: v for k, v in votes.items() if k[0] < 8}
    votes |= {(8, u): 1 + u[1] + drawn.normal(0, 3) for u in system_of}
    means = {u: np.mean([votes[r, u] for r in range(9)]) for u in system_of}
    alone = correlation([votes[8, u] for u in system_of], [float(means[u]) for u in system_of])
    assert alone < 0.75
    assert screen_by_correlation(votes, system_of) == {}


def _as_published(votes: dict, system_of: dict, systems: int) -> list[int]:  # type: ignore[type-arg]
    """Annex A of P.913 as tables of numpy: whole sessions, one rater out at a time."""
    raters = sorted({r for r, _ in votes})
    units = sorted(system_of)
    scores = np.array([[votes[r, u] for u in units] for r in raters])
    group = np.array([int(system_of[u]) for u in units])
    gone: list[int] = []
    while len(raters) - len(gone) >= 3:
        left = [k for k, r in enumerate(raters) if r not in gone]
        x = scores[left].mean(axis=0)
        x2 = np.array([x[group == g].mean() for g in range(systems)])
        short = {}
        for k in left:
            y2 = np.array([scores[k][group == g].mean() for g in range(systems)])
            r1, r2 = np.corrcoef(x, scores[k])[0, 1], np.corrcoef(x2, y2)[0, 1]
            if r1 < 0.75 and r2 < 0.8:
                short[raters[k]] = ((0.75 - r1) + (0.8 - r2)) / 2
        if not short:
            break
        gone.append(max(short, key=lambda r: short[r]))
    return gone


@pytest.mark.parametrize("seed", range(12))
def test_screening_is_the_published_procedure(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    units = [(c, s) for c in range(5) for s in range(5)]
    truth = {u: 1 + u[1] + drawn.normal(0, 0.3) for u in units}
    noise = drawn.uniform(0.2, 4, 9)
    votes = {(r, u): float(np.clip(round(truth[u] + drawn.normal(0, noise[r])), 1, 5))
             for r in range(9) for u in units}  # fmt: skip
    found = screen_by_correlation(votes, {u: str(u[1]) for u in units})
    assert list(found) == _as_published(votes, {u: str(u[1]) for u in units}, 5)


def test_too_little_is_not_screened() -> None:
    assert screen_by_correlation({(r, 0): float(r) for r in range(5)}, {0: "a"}) == {}
    two = {(r, u): float((u + r) % 5) for r in range(2) for u in range(9)}
    assert screen_by_correlation(two, dict.fromkeys(range(9), "a")) == {}
