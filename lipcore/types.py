"""The values that the stages of a render exchange: frozen, typed, free of heavy imports.

Coordinates: pixel (0, 0) is the top-left pixel of the display window and its centre lies at
(0.5, 0.5); x grows to the right, y grows downwards. Frames are numbered as in the plate and
ranges are inclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

LANDMARK_COUNT = 478
"""Points of a face mesh with irises, in the order of the MediaPipe attention mesh."""


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Frames ``first`` to ``last``, both included, numbered as in the plate."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ConfigError(
                f"frame range {self.first}-{self.last} ends before it starts",
                hint="Write the first frame first, as in 1001-1050.",
            )

    @classmethod
    def parse(cls, text: str) -> FrameRange:
        """Read ``1001-1050`` or ``1001`` (negative numbers allowed).

        Raises:
            ConfigError: The text is not a range.
        """
        match = re.fullmatch(r"\s*(-?\d+)(?:\s*-\s*(-?\d+))?\s*", text)
        if match is None:
            raise ConfigError(
                f"{text!r} is not a frame range",
                hint="Write a range as 1001-1050, or one frame as 1001.",
            )
        first = int(match[1])
        return cls(first, first if match[2] is None else int(match[2]))

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def index(self, number: int) -> int:
        """Position of a frame in the range, from 0."""
        if number not in self:
            raise IndexError(f"frame {number} is outside {self}")
        return number - self.first


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels: top-left pixel and size, in display-window coordinates."""

    x: int
    y: int
    width: int
    height: int

    @property
    def x1(self) -> int:
        """First column to the right of the window."""
        return self.x + self.width

    @property
    def y1(self) -> int:
        """First row below the window."""
        return self.y + self.height

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), as numpy counts."""
        return self.height, self.width

    def intersect(self, other: Window) -> Window:
        """The common part; width or height is 0 where there is none."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        return Window(
            x, y, max(0, min(self.x1, other.x1) - x), max(0, min(self.y1, other.y1) - y)
        )

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """(rows, columns) that cut this window out of an array that covers ``outer``."""
        top, left = self.y - outer.y, self.x - outer.x
        return slice(top, top + self.height), slice(left, left + self.width)


