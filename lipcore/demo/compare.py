"""Before and after side by side: a movie with the sound, and a contact sheet of the mouth."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lipcore.media.audio import read_sound
from lipcore.media.color import ColorTransform
from lipcore.media.output_files import appearing
from lipcore.media.plate import Plate, open_plate
from lipcore.media.writers import open_writer
from lipcore.types import FloatArray, Frame, FrameRange, Window

Picture = npt.NDArray[np.uint8]
Place = Callable[[int], tuple[float, float]]
"""Where the middle of something lies in a frame, in pixels."""

_INK = (235, 235, 235)
_PAPER = (24, 24, 28)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GAP = 6


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to compare, and how large."""

    before: Path
    after: Path
    frames: FrameRange
    dialogue: Path
    face: Place
    mouth: Place
    movie_half: tuple[int, int] = (960, 1080)
    """Width and height of each half of the movie, cut out of the frames around the face."""
    mouth_size: tuple[int, int] = (230, 180)
    """Width and height that the sheet shows around the mouth, in plate pixels."""
    columns: int = 8
    rows: int = 3
    enlarged: int = 2

    @property
    def shown(self) -> tuple[int, ...]:
        """Frames on the sheet, evenly spread, the first and the last among them."""
        count = min(len(self.frames), self.columns * self.rows)
        spread = np.linspace(self.frames.first, self.frames.last, count)
        return tuple(int(number) for number in np.round(spread))


def write_comparison(
    comparison: Comparison,
    movie: Path,
    sheet: Path,
    *,
    key: str,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Write the movie (H.264) and the sheet (PNG) in one pass over both sequences.

    Args:
        comparison: What to compare.
        movie: Where the movie goes; frames made under the same key are kept.
        sheet: Where the sheet goes.
        key: Hash of what the pictures depend on.
        progress: Called with (done, total).

    Raises:
        MediaError: A sequence cannot be read.
        OutputError: Something cannot be written.
    """
    shown = set(comparison.shown)
    cells: list[tuple[int, Picture, Picture]] = []
    width, height = comparison.movie_half
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(open_plate(comparison.before))
        after = stack.enter_context(open_plate(comparison.after))
        colors = [ColorTransform.for_plate(p.info.colorspace) for p in (before, after)]
        info = replace(
            before.info, display=Window(0, 0, 2 * width, height), colorspace="srgb",
            pixel_type="uint8", pixel_aspect=1.0,
        )
        writer = stack.enter_context(
            open_writer(
                movie, info, frames=comparison.frames, parameter_hash=key, deliver="video",
                codec="h264", sound=read_sound(comparison.dialogue), overwrite=True,
            )
        )
        for done, (old, new) in enumerate(_pairs(before, after, comparison.frames), 1):
            number = old.number
            if not writer.finished(number):
                halves = [
                    _labelled(_cut(frame, comparison.face(number), (width, height), color), name)
                    for frame, color, name in zip(
                        (old, new), colors, ("before", "after"), strict=True
                    )
                ]
                picture = np.concatenate(halves, axis=1).astype(np.float32) / 255
                writer.write(Frame(number, picture, info.display), None)
            if number in shown:
                mouths = [
                    _cut(frame, comparison.mouth(number), comparison.mouth_size, color)
                    for frame, color in zip((old, new), colors, strict=True)
                ]
                cells.append((number, mouths[0], mouths[1]))
            progress(done, len(comparison.frames))
    _write_png(sheet, _draw_sheet(cells, comparison))


def _pairs(before: Plate, after: Plate, frames: FrameRange) -> zip[tuple[Frame, Frame]]:
    return zip(before.stream(frames), after.stream(frames), strict=True)


def _cut(
    frame: Frame, center: tuple[float, float], size: tuple[int, int], color: ColorTransform
) -> Picture:
    """A part of a frame as it is shown, 8 bits; black where it reaches outside."""
    width, height = size
    x, y = round(center[0] - width / 2), round(center[1] - height / 2)
    display = frame.rgb.shape
    x = min(max(x, 0), max(0, display[1] - width))
    y = min(max(y, 0), max(0, display[0] - height))
    part: FloatArray = np.ascontiguousarray(frame.rgb[y : y + height, x : x + width])
    out = np.zeros((height, width, 3), np.uint8)
    out[: part.shape[0], : part.shape[1]] = color.tracking_picture(part)
    return out


def _labelled(picture: Picture, text: str) -> Picture:
    place = (24, picture.shape[0] - 28)
    cv2.putText(picture, text, place, _FONT, 1.0, _PAPER, 6, cv2.LINE_AA)
    cv2.putText(picture, text, place, _FONT, 1.0, _INK, 2, cv2.LINE_AA)
    return picture


def _draw_sheet(
    cells: list[tuple[int, Picture, Picture]], comparison: Comparison
) -> Picture:
    """Pairs in reading order: the plate's mouth above, the new one below it."""
    factor = comparison.enlarged
    width, height = (factor * side for side in comparison.mouth_size)
    columns = min(comparison.columns, len(cells))
    rows = -(-len(cells) // columns)
    label = 26
    cell_width, cell_height = width + _GAP, 2 * height + label + 2 * _GAP
    sheet = np.full((rows * cell_height + _GAP, columns * cell_width + _GAP, 3), _PAPER, np.uint8)
    for i, (number, before, after) in enumerate(cells):
        x = _GAP + i % columns * cell_width
        y = _GAP + i // columns * cell_height
        for j, picture in enumerate((before, after)):
            large = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
            top = y + label + j * height
            sheet[top : top + height, x : x + width] = large
        cv2.putText(sheet, str(number), (x + 4, y + 19), _FONT, 0.6, _INK, 1, cv2.LINE_AA)
    return sheet


def _write_png(path: Path, picture: Picture) -> None:
    _, data = cv2.imencode(".png", picture[..., ::-1])
    with appearing(path) as temporary:
        temporary.write_bytes(data.tobytes())
