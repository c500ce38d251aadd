"""The Fréchet distance equals a reference calculation, and known answers, to 1e-6."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from lipcore.errors import ConfigError
from lipcore.evaluate.frechet import frechet_distance, frechet_of_moments


def reference(one: np.ndarray, other: np.ndarray) -> float:
    """With a matrix square root, as the published evaluations do."""
    c1, c2 = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = np.real(sqrtm(c1 @ c2))
    shift = one.mean(0) - other.mean(0)
    return float(shift @ shift + np.trace(c1) + np.trace(c2) - 2 * np.trace(root))


@pytest.mark.parametrize(("n", "m", "d"), [(200, 300, 1 + 31), (500, 90, 64), (130, 140, 128)])
def test_it_equals_the_reference(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(n)
    one = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    other = rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    expected = reference(one, other)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    of_moments = frechet_of_moments(
        one.mean(0), np.cov(one, rowvar=False), other.mean(0), np.cov(other, rowvar=False)
    )
    assert of_moments == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_fewer_features_than_dimensions() -> None:
    """There the product is singular: its eigenvalues, found in long form, are the reference."""
    rng = np.random.default_rng(5)
    one, other = rng.normal(size=(12, 200)), rng.normal(size=(9, 200)) + 0.3
    values = np.linalg.eigvals(np.cov(one, rowvar=False) @ np.cov(other, rowvar=False))
    kept = np.sort(np.abs(values))[::-1][:8]  # of rank 8
    spread = one.var(0, ddof=1).sum() + other.var(0, ddof=1).sum()
    shift = ((one.mean(0) - other.mean(0)) ** 2).sum()
    expected = shift + spread - 2 * np.sqrt(kept).sum()
    assert frechet_distance(one, other) == pytest.approx(expected, abs=1e-6)


def test_known_answers() -> None:
    rng = np.random.default_rng(6)
    features = rng.normal(size=(300, 20))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(features, features + 2) == pytest.approx(20 * 4, abs=1e-6)
    assert frechet_distance(features, features * 3 - features.mean(0) * 2) == pytest.approx(
        4 * np.trace(np.cov(features, rowvar=False)), abs=1e-6
    )
    zero = np.zeros(3)
    found = frechet_of_moments(zero, np.diag([1.0, 4, 9]), zero, np.diag([4.0, 4, 1]))
    assert found == pytest.approx(1 + 0 + 4, abs=1e-9)


def test_it_does_not_mind_the_order() -> None:
    rng = np.random.default_rng(8)
    one, other = rng.normal(size=(20, 64)), rng.normal(size=(400, 64)) * 2
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), abs=1e-9)


def test_what_has_no_covariance_is_refused() -> None:
    good = np.zeros((3, 4))
    for bad in (np.zeros((1, 4)), np.zeros(4), np.full((3, 4), np.nan)):
        with pytest.raises(ConfigError, match="no covariance"):
            frechet_distance(good, bad)
    with pytest.raises(ConfigError, match="cannot be compared"):
        frechet_distance(good, np.zeros((3, 5)))
