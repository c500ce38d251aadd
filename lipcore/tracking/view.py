"""A frame as the tracker looks at it: parts of the picture, resampled, in display-referred sRGB.

All coordinates here are *square space*: display-window pixels with x multiplied by the pixel
aspect, so that a circle is a circle. Only what is looked at is resampled and converted: a 4K
scene-linear frame costs no 4K colour transform.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from lipcore.tracking.align import sample_frame
from lipcore.tracking.networks import Picture
from lipcore.types import FloatArray, Frame, Window


class TrackingColor(Protocol):
    """What the tracker asks of a plate's color: a pixel-wise look for networks."""

    def tracking_picture(self, rgb: FloatArray) -> Picture:
        """Plate pixels ``(h, w, 3)`` float32 to uint8 sRGB, each pixel for itself."""


class FrameView:
    """One frame, cut and resampled on demand."""

    def __init__(self, frame: Frame, color: TrackingColor, pixel_aspect: float) -> None:
        self._frame = frame
        self._color = color
        self.pixel_aspect = pixel_aspect
        self.x0 = frame.window.x * pixel_aspect
        self.y0 = float(frame.window.y)
        self.width = frame.window.width * pixel_aspect
        self.height = float(frame.window.height)

    def overview(self, side: int) -> tuple[Picture, float]:
        """The whole frame with its longer side shrunk to at most ``side`` pixels.

        Returns:
            The picture, and how many square-space pixels one of its pixels spans.
        """
        scale = max(1.0, max(self.width, self.height) / side)
        size = max(1, round(self.width / scale)), max(1, round(self.height / scale))
        # Whole rows and columns can be skipped before the area filter without harm to faces
        # that span many pixels, and a 4K frame then costs what HD does.
        step = max(1, int(scale / self.pixel_aspect / 2)), max(1, int(scale / 2))
        thinned = self._frame.thinned(*step)
        small = cv2.resize(np.ascontiguousarray(thinned), size, interpolation=cv2.INTER_AREA)
        return self._color.tracking_picture(np.nan_to_num(small, copy=False)), scale

    def square(self, x: float, y: float, side: float, size: int) -> Picture:
        """The square with top-left corner (x, y) and ``side``, as ``size`` x ``size`` pixels.

        What lies outside the frame is black.
        """
        matrix = np.array([[1, 0, -x], [0, 1, -y]], np.float32) / side
        return self.warp(matrix, size, black_outside=True)

    def warp(self, matrix: FloatArray, size: int, *, black_outside: bool = False) -> Picture:
        """A crop of ``size`` x ``size`` pixels.

        Args:
            matrix: ``(2, 3)`` similarity from square space to the crop's (0, 0)-(1, 1).
            size: Side of the crop in pixels.
            black_outside: Black where the frame ends, instead of its last pixels.
        """
        plate_matrix = matrix * np.array([self.pixel_aspect, 1, 1], np.float32)
        rgb = sample_frame(self._frame, plate_matrix, size, black_outside=black_outside)
        return self._color.tracking_picture(np.nan_to_num(rgb, copy=False))

    def contains(self, x: float, y: float) -> bool:
        """True where a point lies inside the frame."""
        return self.x0 <= x < self.x0 + self.width and self.y0 <= y < self.y0 + self.height


def picture_view(picture: Picture) -> FrameView:
    """A view of a plain sRGB picture ``(h, w, 3)`` uint8."""
    height, width = picture.shape[:2]
    frame = Frame(0, picture.astype(np.float32), Window(0, 0, width, height))
    return FrameView(frame, _AlreadyDisplayed(), 1.0)


class _AlreadyDisplayed:
    def tracking_picture(self, rgb: FloatArray) -> Picture:
        picture: Picture = np.clip(rgb + 0.5, 0, 255).astype(np.uint8)
        return picture
