"""From a folder of clips to a prepared folder: aligned crops, landmarks and sound."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lipcore.config import from_mapping
from lipcore.errors import ConfigError, FaceError, LipcoreError, NoAudioError, TrainingError
from lipcore.media.audio import SAMPLE_RATE_HZ, load_dialogue, shift_sound
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.tracking.align import sample
from lipcore.tracking.tracker import track_plate
from lipcore.types import FaceTrack, FloatArray, FrameRange

from .data import FORMAT

SUFFIXES = {".mp4", ".mov", ".mkv", ".avi", ".mpg", ".mpeg", ".mxf", ".webm", ".m4v"}
_AUDIO_RATE = 25
"""Frames a second in which ``offset_frames`` of a clip's facts are counted."""

Tell = Callable[[str], None]
"""Called with a line for each clip that is done or left out, and why."""


@dataclass(frozen=True, slots=True)
class PrepareConfig:
    """What a prepared folder is like."""

    crop_px: int = 256
    margin_px: int = 16
    """Pixels around the crop, for shifts and turns in training."""
    val_share: float = 0.15
    """Share of the people who are kept out of training, chosen by a hash of their names."""
    hold_out: tuple[str, ...] = ()
    """People who are kept out in any case."""
    shortest_frames: int = 10
    """Stretches in which the face is seen for fewer frames are left out."""

    def __post_init__(self) -> None:
        if self.crop_px < 16 or self.margin_px < 0 or self.shortest_frames < 1:
            raise ConfigError("a crop of this size is of no use", hint="256 and 16 px are usual.")
        if not 0 <= self.val_share < 1:
            raise ConfigError(f"val_share {self.val_share} is not in [0, 1)", hint="Try 0.15.")


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What an optional ``manifest.json`` beside the clips says of one; the rest of its keys
    (rights, notes) is for people."""

    identity: str = ""
    """Who speaks; the clip's own name where it is not said. One person, one name."""
    use: Literal["train", "val", "test"] | None = None
    """``test`` clips are never read; ``train`` and ``val`` overrule the share (of all clips of
    one person alike, please)."""
    offset_frames: float = 0.0
    """Frames, 25 a second, by which the sound lags the picture; it is moved earlier."""


def prepare(
    source: Path, out: Path, config: PrepareConfig | None = None, *, tell: Tell | None = None
) -> dict[str, Any]:
    """Prepare every clip of a folder. A clip that is there already is not made again.

    A clip in which the face goes away becomes several. Of several people the one seen most is
    taken. Crops are display-referred, 8 bits.

    Args:
        source: Folder of video files, with ``manifest.json`` (clip's file name to
            ``ClipFacts``) where identities or offsets are known.
        out: The prepared folder.
        config: What it is like.
        tell: Told of each clip.

    Returns:
        The manifest that was written.

    Raises:
        TrainingError: The folder holds no clips, or none with a face.
        ConfigError: Its manifest does not hold.
    """
    c, say = config or PrepareConfig(), tell or (lambda line: None)
    files = sorted(p for p in source.glob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise TrainingError(
            f"{source} holds no video files", hint=f"It may hold: {', '.join(sorted(SUFFIXES))}.",
            path=str(source),
        )
    facts = _read_facts(source / "manifest.json")
    out.mkdir(parents=True, exist_ok=True)
    clips: dict[str, Any] = {}
    for file in files:
        known = facts.get(file.name, ClipFacts())
        if known.use == "test":
            say(f"{file.name}: kept for tests")
            continue
        try:
            made = _prepare_clip(file, out, known, c)
        except LipcoreError as error:
            say(f"{file.name}: left out, {error}")
            continue
        clips |= made
        say(f"{file.name}: {sum(m['frames'] for m in made.values())} frames")
    if not clips:
        raise TrainingError(
            f"no clip of {source} shows a face for long enough", hint="See what was left out."
        )
    manifest = {"format": FORMAT, "crop_px": c.crop_px, "margin_px": c.margin_px, "clips": clips}
    _write_json(out / "manifest.json", manifest)
    return manifest


def _read_facts(path: Path) -> Mapping[str, ClipFacts]:
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error})", hint="Mend it or remove it.") from error
    used = ClipFacts.__dataclass_fields__
    return {
        name: from_mapping(
            ClipFacts, {k: v for k, v in values.items() if k in used}, where=f"{path.name}: {name}"
        )
        for name, values in entries.items()
    }


