"""Between the planes of a video frame and float RGB, without loss where nothing changes.

Source: ITU-R BT.601, BT.709 and BT.2020 for the matrices and ranges; H.264 Annex E for the
position of chroma samples (left in each pair of columns, between each pair of rows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lipcore.types import FloatArray, Window

Plane = npt.NDArray[Any]

_KR_KB = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


@dataclass(frozen=True, slots=True)
class YuvLayout:
    """How planes mean colors."""

    matrix: str
    """``bt601``, ``bt709``, ``bt2020``, or ``rgb`` for planes in the order G, B, R, or ``gray``."""
    bits: int
    full_range: bool
    x_shift: int = 0
    y_shift: int = 0
    """Chroma planes are 2 to these powers smaller."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """How a sample is stored."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def luma_offset_scale(self) -> tuple[float, float]:
        """Code value of black, and codes from black to white."""
        if self.full_range or self.matrix == "rgb":
            return 0.0, float((1 << self.bits) - 1)
        return float(16 << self.bits - 8), float(219 << self.bits - 8)

    @property
    def chroma_offset_scale(self) -> tuple[float, float]:
        """Code value of no color, and codes from -0.5 to 0.5."""
        middle = float(1 << self.bits - 1)
        return middle, float((1 << self.bits) - 1 if self.full_range else 224 << self.bits - 8)


def planes_to_rgb(planes: tuple[Plane, ...], layout: YuvLayout) -> FloatArray:
    """``(height, width, 3)`` float32 of a frame's planes: 0 is black, 1 is white, unclamped."""
    if layout.matrix in ("rgb", "gray"):
        offset, scale = layout.luma_offset_scale
        rgb = np.empty((*planes[0].shape, 3), np.float32)
        order = (2, 0, 1) if layout.matrix == "rgb" else (0, 0, 0)
        for channel, index in enumerate(order):
            rgb[..., channel] = (planes[index].astype(np.float32) - offset) * (1 / scale)
        return rgb
    height, width = planes[0].shape
    blue, red = (
        _upsample(_chroma(plane, layout), layout)[:height, :width] for plane in planes[1:3]
    )
    return _mix(planes[0], blue, red, layout)


def _chroma(plane: Plane, layout: YuvLayout) -> FloatArray:
    middle, span = layout.chroma_offset_scale
    out: FloatArray = (plane.astype(np.float32) - np.float32(middle)) * np.float32(1 / span)
    return out


def _mix(plane: Plane, blue: FloatArray, red: FloatArray, layout: YuvLayout) -> FloatArray:
    """RGB of a luma plane and as many values of each chroma."""
    offset, scale = layout.luma_offset_scale
    kr, kb = _KR_KB[layout.matrix]
    kg = 1 - kr - kb
    rgb = np.empty((*plane.shape, 3), np.float32)
    luma = (plane.astype(np.float32) - np.float32(offset)) * np.float32(1 / scale)
    np.add(luma, red * np.float32(2 * (1 - kr)), out=rgb[..., 0])
    np.add(luma, blue * np.float32(2 * (1 - kb)), out=rgb[..., 2])
    luma -= blue * np.float32(2 * (1 - kb) * kb / kg)
    luma -= red * np.float32(2 * (1 - kr) * kr / kg)
    rgb[..., 1] = luma
    return rgb


