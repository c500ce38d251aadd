"""From plate pixels to the canonical crop and back: transforms, crops, maps.

Three spaces meet here. *Plate* pixels are what files store. *Square space* is plate pixels
with x multiplied by the pixel aspect: heads are rigid and circles round there, so poses and
similarities are fitted in it. *Crop* coordinates run from (0, 0) to (1, 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from lipcore.errors import NoFaceError
from lipcore.tracking.head import HeadPose, crop_transform, fit_pose, invert_similarity
from lipcore.types import FaceTrack, FloatArray, Frame, Window


def to_square(landmarks: FloatArray, pixel_aspect: float) -> FloatArray:
    """Plate pixels ``(..., 2 or 3)`` to square space (x times the pixel aspect)."""
    points: FloatArray = landmarks.astype(np.float32, copy=True)
    points[..., 0] *= pixel_aspect
    return points


def from_square(landmarks: FloatArray, pixel_aspect: float) -> FloatArray:
    """Square space ``(..., 2 or 3)`` to plate pixels."""
    return to_square(landmarks, 1.0 / pixel_aspect)


def plate_transform(landmarks: FloatArray, pixel_aspect: float = 1.0) -> FloatArray:
    """Affine from plate pixels to the canonical crop.

    Args:
        landmarks: ``(478, 2 or 3)`` plate pixels.
        pixel_aspect: Width of a pixel over its height.

    Returns:
        ``(2, 3)`` float32, ``crop = m @ (x, y, 1)``: a similarity of square space whose first
        column is multiplied by the pixel aspect.
    """
    matrix = crop_transform(to_square(landmarks, pixel_aspect))
    matrix[:, 0] *= pixel_aspect
    return matrix


def track_pose(track: FaceTrack, number: int) -> HeadPose:
    """The rigid pose of a tracked face, in square space.

    Raises:
        NoFaceError: The face is absent from this frame.
    """
    landmarks = track.at(number)
    if not np.isfinite(landmarks).all():
        raise NoFaceError(
            f"track {track.track_id} has no face in frame {number}",
            hint="Ask only for frames where the track is present.",
            frame=number,
        )
    return fit_pose(to_square(landmarks, track.pixel_aspect))


def crop(rgb: FloatArray, window: Window, transform: FloatArray, size: int) -> FloatArray:
    """The canonical crop of one frame.

    Args:
        rgb: ``(window.height, window.width, 3)`` float32; any encoding, nothing is clamped.
        window: Where ``rgb`` lies, in display-window pixels.
        transform: ``(2, 3)`` plate pixels to crop, as in ``FaceTrack.transforms``; the pixel
            aspect is in it.
        size: Side of the crop in pixels.

    Returns:
        ``(size, size, 3)`` float32; where the crop leaves the window, its border is repeated.
    """
    return sample(rgb, window, transform, size)


def uncrop_map(transform: FloatArray, window: Window) -> FloatArray:
    """Where each plate pixel of a window lies in the crop: an ST map with y downwards.

    Args:
        transform: ``(2, 3)`` plate pixels to crop.
        window: Plate pixels that are asked for.

    Returns:
        ``(window.height, window.width, 2)`` float32, (x, y) in crop coordinates at the centre
        of each pixel; outside 0-1 the crop does not reach.
    """
    x = np.arange(window.x, window.x1, dtype=np.float64) + 0.5
    y = np.arange(window.y, window.y1, dtype=np.float64) + 0.5
    m = transform.astype(np.float64)
    columns = x[:, None] * m[:, 0]
    rows = y[:, None] * m[:, 1] + m[:, 2]
    mapped: FloatArray = (columns[None] + rows[:, None]).astype(np.float32)
    return mapped


def crop_window(transform: FloatArray, margin: float = 0.0) -> Window:
    """The smallest window of whole plate pixels that holds the crop.

    Args:
        transform: ``(2, 3)`` plate pixels to crop.
        margin: Widens the crop on each side, in parts of its side.
    """
    low, high = -margin, 1 + margin
    corners = np.array([[low, low], [high, low], [low, high], [high, high]], np.float32)
    back = invert_similarity(transform)
    points = corners @ back[:, :2].T + back[:, 2]
    x0, y0 = np.floor(points.min(0)).astype(int)
    x1, y1 = np.ceil(points.max(0)).astype(int)
    return Window(int(x0), int(y0), int(x1 - x0), int(y1 - y0))


def sample(
    rgb: FloatArray,
    window: Window,
    matrix: FloatArray,
    size: int,
    *,
    black_outside: bool = False,
) -> FloatArray:
    """Resample a square of a picture, with a prefilter where it shrinks.

    Shrinking by two or more first averages whole blocks of pixels; what is left of the ratio
    is taken by a Gaussian; then a cubic kernel interpolates.

    Args:
        rgb: ``(window.height, window.width, 3)`` float32.
        window: Where ``rgb`` lies.
        matrix: ``(2, 3)`` affine from the window's coordinates to the square's (0, 0)-(1, 1).
        size: Side of the result in pixels.
        black_outside: 0 where the window ends, instead of its border repeated.

    Returns:
        ``(size, size, 3)`` float32.
    """
    return _sample(lambda part: rgb[part.slices_in(window)], window, matrix, size, black_outside)


def sample_frame(
    frame: Frame, matrix: FloatArray, size: int, *, black_outside: bool = False
) -> FloatArray:
    """``sample`` of a frame's picture, of which no more is made than is needed."""
    return _sample(frame.part, frame.window, matrix, size, black_outside)


def _sample(
    part_of: Callable[[Window], FloatArray],
    window: Window,
    matrix: FloatArray,
    size: int,
    black_outside: bool,
) -> FloatArray:
    linear = np.linalg.inv(matrix[:, :2].astype(np.float64))
    offset = -linear @ matrix[:, 2].astype(np.float64)
    # Result pixel index -> pixel index of rgb: centres lie at +0.5 on both sides.
    linear /= size
    offset += linear.sum(1) * 0.5 - (window.x, window.y) - 0.5
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ linear.T + offset
    ratio = np.hypot(linear[:, 0], linear[:, 1])  # source pixels a result pixel, along x and y
    block = np.maximum(1, ratio.astype(int))
    limit = np.array([window.width, window.height])
    low = np.clip(np.floor(corners.min(0)).astype(int) - 4 * block - 2, 0, limit - 1)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 4 * block + 3, low + 1, limit)
    width, height = (int(v) for v in high - low)
    part: Any = part_of(Window(window.x + int(low[0]), window.y + int(low[1]), width, height))
    offset -= low
    if block.max() > 1:
        extent = high - low
        count = np.maximum(1, extent // block)
        extent = np.minimum(count * block, extent)
        scale = extent / count
        part = cv2.resize(
            np.ascontiguousarray(part[: extent[1], : extent[0]]),
            (int(count[0]), int(count[1])),
            interpolation=cv2.INTER_AREA,
        )
        offset = (offset + 0.5) / scale - 0.5
        linear /= scale[:, None]
        ratio = ratio / scale
    sigma = np.maximum(0.05, 0.5 * np.sqrt(np.maximum(0, ratio**2 - 1)))
    if sigma.max() > 0.2:
        part = cv2.GaussianBlur(
            part, (0, 0), float(sigma[0]), sigmaY=float(sigma[1]), borderType=cv2.BORDER_REPLICATE
        )
    out: FloatArray = cv2.warpAffine(
        np.ascontiguousarray(part),
        np.column_stack([linear, offset]),
        (size, size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT if black_outside else cv2.BORDER_REPLICATE,
    ).astype(np.float32, copy=False)
    return out
