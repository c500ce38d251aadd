"""The Fréchet distance between two sets of features: FID of pictures, FVD of videos."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError

Matrix = npt.NDArray[np.float64]


def frechet_distance(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Fréchet distance of the Gaussians that two sets of features have.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` with sample covariances. The trace of the root
    is the sum of the singular values of ``F1 F2^T``, where ``C = F^T F``: exact also with fewer
    features than dimensions, where a matrix square root of the product breaks down.

    Args:
        one: ``(N, D)`` features, N of 2 or more.
        other: ``(M, D)``.

    Returns:
        0 or more.

    Raises:
        ConfigError: The sets do not pair, are too small, or hold values that are no numbers.

    Source: Dowson and Landau, *The Fréchet distance between multivariate normal distributions*,
    1982; Heusel et al., 2017 (FID); Unterthiner et al., 2018 (FVD).
    """
    x, y = _features(one), _features(other)
    if x.shape[1] != y.shape[1]:
        raise ConfigError(
            f"features of {x.shape[1]} and of {y.shape[1]} dimensions cannot be compared",
            hint="Take both from one network.",
        )
    return _distance(x.mean(axis=0), _factor(x), y.mean(axis=0), _factor(y))


def frechet_of_moments(
    mean: npt.ArrayLike, cov: npt.ArrayLike, other_mean: npt.ArrayLike, other_cov: npt.ArrayLike
) -> float:
    """As ``frechet_distance``, from stored means ``(D,)`` and covariances ``(D, D)``."""
    return _distance(
        np.asarray(mean, np.float64), _root(np.asarray(cov, np.float64)),
        np.asarray(other_mean, np.float64), _root(np.asarray(other_cov, np.float64)),
    )  # fmt: skip


def _distance(mean: Matrix, factor: Matrix, other_mean: Matrix, other: Matrix) -> float:
    apart = float(((mean - other_mean) ** 2).sum())
    spread = float((factor**2).sum() + (other**2).sum())
    shared = float(np.linalg.svd(factor @ other.T, compute_uv=False).sum())
    return max(0.0, apart + spread - 2 * shared)


def _features(given: npt.ArrayLike) -> Matrix:
    values = np.asarray(given, np.float64)
    if values.ndim != 2 or len(values) < 2 or not np.isfinite(values).all():
        raise ConfigError(
            f"features of shape {values.shape} have no covariance",
            hint="Give (N, D) finite numbers, N of 2 or more: measure more frames or clips.",
        )
    return values


def _factor(values: Matrix) -> Matrix:
    """F with ``F^T F`` the sample covariance, of as few rows as there need be."""
    factor: Matrix = (values - values.mean(axis=0)) / np.sqrt(len(values) - 1)
    if len(values) > values.shape[1]:
        _, factor = np.linalg.qr(factor)
    return factor


def _root(cov: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    root: Matrix = np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T
    return root
