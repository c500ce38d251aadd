"""Who is who: faces of a shot kept apart by position, size and looks; and choosing one.

Each frame's faces are given to the known speakers all at once, at the least total cost of
motion, change of size, and change of looks. Looks are a small descriptor of the upright head
(gradients of the face without its mouth, colours of skin, hair and collar); they decide when
people cross or return, when motion alone would swap them. It is no face recognition: two
people who look alike and swap places unseen are not told apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from lipcore.errors import ConfigError, NoFaceError
from lipcore.tracking.detect import overlap
from lipcore.tracking.landmarks import FaceMesh
from lipcore.tracking.networks import Picture
from lipcore.types import FaceTrack, FloatArray

_CELLS = 6
_LOOKS_LIMIT = 1.0
"""Descriptors farther apart than this are two people: see ``looks_distance``."""
_LOOKS_CERTAIN = 0.65
"""Descriptors nearer than this are one person even without a link of motion."""
_GALLERY = 12
_YOUNG_FRAMES = 12
_MEMORY_FRAMES = 50
"""So long after a loss a face is still expected where it was going."""
_FORBIDDEN = 1e6


def looks(crop: Picture) -> FloatArray:
    """Descriptor of an upright head crop ``(192, 192, 3)``: a flat float32 vector."""
    small = cv2.resize(crop, (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    color = cv2.resize(lab, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)[:, 1:-1]
    dx = cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0)
    dy = cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1)
    strength = np.hypot(dx, dy)
    bins = (np.mod(np.arctan2(dy, dx), np.pi) / np.pi * 8).astype(int) % 8
    planes = np.where(bins[..., None] == np.arange(8), strength[..., None], 0).astype(np.float32)
    gradients = np.sqrt(cv2.resize(planes, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA))
    gradients[3:5, 2:4] = 0  # the mouth moves
    gradients /= float(np.linalg.norm(gradients)) + 1e-6
    vector: FloatArray = np.concatenate([color.ravel(), gradients.ravel()])
    return vector


def looks_distance(a: FloatArray, b: FloatArray) -> float:
    """How different two descriptors are: one person stays below 1.0 in 99 % of moments."""
    split = _CELLS * (_CELLS - 2) * 3
    color = float(np.linalg.norm((a[:split] - b[:split]).reshape(-1, 3), axis=1).mean())
    return (color / 20 + float(np.linalg.norm(a[split:] - b[split:])) / 0.8) / 1.5


class Speaker:
    """One person while a shot is being tracked: what was measured so far.

    Args:
        crowded: First seen beside or behind another face: perhaps only a part of that face,
            so it must last longer to be believed.
    """

    def __init__(self, *, crowded: bool = False) -> None:
        self.crowded = crowded
        self.numbers: list[int] = []
        self.landmarks: list[FloatArray] = []
        self.scores: list[float] = []
        self.scene = 0
        self._centers: list[FloatArray] = []
        self._gallery: list[FloatArray] = []

    @property
    def last(self) -> int:
        """The frame in which the speaker was last seen."""
        return self.numbers[-1]

    @property
    def is_young(self) -> bool:
        """Seen too rarely to be sure that this is a person of its own."""
        return len(self.numbers) < _YOUNG_FRAMES

    @property
    def width(self) -> float:
        """Width of the face when last seen, square-space pixels."""
        return float(np.ptp(self.landmarks[-1][:468, 0]))

    def predict(self, number: int) -> FloatArray:
        """``(478, 3)`` where the face should be, moving on as it last did."""
        steps = [
            self._centers[i] - self._centers[i - 1]
            for i in range(max(1, len(self.numbers) - 5), len(self.numbers))
            if self.numbers[i] == self.numbers[i - 1] + 1
        ]
        if not steps:
            return self.landmarks[-1]
        drift = np.median(steps, axis=0).astype(np.float32)
        drift[2] = 0
        ahead: FloatArray = self.landmarks[-1] + drift * min(number - self.last, 25)
        return ahead

    def looks_like(self, descriptor: FloatArray) -> float:
        """Distance of a descriptor to the nearest of the speaker's own."""
        return min((looks_distance(descriptor, own) for own in self._gallery), default=0.0)

    def add(self, number: int, scene: int, face: FaceMesh, descriptor: FloatArray | None) -> None:
        """Record the face in a frame; with a descriptor where its looks can be trusted."""
        self.numbers.append(number)
        self.landmarks.append(face.landmarks)
        self._centers.append(face.landmarks.mean(0))
        self.scores.append(face.score)
        self.scene = scene
        if descriptor is not None and (not self._gallery or self.looks_like(descriptor) > 0.25):
            self._gallery.append(descriptor)
            if len(self._gallery) > _GALLERY:
                del self._gallery[1]  # the first look stays, the oldest other goes


