"""Looking for a text's mark in the faces of a plate, however it was cropped, scaled or coded.

Faces are found and aligned as for a render; their own geometry undoes crops and scales, and a
search of near places and sizes the rest. Two methods leave marks, and both are looked for:

``pattern``
    The frames of a face are summed and compared with the text's pattern; ``pattern`` derives
    how improbable a score is without a mark. One match in a million faces without it is
    borne, whatever they show.
``blocks``
    Each frame's bits are read, at 15 places and sizes. A frame matches where 7 of 8 bits are
    the text's, and a face where half of its frames match at one place, as in the paper. Random
    bits would match the 32 of four letters with a probability of 1e-5, those of one letter with
    4 %. The bits of one face repeat from frame to frame, so that half the frames are little more
    proof than one: 1.5e-4, at 15 places, is the figure to count with for four letters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lipcore.analysis import find_tracks
from lipcore.cache import Cache
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate
from lipcore.provenance.output_mark import BOX_PX, as_picture, box_transform
from lipcore.provenance.pattern import SIZE, Evidence, chance, threshold
from lipcore.provenance.watermark import Picture, decode, text_bits
from lipcore.shot import MOST_BLOCK_BYTES
from lipcore.synthesis.matte import mouth_matte
from lipcore.tracking.align import crop, sample, to_square
from lipcore.tracking.head import apply_similarity
from lipcore.types import FaceTrack, FloatArray, Frame, FrameRange, Window

STRETCH_S = 4
"""A face is also searched in stretches of so many seconds: a clip among others."""
BLOCK_SHARE = 0.5
"""The paper's rule: so many frames must match."""
_BIT_SHARE = 0.875
_MOVES = ((0.0, 0.0), (1.5, 0.0), (-1.5, 0.0), (0.0, 1.5), (0.0, -1.5))
"""Places that are tried for bits, in pixels of the box."""
_SCALES = (0.985, 1.0, 1.015)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search says of one face and one text."""

    track_id: int
    text: str
    frames: FrameRange
    """Where the pattern was strongest: the whole track, or a stretch of it."""
    z: float
    """The pattern's score."""
    threshold: float
    """From which score on it is a match."""
    chance: float
    """Bound on the probability of such a score without a mark."""
    block_share: float | None
    """Frames whose bits are the text's; None where the method was not tried."""

    @property
    def method(self) -> str | None:
        """How the mark was found; None where it was not."""
        if self.z >= self.threshold:
            return "pattern"
        found = self.block_share is not None and self.block_share >= BLOCK_SHARE
        return "blocks" if found else None

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "track": self.track_id, "text": self.text, "found": self.method,
            "frames": str(self.frames), "z": round(self.z, 2),
            "threshold": round(self.threshold, 2), "chance": self.chance,
            "block_share": self.block_share,
        }


def detect_watermarks(
    plate: Plate,
    frames: FrameRange,
    texts: Sequence[str],
    *,
    cache: Cache,
    blocks: bool = True,
    progress: Callable[[str, int, int], None],
) -> list[Finding]:
    """Look for marks in all faces of a plate.

    Args:
        plate: The plate.
        frames: Which of its frames.
        texts: What is looked for.
        cache: Where tracks are kept.
        blocks: Look for the bits of ``blocks``, too, of texts that the method takes.
        progress: Told of the stages ``track`` and ``search``.

    Returns:
        One for each face and text.

    Raises:
        FaceError: No face, or only such that are too small.
        MediaError: The plate cannot be read.
        DependencyError: ``blocks``, and the package for it is absent.
    """
    color = ColorTransform.of_plate(plate)
    tracks, _, _ = find_tracks(plate, frames, color=color, cache=cache, progress=progress)
    wanted = [t for t in texts if blocks and 1 <= len(t.encode()) <= MOST_BLOCK_BYTES]
    length = max(1, math.ceil(STRETCH_S * plate.info.rate))
    faces = [FaceSearch(track, length, wanted) for track in tracks]
    for done, frame in enumerate(plate.stream(frames), 1):
        for face in faces:
            face.add(frame, color)
        progress("search", done, len(frames))
    return [finding for face in faces for finding in face.findings(texts)]


