"""What lies beside the picture: facts of each frame as JSON, and a snippet for Nuke."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipcore import __version__
from lipcore.media.output_files import appearing
from lipcore.media.timecode import advance_timecode
from lipcore.synthesis.targets import MouthTargets
from lipcore.tracking.align import from_square
from lipcore.tracking.head import MOUTH_CORNERS, invert_similarity
from lipcore.types import FaceTrack, FloatArray, PlateInfo

FORMAT = "lipcore-sidecar-2"
"""The first form did not name the picture, the plate's encoding and own frames, the timecode of
the first rendered frame, nor when the dialogue begins."""
SUFFIX = ".lipsync.json"


def write_sidecars(
    stem: Path,
    *,
    picture: str,
    info: PlateInfo,
    track: FaceTrack,
    targets: MouthTargets,
    names: tuple[str, ...],
    sources: dict[int, tuple[tuple[int, float], ...]],
    held: frozenset[int],
    settings: dict[str, object],
    sound_begin_s: Fraction = Fraction(0),
) -> tuple[Path, ...]:
    """Write ``STEM.lipsync.json`` and ``STEM.lipsync.nk``.

    Args:
        stem: Where, without suffix.
        picture: The rendered picture as Nuke reads it: a pattern or a video file.
        info: The plate.
        track: The face over the rendered frames, after policies.
        targets: What was drawn.
        names: Of the mouth-shape components.
        sources: For frames drawn from frames of the plate: (frame, share) of each.
        held: Frames whose face the policy ``hold`` filled.
        settings: What the render was asked to do, and with which weights.
        sound_begin_s: How long after the first frame the dialogue begins.

    Returns:
        The two files.

    Raises:
        DiskFullError, OutputNotWritableError: They cannot be written.
    """
    head: dict[str, object] = {
        "format": FORMAT,
        "lipcore": __version__,
        "picture": Path(picture).name,
        "plate": str(info.path),
        "plate_frames": [info.source_frames[info.frames.index(n)] for n in track.frames]
        if info.source_frames else None,
        "colorspace": info.colorspace,
        "sound_begin_s": str(sound_begin_s),
        "rate": str(info.rate),
        "frames": [track.frames.first, track.frames.last],
        "width": info.display.width,
        "height": info.display.height,
        "pixel_aspect": info.pixel_aspect,
        "timecode": info.timecode,
        "first_timecode": _first_timecode(info, track),
        "track": track.track_id,
        "cuts": list(track.cuts),
        "components": list(names),
        "settings": settings,
    }
    facts = stem.with_name(f"{stem.name}{SUFFIX}")
    snippet = stem.with_name(f"{stem.name}.lipsync.nk")
    _write(facts, _document(head, _rows(track, targets, sources, held)))
    _write(snippet, [_nuke_snippet(picture, info, track)])
    return facts, snippet


def _first_timecode(info: PlateInfo, track: FaceTrack) -> str | None:
    if info.timecode is None:
        return None
    try:
        return advance_timecode(
            info.timecode, track.frames.first - info.frames.first, info.rate
        )
    except ValueError:  # what the plate states is no timecode
        return None


def _rows(
    track: FaceTrack,
    targets: MouthTargets,
    sources: dict[int, tuple[tuple[int, float], ...]],
    held: frozenset[int],
) -> Iterator[dict[str, object]]:
    """The facts of each frame."""
    for i, number in enumerate(track.frames):
        there = bool(targets.present[i])
        drawn = there and bool(targets.strength[i] > 0)
        wanted = from_square(targets.wanted[i, :, :2], track.pixel_aspect)
        yield {
            "frame": number,
            "policy": "hold" if number in held else "track" if there else "passthrough",
            "confidence": round(float(track.confidence[i]), 4),
            "strength": round(float(targets.strength[i]), 4) if there else 0.0,
            "transform": _rounded(track.transforms[i], 7) if there else None,
            "landmarks": _rounded(track.landmarks[i], 2) if there else None,
            "new_landmarks": _rounded(wanted, 2) if drawn else None,
            "shape": _rounded(targets.values[i], 5) if there else None,
            "sources": [[n, round(share, 4)] for n, share in sources.get(number, ())],
        }


def _document(head: dict[str, object], rows: Iterable[dict[str, object]]) -> Iterator[str]:
    """JSON in pieces: a long shot's text at once would take many times its landmarks."""
    yield _json(head)[:-1] + ',"per_frame":['
    for i, row in enumerate(rows):
        yield (",\n" if i else "\n") + _json(row)
    yield "\n]}\n"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _rounded(values: FloatArray, digits: int) -> object:
    return np.round(values.astype(np.float64), digits).tolist()


def _write(path: Path, pieces: Iterable[str]) -> None:
    with appearing(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        handle.writelines(pieces)


def _nuke_snippet(picture: str, info: PlateInfo, track: FaceTrack) -> str:
    """A Read of the result, the mouth's track, and a corner pin of the canonical crop.

    Nuke counts rows from the bottom, and so do the curves here.
    """
    first, last = track.frames.first, track.frames.last
    height = info.display.height
    seen = np.flatnonzero(np.isfinite(track.landmarks).all(axis=(1, 2)))
    numbers = [first + int(i) for i in seen]
    name = picture.replace("\\", "/").replace('"', '\\"')
    read = (
        f'Read {{\n inputs 0\n file "{name}"\n first {first}\n last {last}\n'
        f" origfirst {first}\n origlast {last}\n raw true\n name LipsyncRead\n}}\n"
    )
    if not numbers:
        return read
    corners = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    pins = []
    back = invert_similarity(track.transforms[seen])
    for k, corner in enumerate(corners, 1):
        at = back[..., :2] @ corner + back[..., 2]
        pins.append(f" to{k} {{{_curve(numbers, at[:, 0])} {_curve(numbers, height - at[:, 1])}}}")
    size = max(info.display.width, info.display.height)
    for k, corner in enumerate(corners, 1):
        pins.append(f" from{k} {{{corner[0] * size:g} {(1 - corner[1]) * size:g}}}")
    pin = "CornerPin2D {\n inputs 0\n" + "\n".join(pins) + "\n name LipsyncCrop\n}\n"
    mouth = track.landmarks[:, list(MOUTH_CORNERS), :2][seen].mean(axis=1)
    center = f"{{{_curve(numbers, mouth[:, 0])} {_curve(numbers, height - mouth[:, 1])}}}"
    point = f"Transform {{\n inputs 0\n center {center}\n name LipsyncMouth\n}}\n"
    return read + pin + point


def _curve(numbers: list[int], values: FloatArray) -> str:
    keys = []
    previous = None
    for number, value in zip(numbers, values, strict=True):
        keys.append(f"{value:.3f}" if previous == number - 1 else f"x{number} {value:.3f}")
        previous = number
    return "{curve " + " ".join(keys) + "}"