class Register:
    """All speakers of a shot."""

    def __init__(self) -> None:
        self.speakers: list[Speaker] = []

    def current(self, number: int, scene: int, patience: int) -> list[Speaker]:
        """Speakers seen in this scene, at most ``patience`` frames ago."""
        return [s for s in self.speakers if s.scene == scene and number - s.last <= patience]

    def assign(self, number: int, scene: int, faces: Sequence[FaceMesh]) -> list[Speaker]:
        """Give each face of a frame to the speaker that it belongs to, or to a new one.

        Args:
            number: The frame.
            scene: Counts scene cuts.
            faces: Each face of the frame once: see ``distinct``.

        Returns:
            The speaker of each face.
        """
        descriptors = [looks(face.crop) for face in faces]
        owners: dict[int, Speaker] = {}
        if faces and self.speakers:
            cost = np.array(
                [
                    [self._cost(s, number, scene, f, d) for s in self.speakers]
                    for f, d in zip(faces, descriptors, strict=True)
                ]
            )
            for row, column in zip(*linear_sum_assignment(cost), strict=True):
                if cost[row, column] < _FORBIDDEN:
                    owners[int(row)] = self.speakers[column]
        result = []
        expected = [
            (speaker, _box(speaker.predict(number)))
            for speaker in self.speakers
            if speaker.scene == scene and number - speaker.last < _MEMORY_FRAMES
        ]
        for i, (face, descriptor) in enumerate(zip(faces, descriptors, strict=True)):
            speaker = owners.get(i)
            crowded = any(
                other is not face and _near(face.box, other.box) for other in faces
            ) or any(s is not speaker and _near(face.box, box) for s, box in expected)
            if speaker is None:
                speaker = Speaker(crowded=crowded)
                self.speakers.append(speaker)
            trusted = face.score > 0.9 and not crowded
            speaker.add(number, scene, face, descriptor if trusted or not speaker.numbers else None)
            result.append(speaker)
        for speaker, face in zip(result, faces, strict=True):
            self._retire_doubles(speaker, face, expected)
        return result

    def _retire_doubles(
        self, owner: Speaker, face: FaceMesh, expected: Sequence[tuple[Speaker, FloatArray]]
    ) -> None:
        """Forget young speakers that were expected where an older one's face turned out to be."""
        if owner.is_young:
            return
        for other, box in expected:
            if other is not owner and other.is_young and same_place(box, face.box):
                self.speakers = [s for s in self.speakers if s is not other]

    def _cost(
        self, speaker: Speaker, number: int, scene: int, face: FaceMesh, descriptor: FloatArray
    ) -> float:
        looks_off = speaker.looks_like(descriptor)
        gap = number - speaker.last
        if speaker.scene == scene:
            ahead = _box(speaker.predict(number))
            move = np.linalg.norm(_center(face.box) - _center(ahead)) / max(speaker.width, 1.0)
            size = abs(np.log(face.width / max(speaker.width, 1.0)))
            far = move / min(0.5 + 0.1 * gap, 3.0)
            grown = size / min(0.35 + 0.02 * gap, 1.0)
            alone = gap == 1 and not self._rivals(speaker, number)
            limit = _LOOKS_LIMIT * (2.0 if alone else 1.0)
            if far < 1 and grown < 1 and looks_off < limit:
                return float(far + grown + 2.0 * looks_off) + (1.0 if speaker.is_young else 0.0)
        if looks_off < _LOOKS_CERTAIN and gap > 0:
            return 6.0 + 2.0 * looks_off
        return _FORBIDDEN

    def _rivals(self, speaker: Speaker, number: int) -> bool:
        here = _box(speaker.predict(number))
        return any(
            other is not speaker
            and other.scene == speaker.scene
            and number - other.last < _MEMORY_FRAMES
            and _near(here, _box(other.predict(number)))
            for other in self.speakers
        )


