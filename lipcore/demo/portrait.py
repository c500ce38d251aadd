"""The demo's plate: a slow camera move over a portrait, as scene-linear half EXR.

The portrait is the 512 px photograph of Eileen Collins that scikit-image carries (NASA, public
domain). Each frame shows about the upper half of it, enlarged four times.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lipcore.errors import DependencyError, MediaError
from lipcore.media.color import LINEAR
from lipcore.media.exr_encode import FreshPart, new_part, write_exr
from lipcore.media.exr_format import Attribute, Channel, read_header
from lipcore.media.locate import frame_path
from lipcore.media.output_files import appearing, output_error
from lipcore.media.timecode import advance_timecode
from lipcore.types import FloatArray, FrameRange, Window

RATE = Fraction(24)
FIRST_FRAME = 1001
TIMECODE = "01:00:00:00"
DISPLAY = Window(0, 0, 1920, 1080)

MOUTH = (223.5, 150.0)
"""A little below the middle of the mouth, in pixels of the portrait."""
FACE = (224.0, 125.0)
"""Middle of the head, likewise."""

_STAMP = "lipcore:demo"
_CODE_LEVELS = 1023
_HALF = 1


@dataclass(frozen=True, slots=True)
class CameraMove:
    """A push-in with a drift, eased at both ends.

    Centers are in pixels of the portrait, widths are how many of its pixels a frame shows.
    """

    frames: FrameRange
    center_from: tuple[float, float] = (263.0, 141.0)
    center_to: tuple[float, float] = (246.0, 135.0)
    width_from: float = 494.0
    width_to: float = 464.0
    display: Window = DISPLAY
    """Of the frames; its x and y are 0."""

    def matrix(self, number: int) -> npt.NDArray[np.float64]:
        """``(2, 3)`` affine from pixels of the portrait to pixels of a frame."""
        t = self.frames.index(number) / max(1, len(self.frames) - 1)
        eased = t * t * (3 - 2 * t)
        x, y = (
            a + eased * (b - a) for a, b in zip(self.center_from, self.center_to, strict=True)
        )
        width, height = self.display.width, self.display.height
        scale = width / (self.width_from + eased * (self.width_to - self.width_from))
        return np.array(
            [[scale, 0, width / 2 - scale * x], [0, scale, height / 2 - scale * y]]
        )

    def place(self, point: tuple[float, float], number: int) -> tuple[float, float]:
        """Where a point of the portrait lies in a frame."""
        x, y = self.matrix(number) @ np.array([*point, 1.0])
        return float(x), float(y)


def write_plate(
    folder: Path,
    move: CameraMove,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    """Write the plate; frames of the same move that are there already are kept.

    Args:
        folder: Where; made if absent. Frames of a longer plate of the demo are removed.
        move: Which frames, and how the camera moves over them.
        progress: Called with (done, total).

    Returns:
        The pattern, ``plate.####.exr`` in the folder.

    Raises:
        DependencyError: scikit-image's portrait is not there.
        OutputError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error
    remove_frames_outside(folder, move.frames)
    pattern = folder / "plate.####.exr"
    for done, number in enumerate(move.frames, 1):
        stamp = str(np.round(move.matrix(number), 4).tolist())
        path = frame_path(pattern, number)
        if _stamp_of(path) != stamp:
            index = number - move.frames.first
            _write_frame(path, draw_frame(move, number), index, stamp)
        progress(done, len(move.frames))
    return pattern


def draw_frame(move: CameraMove, number: int) -> FloatArray:
    """One frame, ``(height, width, 3)`` scene-linear Rec.709.

    Args:
        move: The camera.
        number: Of the frame.
    """
    matrix = move.matrix(number)
    # OpenCV places samples on a grid of 1/32 pixel: far too coarse for pixels that are seen
    # four times as large, so the portrait is enlarged first, and moved after.
    enlarged = max(1, round(float(matrix[0, 0])))
    matrix[:, :2] /= enlarged
    matrix[:, 2] += 0.5 * matrix[:, :2].sum(axis=1) - 0.5  # it counts from pixel centers
    shown = cv2.warpAffine(
        read_portrait(enlarged), matrix, (move.display.width, move.display.height),
        flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101,
    )
    # As many levels as a camera's 10 bits: the files pack to half the size.
    shown = np.round(np.clip(shown, 0, 1) * _CODE_LEVELS) / np.float32(_CODE_LEVELS)
    return _srgb_to_linear(shown)


def remove_frames_outside(folder: Path, frames: FrameRange) -> None:
    """Delete the demo's own frames outside a range, which a longer text left.

    Renders count as its own too: they keep the attributes of the plate.
    """
    for path in folder.glob("plate.*.exr"):
        digits = path.name.split(".")[1]
        if digits.isdigit() and int(digits) not in frames and _stamp_of(path) is not None:
            path.unlink()


@functools.lru_cache(maxsize=2)
def read_portrait(enlarged: int) -> FloatArray:
    """The portrait so many times as large, ``(512 * n, 512 * n, 3)`` display-referred 0-1."""
    try:
        from skimage import data

        portrait = data.astronaut()  # type: ignore[no-untyped-call]
    except (ImportError, OSError) as error:
        raise DependencyError(
            "the demo's portrait is not there: scikit-image is missing or incomplete",
            hint="Run: pip install --force-reinstall scikit-image",
        ) from error
    small: FloatArray = portrait.astype(np.float32) / 255
    if enlarged == 1:
        return small
    large = cv2.resize(
        small, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_LANCZOS4
    )
    # Enlarging leaves the finest detail weak: lift what lies just above the old pixels.
    soft = cv2.GaussianBlur(large, (0, 0), 0.6 * enlarged)
    out: FloatArray = np.clip(large + 0.5 * (large - soft), 0, 1)
    return out


def _srgb_to_linear(values: FloatArray) -> FloatArray:
    low = values / np.float32(12.92)
    high = ((values + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    out: FloatArray = np.where(values <= 0.04045, low, high).astype(np.float32)
    return out


def _write_frame(path: Path, rgb: FloatArray, index: int, stamp: str) -> None:
    window = Window(0, 0, rgb.shape[1], rgb.shape[0])
    code = _timecode_bits(advance_timecode(TIMECODE, index, RATE))
    part = new_part(
        [Channel(name, _HALF) for name in "RGB"],
        window,
        window,
        attributes=[
            Attribute("timeCode", "timecode", struct.pack("<II", code, 0)),
            Attribute(
                "framesPerSecond", "rational",
                struct.pack("<iI", RATE.numerator, RATE.denominator),
            ),
            Attribute("oiio:ColorSpace", "string", LINEAR.encode()),
            Attribute("comments", "string", b"Eileen Collins, NASA, public domain"),
            Attribute(_STAMP, "string", stamp.encode()),
        ],
    )
    planes = {name: rgb[..., i].astype(np.float16) for i, name in enumerate("RGB")}
    with appearing(path) as temporary:
        write_exr(temporary, [FreshPart(part, planes)], version=2, threads=os.cpu_count() or 1)


def _timecode_bits(text: str) -> int:
    """SMPTE timecode as EXR packs it: two decimal digits a byte, frames lowest."""
    bits = 0
    for field in text.split(":"):
        tens, ones = divmod(int(field), 10)
        bits = bits << 8 | tens << 4 | ones
    return bits


def _stamp_of(path: Path) -> str | None:
    try:
        return read_header(path).parts[0].text(_STAMP) if path.is_file() else None
    except MediaError:
        return None
