"""Merging the new mouth over the plate, at the precision that is stored."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lipcore.types import FloatArray, Patch, Window

_LARGEST_HALF = np.float32(65504.0)


def quantise(values: FloatArray, dtype: npt.DTypeLike = np.float16) -> FloatArray:
    """Round to the values that a pixel type can hold, still as float32.

    Args:
        values: Any shape.
        dtype: ``float16`` or ``float32``; half values beyond its range become its largest.
    """
    if np.dtype(dtype) != np.float16:
        return values.astype(np.float32)
    limited = np.clip(values, -_LARGEST_HALF, _LARGEST_HALF)
    return limited.astype(np.float16).astype(np.float32)


def stored_patch(patch: Patch, window: Window, dtype: npt.DTypeLike = np.float16) -> Patch:
    """The part of a patch inside ``window``, as it will be read back from a file.

    Alpha is rounded first; where nothing is left of it the colour is 0 as well.
    """
    inside = patch.window.intersect(window)
    cut = inside.slices_in(patch.window)
    alpha = quantise(np.clip(np.nan_to_num(patch.alpha[cut], nan=0.0), 0, 1), dtype)
    rgb = np.where(alpha[..., None] > 0, quantise(patch.rgb[cut], dtype), np.float32(0))
    return Patch(inside, rgb, alpha, patch.hard[cut].astype(np.float32))


def merge(
    rgb: FloatArray, window: Window, patch: Patch, dtype: npt.DTypeLike = np.float16
) -> FloatArray:
    """``plate * (1 - alpha) + patch`` where alpha is above 0; the plate itself elsewhere.

    Args:
        rgb: ``(height, width, 3)`` plate pixels of ``window``; left as they are.
        window: The data window that they cover.
        patch: The new mouth; what lies outside ``window`` is left off.
        dtype: The precision at which patch and alpha are stored, and so merged.

    Returns:
        A copy with the patch merged. Under full alpha the plate's pixel has no say, even if
        it is infinite or NaN.
    """
    out = rgb.copy()
    stored = stored_patch(patch, window, dtype)
    area = out[stored.window.slices_in(window)]
    alpha = stored.alpha[..., None]
    with np.errstate(invalid="ignore", over="ignore"):
        mixed = area * (1 - alpha) + stored.rgb
    np.copyto(area, np.where(alpha >= 1, stored.rgb, mixed), where=alpha > 0)
    return out
