"""What is stated of a render: the hash that its frames carry, and what its sidecars say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from lipcore import __version__
from lipcore.cache import make_key
from lipcore.media.holdout import HoldOut
from lipcore.media.plate import Plate
from lipcore.media.writers import VIDEO_SUFFIXES
from lipcore.models.checkpoint import hash_file
from lipcore.runtime.backends import BACKENDS
from lipcore.shot import NO_WATERMARK, RenderConfig, Shot
from lipcore.shot_sound import begin_of
from lipcore.types import FrameRange
from lipcore.weights import WeightsSet

_NOT_OF_FRAMES = frozenset({
    "overwrite", "workers", "cache", "device", "chunk",
    "provenance", "certificate", "private_key", "consent",
})  # fmt: skip
"""Settings that leave no trace in a frame."""
_BY_CONTENT = frozenset({"weights", "strength_curve"})
"""Settings that name files: what lies in them counts, not where they are."""


def parameter_key(
    shot: Shot,
    config: RenderConfig,
    plate: Plate,
    frames: FrameRange,
    weights: WeightsSet,
    matte: HoldOut | None,
) -> str:
    """A hash of all that a finished frame depends on.

    Args:
        shot: What is rendered; the same files in other folders give the same hash.
        config: How; its backend is settled.
        plate: Of the shot.
        frames: All frames of the render, whatever chunk of them is written.
        weights: Found by the name in ``config``.
        matte: What the shot holds out.
    """
    settings = frame_settings(config)
    files = [None if p is None else hash_file(p) for p in
             (shot.dialogue, shot.shapes, config.strength_curve)]
    return make_key(
        __version__, plate.content_key(), plate.info.rate, plate.info.colorspace, frames,
        shot.speaker, begin_of(shot, config, plate.info, frames),
        BACKENDS[config.backend].version(), sorted(settings.items()), files,
        None if matte is None else matte.content_key(), sorted(_weights_hashes(weights).items()),
    )


def frame_settings(config: RenderConfig) -> dict[str, object]:
    """The settings that a frame depends on, but for those that name files."""
    ignored = _NOT_OF_FRAMES | _BY_CONTENT
    if config.watermark == NO_WATERMARK:
        ignored |= {"watermark_method"}
    if not config.refine:
        ignored |= {"refine"}
    return {
        f.name: getattr(config, f.name)
        for f in dataclasses.fields(config)
        if f.name not in ignored
    }


def sidecar_settings(
    shot: Shot, config: RenderConfig, synthesis: str, weights: WeightsSet, key: str
) -> dict[str, object]:
    """What sidecars and credentials say of how a shot was rendered.

    Args:
        shot: What was rendered.
        config: How; the path of the private key stays out.
        synthesis: Name of the renderer that drew.
        weights: What it drew with.
        key: From ``parameter_key``.
    """
    plain = {k: v for k, v in dataclasses.asdict(config).items()
             if v is not None and k != "private_key"}
    return {
        **{k: str(v) if isinstance(v, Path) else v for k, v in plain.items()},
        "dialogue": None if shot.dialogue is None else str(shot.dialogue),
        "shapes": None if shot.shapes is None else str(shot.shapes),
        "speaker": shot.speaker,
        "holdout": None if shot.holdout is None else str(shot.holdout),
        "synthesis": synthesis,
        "weights_sha256": _weights_hashes(weights),
        "parameters": key,
    }


def refined_text(share: float) -> str:
    """What is said of the refiner after the renderer's name; nothing where it is out."""
    return f", refined by {share:g}" if share else ""


def sidecar_stem(first: Path, plate: Path) -> Path:
    """Where the sidecars go: beside the picture, under its name without the frame number."""
    if first.suffix.lower() in VIDEO_SUFFIXES:
        return first.with_suffix("")
    return first.with_name(re.sub(r"[._]?-?\d+$", "", first.stem) or plate.stem)


def picture_name(first: Path) -> str:
    """The picture as Nuke reads it: the video, or the pattern of its first frame."""
    if first.suffix.lower() in VIDEO_SUFFIXES:
        return str(first)
    digits = re.search(r"(\d+)$", first.stem)
    if digits is None:
        return str(first)
    stem = first.stem[: digits.start()] + "#" * len(digits[1])
    return str(first.with_name(stem + first.suffix))


def _weights_hashes(weights: WeightsSet) -> dict[str, str]:
    """SHA-256 of each network's file, and of what was learnt of the shot."""
    hashes = {kind: hash_file(weights.file(kind)) for kind in weights.kinds()}
    if weights.adaptation is not None:
        hashes["adaptation"] = hash_file(weights.adaptation)
    return hashes
