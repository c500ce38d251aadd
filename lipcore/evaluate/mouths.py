"""Lips of finished pictures, measured by a face mesh that looks where the face is known to be."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lipcore.shapes.basis import head_points
from lipcore.tracking.head import (
    JAW_LINE,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
)
from lipcore.tracking.landmarks import FaceMesh, MeshFinder, roi_of_landmarks
from lipcore.tracking.networks import Picture
from lipcore.tracking.view import FrameView
from lipcore.types import FloatArray

CLOSED = 0.05
"""Opening of the inner lips over the lips' width below which a mouth is closed."""
LIPS = sorted({*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER, *LIPS_INNER_UPPER, *LIPS_INNER_LOWER})
"""The 40 lip points of the mesh."""
_JAW = list(JAW_LINE)
_SHARP_SIDE = 96


class MouthMeter:
    """Finds the mesh of a face whose place is known. Owns a network; close it when done."""

    def __init__(self) -> None:
        self._finder = MeshFinder()

    def find(self, view: FrameView, landmarks: FloatArray) -> FaceMesh:
        """The mesh that a picture shows where the plate's face is.

        Plate and render are looked at through the same crop, so that what differs between the
        two meshes is what was drawn.

        Args:
            view: Of the plate or the render.
            landmarks: ``(478, 3)`` of the plate's face, square space.
        """
        return self._finder.find(view, roi_of_landmarks(landmarks))

    def close(self) -> None:
        """Stop the network."""
        self._finder.close()


def shake(landmarks: FloatArray, cuts: Sequence[int] = ()) -> FloatArray:
    """Acceleration of lips and jaw on the pose-free head: what the eye takes for jitter.

    Args:
        landmarks: ``(N, 478, 3)`` square space; NaN where unknown.
        cuts: Places in the array that begin a new scene.

    Returns:
        ``(N,)`` mean size of the second difference over lips and jaw, interocular units a frame
        squared; NaN where a neighbour is unknown or in another scene.
    """
    points = head_points(landmarks)[:, [*LIPS, *_JAW]]
    out = np.full(len(points), np.nan, np.float32)
    if len(points) > 2:
        second = points[2:] - 2 * points[1:-1] + points[:-2]
        out[1:-1] = np.linalg.norm(second, axis=-1).mean(axis=1)
    for cut in cuts:
        out[max(0, cut - 1) : cut + 1] = np.nan
    return out


def sharpness(mouth: Picture) -> float:
    """Gradient energy of the luma of a mouth's picture.

    Args:
        mouth: ``(height, width, 3)`` display-referred, cut around the lips.

    Returns:
        Mean squared gradient, luma 0-255 a pixel.
    """
    luma = cv2.cvtColor(mouth, cv2.COLOR_RGB2GRAY).astype(np.float32)
    down, across = np.gradient(luma)
    return float((down**2 + across**2).mean())


def cut_mouth(view: FrameView, landmarks: FloatArray) -> Picture:
    """A square around the lips, ``(96, 96, 3)``, the same for plate and render.

    Args:
        view: Of the plate or the render.
        landmarks: ``(478, 3)`` of the plate's face, square space.
    """
    lips = landmarks[LIPS, :2]
    low, high = lips.min(0), lips.max(0)
    side = float((high - low).max()) * 1.1
    x, y = (low + high) / 2 - side / 2
    return view.square(float(x), float(y), side, _SHARP_SIDE)
