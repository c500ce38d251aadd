"""The 478-point mesh of one face, from a rotation-normalised crop around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lipcore.tracking.head import apply_similarity, canonical_head, fit_pose, invert_similarity
from lipcore.tracking.networks import MESH_SIZE, MeshNetwork, Picture
from lipcore.tracking.view import FrameView
from lipcore.types import FloatArray

ROI_SIDE = 2.9
"""Side of the mesh crop in interocular units: 1.5 times the head's height, as the network was
trained."""
ROI_CENTER = (0.0, 0.34, 0.0)
"""Its centre in the canonical head."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceMesh:
    """A face found in one frame, in square space."""

    landmarks: FloatArray
    """``(478, 3)`` square-space pixels."""
    score: float
    """0-1: the network's belief that this is a face."""
    crop: Picture
    """``(192, 192, 3)`` what the network saw."""

    @property
    def box(self) -> FloatArray:
        """``(4,)`` x0 y0 x1 y1 of the landmarks."""
        points = self.landmarks[:468, :2]
        box: FloatArray = np.concatenate([points.min(0), points.max(0)])
        return box

    @property
    def width(self) -> float:
        """Width of the face in square-space pixels."""
        box = self.box
        return float(box[2] - box[0])


def roi_of_landmarks(landmarks: FloatArray) -> FloatArray:
    """Similarity to the mesh crop, placed by the head's pose: speech does not move it.

    Args:
        landmarks: ``(478, 3)`` square space.

    Returns:
        ``(2, 3)`` square space to (0, 0)-(1, 1).
    """
    pose = fit_pose(landmarks)
    center = pose.to_plate(np.array([ROI_CENTER], np.float32))[0, :2]
    roll = float(np.arctan2(pose.rotation[1, 0], pose.rotation[0, 0]))
    return roi(center, ROI_SIDE * pose.scale, roll)


def roi_of_detection(box: FloatArray, points: FloatArray) -> FloatArray:
    """Similarity to the mesh crop from a detector's box and its two eyes."""
    center = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    side = 1.5 * max(box[2] - box[0], box[3] - box[1])
    eyes = points[1] - points[0]
    return roi(center, float(side), float(np.arctan2(eyes[1], eyes[0])))


def roi(center: FloatArray, side: float, roll: float) -> FloatArray:
    """Similarity from square space to a crop: centre, side in pixels, roll in radians."""
    c, s = np.cos(roll) / side, np.sin(roll) / side
    turn = np.array([[c, s], [-s, c]])
    matrix: FloatArray = np.empty((2, 3), np.float32)
    matrix[:, :2] = turn
    matrix[:, 2] = 0.5 - turn @ center
    return matrix


def mirror_order() -> npt.NDArray[np.intp]:
    """For each landmark, the index of its mirror image."""
    head = canonical_head()
    mirrored = head * np.array([-1, 1, 1], np.float32)
    order: npt.NDArray[np.intp] = np.linalg.norm(mirrored[:, None] - head, axis=-1).argmin(1)
    return order


class MeshFinder:
    """Finds the mesh in a view. Owns the network; close it when done."""

    def __init__(self) -> None:
        self._network = MeshNetwork()
        self._mirror = mirror_order()

    def find(self, view: FrameView, matrix: FloatArray, *, mirrored: bool = False) -> FaceMesh:
        """The mesh of the face in a crop.

        Args:
            view: The frame.
            matrix: ``(2, 3)`` square space to the crop, as ``roi_of_landmarks`` gives.
            mirrored: Look at the mirrored crop too and average: half the noise for twice the
                time.
        """
        picture = view.warp(matrix, MESH_SIZE)
        points, score = self._network(picture)
        if mirrored:
            other, _ = self._network(picture[:, ::-1])
            other = other[self._mirror]
            other[:, 0] = 1 - other[:, 0]
            points = (points + other) / 2
        back = invert_similarity(matrix)
        scale = float(np.hypot(back[0, 0], back[1, 0]))
        landmarks = np.empty_like(points)
        landmarks[:, :2] = apply_similarity(back, points[:, :2])
        landmarks[:, 2] = points[:, 2] * scale
        return FaceMesh(landmarks, score, picture)

    def close(self) -> None:
        """Stop the network."""
        self._network.close()