def _split(identity: str, known: ClipFacts, config: PrepareConfig) -> str:
    """The same person always lands on the same side, whatever else is in the folder."""
    if identity in config.hold_out:
        return "val"
    if known.use in ("train", "val"):
        return known.use
    number = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") / 2**64
    return "val" if number < config.val_share else "train"


def _prepare_clip(
    file: Path, out: Path, known: ClipFacts, config: PrepareConfig
) -> dict[str, dict[str, Any]]:
    """Every stretch of one file in which its face is seen."""
    with open_plate(file) as plate:
        frames, rate = plate.info.frames, plate.info.rate
        middle = plate.read((frames.first + frames.last) // 2)
        color = ColorTransform.for_plate(plate.info.colorspace, middle.rgb[::8, ::8])
        track = track_plate(plate, frames, color=color)[0]
        try:
            samples = load_dialogue(file).samples
        except NoAudioError:
            samples = np.zeros(0, np.float32)
        identity = known.identity or file.stem
        facts = {
            "identity": identity, "split": _split(identity, known, config), "rate": str(rate),
            "offset_frames": known.offset_frames, "source": file.name,
        }
        made: dict[str, dict[str, Any]] = {}
        for number, stretch in enumerate(_stretches(track, config.shortest_frames)):
            name = file.stem if not number else f"{file.stem}_{number + 1}"
            folder = out / name
            made[name] = {**facts, "frames": len(stretch)}
            if (folder / "done.json").is_file():
                continue
            sound = _sound_of(samples, frames, stretch, rate, known.offset_frames)
            _write_clip(folder, plate, color, track, stretch, sound, config)
    if not made:
        raise FaceError(f"the face is never seen for {config.shortest_frames} frames together")
    return made


def _stretches(track: FaceTrack, shortest: int) -> list[FrameRange]:
    """Unbroken runs of frames that show the face, cut where scenes begin."""
    runs: list[list[int]] = []
    for frame in track.frames:
        if not track.present[track.frames.index(frame)]:
            continue
        if not runs or frame != runs[-1][-1] + 1 or frame in track.cuts:
            runs.append([])
        runs[-1].append(frame)
    return [FrameRange(r[0], r[-1]) for r in runs if len(r) >= shortest]


def _sound_of(
    samples: FloatArray, frames: FrameRange, stretch: FrameRange, rate: Fraction, offset: float
) -> FloatArray:
    """The sound of a stretch, its offset to the picture taken out."""
    start = -Fraction(stretch.first - frames.first) / rate - Fraction(offset) / _AUDIO_RATE
    moved: FloatArray = shift_sound(samples[None], SAMPLE_RATE_HZ, start)[0]
    return moved[: round(len(stretch) / rate * SAMPLE_RATE_HZ)]


def _write_clip(
    folder: Path, plate: Plate, color: ColorTransform, track: FaceTrack, stretch: FrameRange,
    sound: FloatArray, config: PrepareConfig,
) -> None:
    """One stretch, under a temporary name until it is whole."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    side = config.crop_px + 2 * config.margin_px
    rows = [track.frames.index(f) for f in stretch]
    transforms = track.transforms[rows]
    crops = np.empty((len(stretch), side, side, 3), np.uint8)
    for row, frame in enumerate(plate.stream(stretch)):
        wider = transforms[row].astype(np.float64) * (config.crop_px / side)
        wider[:, 2] += config.margin_px / side
        shown = color.tracking_picture(frame.rgb).astype(np.float32)
        picture = sample(shown, frame.window, wider.astype(np.float32), side)
        crops[row] = picture.round().clip(0, 255)
    np.save(temporary / "crops.npy", crops)
    np.save(temporary / "landmarks.npy", track.landmarks[rows])
    np.save(temporary / "transforms.npy", transforms)
    np.save(temporary / "sound.npy", sound.astype(np.float32))
    _write_json(temporary / "done.json", {"frames": len(stretch)})
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(values, indent=1), encoding="utf-8")
    temporary.replace(path)
