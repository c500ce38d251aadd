"""The soft matte of a mouth, the window it lives in, and light matched on its rim."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lipcore.synthesis.warp import interocular_px
from lipcore.tracking.head import (
    CHIN,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    MOUTH_CORNERS,
    NOSE_BASE,
)
from lipcore.types import FloatArray, Window

_FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400,
              377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67,
              109)  # fmt: skip
_CHIN = (176, 148, 152, 377, 400, 149, 378, 150, 379)
_CHEEKS = (50, 280, 187, 411, 147, 376, 123, 352, 132, 361, 58, 288, 2, 4)
_BESIDE, _ABOVE, _BELOW_CHIN = 0.34, 0.2, 0.07
"""How far the matte reaches beside and above the lips and below the chin, interocular units."""
_EDGE_FEATHER = 0.03
"""Softness at the silhouette of the face, where the background must not be blended in."""
_RIM = 0.02
"""Width of the lips' rim that belongs to the inner mouth, interocular units."""
_SHIFT_BITS = 4


def _outline(landmarks: FloatArray, scale: float) -> FloatArray:
    """Points around all that a new mouth changes: below the nose, cheeks, lips and chin."""
    lips = landmarks[[*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER], :2]
    chin = landmarks[list(_CHIN), :2]
    across = landmarks[MOUTH_CORNERS[1], :2] - landmarks[MOUTH_CORNERS[0], :2]
    across = across / max(float(np.linalg.norm(across)), 1e-6) * scale
    down = landmarks[CHIN, :2] - landmarks[NOSE_BASE, :2]
    down = down / max(float(np.linalg.norm(down)), 1e-6) * scale
    out: FloatArray = np.concatenate(
        [lips + _BESIDE * across, lips - _BESIDE * across, lips - _ABOVE * down, chin,
         chin + _BELOW_CHIN * down]
    )
    return out


def _silhouette(landmarks: FloatArray, scale: float) -> FloatArray:
    """The face's outline, let out below the chin where the neck follows."""
    oval = landmarks[list(_FACE_OVAL), :2]
    down = landmarks[CHIN, :2] - landmarks[NOSE_BASE, :2]
    down = down / max(float(np.linalg.norm(down)), 1e-6) * scale
    chin = landmarks[list(_CHIN), :2] + (_BELOW_CHIN + _EDGE_FEATHER) * down
    out: FloatArray = np.concatenate([oval, chin])
    return out


def mouth_window(
    old: FloatArray,
    new: FloatArray,
    bounds: Window,
    *,
    feather: float = 0.1,
    pixel_aspect: float = 1.0,
) -> Window:
    """The smallest window that holds the matte of a change from one mouth to another.

    Args:
        old: ``(478, 3)`` landmarks of the plate, in square pixels (x times the pixel aspect).
        new: ``(478, 3)`` landmarks wanted, likewise.
        bounds: The frame's data window.
        feather: Softness of the matte, in interocular units.
        pixel_aspect: Of the plate.
    """
    scale = interocular_px(old)
    points = np.concatenate([_outline(old, scale), _outline(new, scale)])
    return _around(points, 0.02 * scale + 2, bounds, pixel_aspect)


def lower_face_window(
    landmarks: FloatArray, bounds: Window, pixel_aspect: float = 1.0
) -> Window:
    """The window of all that a mouth may be taken from: nose to below the chin, and cheeks.

    Args:
        landmarks: ``(478, 3)`` in square pixels.
        bounds: The frame's data window.
        pixel_aspect: Of the plate.
    """
    scale = interocular_px(landmarks)
    points = np.concatenate([_outline(landmarks, scale), landmarks[list(_CHEEKS), :2]])
    return _around(points, 0.3 * scale, bounds, pixel_aspect)


