"""Faces in a picture of any size, from close-ups to 24 pixels in 4K.

The full-range detector sees 192 pixels across and finds faces down to about 12 of them. The
whole frame in one look finds faces from a sixteenth of its longer side; a frame with a margin
around it finds close-ups that overflow the frame; overlapping tiles find the rest. Tiles are
looked at only when asked for (``fine``): the tracker asks rarely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipcore.tracking.networks import DetectorNetwork
from lipcore.tracking.view import FrameView, picture_view
from lipcore.types import FloatArray

_REACH = 12 / 192
"""Smallest face that the full-range detector finds, in parts of its square's side."""
_SMALLEST_TILE = 192
_TILE_STEP = 0.8
"""Tiles overlap by a fifth: a face of up to a fifth of a tile is whole in one of them."""
_SAME_FACE_IOU = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face as a detector sees it, in square space."""

    box: FloatArray
    """``(4,)`` x0 y0 x1 y1, brows to chin."""
    score: float
    """0-1."""
    points: FloatArray
    """``(6, 2)``: eyes, nose tip, mouth and ears, the picture's left ones first."""

    @property
    def width(self) -> float:
        """Width of the box in square-space pixels."""
        return float(self.box[2] - self.box[0])


class FaceDetector:
    """Finds faces in views. Owns two networks; close it when done.

    Args:
        min_score: Detections below it are dropped, 0-1.
        min_face_px: Width of the smallest face that tiles are cut for.
    """

    def __init__(self, min_score: float = 0.5, min_face_px: float = 24.0) -> None:
        self._full = DetectorNetwork("full", min_score)
        self._short = DetectorNetwork("short", min_score)
        self._min_face_px = min_face_px

    def detect(self, view: FrameView, *, fine: bool = False) -> list[Detection]:
        """Faces in a frame, largest first.

        Args:
            view: The frame.
            fine: Look for small faces in tiles too; a 4K frame then takes about a second.
        """
        found = self._look_at_all(view)
        if fine:
            for side in self._tile_sides(view):
                for y in _starts(view.y0, view.height, side):
                    for x in _starts(view.x0, view.width, side):
                        found += _look(self._full, view, x, y, side, inside=True)
        return suppress(found)

    def _look_at_all(self, view: FrameView) -> list[Detection]:
        """Both detectors on the whole frame, and one on it with a wide margin."""
        # Shrunk once for all three looks: a large frame would be filtered anew for each.
        picture, _ = view.overview(2 * self._full.size)
        small = picture_view(picture)
        center_x, center_y = small.width / 2, small.height / 2
        longer = max(small.width, small.height)
        found: list[Detection] = []
        looks = ((self._full, longer), (self._short, longer), (self._full, 1.6 * longer))
        for network, side in looks:
            found += _look(network, small, center_x - side / 2, center_y - side / 2, side)
        scale = np.array([view.width / small.width, view.height / small.height], np.float32)
        origin = np.array([view.x0, view.y0], np.float32)
        return [
            Detection(
                d.box * np.tile(scale, 2) + np.tile(origin, 2), d.score, d.points * scale + origin
            )
            for d in found
        ]

    def _tile_sides(self, view: FrameView) -> list[float]:
        shorter = min(view.width, view.height)
        smallest = max(_SMALLEST_TILE, self._min_face_px / _REACH)
        sides = []
        side = shorter
        while side > smallest * 1.25:
            sides.append(side)
            side /= 2
        sides.append(min(smallest, shorter))
        return sides

    def close(self) -> None:
        """Stop the networks."""
        self._full.close()
        self._short.close()


def _starts(origin: float, length: float, side: float) -> list[float]:
    """Where tiles of ``side`` begin so that they cover ``length`` and overlap."""
    if length <= side:
        return [origin + (length - side) / 2]
    count = int(np.ceil((length - side) / (side * _TILE_STEP))) + 1
    return list(np.linspace(origin, origin + length - side, count))


def _look(
    network: DetectorNetwork,
    view: FrameView,
    x: float,
    y: float,
    side: float,
    *,
    inside: bool = False,
) -> list[Detection]:
    origin = np.array([x, y], np.float32)
    found = []
    for box, score, points in network(view.square(x, y, side, network.size)):
        # A face cut by the tile's edge is whole in the next tile or in a larger look.
        if inside and (box.min() < 0.005 or box.max() > 0.995):
            continue
        center = (box[:2] + box[2:]) / 2 * side + origin
        if view.contains(float(center[0]), float(center[1])):
            found.append(Detection(box * side + np.tile(origin, 2), score, points * side + origin))
    return found


def overlap(a: FloatArray, b: FloatArray) -> float:
    """Intersection over union of two boxes x0 y0 x1 y1."""
    size = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    common = float(size[0] * size[1])
    total = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common
    return common / total if total > 0 else 0.0


def suppress(found: list[Detection]) -> list[Detection]:
    """One detection a face: the best scored of those that overlap; largest faces first."""
    kept: list[Detection] = []
    for candidate in sorted(found, key=lambda d: -d.score):
        if all(overlap(candidate.box, other.box) < _SAME_FACE_IOU for other in kept):
            kept.append(candidate)
    return sorted(kept, key=lambda d: -d.width)
