"""From a folder of clips to shards: aligned crops, landmarks and sound."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lipcore.config import from_mapping
from lipcore.errors import (
    ConfigError,
    FaceError,
    LipcoreError,
    NoAudioError,
    OutputError,
    TrainingError,
)
from lipcore.media.audio import SAMPLE_RATE_HZ, load_dialogue, shift_sound
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.tracking.align import sample
from lipcore.tracking.tracker import track_plate
from lipcore.types import FaceTrack, FloatArray, FrameRange

from .shards import Picture, Segment, ShardWriter, facts_of, write_json, write_manifest
from .sync_offset import SyncMeter

SUFFIXES = {".mp4", ".mov", ".mkv", ".avi", ".mpg", ".mpeg", ".mxf", ".webm", ".m4v"}
_AUDIO_RATE = 25
"""Frames a second in which ``offset_frames`` of a clip's facts are counted."""
_JUDGED_S = 3.0
"""Seconds of one stretch that a measured offset needs; shorter ones are taken as they are."""
_MEASURED_S = 10.0
"""Seconds that it is measured on, at most."""

REJECTED = "rejected.json"
"""Sources that were left out, and why: a list of ``{"source", "reason"}``."""

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
    measure_sync: bool = True
    """Measure how far the sound lags where it is not stated, and take it out."""
    least_sync: float = 0.25
    """Confidence of that measure below which the sound is not this mouth's, and the clip is
    left out."""

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
    offset_frames: float | None = None
    """Frames, 25 a second, by which the sound lags the picture; it is moved earlier. None:
    measured."""


