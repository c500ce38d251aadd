"""Plates for the tracker: real clips, and pictures put together from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from lipcore.tracking.tracker import TrackingConfig, track_plate
from lipcore.types import FaceTrack, FloatArray, Frame, FrameRange, PlateInfo, Window

Picture = npt.NDArray[np.uint8]
Clip = Callable[[str, int], list[Picture]]


class DisplayColor:
    """Pixels that are sRGB already, 0-1."""

    def tracking_picture(self, rgb: FloatArray) -> Picture:
        return (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)


@dataclass
class PicturePlate:
    """A plate of pictures in memory, numbered from ``first``."""

    pictures: Sequence[Picture]
    first: int = 1001
    pixel_aspect: float = 1.0
    origin: tuple[int, int] = (0, 0)
    info: PlateInfo = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.pictures[0].shape[:2]
        self.info = PlateInfo(
            Path("/plate.####.exr"),
            "sequence",
            FrameRange(self.first, self.first + len(self.pictures) - 1),
            Fraction(25),
            Window(0, 0, width, height),
            "srgb",
            "half",
            self.pixel_aspect,
        )

    def read(self, number: int) -> Frame:
        picture = self.pictures[number - self.first]
        window = Window(*self.origin, picture.shape[1], picture.shape[0])
        return Frame(number, picture.astype(np.float32) / 255, window)

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        for number in frames:
            yield self.read(number)

    def track(self, config: TrackingConfig | None = None) -> list[FaceTrack]:
        return track_plate(self, self.info.frames, color=DisplayColor(), config=config)


@pytest.fixture(scope="session")
def clip(shared_data: Path) -> Clip:
    """Reads the first frames of a clip as ``(h, w, 3)`` uint8 pictures."""
    held: dict[tuple[str, int], list[Picture]] = {}

    def read(name: str, count: int) -> list[Picture]:
        if (name, count) not in held:
            with av.open(str(shared_data / "clips" / name)) as file:
                frames = zip(range(count), file.decode(video=0), strict=False)
                held[name, count] = [frame.to_ndarray(format="rgb24") for _, frame in frames]
        return held[name, count]

    return read


@pytest.fixture(scope="session")
def plate_of() -> type[PicturePlate]:
    """Makes a plate of pictures."""
    return PicturePlate


@pytest.fixture(scope="session")
def paste() -> Callable[..., Picture]:
    """Puts a picture's upper middle, cut by a soft oval, on another one."""

    def put(
        canvas: Picture, picture: Picture, x: float, y: float, width: float, face: FloatArray
    ) -> Picture:
        """``face``: x0 y0 x1 y1 in ``picture``; lands centred on (x, y), ``width`` wide."""
        center, scale = (face[:2] + face[2:]) / 2, width / float(face[2] - face[0])
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
        reach = float(face[2] - face[0])
        oval = np.hypot(
            (columns - center[0]) / (0.72 * reach),
            (rows - center[1] + 0.1 * reach) / (0.95 * reach),
        )
        alpha = np.clip((1 - oval) * 8, 0, 1).astype(np.float32)
        matrix = np.array(
            [[scale, 0, x - scale * center[0]], [0, scale, y - scale * center[1]]], np.float32
        )
        size = canvas.shape[1], canvas.shape[0]
        if scale < 0.5:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.4 / scale)
        moved = cv2.warpAffine(picture.astype(np.float32), matrix, size)
        share = cv2.warpAffine(alpha, matrix, size)[..., None]
        return (canvas * (1 - share) + moved * share).astype(np.uint8)

    return put


def box_of(track: FaceTrack, row: int) -> FloatArray:
    """x0 y0 x1 y1 of a face in plate pixels."""
    points = track.landmarks[row, :468, :2]
    return np.concatenate([points.min(0), points.max(0)])