def _around(
    points: FloatArray, margin: float, bounds: Window, pixel_aspect: float
) -> Window:
    low, high = points.min(0) - margin, points.max(0) + margin
    x0, x1 = int(np.floor(low[0] / pixel_aspect)), int(np.ceil(high[0] / pixel_aspect))
    y0, y1 = int(np.floor(low[1])), int(np.ceil(high[1]))
    return Window(x0, y0, x1 - x0, y1 - y0).intersect(bounds)


def mouth_matte(
    old: FloatArray,
    new: FloatArray,
    window: Window,
    *,
    feather: float = 0.1,
    pixel_aspect: float = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """Soft matte and hard region of a change from one mouth to another.

    Args:
        old: ``(478, 3)`` landmarks of the plate, in square pixels.
        new: ``(478, 3)`` landmarks wanted, likewise.
        window: Plate pixels to cover, from ``mouth_window``.
        feather: Softness in interocular units; the matte falls from 1 to 0 inside its outline,
            and no slower than leaves it 1 on both mouths.
        pixel_aspect: Of the plate.

    Returns:
        ``(alpha, hard)``, each ``(height, width)``: alpha in [0, 1] and exactly 0 on the
        window's border and outside the outline, hard 0 or 1 on the lips and the inner mouth.
    """
    scale = interocular_px(old)
    to_plate = np.array([1 / pixel_aspect, 1], np.float32)
    outline = np.concatenate([_outline(old, scale), _outline(new, scale)])
    face = np.concatenate([_silhouette(old, scale), _silhouette(new, scale)])
    mouths = np.concatenate(
        [p[[*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER], :2] for p in (old, new)]
    )
    alpha = np.minimum(
        _ramp(outline * to_plate, window, 2 * feather * scale, _hull(mouths * to_plate)),
        _ramp(face * to_plate, window, 2 * _EDGE_FEATHER * scale),
    )
    alpha[0] = alpha[-1] = 0
    alpha[:, 0] = alpha[:, -1] = 0
    lips = np.concatenate(
        [new[list(LIPS_OUTER_UPPER), :2], new[list(LIPS_OUTER_LOWER[::-1]), :2]]
    )
    hard = np.where(alpha > 0, _fill(lips * to_plate, window), 0)
    return alpha.astype(np.float32), hard.astype(np.float32)


def _ramp(
    points: FloatArray, window: Window, width: float, full: FloatArray | None = None
) -> FloatArray:
    """Rises smoothly from 0 on the convex hull of points to 1 this many pixels inside it.

    It rises faster where it would not be 1 in all of the polygon ``full`` otherwise.
    """
    hull = _hull(points)
    # Padded, so that a hull cut off by the window does not fall towards the window's border.
    outer = Window(window.x - 1, window.y - 1, window.width + 2, window.height + 2)
    distance = cv2.distanceTransform(_fill(hull, outer), cv2.DIST_L2, 5)[1:-1, 1:-1]
    if full is not None:
        room = distance[_fill(full, window) > 0]
        width = min(width, float(room.min())) if room.size else width
    ramp = np.clip(distance / max(width, 2.0), 0, 1)
    out: FloatArray = ramp * ramp * (3 - 2 * ramp)
    return out


def _hull(points: FloatArray) -> FloatArray:
    return np.asarray(cv2.convexHull(points.astype(np.float32)), np.float32)[:, 0]


def _fill(polygon: FloatArray, window: Window) -> npt.NDArray[np.uint8]:
    """1 where a pixel's centre lies in a polygon, else 0."""
    mask = np.zeros(window.shape, np.uint8)
    points = np.round((polygon - (window.x + 0.5, window.y + 0.5)) * (1 << _SHIFT_BITS))
    cv2.fillPoly(mask, [points.astype(np.int32)], (1,), cv2.LINE_8, _SHIFT_BITS)
    return mask


def inner_mouth_region(
    landmarks: FloatArray, window: Window, pixel_aspect: float = 1.0
) -> FloatArray:
    """The inner mouth and the rim of the lips beside it, softly.

    Args:
        landmarks: ``(478, 3)`` in square pixels.
        window: Plate pixels to cover.
        pixel_aspect: Of the plate.

    Returns:
        ``(height, width)`` in 0-1.
    """
    scale = interocular_px(landmarks)
    line = landmarks[[*LIPS_INNER_UPPER, *LIPS_INNER_LOWER[::-1]], :2]
    inside = _fill(line * np.array([1 / pixel_aspect, 1], np.float32), window)
    margin = 2 * max(1, round(_RIM * scale)) + 1
    grown = cv2.dilate(inside, np.ones((margin, margin), np.uint8)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), max(_RIM * scale, 0.5)), np.float32)