def prepare(
    source: Path, out: Path, config: PrepareConfig | None = None, *, tell: Tell | None = None
) -> dict[str, Any]:
    """Prepare every clip of a folder. A clip that is there already is not made again.

    A clip in which the face goes away becomes several. Of several people the one seen most is
    taken. Crops are display-referred, 8 bits. Beside the shards lie ``manifest.json`` and
    ``rejected.json``.

    Args:
        source: Folder of video files, with ``manifest.json`` (clip's file name to
            ``ClipFacts``) where identities or offsets are known.
        out: The folder of shards.
        config: What it is like.
        tell: Told of each clip.

    Returns:
        The manifest that was written.

    Raises:
        TrainingError: The folder holds no clips, or none with a face.
        ConfigError: Its manifest does not hold.
    """
    c, say = config or PrepareConfig(), tell or (lambda line: None)
    meter = SyncMeter()
    files = sorted(p for p in source.glob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise TrainingError(
            f"{source} holds no video files", hint=f"It may hold: {', '.join(sorted(SUFFIXES))}.",
            path=str(source),
        )
    facts = _read_facts(source / "manifest.json")
    clips: dict[str, Any] = {}
    rejected: list[dict[str, str]] = []

    def reject(file: Path, reason: str) -> None:
        rejected.append({"source": file.name, "reason": reason})
        say(f"{file.name}: {reason}")

    for file, key in zip(files, _keys(files), strict=True):
        known = facts.get(file.name, ClipFacts())
        if known.use == "test":
            reject(file, "kept for tests")
            continue
        try:
            made = _prepare_clip(file, key, out, known, c, meter)
        except OutputError:  # the fault of the folder, not of the clip
            raise
        except LipcoreError as error:
            reject(file, f"left out, {error}")
            continue
        clips |= made
        say(f"{file.name}: {sum(m['frames'] for m in made.values())} frames")
    if not clips:
        raise TrainingError(
            f"no clip of {source} shows a face for long enough", hint="See what was left out."
        )
    write_json(out / REJECTED, rejected)
    return write_manifest(out, clips, crop_px=c.crop_px, margin_px=c.margin_px)


def _keys(files: Sequence[Path]) -> list[str]:
    """A name for each file that a shard and its samples can bear; the same every time."""
    plain = [unicodedata.normalize("NFKD", f.stem).encode("ascii", "ignore") for f in files]
    names = [re.sub(r"[^0-9A-Za-z_-]+", "_", name.decode()) for name in plain]
    seen = Counter(names)
    return [
        name
        if name == file.stem and seen[name] == 1
        else f"{name}-{hashlib.sha256(file.name.encode()).hexdigest()[:8]}"
        for file, name in zip(files, names, strict=True)
    ]


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
    file: Path, key: str, out: Path, known: ClipFacts, config: PrepareConfig, meter: SyncMeter
) -> dict[str, dict[str, Any]]:
    """Every stretch of one file in which its face is seen."""
    identity = known.identity or file.stem
    facts: dict[str, Any] = {
        "identity": identity, "split": _split(identity, known, config),
        "source": file.name, "made_from": _fingerprint(file, known, config, meter),
    }
    if known.offset_frames is not None:
        facts["offset_frames"] = known.offset_frames
    there = facts_of(out / f"{key}.tar")
    if there and all(facts.items() <= sample.items() for sample in there.values()):
        return there
    with open_plate(file) as plate:
        frames, rate = plate.info.frames, plate.info.rate
        middle = plate.read((frames.first + frames.last) // 2)
        color = ColorTransform.for_plate(plate.info.colorspace, middle.rgb[::8, ::8])
        track = track_plate(plate, frames, color=color)[0]
        stretches = _stretches(track, config.shortest_frames)
        if not stretches:
            raise FaceError(f"the face is never seen for {config.shortest_frames} frames together")
        try:
            samples = load_dialogue(file).samples
        except NoAudioError:
            samples = np.zeros(0, np.float32)
        if known.offset_frames is None:
            facts |= _measured(plate, color, track, stretches, samples, config, meter)
        with ShardWriter(out, key) as writer:
            for number, stretch in enumerate(stretches):
                rows = [track.frames.index(f) for f in stretch]
                writer.add(Segment(
                    key=key if not number else f"{key}_{number + 1}", rate=rate,
                    crops=_crops(plate, color, stretch, track.transforms[rows], config),
                    landmarks=track.landmarks[rows], transforms=track.transforms[rows],
                    sound=_sound_of(samples, frames, stretch, rate, facts["offset_frames"]),
                    facts=facts,
                ))
    return writer.clips


def _measured(
    plate: Plate, color: ColorTransform, track: FaceTrack, stretches: Sequence[FrameRange],
    samples: FloatArray, config: PrepareConfig, meter: SyncMeter,
) -> dict[str, Any]:  # fmt: skip
    """The offset of a file's sound, measured on its longest stretch.

    Raises:
        TrainingError: The sound is not this mouth's.
    """
    rate = plate.info.rate
    longest = max(stretches, key=len)
    if not config.measure_sync or not len(samples) or len(longest) < _JUDGED_S * rate:
        return {"offset_frames": 0.0}
    last = min(longest.last, longest.first + int(_MEASURED_S * rate) - 1)
    part = FrameRange(longest.first, last)
    rows = [track.frames.index(f) for f in part]
    inner = slice(config.margin_px, config.margin_px + config.crop_px)
    crops = [c[inner, inner] for c in _crops(plate, color, part, track.transforms[rows], config)]
    sound = _sound_of(samples, plate.info.frames, part, rate, 0.0)
    found = meter.measure(crops, sound, float(rate))
    if found is None:
        return {"offset_frames": 0.0}
    if found.confidence < config.least_sync:
        raise TrainingError(
            f"the sound is not this mouth's (confidence {found.confidence:.2f}, "
            f"{config.least_sync:.2f} is asked for)"
        )
    return {
        "offset_frames": round(found.frames * _AUDIO_RATE / float(rate), 2),
        "sync_confidence": round(found.confidence, 3),
    }


def _fingerprint(
    file: Path, known: ClipFacts, config: PrepareConfig, meter: SyncMeter
) -> str:
    """Changes with what a clip's shard was made from and how."""
    stat = file.stat()
    measured = config.measure_sync and known.offset_frames is None
    made_from = [
        stat.st_size, config.crop_px, config.margin_px, config.shortest_frames,
        config.measure_sync, config.least_sync, known.offset_frames,
        meter.digest if measured else None,
    ]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


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


def _crops(
    plate: Plate, color: ColorTransform, stretch: FrameRange, transforms: FloatArray,
    config: PrepareConfig,
) -> Iterator[Picture]:
    """The canonical crops of a stretch, with their margin."""
    side = config.crop_px + 2 * config.margin_px
    for transform, frame in zip(transforms, plate.stream(stretch), strict=True):
        wider = transform.astype(np.float64) * (config.crop_px / side)
        wider[:, 2] += config.margin_px / side
        shown = color.tracking_picture(frame.rgb).astype(np.float32)
        picture = sample(shown, frame.window, wider.astype(np.float32), side)
        yield picture.round().clip(0, 255).astype(np.uint8)
