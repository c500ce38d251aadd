"""The pictures of a shot that a page shows, cut and encoded while its frames are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lipcore.report.findings import BadFrame
from lipcore.report.finished import FinishedRender
from lipcore.report.page import encode_jpeg
from lipcore.report.pictures import FramePair, RenderPictures
from lipcore.tracking.align import sample, to_square
from lipcore.tracking.head import LIPS_OUTER_LOWER, LIPS_OUTER_UPPER, invert_similarity
from lipcore.tracking.networks import Picture
from lipcore.tracking.view import FrameView
from lipcore.types import FloatArray

GAIN = 8
"""Of the picture of differences."""
_LIPS = [*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER]
_MATTE = np.array([255, 60, 40], np.float32)
_MATTE_SHARE = 0.6
_MARK = (255, 176, 32)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of a page one shot may take."""

    frames: int
    """Frames that are shown large."""
    strip: int
    """Frames of the strip."""
    side_px: int
    """Largest side of a large picture."""
    picture_bytes: int
    """Of a large picture; those of matte, difference and strip take a part of it."""

    @classmethod
    def of(cls, shots: int, *, large: bool = True) -> Allowance:
        """So that a page of 50 shots stays under 10 MB, and one of a few shows all there is.

        Args:
            shots: On the page.
            large: Frames are shown large; else the strip is all.
        """
        if not large:
            return cls(0, 7, 360, 64_000) if shots <= 40 else cls(0, 4, 360, 36_000)
        if shots <= 8:
            return cls(5, 10, 720, 80_000)
        if shots <= 24:
            return cls(3, 8, 560, 28_000)
        return cls(2, 6, 480, 17_000) if shots <= 60 else cls(1, 4, 420, 16_000)


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """One frame, as JPEG."""

    bad: BadFrame
    after: bytes
    before: bytes | None
    difference: bytes | None
    matte: bytes | None


@dataclass(frozen=True, slots=True)
class ShotPictures:
    """All pictures of a shot."""

    thumb: bytes
    """The whole frame, the face marked."""
    frames: tuple[ShownFrame, ...]
    strip: tuple[tuple[int, bytes], ...]
    """The plate's mouth or face above the new one, with the place of their frame."""
    of_faces: bool
    """The strip shows faces; else mouths."""


