"""The canonical head, the canonical crop, and the rigid pose that links both to a plate.

The canonical head is a mean of face meshes: 478 points, frontal, symmetric, its origin
midway between the outer eye corners, x to the right of the picture, y down, z away from the
camera, and 1.0 the distance between the outer eye corners (the *interocular* unit).

The canonical crop is the square of that head, seen from the front, that spans
``CROP_SIDE`` units; its corners are (0, 0) and (1, 1). It is placed by brows, eye corners and
nose bridge only: never by mouth or chin, which speech moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from lipcore.types import LANDMARK_COUNT, FloatArray

CROP_SIDE = 2.25
"""Side of the canonical crop in interocular units."""
CROP_ORIGIN = (-1.125, -0.66)
"""(x, y) of the crop's top-left corner in the frontal canonical head."""

# Indices into the MediaPipe face mesh. Left and right are the picture's.
OUTER_EYE_CORNERS = (33, 263)
# fmt: off
RIGID = (
    33, 263, 133, 362, 70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 6, 197, 195, 8, 9, 151,
)
# fmt: on
"""Brows, eye corners, nose bridge and glabella: what speech does not move."""
LIPS_OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIPS_OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LIPS_INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIPS_INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""Left to right along the inner lips; each point of one row faces the same of the other."""
INNER_LIP_MIDDLE = (13, 14)
MOUTH_CORNERS = (61, 291)
JAW_LINE = (132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361)
CHIN = 152
NOSE_BASE = 2


@cache
def canonical_head() -> FloatArray:
    """The canonical head, ``(478, 3)`` float32, in interocular units."""
    points: FloatArray = load_file(Path(__file__).with_name("canonical_head.safetensors"))["head"]
    assert points.shape == (LANDMARK_COUNT, 3)
    points.flags.writeable = False
    return points


@cache
def lower_face() -> tuple[int, ...]:
    """Mesh points that speech moves: all below the nose base, lips, chin and jaw included."""
    head = canonical_head()
    nose = {2, 97, 326, 98, 327, 94, 141, 370, 19, 354, 125, 164, 167, 393}
    below = head[:468, 1] > head[NOSE_BASE, 1] + 0.02
    return tuple(i for i in np.flatnonzero(below).tolist() if i not in nose)


def fit_similarity(source: FloatArray, target: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Least-squares similarity that takes points to points.

    Args:
        source: ``(P, D)`` points, D = 2 or 3.
        target: ``(P, D)`` where they should go.

    Returns:
        ``(scale, rotation (D, D), translation (D,))``: ``scale * rotation @ p + translation``.

    Source: Umeyama, *Least-squares estimation of transformation parameters between two point
    patterns*, 1991.
    """
    x, y = source.astype(np.float64), target.astype(np.float64)
    mx, my = x.mean(0), y.mean(0)
    u, s, vt = np.linalg.svd((y - my).T @ (x - mx))
    sign = np.ones(x.shape[1])
    sign[-1] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / ((x - mx) ** 2).sum())
    translation = my - scale * rotation @ mx
    return scale, rotation.astype(np.float32), translation.astype(np.float32)


def crop_transform(landmarks: FloatArray) -> FloatArray:
    """Similarity from plate pixels to the canonical crop.

    Args:
        landmarks: ``(478, 2 or 3)`` plate pixels.

    Returns:
        ``(2, 3)`` float32: ``crop = m @ (x, y, 1)``, crop corners (0, 0) and (1, 1).
    """
    rigid = list(RIGID)
    scale, rotation, translation = fit_similarity(landmarks[rigid, :2], canonical_head()[rigid, :2])
    matrix = np.empty((2, 3), np.float32)
    matrix[:, :2] = scale * rotation / CROP_SIDE
    matrix[:, 2] = (translation - np.asarray(CROP_ORIGIN, np.float32)) / CROP_SIDE
    return matrix


def invert_similarity(matrix: FloatArray) -> FloatArray:
    """Inverse of ``(..., 2, 3)`` affine matrices."""
    inverse = np.linalg.inv(matrix[..., :2])
    moved = -inverse @ matrix[..., 2:]
    out: FloatArray = np.concatenate([inverse, moved], axis=-1).astype(np.float32)
    return out


def apply_similarity(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Move ``(..., P, 2)`` points by a ``(..., 2, 3)`` matrix."""
    moved: FloatArray = points @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2]
    return moved


@dataclass(frozen=True, slots=True, eq=False)
class HeadPose:
    """Rigid pose with scale: ``plate = scale * rotation @ head + translation``."""

    scale: float
    """Plate pixels an interocular unit."""
    rotation: FloatArray
    """``(3, 3)``."""
    translation: FloatArray
    """``(3,)`` plate pixels."""

    def to_head(self, landmarks: FloatArray) -> FloatArray:
        """Plate points ``(P, 3)`` to pose-free head points, interocular units."""
        points: FloatArray = (landmarks - self.translation) @ self.rotation / self.scale
        return points

    def to_plate(self, points: FloatArray) -> FloatArray:
        """Head points ``(P, 3)`` to plate pixels."""
        moved: FloatArray = self.scale * points @ self.rotation.T + self.translation
        return moved

    def turn(self, vectors: FloatArray) -> FloatArray:
        """Head-space offsets ``(P, 3)`` to plate-pixel offsets."""
        moved: FloatArray = self.scale * vectors @ self.rotation.T
        return moved

    @property
    def angles_deg(self) -> tuple[float, float, float]:
        """(yaw, pitch, roll) in degrees; all 0 when the face looks into the camera.

        Yaw is positive when the nose points to the right of the picture, pitch when it
        points down, roll when the head tilts clockwise in the picture.
        """
        r = self.rotation
        nose = -r[:, 2]  # where the canonical -z (out of the face) points
        yaw = np.degrees(np.arctan2(nose[0], -nose[2]))
        pitch = np.degrees(np.arcsin(np.clip(nose[1], -1, 1)))
        roll = np.degrees(np.arctan2(r[1, 0], r[0, 0]))
        return float(yaw), float(pitch), float(roll)


def fit_pose(landmarks: FloatArray) -> HeadPose:
    """Pose of a face from its rigid points.

    Args:
        landmarks: ``(478, 3)`` plate pixels, z in the same scale.
    """
    rigid = list(RIGID)
    scale, rotation, translation = fit_similarity(canonical_head()[rigid], landmarks[rigid])
    return HeadPose(scale, rotation, translation)
