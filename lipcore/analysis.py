"""What is known of a shot before anything is said: faces, mouth shapes, the bank of mouths.

None of it depends on the dialogue, so it is made once and kept in the cache.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from lipcore.cache import Cache, make_key
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, stream_numbers
from lipcore.shapes.basis import ShapeBasis
from lipcore.synthesis.bank import BankWriter, FrameBank
from lipcore.synthesis.seen import SeenFaces
from lipcore.tracking.align import to_square
from lipcore.tracking.speakers import select_speaker
from lipcore.tracking.store import load_tracks, save_tracks
from lipcore.tracking.tracker import track_plate
from lipcore.types import FaceTrack, FloatArray, Frame, FrameRange

Read = TypeVar("Read")
Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""

_VERSION = 1
"""Raised when what is cached changes its meaning."""
_MOST_LOOKED_UP = 0.25
"""Share of the frames that the bank looks up one by one; of more, all are read in order."""
_BRIDGE_FRAMES = 12
"""Longest gap that the policy ``hold`` fills between two sightings."""


@dataclass(frozen=True, slots=True, eq=False)
class ShotAnalysis:
    """A shot's speaker, over the frames that were analysed."""

    track: FaceTrack
    values: FloatArray
    """``(N, C)`` the mouth shapes that the plate shows; NaN where the face is absent."""
    neutral: FloatArray
    """``(K, 3)`` the person's neutral lower face, head space."""
    bank: FrameBank
    cached: bool
    """Nothing had to be tracked or read again."""


def analyse(
    plate: Plate,
    frames: FrameRange,
    *,
    speaker: str,
    color: ColorTransform,
    basis: ShapeBasis,
    cache: Cache,
    progress: Progress,
) -> ShotAnalysis:
    """Track the shot, choose the speaker, measure the mouth and store the bank.

    Args:
        plate: The plate.
        frames: Which of its frames.
        speaker: See ``Shot.speaker``.
        color: Between the plate's encoding and display-referred values.
        basis: Of mouth shapes.
        cache: Where results are kept.
        progress: Told of the stages ``track`` and ``bank``.

    Raises:
        FaceError: No face, not the one asked for, or one that is too small.
        MediaError: The plate cannot be read.
    """
    shared = plate.shared_tracking(frames)
    shown = list(frames) if shared is None else list(shared.numbers)
    with SeenFaces(cache.folder, shown) as seen:
        tracks, track_key, had_tracks = find_tracks(
            plate, frames, color=color, cache=cache, progress=progress, seen=seen
        )
        track = cover(select_speaker(tracks, speaker), frames)
        bank, had_bank = _cached(
            cache, "bank", make_key(track_key, track.track_id),
            lambda folder: _build_bank(folder, plate, track, shown, seen, progress), FrameBank,
        )
    values, neutral = basis.measure(to_square(track.landmarks, track.pixel_aspect))
    return ShotAnalysis(track, values, neutral, bank, had_tracks and had_bank)


def _build_bank(
    folder: Path, plate: Plate, track: FaceTrack, shown: Sequence[int], seen: SeenFaces,
    progress: Progress,
) -> None:  # fmt: skip
    """Store the speaker's lower faces: those that tracking set aside, the rest from the plate.

    Args:
        folder: Of the bank.
        plate: The plate.
        track: Over the frames to store.
        shown: The frame that each of them was tracked as.
        seen: What was set aside.
        progress: Told of the stage ``bank``.
    """
    square, aspect = to_square(track.landmarks, track.pixel_aspect), track.pixel_aspect

    absent = [
        int(i) for i in np.flatnonzero(track.present)
        if not seen.holds(shown[i], square[i], aspect)
    ]  # fmt: skip
    if len(absent) > _MOST_LOOKED_UP * len(track.frames):
        absent = list(range(len(track.frames)))
    looked_up = stream_numbers(plate, [track.frames.first + i for i in absent])
    left = frozenset(absent)
    with BankWriter(folder) as writer:
        for i, number in enumerate(track.frames):
            if i in left:
                frame = next(looked_up)
                if track.present[i] and frame.policy is None:
                    writer.add(frame, square[i], aspect)
            elif track.present[i] and (found := seen.find(shown[i], square[i], aspect)):
                writer.put(number, *found)
            progress("bank", i + 1, len(track.frames))