def distinct(faces: Sequence[FaceMesh]) -> list[FaceMesh]:
    """Each face once: of those that lie on one another, the surest, and then the largest.

    The mesh believes in an eye or a mouth as a small face of its own: so what lies inside a
    larger face goes first.
    """
    kept: list[FaceMesh] = []
    for face in sorted(faces, key=lambda f: (-round(f.score, 1), -f.width)):
        if all(not same_place(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def same_place(a: FloatArray, b: FloatArray) -> bool:
    """True where two face boxes are boxes of one face."""
    apart = float(np.linalg.norm(_center(a) - _center(b)))
    if overlap(a, b) > 0.45 or apart < 0.3 * float(max(a[2] - a[0], b[2] - b[0])):
        return True
    small, large = sorted((a, b), key=lambda box: float(np.prod(box[2:] - box[:2])))
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    inside = float(np.prod(inner)) / max(float(np.prod(small[2:] - small[:2])), 1e-6)
    return inside > 0.75 and float(large[2] - large[0]) > 1.6 * float(small[2] - small[0])


def _near(a: FloatArray, b: FloatArray) -> bool:
    apart = float(np.linalg.norm(_center(a) - _center(b)))
    return apart < 0.75 * float(a[2] - a[0] + b[2] - b[0])


def _center(box: FloatArray) -> FloatArray:
    center: FloatArray = (box[:2] + box[2:]) / 2
    return center


def _box(landmarks: FloatArray) -> FloatArray:
    points = landmarks[:468, :2]
    box: FloatArray = np.concatenate([points.min(0), points.max(0)])
    return box


def select_speaker(
    tracks: Sequence[FaceTrack], speaker: str = "largest", frame: int | None = None
) -> FaceTrack:
    """Choose one of the tracked faces.

    Args:
        tracks: As ``track_plate`` gives them.
        speaker: ``largest`` (widest face, counted over all frames where it is seen),
            ``left``, ``right`` (of the picture), ``X,Y`` (the face that holds this plate
            pixel, or else the nearest one), or ``track:N``.
        frame: Judge by this frame only; without it, by the whole range.

    Raises:
        NoFaceError: There is no such face.
        ConfigError: The text is none of the above.
    """
    point = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*", speaker)
    named = re.fullmatch(r"track:(\d+)", speaker)
    if point is None and named is None and speaker not in ("largest", "left", "right"):
        raise ConfigError(
            f"{speaker!r} names no speaker",
            hint="Use largest, left, right, a pixel as 960,400, or track:N.",
        )
    if named is not None:
        for track in tracks:
            if track.track_id == int(named[1]):
                return track
        raise NoFaceError(
            f"no face track has the number {named[1]}; there are {_listing(tracks)}",
            hint="Choose one of these tracks; `lipcore track` shows them.",
            speaker=speaker,
        )
    seen = [(t, boxes) for t in tracks if len(boxes := _boxes(t, frame))]
    if not seen:
        where = "in the frames that were asked for" if frame is None else f"in frame {frame}"
        raise NoFaceError(
            f"no face is seen {where}; there are {_listing(tracks)}",
            hint="Choose another frame or another speaker; `lipcore track` shows them.",
            speaker=speaker,
            frame=frame,
        )
    if point is not None:
        x, y = float(point[1]), float(point[2])
        return min(seen, key=lambda s: _distance_to(s[1], x, y))[0]
    if speaker == "largest":
        return max(seen, key=lambda s: float((s[1][:, 2] - s[1][:, 0]).sum()))[0]
    sign = 1 if speaker == "left" else -1
    return min(seen, key=lambda s: sign * float(np.median(s[1][:, 0] + s[1][:, 2])))[0]


def _boxes(track: FaceTrack, frame: int | None) -> FloatArray:
    """``(M, 4)`` face boxes in plate pixels, of the frames where the face is seen."""
    if frame is None:
        marks = track.landmarks[track.present]
    elif frame in track.frames and track.present[track.frames.index(frame)]:
        marks = track.at(frame)[None]
    else:
        marks = track.landmarks[:0]
    if not len(marks):
        return np.empty((0, 4), np.float32)
    points = marks[:, :468, :2]
    boxes: FloatArray = np.concatenate([points.min(1), points.max(1)], axis=1)
    return boxes


def _distance_to(boxes: FloatArray, x: float, y: float) -> float:
    """Least distance of a pixel to the boxes; below 0 inside one, least at its centre."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    off = np.abs(np.array([x, y]) - center)
    outside = np.linalg.norm(np.maximum(off - half, 0), axis=1)
    inside = (off / half).max(1) - 1
    return float(np.where(outside > 0, outside, inside).min())


def _listing(tracks: Sequence[FaceTrack]) -> str:
    if not tracks:
        return "no tracks"
    parts = []
    for track in tracks:
        numbers = [track.frames.first + int(i) for i in np.flatnonzero(track.present)]
        boxes = _boxes(track, None)
        if not len(boxes):
            continue
        x, y = np.median((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0)
        parts.append(
            f"track:{track.track_id} (frames {numbers[0]}-{numbers[-1]}, at {x:.0f},{y:.0f})"
        )
    return ", ".join(parts)
