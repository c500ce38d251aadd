"""Smooth warps from landmarks, and the three layers of a mouth that opens and shuts.

A warp here is backward: for each pixel of the picture that is made it says where to look in
the picture that is taken. One smooth field cannot open a mouth: the two inner lip lines meet
when it is shut, so the field would have to tear. Three fields do: one for all that hangs
above the lip line, one for all below, and a ruled surface between the inner lips.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import linalg

from lipcore.tracking.head import (
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    MOUTH_CORNERS,
    OUTER_EYE_CORNERS,
    RIGID,
    apply_similarity,
    canonical_head,
    fit_similarity,
    lower_face,
)
from lipcore.types import FloatArray, Window

_CORNERS = {61, 291, 78, 308, 62, 292, 76, 306, 57, 287}
_MIDDLE_UPPER = {184, 74, 73, 72, 11, 302, 303, 304, 408, 183, 42, 41, 38, 12, 268, 271, 272, 407}
_MIDDLE_LOWER = {77, 90, 180, 85, 16, 315, 404, 320, 307, 96, 89, 179, 86, 15, 316, 403, 319, 325}
_UPPER_LIP = ({*LIPS_OUTER_UPPER, *LIPS_INNER_UPPER} | _MIDDLE_UPPER) - _CORNERS
_LOWER_LIP = ({*LIPS_OUTER_LOWER, *LIPS_INNER_LOWER} | _MIDDLE_LOWER) - _CORNERS
_ANCHORS = (2, 97, 326, 98, 327, 94, 19, 4, 5, 195, 205, 425, 50, 280, 187, 411, 147, 376, 123, 352,
            116, 345, 117, 346, 118, 347, 100, 329, 129, 358, 209, 429, 36, 266)
"""Nose and cheeks: they tie the warp to the head that does not speak."""

_GRID_STEP = 0.03
"""Spacing of the grid on which fields are computed, in interocular units."""
_CONTACT_REACH, _CONTACT_SHADE = 0.014, 0.35
"""Half width of the shade between lips that touch, in mouth widths, and its depth."""
_LIP_EDGE = 0.06
"""Share of an opening, at either lip, in which the mesh cannot tell lip from tooth."""
_RIGIDITY, _CORNER_RIGIDITY = 3e-5, 2e-6
"""Smoothing of the thin plate: lets noise of single landmarks pass by. At the corners of the
mouth less of it, or they would stop a tenth short of where they are to go."""


@cache
def _control_points() -> tuple[list[int], list[int]]:
    """(upper layer, lower layer) indices of control points, in a fixed order."""
    everything = sorted({*lower_face(), *_ANCHORS})
    chin_line = canonical_head()[61, 1]
    upper = [
        i for i in everything
        if i not in _LOWER_LIP and (i in _UPPER_LIP or canonical_head()[i, 1] < chin_line + 0.12
                                    or abs(canonical_head()[i, 0]) > 0.4)
    ]
    lower = [i for i in everything if i not in _UPPER_LIP]
    return upper, lower


def _rigidity(points: list[int]) -> FloatArray:
    """``(P,)`` smoothing at each control point."""
    return np.array(
        [_CORNER_RIGIDITY if i in _CORNERS else _RIGIDITY for i in points], np.float32
    )


def interocular_px(landmarks: FloatArray) -> float:
    """Distance of the outer eye corners in 3D, in the landmarks' pixels."""
    left, right = landmarks[OUTER_EYE_CORNERS[0]], landmarks[OUTER_EYE_CORNERS[1]]
    return float(np.linalg.norm(left - right))


