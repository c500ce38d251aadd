"""Figures of two pictures, the plate's and the render's: likeness, seam, flicker, what changed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lipcore.tracking.networks import Picture
from lipcore.types import FloatArray

_GRID = 12
"""Light is compared on a grid this fine: finer structure moves with the face."""


def psnr(one: FloatArray | Picture, other: FloatArray | Picture, *, peak: float = 1.0) -> float:
    """Peak signal to noise in dB over all values; infinite where nothing differs."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(one: FloatArray | Picture, other: FloatArray | Picture, *, peak: float = 1.0) -> float:
    """Structural similarity, mean over pixels and channels.

    Args:
        one: ``(height, width, channels)``, 11 pixels or more either way.
        other: Likewise.
        peak: Range of the values.

    Source: Wang et al., *Image quality assessment: from error visibility to structural
    similarity*, 2004: Gaussian window of 11 pixels, sigma 1.5, K1 0.01, K2 0.03.
    """
    from skimage.metrics import structural_similarity

    likeness = structural_similarity(  # type: ignore[no-untyped-call]
        one, other, data_range=peak, channel_axis=-1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    return float(likeness)


def seam(before: FloatArray, after: FloatArray, alpha: FloatArray) -> float:
    """Gradient across the matte's edge, over the plate's there.

    Args:
        before: ``(height, width, 3)`` of the plate.
        after: Likewise of the render.
        alpha: ``(height, width)`` matte, 0-1.

    Returns:
        About 1 where no edge was made; NaN where the matte has none or the plate is flat there.
    """
    down, across = np.gradient(alpha.astype(np.float64))
    steep = np.hypot(down, across)
    edge = steep > 1e-4
    if not edge.any():
        return float("nan")
    along = np.stack([down[edge], across[edge]]) / steep[edge]

    def crossing(picture: FloatArray) -> float:
        rows, columns = np.gradient(picture.astype(np.float64).mean(axis=-1))
        slope = np.abs(rows[edge] * along[0] + columns[edge] * along[1])
        return float(np.average(slope, weights=steep[edge]))

    plate = crossing(before)
    return crossing(after) / plate if plate > 0 else float("nan")


def largest_outside(before: FloatArray, after: FloatArray, inside: FloatArray) -> float:
    """Largest difference where the matte is 0, in the values' own unit; infinite where a value
    is a number in one picture only, 0 where nothing is outside."""
    outside = inside <= 0
    old, new = before[outside], after[outside]
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    if same.all():
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(new.astype(np.float64) - old.astype(np.float64))[~same]
    return float(np.nan_to_num(apart, nan=np.inf).max())


def flicker(faces: FloatArray, cuts: Sequence[int] = ()) -> FloatArray:
    """Acceleration of the light on a steadied face: what the eye takes for flicker.

    Args:
        faces: ``(N, height, width)`` luma 0-255 of canonical crops; NaN where unknown.
        cuts: Places in the array that begin a new scene.

    Returns:
        ``(N,)`` mean size of the second difference over a grid of 12 x 12 means; NaN at the ends,
        beside what is unknown, and across cuts.
    """
    out = np.full(len(faces), np.nan, np.float32)
    if len(faces) > 2:
        coarse = np.stack(
            [cv2.resize(f, (_GRID, _GRID), interpolation=cv2.INTER_AREA) for f in faces]
        )
        out[1:-1] = np.abs(coarse[2:] - 2 * coarse[1:-1] + coarse[:-2]).mean(axis=(1, 2))
    for cut in cuts:
        out[max(0, cut - 1) : cut + 1] = np.nan
    return out


def identity_proxy(before: Picture, after: Picture) -> float:
    """How far two canonical crops are apart in oriented edges: a proxy of identity.

    It is none of the published figures: those ask a face recogniser, whose weights are not ours
    to ship. It tells a face that dissolves from one that stays; it does not know people.

    Args:
        before: ``(height, width, 3)`` of the plate, display-referred.
        after: Likewise of the render.

    Returns:
        1 less the cosine between histograms of oriented gradients: 0 for the same picture.
    """
    from skimage.feature import hog

    one, other = (
        hog(cv2.cvtColor(cv2.resize(p, (96, 96), interpolation=cv2.INTER_AREA),
                         cv2.COLOR_RGB2GRAY), pixels_per_cell=(12, 12))
        for p in (before, after)
    )  # fmt: skip
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float("nan") if size == 0 else max(0.0, 1.0 - float(one @ other) / size)
