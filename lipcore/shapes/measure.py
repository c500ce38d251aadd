"""What a mouth measures: distances on the pose-free head, in interocular units."""

from __future__ import annotations

import numpy as np

from lipcore.shapes.basis import head_points
from lipcore.tracking import head
from lipcore.types import FloatArray

_UPPER = list(head.LIPS_INNER_UPPER[1:-1])
_LOWER = list(head.LIPS_INNER_LOWER[1:-1])
_CORNERS = list(head.MOUTH_CORNERS)


def opening_of(points: FloatArray) -> FloatArray:
    """Mean gap between the facing points of the inner lips.

    Args:
        points: ``(N, 478, 3)`` in head space (``basis.head_points``).

    Returns:
        ``(N,)``; about 0 with the mouth closed, 0.05-0.15 in speech.
    """
    gap: FloatArray = (points[:, _LOWER, 1] - points[:, _UPPER, 1]).mean(axis=1)
    return gap


def width_of(points: FloatArray) -> FloatArray:
    """Distance between the mouth's corners.

    Args:
        points: ``(N, 478, 3)`` in head space.

    Returns:
        ``(N,)``; about 0.5-0.7.
    """
    left, right = points[:, _CORNERS[0]], points[:, _CORNERS[1]]
    distance: FloatArray = np.linalg.norm((right - left)[:, :2], axis=1).astype(np.float32)
    return distance


def inner_opening(landmarks: FloatArray) -> FloatArray:
    """Inner-lip opening of meshes, whatever the head's pose.

    Args:
        landmarks: ``(N, 478, 3)`` plate pixels; NaN where absent.

    Returns:
        ``(N,)`` interocular units; NaN where absent.
    """
    return opening_of(head_points(landmarks))


def lip_width(landmarks: FloatArray) -> FloatArray:
    """Width of the mouth of meshes, whatever the head's pose.

    Args:
        landmarks: ``(N, 478, 3)`` plate pixels; NaN where absent.

    Returns:
        ``(N,)`` interocular units; NaN where absent.
    """
    return width_of(head_points(landmarks))