@dataclass(frozen=True, slots=True, eq=False)
class ThinPlate:
    """A thin-plate spline from one set of 2D points to another.

    Source: Bookstein, *Principal warps*, 1989; the smoothing form of Wahba, 1990.
    """

    centers: FloatArray
    weights: FloatArray
    scale: float

    @classmethod
    def fit(
        cls, target: FloatArray, source: FloatArray, scale: float, rigidity: FloatArray
    ) -> ThinPlate:
        """Fit the backward warp that looks up ``source`` where ``target`` is asked.

        Args:
            target: ``(P, 2)`` points of the picture that is made, in pixels.
            source: ``(P, 2)`` the same points in the picture that is taken.
            scale: Pixels in an interocular unit, so that stiffness does not depend on size.
            rigidity: ``(P,)`` how far the spline may pass each point by; 0 for not at all.
        """
        points = (target / scale).astype(np.float64)
        count = len(points)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _kernel(points, points)
        system[:count, :count].flat[:: count + 1] += rigidity * count
        system[:count, count] = system[count, :count] = 1.0
        system[:count, count + 1 :] = points
        system[count + 1 :, :count] = points.T
        moved = np.zeros((count + 3, 2))
        moved[:count] = (source - target) / scale
        # SciPy's solver: NumPy's threads itself, which costs frames drawn at once tens of ms.
        weights = linalg.solve(system, moved, assume_a="sym", check_finite=False)
        return cls(points.astype(np.float32), weights.astype(np.float32), scale)

    def __call__(self, points: FloatArray) -> FloatArray:
        """Where to look for ``(..., 2)`` points, in pixels."""
        flat = (points.reshape(-1, 2) / self.scale).astype(np.float32)
        count = len(self.centers)
        moved = _kernel(flat, self.centers) @ self.weights[:count]
        moved += self.weights[count] + flat @ self.weights[count + 1 :]
        out: FloatArray = ((flat + moved) * self.scale).reshape(points.shape)
        return out