def part_to_rgb(
    planes: tuple[Plane, ...], layout: YuvLayout, x: int, y: int, width: int, height: int
) -> FloatArray:
    """A rectangle of ``planes_to_rgb``, bit for bit, from no more samples than it needs.

    Args:
        planes: The whole frame's.
        layout: What they mean.
        x: First column; the rectangle lies inside the frame.
        y: First row.
        width: Columns.
        height: Rows.
    """
    # Chroma is interpolated between neighbours: two of them more on each side.
    step_x, step_y = 1 << layout.x_shift, 1 << layout.y_shift
    rows, columns = planes[0].shape
    x0, y0 = max(0, (x // step_x - 2) * step_x), max(0, (y // step_y - 2) * step_y)
    x1 = min(columns, (-(-(x + width) // step_x) + 2) * step_x)
    y1 = min(rows, (-(-(y + height) // step_y) + 2) * step_y)
    near = Window(x0, y0, x1 - x0, y1 - y0)
    cut = tuple(plane[_plane_slices(near, layout, index)] for index, plane in enumerate(planes))
    rgb = planes_to_rgb(cut, layout)
    return rgb[y - y0 : y - y0 + height, x - x0 : x - x0 + width]


def thinned_to_rgb(
    planes: tuple[Plane, ...], layout: YuvLayout, step_x: int, step_y: int
) -> FloatArray:
    """``planes_to_rgb(planes, layout)[::step_y, ::step_x]``, bit for bit, from few samples."""
    if layout.matrix in ("rgb", "gray"):
        return planes_to_rgb(tuple(plane[::step_y, ::step_x] for plane in planes), layout)
    height, width = planes[0].shape
    rows, columns = np.arange(0, height, step_y), np.arange(0, width, step_x)
    blue, red = (_chroma_at(plane, layout, rows, columns) for plane in planes[1:3])
    return _mix(planes[0][::step_y, ::step_x], blue, red, layout)


def rgb_to_planes(rgb: FloatArray, layout: YuvLayout) -> tuple[Plane, ...]:
    """The inverse of ``planes_to_rgb``, rounded to code values and clamped to them."""
    offset, scale = layout.luma_offset_scale
    if layout.matrix == "rgb":
        return tuple(_quantise(rgb[..., index] * scale + offset, layout) for index in (1, 2, 0))
    kr, kb = _KR_KB.get(layout.matrix, _KR_KB["bt709"])
    weights = np.array([kr, 1 - kr - kb, kb], np.float32)
    luma = rgb @ weights
    first = _quantise(luma * np.float32(scale) + np.float32(offset), layout)
    if layout.matrix == "gray":
        return (first,)
    middle, span = layout.chroma_offset_scale
    out = [first]
    for channel, k in ((2, kb), (0, kr)):
        chroma = (rgb[..., channel] - luma) * np.float32(1 / (2 * (1 - k)))
        chroma = _downsample(chroma, layout)
        out.append(_quantise(chroma * np.float32(span) + np.float32(middle), layout))
    return tuple(out)


def merge_planes(
    planes: tuple[Plane, ...],
    layout: YuvLayout,
    window: Window,
    merged: FloatArray,
    alpha: FloatArray,
) -> tuple[Plane, ...]:
    """Put new pixels into planes; every code value whose pixels have alpha 0 stays.

    Args:
        planes: The plate's frame.
        window: Where, inside the frame.
        merged: ``(height, width, 3)`` the finished pixels of the window.
        alpha: ``(height, width)`` where they differ from the plate.
    """
    if not alpha.any():
        return planes
    # Chroma samples cover blocks of pixels: grow the window to whole blocks.
    step_x, step_y = 1 << layout.x_shift, 1 << layout.y_shift
    height, width = planes[0].shape
    x0, y0 = window.x // step_x * step_x, window.y // step_y * step_y
    x1 = min(-(-window.x1 // step_x) * step_x, width)
    y1 = min(-(-window.y1 // step_y) * step_y, height)
    grown = Window(x0, y0, x1 - x0, y1 - y0)
    inside = window.slices_in(grown)
    old = tuple(plane[_plane_slices(grown, layout, index)] for index, plane in enumerate(planes))
    rgb = planes_to_rgb(old, layout)
    rgb[inside] = merged
    touched = np.zeros(grown.shape, bool)
    touched[inside] = alpha > 0
    out = []
    fresh = rgb_to_planes(rgb, layout)
    for index, (plane, patch) in enumerate(zip(planes, fresh, strict=True)):
        chosen = touched if index == 0 or layout.matrix == "rgb" else _whole_blocks(touched, layout)
        copy = plane.copy()
        area = copy[_plane_slices(grown, layout, index)]
        area[...] = np.where(chosen[: area.shape[0], : area.shape[1]], patch, area)
        out.append(copy)
    return tuple(out)


def transpose_layout(layout: YuvLayout) -> YuvLayout:
    """The layout of planes whose rows and columns are exchanged."""
    return replace(layout, x_shift=layout.y_shift, y_shift=layout.x_shift)


def _plane_slices(window: Window, layout: YuvLayout, index: int) -> tuple[slice, slice]:
    if index == 0 or layout.matrix == "rgb":
        return slice(window.y, window.y1), slice(window.x, window.x1)
    x, y = layout.x_shift, layout.y_shift
    return (
        slice(window.y >> y, -(-window.y1 >> y)),
        slice(window.x >> x, -(-window.x1 >> x)),
    )


def _quantise(values: FloatArray, layout: YuvLayout) -> Plane:
    top = (1 << layout.bits) - 1
    rounded = np.clip(np.nan_to_num(values, nan=0.0) + np.float32(0.5), 0, top)
    return rounded.astype(layout.dtype)


def _upsample(plane: FloatArray, layout: YuvLayout) -> FloatArray:
    """Linear interpolation: columns sited left, rows between."""
    for _ in range(layout.x_shift):
        wide = np.empty((plane.shape[0], plane.shape[1] * 2), np.float32)
        wide[:, 0::2] = plane
        wide[:, 1:-1:2] = (plane[:, :-1] + plane[:, 1:]) * np.float32(0.5)
        wide[:, -1] = plane[:, -1]
        plane = wide
    for _ in range(layout.y_shift):
        high = np.empty((plane.shape[0] * 2, plane.shape[1]), np.float32)
        near, far = np.float32(0.75) * plane, np.float32(0.25) * plane
        high[0], high[-1] = plane[0], plane[-1]
        high[2::2] = near[1:] + far[:-1]
        high[1:-1:2] = near[:-1] + far[1:]
        plane = high
    return plane


def _chroma_at(
    plane: Plane, layout: YuvLayout, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> FloatArray:
    """``_upsample`` at the crossings of some rows and columns of the frame."""

    def along(values: FloatArray, at: npt.NDArray[np.intp], shift: int) -> FloatArray:
        if shift == 0:
            return values[:, at]
        last = (values.shape[1] << shift - 1) - 1
        here = along(values, at >> 1, shift - 1)
        beside = along(values, np.minimum((at >> 1) + 1, last), shift - 1)
        return np.where(at & 1, (here + beside) * np.float32(0.5), here)

    def down(at: npt.NDArray[np.intp], shift: int) -> FloatArray:
        if shift == 0:
            return along(_chroma(plane[at], layout), columns, layout.x_shift)
        count = plane.shape[0] << shift - 1
        other = (at >> 1) + np.where(at & 1, 1, -1)
        edge = ((other < 0) | (other >= count))[:, None]
        here = down(at >> 1, shift - 1)
        beside = down(np.clip(other, 0, count - 1), shift - 1)
        return np.where(edge, here, np.float32(0.75) * here + np.float32(0.25) * beside)

    return down(rows, layout.y_shift)


def _downsample(plane: FloatArray, layout: YuvLayout) -> FloatArray:
    """The smooth counterpart of ``_upsample``: 1-2-1 on columns, pairs of rows averaged."""
    for _ in range(layout.x_shift):
        padded = np.pad(plane, ((0, 0), (1, 1 + plane.shape[1] % 2)), mode="edge")
        left, here, right = padded[:, 0:-2:2], padded[:, 1:-1:2], padded[:, 2::2]
        plane = (left + right) * np.float32(0.25) + here * np.float32(0.5)
    for _ in range(layout.y_shift):
        if plane.shape[0] % 2:
            plane = np.pad(plane, ((0, 1), (0, 0)), mode="edge")
        plane = (plane[0::2] + plane[1::2]) * np.float32(0.5)
    return plane


def _whole_blocks(touched: npt.NDArray[np.bool_], layout: YuvLayout) -> npt.NDArray[np.bool_]:
    """Chroma samples that stand for touched pixels only: one untouched pixel keeps its block."""
    step_x, step_y = 1 << layout.x_shift, 1 << layout.y_shift
    pad_y, pad_x = -touched.shape[0] % step_y, -touched.shape[1] % step_x
    padded = np.pad(touched, ((0, pad_y), (0, pad_x)), mode="edge")
    rows, columns = padded.shape[0] // step_y, padded.shape[1] // step_x
    blocks: npt.NDArray[np.bool_] = padded.reshape(rows, step_y, columns, step_x).all(axis=(1, 3))
    return blocks
