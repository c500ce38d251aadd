"""Figures of the lips' meshes: distance from the real ones, and leaks into silence."""

from __future__ import annotations

import numpy as np

from lipcore.evaluate.mouths import CLOSED, LIPS
from lipcore.shapes.basis import head_points
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.types import BoolArray, FloatArray


def landmark_distance(made: FloatArray, real: FloatArray) -> FloatArray:
    """LMD: mean distance between lip landmarks of two meshes.

    Ours is taken on the pose-free head over the 40 lip points of the face mesh, in interocular
    units: it does not depend on the picture's size, nor on how the head moves.

    Args:
        made: ``(N, 478, 3)`` of the render, square space; NaN where unknown.
        real: Likewise of the plate.

    Returns:
        ``(N,)``; NaN where one is unknown.

    Source: Chen et al., *Lip Movements Generation at a Glance*, 2018, who measure 68-point faces
    in pixels: values are not comparable with theirs.
    """
    apart = head_points(made)[:, LIPS] - head_points(real)[:, LIPS]
    distance: FloatArray = np.linalg.norm(apart[..., :2], axis=-1).mean(axis=1)
    return distance


def open_share(landmarks: FloatArray, silent: BoolArray) -> float:
    """LipLeak: share of silent frames whose mouth is not closed.

    Args:
        landmarks: ``(N, 478, 3)`` of the render, square space; NaN where unknown.
        silent: ``(N,)`` nobody speaks.

    Returns:
        0-1; NaN where no silent frame shows a mouth.

    Source: the measure of KeySync (Bigata et al., 2025), by the opening of the inner lips over
    the lips' width (closed below 0.05).
    """
    gap = inner_opening(landmarks) / lip_width(landmarks)
    known = silent & np.isfinite(gap)
    return float((gap[known] >= CLOSED).mean()) if known.any() else float("nan")