@dataclass(frozen=True, slots=True)
class PlateInfo:
    """What is known of a plate before a frame of it is read."""

    path: Path
    """As given, made absolute; for a sequence, the pattern with ``####``."""
    kind: Literal["sequence", "video"]
    frames: FrameRange
    """All frames of the plate, holes included."""
    rate: Fraction
    """Frames a second."""
    display: Window
    """The display window; its x and y are 0."""
    colorspace: str
    """Encoding of ``Frame.rgb``: an OpenColorIO name or role, or a name of ``media.color``."""
    pixel_type: str
    """``half``, ``float``, ``uint8``, ``uint10``, ``uint12`` or ``uint16``."""
    pixel_aspect: float = 1.0
    """Width of a pixel over its height."""
    timecode: str | None = None
    """Of the first frame, as ``01:00:00:00`` (``;`` before the frames when drop-frame)."""
    has_audio: bool = False
    missing: tuple[int, ...] = ()
    """Frames inside ``frames`` that are absent."""
    rate_source: Literal["file", "option", "default"] = "file"
    source_frames: tuple[int, ...] = ()
    """Of a retimed take: the frame of the file that each of ``frames`` shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame of a plate.

    ``rgb`` covers the data window, ``(height, width, 3)`` float32, in the plate's own
    encoding: scene-linear for most EXR files, display-referred 0-1 for video. Nothing is
    clamped.
    """

    number: int
    rgb: FloatArray
    window: Window
    """The data window, in display-window coordinates (it may reach outside the display)."""
    native: object = None
    """What the plate's own writer needs to give back every other channel and attribute."""
    policy: str | None = None
    """The missing-frame policy that made this frame (``hold`` or ``black``), if one did."""

    def part(self, area: Window) -> FloatArray:
        """``(height, width, 3)`` of ``rgb`` in a part of the data window.

        A plate may make no more than what is asked for: ask for a part where one will do.

        Args:
            area: Lies inside ``window``.
        """
        return self.rgb[area.slices_in(self.window)]

    def thinned(self, step_x: int, step_y: int) -> FloatArray:
        """Every ``step_y``-th row of ``rgb``, and of it every ``step_x``-th pixel."""
        return self.rgb[::step_y, ::step_x]

    def numbered(self, number: int) -> Frame:
        """The same picture under another number."""
        return replace(self, number=number)


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The new mouth of one frame, in the plate's encoding and at the plate's pixels.

    ``full == plate * (1 - alpha) + rgb`` inside ``window``; outside it nothing changes.
    """

    window: Window
    rgb: FloatArray
    """``(height, width, 3)``, premultiplied by ``alpha``."""
    alpha: FloatArray
    """``(height, width)`` soft matte, 0-1; exactly 0 on the window's border."""
    hard: FloatArray
    """``(height, width)`` hard region, 0 or 1: where the lips and the inner mouth are new."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """One person's face over a range of frames (N frames), smoothed in time.

    Arrays are indexed by ``frames.index(number)``.
    """

    track_id: int
    frames: FrameRange
    landmarks: FloatArray
    """``(N, 478, 3)``: x, y in the plate's own pixels (display window, still squeezed where
    the plate is anamorphic); z in units of a pixel's height, smaller is nearer to the camera.
    NaN where the face is absent. Poses and distances hold in square space, x times
    ``pixel_aspect``: see ``tracking.align.to_square``."""
    confidence: FloatArray
    """``(N,)`` 0-1; 0 where absent."""
    present: BoolArray
    """``(N,)``: the face was seen in this frame, or bridged over a short gap (landmarks
    interpolated, confidence halved): see ``tracking.tracker``."""
    transforms: FloatArray
    """``(N, 2, 3)``: affine from the plate's own pixels (x, y, 1) to the canonical crop, whose
    corners are (0, 0) and (1, 1): a similarity of square space with the pixel aspect in its
    first column. NaN where absent."""
    cuts: tuple[int, ...] = ()
    """Frames that begin a new scene (the first frame is not listed)."""
    pixel_aspect: float = 1.0

    def __post_init__(self) -> None:
        n = len(self.frames)
        assert self.landmarks.shape == (n, LANDMARK_COUNT, 3)
        assert self.transforms.shape == (n, 2, 3)
        assert self.confidence.shape == self.present.shape == (n,)

    def at(self, number: int) -> FloatArray:
        """``(478, 3)`` landmarks of a frame."""
        points: FloatArray = self.landmarks[self.frames.index(number)]
        return points


@dataclass(frozen=True, slots=True, eq=False)
class Dialogue:
    """The sound that the mouth shall say, mono, at 16 kHz, first sample at the first frame."""

    samples: FloatArray
    """``(samples,)`` in [-1, 1]."""
    sample_rate_hz: int = 16_000
    source: Path | None = None

    @property
    def duration_s(self) -> Fraction:
        """Length in seconds, exact."""
        return Fraction(len(self.samples), self.sample_rate_hz)


@dataclass(frozen=True, slots=True, eq=False)
class ShapeCurves:
    """Mouth shapes over time: what the speech network asks for, or what a plate shows.

    A shape is the offset of the lip and jaw landmarks of the pose-free head from the
    person's mean, on the components of a ``ShapeBasis``.
    """

    rate: Fraction
    first_frame: int
    values: FloatArray
    """``(N, components)``, in units of ``unit``."""
    names: tuple[str, ...]
    unit: str = "interocular"
    """1.0 is the distance between the outer eye corners."""
    source: str = ""
    """What the curves were made from, in words."""
    weights: str = ""
    """Name and hash of the weights whose basis the components belong to."""
    neutral: FloatArray | None = field(default=None)
    """``(K, 3)`` the person's mean shape, where the curves come from a plate."""

    @property
    def frames(self) -> FrameRange:
        """The frames that the curves cover."""
        return FrameRange(self.first_frame, self.first_frame + len(self.values) - 1)
