"""A photograph of somebody: where the face is, and how its mouth is moved to what is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lipcore.demo.portrait import RATE, read_portrait
from lipcore.errors import (
    FaceError,
    FaceTooSmallError,
    LipcoreError,
    MediaNotFoundError,
    MediaUnreadableError,
)
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.fit import closed_shape, opening_slope
from lipcore.shapes.measure import opening_of, width_of
from lipcore.speech.visemes import PARAMETERS
from lipcore.tracking.head import LIPS_INNER_LOWER, LIPS_INNER_UPPER, fit_pose
from lipcore.tracking.tracker import track_plate
from lipcore.types import FloatArray, Frame, FrameRange, PlateInfo, Window

from .mouth import OPENING_UNIT, spread_gap

ASTRONAUT = "astronaut"
"""Stands for the public-domain portrait that scikit-image carries."""
_FACE_PX = 40
"""Least distance of the eyes: below it a portrait has no lips to move."""
_LIP_REACH = 0.07
"""How far from the inner lips a correction of their gap reaches, interocular units."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A photograph and its mirror image, each with its face mesh."""

    identity: str
    views: tuple[tuple[Picture, FloatArray], ...]
    """(H, W, 3) sRGB and (478, 3) landmarks of its largest face, in pixels."""


def load_portrait(path: Path) -> Portrait:
    """Read a photograph; ``astronaut`` is scikit-image's, where no file has that name.

    Raises:
        MediaError: It is absent, or no picture.
        FaceError: It shows no face, or one too small.
    """
    picture = _read(path)
    digest = hashlib.sha256(picture.tobytes()).hexdigest()[:12]
    views = []
    for view in (picture, np.ascontiguousarray(picture[:, ::-1])):
        try:
            track = track_plate(Still(view), FrameRange(0, 0), color=Still(view))[0]
        except FaceError as error:
            raise type(error)(
                f"{path}: {error.message}", hint="Give a photograph of one face, from the front.",
                path=str(path),
            ) from error
        views.append((view, track.landmarks[0]))
        wide = fit_pose(track.landmarks[0]).scale
        if wide < _FACE_PX:
            raise FaceTooSmallError(
                f"the eyes of {path} are {wide:.0f} pixels apart, and a mouth needs {_FACE_PX}",
                hint="Give a larger photograph.", path=str(path),
            )
    return Portrait(f"portrait-{digest}", tuple(views))


def _read(path: Path) -> Picture:
    if not path.is_file():
        if str(path) == ASTRONAUT:
            return (read_portrait(1) * 255).round().astype(np.uint8)
        raise MediaNotFoundError(
            f"no portrait is at {path}", hint="Give a picture file (--portrait).", path=str(path)
        )
    try:
        found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as error:
        raise _unreadable(path) from error
    if found is None:
        raise _unreadable(path)
    return np.ascontiguousarray(found[..., ::-1]).astype(np.uint8)


def _unreadable(path: Path) -> LipcoreError:
    return MediaUnreadableError(
        f"{path} is not a picture that can be read", hint="Give a JPEG or PNG.", path=str(path)
    )


class Still:
    """One picture as a plate, and its color."""

    def __init__(self, picture: Picture) -> None:
        height, width = picture.shape[:2]
        self._picture = picture
        self.info = PlateInfo(
            Path("portrait"), "video", FrameRange(0, 0), RATE, Window(0, 0, width, height),
            "srgb", "uint8",
        )  # fmt: skip

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        """See ``TrackablePlate``."""
        for number in frames:
            yield Frame(number, self._picture.astype(np.float32) / 255, self.info.display)

    def tracking_picture(self, rgb: FloatArray) -> Picture:
        """See ``TrackingColor``."""
        return (rgb * 255).round().clip(0, 255).astype(np.uint8)


class PortraitMouth:
    """The mesh of a face whose mouth does exactly what is asked.

    Args:
        landmarks: (478, 3) of the photograph, pixels.
        basis: How lips and jaws move.
    """

    def __init__(self, landmarks: FloatArray, basis: ShapeBasis) -> None:
        self._landmarks, self._basis = landmarks, basis
        self._pose = fit_pose(landmarks)
        self._head = self._pose.to_head(landmarks)
        self._lower = list(basis.indices)
        self._rows = [
            [basis.indices.index(i) for i in row[1:-1]]
            for row in (LIPS_INNER_UPPER, LIPS_INNER_LOWER)
        ]
        neutral = self._head[self._lower]
        self._closed = closed_shape(np.zeros((1, len(basis.names)), np.float32), neutral, basis)
        self._field = self._lip_field(neutral + basis.offsets(self._closed))

    def place(self, viseme: FloatArray) -> tuple[FloatArray, float, float]:
        """Landmarks, inner-lip opening and mouth width of a moment.

        Args:
            viseme: (5,) standard units.

        Returns:
            (478, 3) pixels; opening and width in interocular units. The opening is the asked
            one, and all of the inner lips touch where that is 0.
        """
        basis, standard = self._basis, np.zeros(len(self._basis.names), np.float32)
        standard[[basis.column(name) for name in PARAMETERS]] = viseme
        values = self._closed + basis.std * standard
        wanted = float(viseme[0]) * OPENING_UNIT
        neutral = self._head[self._lower]
        lead = basis.column("open")
        rate = float(opening_slope(basis)[lead])
        gap = float(self._gaps(neutral + basis.offsets(values)).mean())
        values[lead] += (wanted - gap) / rate
        points = neutral + basis.offsets(values)
        asked = spread_gap(self._gaps(points), wanted)
        for _ in range(8):
            missing = asked - self._gaps(points)
            if np.abs(missing).max() < 1e-5:
                break
            points[:, 1] += self._field @ missing
        moved = self._landmarks.copy()
        moved[self._lower] += self._pose.turn(points - neutral)
        head = self._head.copy()
        head[self._lower] = points
        return moved, float(opening_of(head[None])[0]), float(width_of(head[None])[0])

    def _gaps(self, points: FloatArray) -> FloatArray:
        upper, lower = self._rows
        gaps: FloatArray = points[lower, 1] - points[upper, 1]
        return gaps

    def _lip_field(self, closed: FloatArray) -> FloatArray:
        """(K, P) how far each point follows when a gap grows: the upper lip up, the lower down."""
        field = np.zeros((len(closed), len(self._rows[0])), np.float32)
        line = (closed[self._rows[0]] + closed[self._rows[1]])[:, :2] / 2
        away = np.linalg.norm(closed[:, None, :2] - line, axis=2).min(axis=1)
        side = np.where(closed[:, 1] > np.interp(closed[:, 0], line[:, 0], line[:, 1]), 0.5, -0.5)
        for row, sign in zip(self._rows, (-0.5, 0.5), strict=True):
            side[row], away[row] = sign, 0
        at = np.interp(closed[:, 0], line[:, 0], np.arange(len(line)))
        share = np.maximum(1 - np.abs(at[:, None] - np.arange(len(line))), 0)
        for row in self._rows:
            share[row] = np.eye(len(row))
        beyond = np.maximum(np.maximum(line[0, 0] - closed[:, 0], closed[:, 0] - line[-1, 0]), 0)
        near = np.exp(-((away / _LIP_REACH) ** 2)) * np.exp(-((beyond / 0.02) ** 2))
        field[:] = (side * near)[:, None] * share
        return field
