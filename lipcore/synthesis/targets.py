"""From asked mouth shapes to wanted landmarks, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipcore.shapes.basis import ShapeBasis
from lipcore.tracking.align import to_square
from lipcore.tracking.head import LIPS_INNER_LOWER, LIPS_INNER_UPPER, fit_pose
from lipcore.types import BoolArray, FaceTrack, FloatArray, FrameRange

_LIPS = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375,
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324,
)  # fmt: skip


_TOUCHING, _APART = 0.01, 0.035
"""Gaps between inner lips, interocular units: closed below, untouched above."""

_OPENING_COUNTS, _WIDTH_COUNTS = 2.0, 1.5
"""In the distance of two mouths. Teeth are shown by sources that are open as far, and corners
that are drawn out leave folds behind: a mouth is best taken as it shall be."""


@dataclass(frozen=True, slots=True, eq=False)
class MouthTargets:
    """What the plate's mouth does and what it shall do, over a range of N frames.

    Landmarks are in square pixels: x times the plate's pixel aspect. NaN where no face is.
    """

    frames: FrameRange
    shown: FloatArray
    """``(N, 478, 3)`` the plate's own landmarks."""
    wanted: FloatArray
    """``(N, 478, 3)`` the landmarks that the new mouth shall have."""
    strength: FloatArray
    """``(N,)`` 0-1; 0 where the plate stays as it is."""
    shown_shape: FloatArray
    """``(N, F)`` the plate's mouths as pose-free lip points, for choosing sources."""
    wanted_shape: FloatArray
    """``(N, F)`` the wanted ones."""
    angles_deg: FloatArray
    """``(N, 2)`` yaw and pitch of the head."""
    values: FloatArray
    """``(N, C)`` the mouth shape that is drawn, after strength."""
    shown_values: FloatArray
    """``(N, C)`` the plate's own mouth shape."""
    present: BoolArray
    """``(N,)`` the face is there to be drawn on."""


def build_targets(
    track: FaceTrack,
    basis: ShapeBasis,
    neutral: FloatArray,
    shown_values: FloatArray,
    asked_values: FloatArray,
    strength: FloatArray,
) -> MouthTargets:
    """Place the asked mouth on the plate's head.

    The lips take the asked shape itself; towards jaw and cheeks the plate's own landmarks are
    moved by the difference of shapes, so that what the basis does not know stays put.

    Args:
        track: The face, over the frames to draw.
        basis: Of the mouth shapes.
        neutral: ``(K, 3)`` the person's neutral lower face, head space.
        shown_values: ``(N, C)`` the plate's own shapes; NaN where absent.
        asked_values: ``(N, C)`` the shapes to draw.
        strength: ``(N,)`` 0-1.
    """
    count = len(track.frames)
    lower = list(basis.indices)
    lips = [lower.index(i) for i in _LIPS]
    shown = to_square(track.landmarks, track.pixel_aspect)
    wanted = shown.copy()
    values = shown_values + strength[:, None] * (asked_values - shown_values)
    features = np.full((2, count, len(lips) * 3 + 2), np.nan, np.float32)
    angles = np.full((count, 2), np.nan, np.float32)
    present = np.isfinite(shown).all(axis=(1, 2)) & np.isfinite(values).all(axis=1)
    absolute = _lip_share(basis)[:, None]
    for i in np.flatnonzero(present):
        pose = fit_pose(shown[i])
        angles[i] = pose.angles_deg[:2]
        head = pose.to_head(shown[i])[lower]
        new = neutral + basis.offsets(values[i])
        moved = head + basis.offsets(values[i] - shown_values[i])
        place = moved + float(min(1.0, strength[i] * 4)) * absolute * (new - moved)
        place = _part_lips(place, lower)
        wanted[i, lower] += pose.turn(place - head)
        features[0, i] = _features(head, lips, lower)
        features[1, i] = _features(place, lips, lower)
    return MouthTargets(
        track.frames, shown, wanted, strength, features[0], features[1], angles, values,
        shown_values, present,
    )


def _lip_share(basis: ShapeBasis) -> FloatArray:
    """``(K,)`` 1 on the lips, falling to 0 away from them."""
    points = basis.mean_shape
    lips = points[[basis.indices.index(i) for i in _LIPS]]
    distance = np.linalg.norm(points[:, None] - lips[None], axis=-1).min(1)
    share: FloatArray = np.clip(1 - distance / 0.15, 0, 1).astype(np.float32)
    return share


def _part_lips(points: FloatArray, lower: list[int]) -> FloatArray:
    """Lower-face points whose inner lips touch where they nearly do, and never cross."""
    parted = points.copy()
    for above, below in zip(LIPS_INNER_UPPER, LIPS_INNER_LOWER, strict=True):
        if above == below:
            continue
        a, b = lower.index(above), lower.index(below)
        gap = float(parted[b, 1] - parted[a, 1])
        if gap >= _APART:
            continue
        # Below _TOUCHING lips touch; from there to _APART the gap is eased, without a step.
        eased = _APART * max(0.0, (gap - _TOUCHING) / (_APART - _TOUCHING))
        parted[a, 1] += (gap - eased) / 2
        parted[b, 1] -= (gap - eased) / 2
    return parted


def _features(head: FloatArray, lips: list[int], lower: list[int]) -> FloatArray:
    """A mouth as a vector whose distances are lengths: lip points, opening and width again.

    Depth counts half: the mesh guesses it.
    """
    points = head[lips] * np.array([1, 1, 0.5], np.float32) / np.sqrt(len(lips))
    gap = head[lower.index(14), 1] - head[lower.index(13), 1]
    width = head[lower.index(291), 0] - head[lower.index(61), 0]
    out: FloatArray = np.concatenate(
        [points.reshape(-1), [_OPENING_COUNTS * gap, _WIDTH_COUNTS * width]]
    ).astype(np.float32)
    return out
