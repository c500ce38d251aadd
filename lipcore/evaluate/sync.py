"""How well lips and sound fit, and by how much one of them lags: LSE-D, LSE-C, offsets.

Source: Chung and Zisserman, *Out of time: automated lip sync in the wild*, 2016, as its authors'
evaluation (github.com/joonson/syncnet_python) computes distance, confidence and offset; Prajwal
et al., *A Lip Sync Expert Is All You Need*, 2020, call the first two LSE-D and LSE-C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError
from lipcore.types import FloatArray

FARTHEST = 15
"""Frames that the published evaluation shifts the sound either way."""
_APART = 1e-6
"""Added to each difference, as the published evaluation's distance does."""
_SMOOTHED = 9
_FEWEST = 10
FOLLOWED = 8
"""Frames that a lag is followed either way."""
_FITS = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class SyncScore:
    """What embeddings of N runs of mouths and of sounds say."""

    distance: float
    """LSE-D: mean distance at the best shift; smaller is better."""
    confidence: float
    """LSE-C: median over the shifts of the mean distance, less ``distance``; larger is better."""
    offset_frames: int
    """By which the sound lags the lips at the best shift. ``syncnet_python`` prints the
    negative of it."""
    shifts: npt.NDArray[np.int64]
    """``(S,)`` frames by which the sound was moved earlier."""
    mean_distances: FloatArray
    """``(S,)`` mean distance at each of them."""
    frame_confidence: FloatArray
    """``(N,)`` confidence of single runs, median-filtered over 9."""


def score_sync(mouths: FloatArray, sounds: FloatArray, farthest: int = FARTHEST) -> SyncScore:
    """Distance, confidence and offset from SyncNet's embeddings.

    As published, sounds from beyond the ends count as embeddings of zeros, and the offset of the
    smallest mean distance is taken for all runs.

    Args:
        mouths: ``(N, E)``, one a frame.
        sounds: ``(N, E)`` of the sound under the same frames.
        farthest: Largest shift, frames.

    Raises:
        ConfigError: The two differ in shape, or hold nothing.
    """
    if mouths.ndim != 2 or mouths.shape != sounds.shape or not len(mouths):
        raise ConfigError(
            f"embeddings of mouths {mouths.shape} and sounds {sounds.shape} do not pair",
            hint="Give (N, E) of both, N of 1 or more.",
        )
    from scipy.ndimage import median_filter

    seen = mouths.astype(np.float64)
    heard = np.pad(sounds.astype(np.float64), ((farthest, farthest), (0, 0)))
    shifts = np.arange(-farthest, farthest + 1)
    apart = np.stack(
        [
            np.linalg.norm(seen - heard[farthest + s : farthest + s + len(seen)] + _APART, axis=1)
            for s in shifts
        ]
    )
    means = apart.mean(axis=1)
    best, middle = int(means.argmin()), float(np.median(means))
    return SyncScore(
        distance=float(means[best]), confidence=middle - float(means[best]),
        offset_frames=int(shifts[best]), shifts=shifts, mean_distances=means.astype(np.float32),
        frame_confidence=median_filter(
            middle - apart[best], _SMOOTHED, mode="constant"
        ).astype(np.float32),
    )  # fmt: skip


def probe_offset(
    seen: FloatArray, asked: FloatArray, farthest: int = FARTHEST
) -> tuple[int, float]:
    """By how many frames one curve must be moved to follow another best.

    Args:
        seen: ``(N,)`` such as the opening of the rendered lips; NaN where unknown.
        asked: ``(N,)`` such as that of the plate's lips.
        farthest: Largest shift, frames.

    Returns:
        ``(lag, correlation)``: ``asked[t + lag]`` fits ``seen[t]``, so that ``asked`` lags when
        positive; the correlation at that shift. ``(0, nan)`` where fewer than 10 frames pair or a
        curve does not move.
    """
    count, found = min(len(seen), len(asked)), (0, float("nan"))
    farthest = min(farthest, count - 1)
    for lag in sorted(range(-farthest, farthest + 1), key=abs):
        first, last = max(0, -lag), min(count, count - lag)
        fits = correlate(seen[first:last], asked[first + lag : last + lag])
        if np.isfinite(fits) and not fits <= found[1]:
            found = lag, fits
    return found


def follow_lag(
    seen: FloatArray, asked: FloatArray, rate: float, farthest: int = FOLLOWED
) -> FloatArray:
    """``probe_offset`` of the two seconds around each frame.

    Args:
        seen: ``(N,)`` as of ``probe_offset``.
        asked: ``(N,)`` likewise.
        rate: Frames a second.
        farthest: Largest shift, frames.

    Returns:
        ``(N,)`` by how many frames ``asked`` lags there; NaN where no shift fits by 0.5.
    """
    reach, out = max(farthest + _FEWEST, round(rate)), np.full(len(seen), np.nan, np.float32)
    for i in range(len(out)):
        part = slice(max(0, i - reach), i + reach + 1)
        if np.isfinite(seen[i]) and len(seen[part]) > reach:
            lag, fits = probe_offset(seen[part], asked[part], farthest)
            if fits >= _FITS:
                out[i] = lag
    return out


def correlate(one: FloatArray, other: FloatArray) -> float:
    """Pearson's correlation where both are known; NaN below 10 frames or where one is still."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < _FEWEST:
        return float("nan")
    x, y = one[both].astype(np.float64), other[both].astype(np.float64)
    if x.std() < 1e-9 or y.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