def shared_skin(
    old: FloatArray, new: FloatArray, window: Window, pixel_aspect: float = 1.0
) -> FloatArray:
    """Where plate and new picture both show the face's skin: inside both faces, off the lips.

    Args:
        old: ``(478, 3)`` landmarks of the plate, in square pixels.
        new: ``(478, 3)`` landmarks wanted, likewise.
        window: Plate pixels to cover.
        pixel_aspect: Of the plate.

    Returns:
        ``(height, width)`` 0 or 1.
    """
    to_plate = np.array([1 / pixel_aspect, 1], np.float32)
    share = np.ones(window.shape, np.float32)
    for landmarks in (old, new):
        inside = _fill(_hull(landmarks[list(_FACE_OVAL), :2] * to_plate), window)
        margin = max(1, round(_EDGE_FEATHER * interocular_px(landmarks)))
        share *= cv2.erode(inside, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
        lips = _hull(landmarks[[*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER], :2] * to_plate)
        share *= 1 - cv2.dilate(_fill(lips, window), np.ones((2 * margin + 1,) * 2, np.uint8))
    return share


def match_light(
    made: FloatArray, plate: FloatArray, alpha: FloatArray, skin: FloatArray
) -> FloatArray:
    """Carry the plate's light into a made mouth, from the rim of the matte inwards.

    The difference between plate and made picture is taken where the matte is soft (there
    both show the same skin), spread inwards smoothly, and added.

    Args:
        made: ``(h, w, 3)`` display-referred picture of the new mouth.
        plate: ``(h, w, 3)`` the plate there.
        alpha: ``(h, w)`` soft matte.
        skin: ``(h, w)`` 1 where both show skin, from ``shared_skin``.

    Returns:
        ``(h, w, 3)`` the made picture in the plate's light.
    """
    rim = ((alpha > 0.0) & (alpha < 0.9)).astype(np.float32) * skin
    if rim.sum() < 16:
        return made
    difference = plate - made
    # Creases and hair differ by more than light does: they must not lead.
    size = np.abs(difference).max(-1)
    limit = 0.02 + 2 * float(np.median(size[rim > 0]))
    weight = rim * np.exp(-((size / limit) ** 2))
    small = _shrink(np.concatenate([difference * weight[..., None], weight[..., None]], -1))
    sigma = max(small.shape[:2]) / 14
    filled = _spread(small, sigma)
    light = cv2.resize(filled, (made.shape[1], made.shape[0]), interpolation=cv2.INTER_CUBIC)
    out: FloatArray = made + light
    return out


def _shrink(picture: FloatArray) -> FloatArray:
    factor = min(1.0, 96 / max(picture.shape[:2]))
    size = max(2, round(picture.shape[1] * factor)), max(2, round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _spread(weighted: FloatArray, sigma: float) -> FloatArray:
    """Normalised convolution at growing widths: near values where they are, far ones else."""
    total = np.zeros((*weighted.shape[:2], weighted.shape[2] - 1), np.float32)
    trust = np.zeros((*weighted.shape[:2], 1), np.float32)
    for octave in range(4):
        blurred = cv2.GaussianBlur(weighted, (0, 0), sigma * 2**octave / 2)
        share = 0.02**octave * blurred[..., 3:]
        total += 0.02**octave * blurred[..., :3]
        trust += share
    out: FloatArray = total / np.maximum(trust, 1e-8)
    return out
