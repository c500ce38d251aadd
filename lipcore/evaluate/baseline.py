"""The common half of the baselines: frames in, boxes with new faces out, written without loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipcore.errors import NoFaceError
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate
from lipcore.media.write_image import on_display
from lipcore.media.writers import open_writer
from lipcore.tracking.networks import Picture
from lipcore.types import Dialogue, FaceTrack, FloatArray, FrameRange, Patch, Window

Box = tuple[int, int, int, int]
"""Whole pixels x0, y0, x1, y1."""
Draw = Callable[[int, Picture], tuple[Box, Picture]]
"""Place of a frame in the shot, and the frame, display-referred -> where it is changed, and what
stands there now. Called for one frame after another."""


@dataclass(frozen=True, slots=True, eq=False)
class BaselineShot:
    """What a baseline draws."""

    plate: Plate
    track: FaceTrack
    """Of the face, over the frames to draw."""
    dialogue: Dialogue
    """At 16 kHz, from the first of these frames."""
    color: ColorTransform

    @property
    def rate(self) -> float:
        """Frames a second."""
        return float(self.plate.info.rate)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        display = self.plate.info.display
        return display.width, display.height

    def picture(self, number: int) -> Picture:
        """``(height, width, 3)`` uint8, red first: a frame as detectors see it."""
        frame = self.plate.read(number)
        return self.color.tracking_picture(on_display(frame.rgb, frame, self.plate.info))


Method = Callable[[BaselineShot], Draw]
"""A baseline: called once a shot."""


def render_baseline(
    plate: Plate, track: FaceTrack, dialogue: Dialogue, out: Path, method: Method, *, key: str
) -> None:
    """Draw a shot with a baseline and write it without loss.

    Args:
        plate: The plate.
        track: Of the face, over the frames to draw.
        dialogue: At 16 kHz, from the first of these frames.
        out: A ``.mkv`` to write.
        method: What draws.
        key: Of what the pixels depend on.

    Raises:
        NoFaceError: A frame shows no face: the published inferences stop there, or leave the
            frame out.
        MediaError, OutputError: As reading and writing raise.
    """
    frames, color = track.frames, ColorTransform.of_plate(plate)
    absent = [n for n, there in zip(frames, track.present, strict=True) if not there]
    if absent:
        raise NoFaceError(
            f"the baselines need a face in each frame; {absent[0]} shows none",
            hint="Leave such frames out.", frame=absent[0],
        )
    draw = method(BaselineShot(plate, track, dialogue, color))
    with open_writer(
        out, plate.info, frames=frames, parameter_hash=key, deliver="video", overwrite=True
    ) as writer:
        for i, frame in enumerate(plate.stream(frames)):
            box, new = draw(i, color.tracking_picture(on_display(frame.rgb, frame, plate.info)))
            if not writer.finished(frame.number):
                values = color.from_display(new.astype(np.float32) / 255)
                writer.write(frame, _patch(box, values, plate.info.display))


def _patch(box: Box, values: FloatArray, display: Window) -> Patch:
    """The box with its new values, as writers take what is new: they give the rest of a frame
    back from the plate's own code values."""
    x0, y0, x1, y1 = box
    inside = Window(x0, y0, x1 - x0, y1 - y0)
    window = Window(x0 - 2, y0 - 2, x1 - x0 + 4, y1 - y0 + 4).intersect(display)
    alpha, rgb = np.zeros(window.shape, np.float32), np.zeros((*window.shape, 3), np.float32)
    alpha[inside.slices_in(window)] = 1
    rgb[inside.slices_in(window)] = values
    return Patch(window, rgb, alpha, alpha)


def face_boxes(
    track: FaceTrack, size: tuple[int, int], *, below: int = 0, smoothed: int = 1
) -> FloatArray:
    """Boxes of the face mesh.

    Args:
        track: Of the face; it is in each frame.
        size: Width and height of the picture.
        below: Pixels that are added below.
        smoothed: Each box is the mean of this many, from its own on.

    Returns:
        ``(N, 4)`` whole pixels x0, y0, x1, y1 inside the picture.
    """
    points = track.landmarks[:, :468, :2]
    low, high = points.min(axis=1), points.max(axis=1)
    rows = np.concatenate([low, high], axis=1)
    rows[:, 3] += below
    top = np.array([*size, *size], np.float32)
    rows = np.clip(rows, 0, top).astype(np.int64)
    last = len(rows) - smoothed
    means = [rows[max(0, min(i, last)) :][:smoothed].mean(axis=0) for i in range(len(rows))]
    out: FloatArray = np.stack(means).astype(np.int64).astype(np.float32)
    return out


def first_frames(plate: Plate, count: int) -> FrameRange:
    """The first frames of a plate, as many as there are up to ``count``."""
    first = plate.info.frames.first
    return FrameRange(first, min(plate.info.frames.last, first + count - 1))