class FaceSearch:
    """Gathers what the frames of one face show of marks.

    Args:
        track: The face.
        stretch_frames: Length of the stretches that are searched on their own.
        block_texts: Texts whose bits are looked for.
    """

    def __init__(
        self, track: FaceTrack, stretch_frames: int, block_texts: Sequence[str] = ()
    ) -> None:
        self._track, self._length = track, stretch_frames
        self._stretches: dict[int, Evidence] = {}
        self._bits = {text: np.array(text_bits(text)) for text in block_texts}
        self._matches = {text: np.zeros((len(_SCALES), len(_MOVES)), int) for text in block_texts}
        self._seen = 0

    def add(self, frame: Frame, color: ColorTransform) -> None:
        """Take in one frame of the plate; one without the face is passed over."""
        track = self._track
        if frame.number not in track.frames:
            return
        index = track.frames.index(frame.number)
        landmarks, transform = track.landmarks[index], track.transforms[index]
        if not (np.isfinite(landmarks).all() and np.isfinite(transform).all()):
            return
        self._seen += 1
        with np.errstate(invalid="ignore", over="ignore"):
            small = crop(frame.rgb, frame.window, transform, SIZE)
        shown = np.clip(np.nan_to_num(color.to_display(np.nan_to_num(small))), 0, 1)
        evidence = self._stretches.setdefault(index // self._length, Evidence())
        evidence.add(shown, crop_matte(landmarks, transform, track.pixel_aspect))
        if self._bits:
            self._read_bits(frame, transform, color)

    def findings(self, texts: Sequence[str]) -> list[Finding]:
        """What is to be said of each text."""
        whole = Evidence()
        for evidence in self._stretches.values():
            whole.merge(evidence)
        ranges = {-1: self._track.frames}
        parts = {-1: whole}
        if len(self._stretches) > 1:
            parts |= self._stretches
        first, last = self._track.frames.first, self._track.frames.last
        for part in self._stretches:
            begin = first + part * self._length
            ranges[part] = FrameRange(begin, min(last, begin + self._length - 1))
        places = len(texts) * len(parts)
        found = []
        for text in texts:
            scores = {part: evidence.score(text).z for part, evidence in parts.items()}
            best = max(scores, key=scores.__getitem__)
            share = None
            if text in self._matches:
                share = float(self._matches[text].max()) / max(self._seen, 1)
            found.append(Finding(
                self._track.track_id, text, ranges[best], scores[best], threshold(places),
                chance(scores[best], places), share,
            ))  # fmt: skip
        return found

    def _read_bits(self, frame: Frame, transform: FloatArray, color: ColorTransform) -> None:
        for i, scale in enumerate(_SCALES):
            for j, move in enumerate(_MOVES):
                to_box = box_transform(transform, scale)
                to_box[:, 2] += np.array(move, np.float32) / BOX_PX
                picture = _box_of(frame, to_box, color)
                for text, bits in self._bits.items():
                    right = (decode(picture, len(bits)) == bits).mean()
                    self._matches[text][i, j] += int(right >= _BIT_SHARE)


def crop_matte(landmarks: FloatArray, transform: FloatArray, pixel_aspect: float) -> FloatArray:
    """The matte of a mouth in the canonical crop: where a render would have marked it.

    Args:
        landmarks: ``(478, 3)`` plate pixels.
        transform: ``(2, 3)`` plate pixels to crop.
        pixel_aspect: Of the plate.

    Returns:
        ``(128, 128)`` in 0-1.
    """
    square = to_square(landmarks, pixel_aspect)
    flat = apply_similarity(transform, landmarks[:, :2]) * SIZE
    size = SIZE * float(np.linalg.norm(transform[:, 1]))
    placed = np.column_stack([flat, square[:, 2] * size]).astype(np.float32)
    return mouth_matte(placed, placed, Window(0, 0, SIZE, SIZE))[0]


def _box_of(frame: Frame, to_box: FloatArray, color: ColorTransform) -> Picture:
    box = sample(frame.rgb, frame.window, to_box, BOX_PX)
    return as_picture(color.to_display(np.nan_to_num(box)))
