"""Tracks on disk: safetensors for the cache, so that nothing in a file can run; JSON for others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lipcore.errors import DiskFullError, MediaUnreadableError, OutputNotWritableError
from lipcore.types import FaceTrack, FrameRange, PlateInfo

_FORMAT = "lipcore-tracks-1"


def save_tracks(path: Path, tracks: Sequence[FaceTrack]) -> None:
    """Write tracks to a file, whole or not at all.

    Raises:
        OutputNotWritableError: The folder does not accept files.
        DiskFullError: No space is left.
    """
    tensors: dict[str, npt.NDArray[np.generic]] = {}
    heads = []
    for i, track in enumerate(tracks):
        tensors[f"{i}.landmarks"] = np.ascontiguousarray(track.landmarks)
        tensors[f"{i}.confidence"] = np.ascontiguousarray(track.confidence)
        tensors[f"{i}.present"] = np.ascontiguousarray(track.present)
        tensors[f"{i}.transforms"] = np.ascontiguousarray(track.transforms)
        heads.append(
            {
                "track_id": track.track_id,
                "frames": [track.frames.first, track.frames.last],
                "cuts": list(track.cuts),
                "pixel_aspect": track.pixel_aspect,
            }
        )
    about = {"format": _FORMAT, "tracks": json.dumps(heads)}
    write_whole(path, lambda draft: save_file(tensors, draft, about))


def load_tracks(path: Path) -> list[FaceTrack]:
    """Read tracks back.

    Raises:
        MediaUnreadableError: The file is absent, damaged, or not a file of tracks.
    """
    try:
        with safe_open(path, "numpy") as file:
            meta = file.metadata() or {}
            if meta.get("format") != _FORMAT:
                raise ValueError(f"its format is {meta.get('format')!r}, not {_FORMAT!r}")
            return [
                FaceTrack(
                    track_id=int(head["track_id"]),
                    frames=FrameRange(*head["frames"]),
                    landmarks=file.get_tensor(f"{i}.landmarks"),
                    confidence=file.get_tensor(f"{i}.confidence"),
                    present=file.get_tensor(f"{i}.present"),
                    transforms=file.get_tensor(f"{i}.transforms"),
                    cuts=tuple(head["cuts"]),
                    pixel_aspect=float(head["pixel_aspect"]),
                )
                for i, head in enumerate(json.loads(meta["tracks"]))
            ]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise MediaUnreadableError(
            f"{path} is not a readable file of tracks: {error}",
            hint="Delete it; the plate is then tracked again.",
            path=str(path),
        ) from error


def write_tracks_json(path: Path, tracks: Sequence[FaceTrack], plate: PlateInfo) -> None:
    """Write tracks for other programs: one JSON object, plate pixels from the top-left corner.

    Args:
        path: The file to write.
        tracks: As ``track_plate`` gives them.
        plate: The plate that was tracked.

    Raises:
        OutputNotWritableError: The folder does not accept files.
        DiskFullError: No space is left.
    """
    head = {
        "plate": str(plate.path),
        "rate": str(plate.rate),
        "size": [plate.display.width, plate.display.height],
        "pixel_aspect": plate.pixel_aspect,
        "cuts": list(tracks[0].cuts) if tracks else [],
    }

    def write(draft: Path) -> None:
        with draft.open("w", encoding="utf-8") as file:
            # Frame by frame: a long shot's text would take many times its landmarks' memory.
            file.write(json.dumps(head)[:-1] + ', "tracks": [')
            for i, track in enumerate(tracks):
                file.write(f'{", " if i else ""}{{"track": {track.track_id}, "frames": [')
                rows = np.flatnonzero(track.present).tolist()
                for j, row in enumerate(rows):
                    file.write((",\n" if j else "\n") + json.dumps(_frame_facts(track, row)))
                file.write("]}")
            file.write("]}\n")

    write_whole(path, write)


def _frame_facts(track: FaceTrack, row: int) -> dict[str, object]:
    points = track.landmarks[row]
    return {
        "frame": track.frames.first + row,
        "confidence": round(float(track.confidence[row]), 3),
        "box": [round(float(v), 2) for v in (*points[:, :2].min(0), *points[:, :2].max(0))],
        "transform": [[float(f"{v:.8g}") for v in line] for line in track.transforms[row].tolist()],
        "landmarks": [[round(v, 2) for v in point] for point in points.tolist()],
    }


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name in its folder, then put it in place.

    Args:
        path: The file.
        write: Writes to the path that it is given.

    Raises:
        OutputNotWritableError: The folder is absent or does not accept files.
        DiskFullError: No space is left.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(draft)
        draft.replace(path)
    except (OSError, SafetensorError) as error:
        draft.unlink(missing_ok=True)
        if "No space left" in str(error):
            raise DiskFullError(
                f"the disk is full: {path} was not written",
                hint="Free some space, or write elsewhere.",
                path=str(path),
            ) from error
        raise OutputNotWritableError(
            f"{path} cannot be written: {error}",
            hint="Choose a folder that exists and accepts files.",
            path=str(path),
        ) from error