def draw_pictures(
    render: FinishedRender,
    pictures: RenderPictures,
    worst: Sequence[BadFrame],
    allowance: Allowance,
) -> ShotPictures:
    """Read some frames again, and cut what the page shows of them.

    Args:
        render: From its sidecar.
        pictures: Of the render, open.
        worst: Frames to show large, the worst first.
        allowance: How much the page can take.

    Raises:
        MediaError: A frame cannot be read.
    """
    count = len(render.frames)
    places = np.linspace(0, count - 1, min(count, allowance.strip)).round().astype(int)
    shown = {bad.index: bad for bad in worst[: allowance.frames]}
    thumb_at, of_faces = worst[0].index, not allowance.frames
    strip, large, thumb = [], {}, b""
    for index in sorted({*shown, *places.tolist(), thumb_at}):
        pair = pictures.read(index)
        if index in shown:
            large[index] = _show(render, pictures, pair, shown[index], allowance)
        cell = _cell(render, pictures, pair, of_faces) if index in places else None
        if cell is not None:
            strip.append((index, encode_jpeg(cell, max(4_500, allowance.picture_bytes // 4))))
        if index == thumb_at:
            thumb = encode_jpeg(_thumb(render, pictures.view_after(pair), index), 9_000)
    return ShotPictures(
        thumb, tuple(large[index] for index in shown), tuple(strip), of_faces
    )


def _show(
    render: FinishedRender,
    pictures: RenderPictures,
    pair: FramePair,
    bad: BadFrame,
    allowance: Allowance,
) -> ShownFrame:
    most = allowance.picture_bytes
    view, old = pictures.view_after(pair), pictures.view_before(pair)
    place = _face_square(render, pair.index)
    if place is None:  # no face to come near to: the whole frame
        whole = encode_jpeg(view.overview(allowance.side_px)[0], most)
        plain = None if old is None else encode_jpeg(old.overview(allowance.side_px)[0], most)
        return ShownFrame(bad, whole, plain, None, None)
    x, y, side = place
    size = int(min(allowance.side_px, max(160, round(side))))
    after = view.square(x, y, side, size)
    before = None if old is None else old.square(x, y, side, size)
    difference = None
    if before is not None:
        apart = np.abs(after.astype(np.int16) - before.astype(np.int16)) * GAIN
        difference = encode_jpeg(np.clip(apart, 0, 255).astype(np.uint8), most // 2)
    matte = None
    found = pictures.matte(pair)
    if found is not None:
        window, alpha = found
        matrix = np.array([[1, 0, -x], [0, 1, -y]], np.float32) / side
        matrix[:, 0] *= render.pixel_aspect
        planes = np.ascontiguousarray(np.repeat(alpha[..., None], 3, axis=2), np.float32)
        share = np.clip(sample(planes, window, matrix, size, black_outside=True), 0, 1)
        matte = encode_jpeg(_tint(after if before is None else before, share), most // 2)
    return ShownFrame(
        bad, encode_jpeg(after, most), None if before is None else encode_jpeg(before, most),
        difference, matte,
    )  # fmt: skip


def _tint(picture: Picture, share: FloatArray) -> Picture:
    """The matte in red over a picture, its outline where it is half."""
    share = share * _MATTE_SHARE
    out: Picture = (picture * (1 - share) + _MATTE * share).astype(np.uint8)
    return out


def _face_square(render: FinishedRender, index: int) -> tuple[float, float, float] | None:
    """(x, y, side) of an upright square around the face, square space."""
    transform = render.transforms[index]
    if not np.isfinite(transform).all():
        return None
    back = invert_similarity(transform)
    center = to_square(back[:, :2] @ (0.5, 0.5) + back[:, 2], render.pixel_aspect)
    side = float(np.linalg.norm(back[:, 1]))
    return float(center[0]) - side / 2, float(center[1]) - side / 2, side


def _cell(
    render: FinishedRender, pictures: RenderPictures, pair: FramePair, of_faces: bool
) -> Picture | None:
    """The mouth or face of the plate above the one of the render; None where no face is."""
    views = [v for v in (pictures.view_before(pair), pictures.view_after(pair)) if v is not None]
    face = _face_square(render, pair.index)
    if of_faces and face is not None:
        size = int(min(200, max(96, round(face[2]))))
        return np.asarray(np.concatenate([view.square(*face, size) for view in views]), np.uint8)
    landmarks = to_square(render.landmarks[pair.index], render.pixel_aspect)
    if not np.isfinite(landmarks).all():
        return None
    lips = landmarks[_LIPS, :2]
    low, high = lips.min(0), lips.max(0)
    side = float((high - low).max()) * 1.9
    x, y = (low + high) / 2 - side / 2
    size = int(min(180, max(96, round(side))))
    cuts = [view.square(float(x), float(y), side, size) for view in views]
    rows = slice(size // 8, size - size // 8)  # mouths are wide
    stacked: Picture = np.concatenate([cut[rows] for cut in cuts], axis=0)
    return stacked


def _thumb(render: FinishedRender, view: FrameView, index: int) -> Picture:
    picture, scale = view.overview(320)
    found = _face_square(render, index)
    out: Picture = np.ascontiguousarray(picture)
    if found is not None:
        x, y, side = found
        corner = round((x - view.x0) / scale), round((y - view.y0) / scale)
        other = round((x + side - view.x0) / scale), round((y + side - view.y0) / scale)
        cv2.rectangle(out, corner, other, _MARK, 2, cv2.LINE_AA)
    return out