def find_tracks(
    plate: Plate, frames: FrameRange, *, color: ColorTransform, cache: Cache,
    progress: Progress, seen: SeenFaces | None = None,
) -> tuple[list[FaceTrack], str, bool]:  # fmt: skip
    """The tracks of all faces.

    Args:
        plate: The plate.
        frames: Which of its frames.
        color: Between the plate's encoding and display-referred values.
        cache: Where tracks are kept.
        progress: Told of the stage ``track``.
        seen: Keeps the lower faces where the cache does not have the tracks.

    Returns:
        The tracks, the key of what they were found in, and whether the cache had them.

    Raises:
        FaceError: No face, or only such that are too small.
        MediaError: The plate cannot be read.
    """
    shared = plate.shared_tracking(frames)
    source, over = (plate, frames) if shared is None else (shared.take, shared.frames)
    if shared is not None:
        color = ColorTransform.of_plate(source)

    def keep(frame: Frame, faces: list[FloatArray]) -> None:
        if seen is not None:
            seen.keep(frame, faces, source.info.pixel_aspect)

    def build(folder: Path) -> None:
        tracks = track_plate(
            source, over, color=color, seen=keep,
            progress=lambda n, m: progress("track", n, m),
        )  # fmt: skip
        save_tracks(folder / "tracks.npz", tracks)

    key = tracks_key(source, over, color)
    tracks, there = _cached(
        cache, "tracks", key, build, lambda folder: load_tracks(folder / "tracks.npz")
    )
    if shared is None:
        return tracks, key, there
    shown = [show_track(track, shared.numbers, frames) for track in tracks]
    return shown, make_key(key, shared.numbers, frames), there


def show_track(track: FaceTrack, numbers: Sequence[int], frames: FrameRange) -> FaceTrack:
    """A take's track as another plate shows its frames.

    Args:
        track: Over the take.
        numbers: The take's frame for each of ``frames``.
        frames: The other plate's.
    """
    hull = cover(track, FrameRange(min(numbers), max(numbers)))
    places = [hull.frames.index(n) for n in numbers]
    cuts = tuple(
        frames.first + i
        for i, (a, b) in enumerate(pairwise(numbers), 1)
        if any(min(a, b) < cut <= max(a, b) for cut in hull.cuts)
    )
    return replace(
        hull, frames=frames, landmarks=hull.landmarks[places],
        transforms=hull.transforms[places], confidence=hull.confidence[places],
        present=hull.present[places], cuts=cuts,
    )  # fmt: skip


def _cached(
    cache: Cache, kind: str, key: str, build: Callable[[Path], None], read: Callable[[Path], Read]
) -> tuple[Read, bool]:
    """What an entry holds, and whether it was there; built again where it cannot be read."""
    folder, there = cache.entry(kind, key, build)
    try:
        return read(folder), there
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        if not there:
            raise
    cache.discard(folder)
    folder, _ = cache.entry(kind, key, build)
    return read(folder), False


def tracks_key(plate: Plate, frames: FrameRange, color: ColorTransform) -> str:
    """The cache key of a shot's tracks."""
    return make_key(_VERSION, plate.content_key(), frames, color.colorspace, color.exposure)


def cover(track: FaceTrack, frames: FrameRange) -> FaceTrack:
    """The same track over other frames; absent where it did not reach.

    Args:
        track: Any track.
        frames: The frames that the result covers.
    """
    if track.frames == frames:
        return track
    count = len(frames)
    landmarks = np.full((count, *track.landmarks.shape[1:]), np.nan, np.float32)
    transforms = np.full((count, 2, 3), np.nan, np.float32)
    confidence, present = np.zeros(count, np.float32), np.zeros(count, bool)
    first, last = max(frames.first, track.frames.first), min(frames.last, track.frames.last)
    if first <= last:
        to = slice(frames.index(first), frames.index(last) + 1)
        start = slice(track.frames.index(first), track.frames.index(last) + 1)
        landmarks[to], transforms[to] = track.landmarks[start], track.transforms[start]
        confidence[to], present[to] = track.confidence[start], track.present[start]
    cuts = tuple(c for c in track.cuts if frames.first < c <= frames.last)
    return replace(
        track, frames=frames, landmarks=landmarks, transforms=transforms,
        confidence=confidence, present=present, cuts=cuts,
    )


def hold_gaps(track: FaceTrack) -> tuple[FaceTrack, list[int]]:
    """Fill short gaps between two sightings in one scene by interpolation.

    Args:
        track: A track with absent frames.

    Returns:
        The filled track, and the frame numbers that were filled.
    """
    landmarks, transforms = track.landmarks.copy(), track.transforms.copy()
    seen = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    held: list[int] = []
    for before, after in pairwise(seen):
        gap = int(after - before - 1)
        first = track.frames.first
        cut = any(first + before < c <= first + after for c in track.cuts)
        if not 0 < gap <= _BRIDGE_FRAMES or cut:
            continue
        for i in range(before + 1, after):
            share = np.float32((i - before) / (after - before))
            landmarks[i] = landmarks[before] + share * (landmarks[after] - landmarks[before])
            transforms[i] = transforms[before] + share * (transforms[after] - transforms[before])
            held.append(first + int(i))
    return replace(track, landmarks=landmarks, transforms=transforms), held