def _kernel(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    across, down = a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]
    square = np.maximum(across * across + down * down, np.asarray(1e-12, a.dtype))
    out: npt.NDArray[Any] = 0.5 * square * np.log(square)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class MouthFrame:
    """Coordinates of one mouth: along its corners, across them, and its two inner lip lines.

    Built from 2D landmarks; ``along`` runs from the left corner (0) to the right one (1),
    ``across`` downwards, both in pixels of the plate.
    """

    origin: FloatArray
    axis: FloatArray
    width: float
    upper: FloatArray
    """``(11, 2)`` upper inner lip line, plate pixels, left to right."""
    lower: FloatArray
    """``(11, 2)`` lower inner lip line."""

    @classmethod
    def of(cls, landmarks: FloatArray) -> MouthFrame:
        """Take the mouth's coordinates from ``(478, 2 or 3)`` landmarks."""
        left, right = landmarks[MOUTH_CORNERS[0], :2], landmarks[MOUTH_CORNERS[1], :2]
        width = float(np.linalg.norm(right - left))
        return cls(
            left, (right - left) / max(width, 1e-6), width,
            landmarks[list(LIPS_INNER_UPPER), :2], landmarks[list(LIPS_INNER_LOWER), :2],
        )

    def local(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(along, across) of ``(..., 2)`` points, in pixels."""
        moved = points - self.origin
        along = moved @ self.axis
        across = moved @ self.down
        return along, across

    def lines(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(along, across of the upper line, across of the lower) at 11 stations, ascending."""
        up_u, up_v = self.local(self.upper)
        low_u, low_v = self.local(self.lower)
        middle = (up_v + low_v) / 2
        along = np.maximum.accumulate((up_u + low_u) / 2)
        return along, np.minimum(up_v, middle), np.maximum(low_v, middle)

    @property
    def down(self) -> FloatArray:
        """``(2,)`` unit vector across the mouth."""
        return np.array([-self.axis[1], self.axis[0]], np.float32)

    def gaps(self) -> FloatArray:
        """``(11,)`` distance between the inner lips at each pair of points, pixels, >= 0."""
        _, upper = self.local(self.upper)
        _, lower = self.local(self.lower)
        out: FloatArray = np.maximum(lower - upper, 0)
        return out

    @property
    def opening(self) -> float:
        """Gap in the middle of the mouth, in pixels."""
        return float(self.gaps()[4:7].mean())


@dataclass(frozen=True, slots=True, eq=False)
class MouthWarp:
    """Where each pixel of a window comes from, and which layer it belongs to."""

    lookup: FloatArray
    """``(h, w, 2)`` plate coordinates of the source frame for skin and lips."""
    inside_lookup: FloatArray
    """``(h, w, 2)`` the same for the inner mouth."""
    inside: FloatArray
    """``(h, w)`` 0-1: how much of the pixel lies between the inner lips."""
    contact: FloatArray
    """``(h, w)`` 0-1: where lips that were apart in the source now touch; shade falls there."""
    fields: tuple[FloatArray, FloatArray]
    """``(h, w, 2)`` of the upper and the lower layer, in square pixels."""
    pixel_aspect: float

    @property
    def fold(self) -> float:
        """Smallest Jacobian determinant of the two layers; not positive where one folds."""
        return min(_jacobian(field) for field in self.fields) / self.pixel_aspect


def warp_mouth(
    target: FloatArray, source: FloatArray, window: Window, pixel_aspect: float = 1.0
) -> MouthWarp:
    """The layered backward warp from a source frame's landmarks to the wanted ones.

    Args:
        target: ``(478, 3)`` landmarks wanted, in square pixels (x times the pixel aspect).
        source: ``(478, 3)`` landmarks of the frame that supplies the picture, likewise.
        window: Plate pixels to make.
        pixel_aspect: Of the plate.

    Returns:
        The warp over the window. It does not fold: where the plain spline would, the warp is
        eased towards the rigid motion of the head until its Jacobian is positive.
    """
    scale = interocular_px(target)
    grid = _grid(window, scale, pixel_aspect)
    upper_points, lower_points = _control_points()
    upper, lower = (
        ThinPlate.fit(target[points, :2], source[points, :2], scale, _rigidity(points))
        for points in (upper_points, lower_points)
    )
    pixels = _pixel_centers(window, pixel_aspect)
    mouth, taken = MouthFrame.of(target), MouthFrame.of(source)
    above, inside, contact, depth, inner = _layers(mouth, taken, pixels)
    wider = _wider(mouth, taken, scale, interocular_px(source))
    if wider:
        held = _held(mouth, taken, _skull(target, source), pixels, depth)
        inner = inner + wider * (held - inner)
    upper_field = _enlarge(_unfold(upper(grid), grid) - grid, pixels)
    lower_field = _enlarge(_unfold(lower(grid), grid) - grid, pixels)
    # Lips that close are taken from beyond their edge, or a rim of teeth would come along.
    edge = (2 * _CONTACT_REACH * taken.width * wider * contact)[..., None] * taken.down
    lookup = above[..., None] * (upper_field - edge) + (1 - above[..., None]) * (
        lower_field + edge
    )
    to_plate = np.array([1 / pixel_aspect, 1], np.float32)
    return MouthWarp(
        lookup * to_plate, inner * to_plate, inside,
        contact * wider * _CONTACT_SHADE,
        (upper_field, lower_field), pixel_aspect,
    )


def _pixel_centers(window: Window, pixel_aspect: float) -> FloatArray:
    """Centres of a window's pixels in square pixels, ``(h, w, 2)``."""
    x = (np.arange(window.x, window.x1, dtype=np.float32) + 0.5) * np.float32(pixel_aspect)
    y = np.arange(window.y, window.y1, dtype=np.float32) + 0.5
    return np.stack(np.meshgrid(x, y), -1)


def _grid(window: Window, scale: float, pixel_aspect: float) -> FloatArray:
    """Cell centres of a coarse grid over the window in square pixels, ``(rows, columns, 2)``."""
    columns = round(window.width * pixel_aspect / (scale * _GRID_STEP))
    rows = round(window.height / (scale * _GRID_STEP))
    columns, rows = min(max(4, columns), window.width), min(max(4, rows), window.height)
    x = window.x + (np.arange(columns, dtype=np.float32) + 0.5) * (window.width / columns)
    y = window.y + (np.arange(rows, dtype=np.float32) + 0.5) * (window.height / rows)
    out: FloatArray = np.stack(np.meshgrid(x * np.float32(pixel_aspect), y), -1)
    return out.astype(np.float32)


def _enlarge(displacements: FloatArray, pixels: FloatArray) -> FloatArray:
    """A coarse field of displacements at every pixel, as positions; exact where it is affine."""
    rows = _upsampling(displacements.shape[0], pixels.shape[0])
    columns = _upsampling(displacements.shape[1], pixels.shape[1])
    large = np.tensordot(rows, displacements, 1)  # (h, columns of the grid, 2)
    out: FloatArray = np.moveaxis(np.tensordot(large, columns, (1, 1)), 1, 2) + pixels
    return out


def _upsampling(coarse: int, fine: int) -> FloatArray:
    """``(fine, coarse)`` Catmull-Rom weights between cells of one extent, continued straight.

    OpenCV's cubic kernel is another one: it puts a ripple on every slope.
    """
    at = (np.arange(fine) + 0.5) * coarse / fine + 1.5  # in cells, two more on each side
    first = np.floor(at).astype(int)
    t = at - first
    kernel = (
        t * (t * (2 - t) - 1) / 2,
        (t * t * (3 * t - 5) + 2) / 2,
        t * (t * (4 - 3 * t) + 1) / 2,
        t * t * (t - 1) / 2,
    )
    weights = np.zeros((fine, coarse + 4))
    for step, share in enumerate(kernel):
        weights[np.arange(fine), first - 1 + step] = share
    weights[:, 2] += 3 * weights[:, 0] + 2 * weights[:, 1]
    weights[:, 3] -= 2 * weights[:, 0] + weights[:, 1]
    weights[:, -3] += 2 * weights[:, -2] + 3 * weights[:, -1]
    weights[:, -4] -= weights[:, -2] + 2 * weights[:, -1]
    return weights[:, 2:-2].astype(np.float32)


def _jacobian(field: FloatArray, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    dx = np.diff(field, axis=1)[:-1] / spacing[0]
    dy = np.diff(field, axis=0)[:, :-1] / spacing[1]
    return float((dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]).min())


def _unfold(field: FloatArray, grid: FloatArray, least: float = 0.15) -> FloatArray:
    """Ease a field towards its best affine motion until its Jacobian stays above ``least``."""
    spacing = (float(grid[0, 1, 0] - grid[0, 0, 0]), float(grid[1, 0, 1] - grid[0, 0, 1]))
    if _jacobian(field, spacing) >= least:
        return field
    flat = np.concatenate([grid.reshape(-1, 2), np.ones((grid[..., 0].size, 1), np.float32)], 1)
    affine, *_ = np.linalg.lstsq(flat, field.reshape(-1, 2), rcond=None)
    rigid = (flat @ affine).reshape(field.shape).astype(np.float32)
    low, high = 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2
        if _jacobian(field + middle * (rigid - field), spacing) >= least:
            high = middle
        else:
            low = middle
    eased: FloatArray = field + np.float32(high) * (rigid - field)
    return eased


def _skull(target: FloatArray, source: FloatArray) -> FloatArray:
    """``(2, 3)`` similarity by which the upper teeth move: that of brows, eyes and nose."""
    rigid = list(RIGID)
    scale, rotation, translation = fit_similarity(target[rigid, :2], source[rigid, :2])
    out: FloatArray = np.concatenate([scale * rotation, translation[:, None]], axis=1)
    return out.astype(np.float32)


def _wider(mouth: MouthFrame, taken: MouthFrame, scale: float, taken_scale: float) -> np.float32:
    """0 where the source's mouth is open about as far as the wanted one, 1 where far wider.

    Then the lips close over teeth that stay where they are, instead of squeezing them.
    """
    wanted = max(mouth.opening / scale, 0.01)
    return np.float32(_smoothstep((taken.opening / taken_scale / wanted - 1.1) / 0.4))


def _smoothstep(x: float | FloatArray) -> FloatArray:
    limited = np.clip(x, 0, 1)
    return np.asarray(limited * limited * (3 - 2 * limited), np.float32)


def _layers(
    mouth: MouthFrame, taken: MouthFrame, pixels: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """(weight of the upper layer, of the inside, contact, depth, ruled lookup of the inside)."""
    along, across = mouth.local(pixels)
    u, top_v, bottom_v = mouth.lines()
    top = np.interp(along, u, top_v).astype(np.float32)
    bottom = np.interp(along, u, bottom_v).astype(np.float32)
    station = np.interp(along, u, np.arange(len(u))).astype(np.float32)
    beyond = np.maximum(np.maximum(u[0] - along, along - u[-1]), 0)
    gap, middle = bottom - top, (top + bottom) / 2
    above = np.clip(0.5 + (middle - across) / (1.5 + 1.2 * beyond), 0, 1)
    inside = np.clip(0.5 + np.minimum(across - top, bottom - across) / 1.5, 0, 1)
    inside = np.where((beyond > 0) | (gap <= 0.05), 0, inside) * np.clip(gap / 1.5, 0, 1)
    reach = _CONTACT_REACH * mouth.width
    contact = np.exp(-(((across - middle) / np.maximum(reach, 0.7)) ** 2)) * (
        1 - _smoothstep(gap / (4 * reach))
    )
    contact = np.where(beyond > 0, 0, contact)
    depth = np.clip((across - top) / np.maximum(gap, 1e-3), 0, 1)
    return (
        above.astype(np.float32), inside.astype(np.float32), contact.astype(np.float32),
        depth.astype(np.float32), _ruled(taken, station, depth),
    )


def _held(
    mouth: MouthFrame, taken: MouthFrame, skull: FloatArray, pixels: FloatArray, depth: FloatArray
) -> FloatArray:
    """Points of the source's inner mouth where the skull holds them, under other lips.

    Nothing is stretched: where the wanted lips part outside the source's, the strip between
    them is slid along the teeth until it lies inside.
    """
    along, _ = taken.local(apply_similarity(skull, pixels))
    u, top, bottom = taken.lines()
    high, low = np.interp(along, u, top), np.interp(along, u, bottom)
    upper_u, upper_v = taken.local(apply_similarity(skull, mouth.upper))
    lower_u, lower_v = taken.local(apply_similarity(skull, mouth.lower))
    wanted_high = np.interp(along, np.maximum.accumulate(upper_u), upper_v)
    wanted_low = np.interp(along, np.maximum.accumulate(lower_u), lower_v)
    inset = _LIP_EDGE * (low - high)
    height = np.clip(wanted_low - wanted_high, 0, low - high - 2 * inset)
    start = np.clip(wanted_high, high + inset, low - inset - height)
    across = start + depth * height
    out: FloatArray = (
        taken.origin + along[..., None] * taken.axis + across[..., None] * taken.down
    ).astype(np.float32)
    return out


def _ruled(mouth: MouthFrame, station: FloatArray, depth: FloatArray) -> FloatArray:
    """Points of the source between its inner lips, at a station along them and a depth."""
    places = np.arange(len(mouth.upper))
    upper = np.stack([np.interp(station, places, mouth.upper[:, i]) for i in (0, 1)], -1)
    lower = np.stack([np.interp(station, places, mouth.lower[:, i]) for i in (0, 1)], -1)
    out: FloatArray = (upper + depth[..., None] * (lower - upper)).astype(np.float32)
    return out


def look_up(picture: FloatArray, window: Window, lookup: FloatArray) -> FloatArray:
    """A picture at plate coordinates, bicubic; its border is repeated outside.

    Args:
        picture: ``(H, W, C)`` float32 that covers ``window`` of the plate.
        window: What the picture covers.
        lookup: ``(h, w, 2)`` plate coordinates.
    """
    place = (lookup - (window.x + 0.5, window.y + 0.5)).astype(np.float32)
    x, y = np.ascontiguousarray(place[..., 0]), np.ascontiguousarray(place[..., 1])
    made = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(made, np.float32)
