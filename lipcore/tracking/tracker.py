"""Track every face of a shot: stream the plate once, then smooth what was measured.

In each frame the mesh follows every known face; detectors look on a cadence, after a cut and
after a loss; now and then they look for small faces too. Only landmarks are kept, about 6 KB
a face and frame, so memory does not depend on the picture's size.

Policy for gaps: a face that is not seen for at most ``bridge_frames`` frames inside a scene is
bridged: its landmarks are interpolated, its confidence is halved, and it counts as present.
Longer gaps stay empty (NaN, confidence 0, not present).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np

from lipcore.errors import ConfigError, FaceTooSmallError, NoFaceError
from lipcore.tracking.align import from_square
from lipcore.tracking.cuts import CutDetector
from lipcore.tracking.detect import FaceDetector
from lipcore.tracking.head import crop_transform
from lipcore.tracking.landmarks import (
    FaceMesh,
    MeshFinder,
    roi_of_detection,
    roi_of_landmarks,
)
from lipcore.tracking.speakers import Register, Speaker, distinct, same_place
from lipcore.tracking.stabilize import SmoothingConfig, smooth_transforms, stabilize
from lipcore.tracking.view import FrameView, TrackingColor
from lipcore.types import (
    LANDMARK_COUNT,
    BoolArray,
    FaceTrack,
    FloatArray,
    Frame,
    FrameRange,
    PlateInfo,
)

MIN_FACE_PX = 24
"""Narrowest face, in plate pixels, whose mouth can be drawn."""


class TrackablePlate(Protocol):
    """What the tracker needs of a plate."""

    @property
    def info(self) -> PlateInfo:
        """Facts of the plate."""

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        """The frames in order."""


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """How a shot is tracked."""

    detect_every: int = 12
    """Frames between looks of the detectors while faces are tracked."""
    search_every: int = 96
    """Frames between searches for small faces while larger ones are tracked."""
    min_score: float = 0.5
    """Least belief of detector and mesh that something is a face, 0-1."""
    min_face_px: int = MIN_FACE_PX
    """Narrower faces are an error, in plate pixels."""
    bridge_frames: int = 6
    """Longest gap that is interpolated, in frames."""
    min_frames: int = 3
    """Faces seen in fewer frames are dropped, unless the range is as short."""
    cut_threshold: float = 0.3
    """Jump of the picture that begins a new scene, 0-1."""
    mirrored: bool = True
    """Look at each face mirrored too, and average: two fifths less noise, for 4 ms a face."""
    smoothing: SmoothingConfig = field(default_factory=SmoothingConfig)

    def __post_init__(self) -> None:
        for name in ("detect_every", "search_every", "min_face_px", "min_frames"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}, which is below 1", hint="Give 1 or more."
                )
        if self.bridge_frames < 0:
            raise ConfigError(
                f"bridge_frames is {self.bridge_frames}, which is below 0",
                hint="Give 0 or more frames.",
            )
        for name in ("min_score", "cut_threshold"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}, which is not between 0 and 1",
                    hint="Give a number between 0 and 1.",
                )


def track_plate(
    plate: TrackablePlate,
    frames: FrameRange,
    *,
    color: TrackingColor,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], None] | None = None,
    seen: Callable[[Frame, list[FloatArray]], None] | None = None,
    config: TrackingConfig | None = None,
) -> list[FaceTrack]:
    """Track every face of a range of frames.

    Args:
        plate: The plate; its frames are read once, in order.
        frames: Which frames.
        color: Turns plate pixels into uint8 sRGB for the networks.
        progress: Called after each frame with how many are done, and of how many.
        cancel: Called before each frame; what it raises ends the tracking.
        seen: Called with each frame and the ``(478, 3)`` landmarks of the faces that were found
            in it, in square pixels, before they are smoothed.
        config: How to track.

    Returns:
        A track for each person, the most seen and widest face first; each covers the whole
        of ``frames``. Tracks are numbered from 1 by first sight, from left to right.

    Raises:
        NoFaceError: No frame shows a face.
        FaceTooSmallError: Every face is narrower than ``config.min_face_px``.
    """
    config = config or TrackingConfig()
    with ShotTracker(config, color, plate.info.pixel_aspect) as tracker:
        for done, frame in enumerate(plate.stream(frames), start=1):
            if cancel is not None:
                cancel()
            found = tracker.look(frame)
            if seen is not None:
                seen(frame, [face.landmarks for face in found])
            if progress is not None:
                progress(done, len(frames))
        return tracker.finish(frames)


class ShotTracker:
    """The state of one shot's tracking: feed it frames in order, then ``finish``."""

    def __init__(self, config: TrackingConfig, color: TrackingColor, pixel_aspect: float) -> None:
        self._config = config
        self._color = color
        self._aspect = pixel_aspect
        self._detector = FaceDetector(config.min_score, 0.8 * config.min_face_px)
        self._meshes = MeshFinder()
        self._cuts = CutDetector(config.cut_threshold)
        self._register = Register()
        self._scene = 0
        self._looked: int | None = None
        self._searched: int | None = None
        self._lost_at: int | None = None

    def __enter__(self) -> ShotTracker:
        return self

    def __exit__(self, *_: object) -> None:
        self._detector.close()
        self._meshes.close()

    def look(self, frame: Frame) -> list[FaceMesh]:
        """Find the faces of the next frame."""
        number, config = frame.number, self._config
        view = FrameView(frame, self._color, self._aspect)
        overview, _ = view.overview(256)
        if self._cuts.begins_scene(number, overview):
            self._scene += 1
            self._looked = self._searched = None
        known = self._register.current(number, self._scene, config.bridge_frames)
        faces = [self._follow(view, speaker, number) for speaker in known]
        found = distinct([f for f in faces if f is not None])
        if len(found) < len(known):
            self._lost_at = number
        if self._should_detect(number, bool(found)):
            found = self._detect(view, number, found)
        self._register.assign(number, self._scene, found)
        return found

    def _follow(self, view: FrameView, speaker: Speaker, number: int) -> FaceMesh | None:
        matrix = roi_of_landmarks(speaker.predict(number))
        face = self._meshes.find(view, matrix, mirrored=self._config.mirrored)
        return face if face.score >= self._config.min_score and _is_whole(view, face) else None

    def _should_detect(self, number: int, found: bool) -> bool:
        if self._looked is None:
            return True
        recently_lost = (
            self._lost_at is not None and number - self._lost_at <= 2 * self._config.bridge_frames
        )
        if not found and recently_lost:
            return True
        every = self._config.detect_every
        if recently_lost or not found:
            every = max(1, every // 4)
        return number - self._looked >= every

    def _detect(self, view: FrameView, number: int, found: list[FaceMesh]) -> list[FaceMesh]:
        config = self._config
        self._looked = number
        detections = self._detector.detect(view)
        since = None if self._searched is None else number - self._searched
        every = config.search_every if detections or found else config.detect_every
        if since is None or since >= every:
            self._searched = number
            detections = self._detector.detect(view, fine=True)
        for detection in detections:
            if any(same_place(detection.box, face.box) for face in found):
                continue
            rough = self._meshes.find(view, roi_of_detection(detection.box, detection.points))
            if rough.score < config.min_score:
                continue
            matrix = roi_of_landmarks(rough.landmarks)
            face = self._meshes.find(view, matrix, mirrored=config.mirrored)
            # A detector and a mesh that disagree about the place have not seen a face.
            if (
                face.score >= config.min_score
                and same_place(face.box, detection.box)
                and _is_whole(view, face)
            ):
                found = distinct([*found, face])
        return found

    def finish(self, frames: FrameRange) -> list[FaceTrack]:
        """Smooth, bridge and sort what was measured.

        Raises:
            NoFaceError: No frame showed a face.
            FaceTooSmallError: Every face is too small.
        """
        config = self._config
        least = min(config.min_frames, len(frames))
        speakers = [
            s
            for s in self._register.speakers
            if len(s.numbers) >= least and not (s.crowded and s.is_young)
        ]
        if not speakers:
            raise NoFaceError(
                f"no face is seen in any of the {len(frames)} frames {frames}",
                hint="Check the frame range and the color space of the plate (--colorspace).",
                frames=str(frames),
            )
        speakers.sort(key=lambda s: (s.numbers[0], float(s.landmarks[0][:, 0].mean())))
        widths = [
            float(np.median([np.ptp(m[:468, 0]) for m in s.landmarks])) / self._aspect
            for s in speakers
        ]
        if max(widths) < config.min_face_px:
            raise FaceTooSmallError(
                f"the largest face in frames {frames} is {max(widths):.0f} pixels wide, and "
                f"{config.min_face_px} are needed",
                hint="Use a plate of higher resolution, or one with a closer view of the face.",
                width_px=round(max(widths), 1),
                min_face_px=config.min_face_px,
            )
        tracks = [
            _build_track(i, s, frames, self._cuts.cuts, self._aspect, config)
            for i, s in enumerate(speakers, start=1)
        ]
        order = sorted(range(len(tracks)), key=lambda i: -widths[i] * len(speakers[i].numbers))
        return [tracks[i] for i in order]


def _is_whole(view: FrameView, face: FaceMesh) -> bool:
    """True where most of the face's middle lies in the frame."""
    x, y = face.landmarks[:468, :2].mean(0)
    return view.contains(float(x), float(y))


def _build_track(
    track_id: int,
    speaker: Speaker,
    frames: FrameRange,
    cuts: tuple[int, ...],
    aspect: float,
    config: TrackingConfig,
) -> FaceTrack:
    count = len(frames)
    landmarks = np.full((count, LANDMARK_COUNT, 3), np.nan, np.float32)
    transforms = np.full((count, 2, 3), np.nan, np.float32)
    confidence = np.zeros(count, np.float32)
    rows = [frames.index(number) for number in speaker.numbers]
    landmarks[rows] = speaker.landmarks
    confidence[rows] = speaker.scores
    starts = {frames.index(cut) for cut in cuts if cut in frames}
    for before, after in pairwise(rows):
        gap = after - before - 1
        if not 0 < gap <= config.bridge_frames:
            continue
        if any(before < start <= after for start in starts):
            continue
        for row in range(before + 1, after):
            part = (row - before) / (after - before)
            landmarks[row] = (1 - part) * landmarks[before] + part * landmarks[after]
            confidence[row] = 0.5 * min(confidence[before], confidence[after])
    present = confidence > 0
    for first, end in _runs(present, starts):
        steady = stabilize(landmarks[first:end], config.smoothing)
        landmarks[first:end] = from_square(steady, aspect)
        crops = smooth_transforms(
            np.stack([crop_transform(frame) for frame in steady]), config.smoothing.crop_frames
        )
        crops[:, :, 0] *= aspect
        transforms[first:end] = crops
    return FaceTrack(track_id, frames, landmarks, confidence, present, transforms, cuts, aspect)


def _runs(present: BoolArray, starts: set[int]) -> Iterator[tuple[int, int]]:
    """(first, end) of each unbroken run of frames, split where scenes begin."""
    first = None
    for row in range(len(present) + 1):
        here = row < len(present) and bool(present[row])
        if first is not None and (not here or row in starts):
            yield first, row
            first = None
        if here and first is None:
            first = row
