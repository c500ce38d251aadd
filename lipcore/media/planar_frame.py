"""Frames of video files: RGB is made of the code values only where it is asked for.

A 4K frame is 12 MB of 8-bit planes and 100 MB of float RGB, and a render looks at a face.
"""

from __future__ import annotations

from dataclasses import dataclass

from lipcore.media.yuv import Plane, YuvLayout, part_to_rgb, planes_to_rgb, thinned_to_rgb
from lipcore.types import FloatArray, Frame, Window


@dataclass(frozen=True, slots=True)
class ColorTags:
    """The colour description of a stream, as numbers of ITU-T H.273 (2 is unspecified)."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class VideoNative:
    """A frame's own code values, turned upright, for a writer that keeps them."""

    planes: tuple[Plane, ...]
    layout: YuvLayout
    tags: ColorTags


class PlanarFrame(Frame):
    """A frame that holds its planes; ``rgb`` is made anew at each use.

    Args:
        number: Of the frame.
        native: Its code values.
        window: Its data window.
    """

    __slots__ = ()

    def __init__(self, number: int, native: VideoNative, window: Window) -> None:
        for name, value in (
            ("number", number), ("native", native), ("window", window), ("policy", None)
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @property
    def rgb(self) -> FloatArray:  # type: ignore[override]
        return planes_to_rgb(self._values.planes, self._values.layout)

    def part(self, area: Window) -> FloatArray:
        return part_to_rgb(
            self._values.planes, self._values.layout, area.x - self.window.x,
            area.y - self.window.y, area.width, area.height,
        )  # fmt: skip

    def thinned(self, step_x: int, step_y: int) -> FloatArray:
        return thinned_to_rgb(self._values.planes, self._values.layout, step_x, step_y)

    def numbered(self, number: int) -> Frame:
        return PlanarFrame(number, self._values, self.window)

    @property
    def _values(self) -> VideoNative:
        assert isinstance(self.native, VideoNative)
        return self.native
