"""One face followed while its frames still come."""

from __future__ import annotations

import numpy as np

from lipcore.tracking.detect import FaceDetector
from lipcore.tracking.landmarks import MeshFinder, roi_of_detection, roi_of_landmarks
from lipcore.tracking.view import FrameView
from lipcore.types import FloatArray

_MIN_SCORE = 0.5
_LOOK_EVERY = 6
"""Frames between looks of the detector while no face is there."""


class LiveFace:
    """Follows the largest face, frame after frame; close it when done.

    Args:
        min_face_px: Narrower faces are not looked for.
    """

    def __init__(self, min_face_px: float = 24.0) -> None:
        self._detector = FaceDetector(_MIN_SCORE, min_face_px)
        self._mesh = MeshFinder()
        self._last: FloatArray | None = None
        self._wait = 0

    def look(self, view: FrameView) -> FloatArray | None:
        """``(478, 3)`` landmarks in the next frame, square space; None where no face is."""
        if self._last is not None:
            self._last = self._find(view, roi_of_landmarks(self._last))
        if self._last is None:
            self._wait -= 1
            if self._wait < 0:
                self._wait = _LOOK_EVERY - 1
                self._last = self._detect(view)
        return self._last

    def _detect(self, view: FrameView) -> FloatArray | None:
        for detection in self._detector.detect(view):
            rough = self._find(view, roi_of_detection(detection.box, detection.points))
            if rough is not None:
                return self._find(view, roi_of_landmarks(rough))
        return None

    def _find(self, view: FrameView, matrix: FloatArray) -> FloatArray | None:
        face = self._mesh.find(view, matrix, mirrored=True)
        x, y = (float(v) for v in np.mean(face.landmarks[:468, :2], axis=0))
        return face.landmarks if face.score >= _MIN_SCORE and view.contains(x, y) else None

    def close(self) -> None:
        """Stop the networks."""
        self._detector.close()
        self._mesh.close()
