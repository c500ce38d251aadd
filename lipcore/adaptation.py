"""Learn one shot's face: the crops and shapes of a plate, handed to ``train.adapt``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lipcore.analysis import analyse
from lipcore.cache import Cache
from lipcore.errors import FaceError
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.models.device import check_device
from lipcore.runtime.graphs import load_latents
from lipcore.shapes.basis import ShapeBasis
from lipcore.synthesis.latent_shot import boxes_of, crop_of, reference_frame
from lipcore.tracking.head import LIPS_OUTER_LOWER, LIPS_OUTER_UPPER, apply_similarity
from lipcore.train.adapt import adapt
from lipcore.types import FaceTrack, FloatArray, FrameRange
from lipcore.weights import find_weights

_MOST_FRAMES = 500
"""More frames of a shot teach little that is new, and would not fit in memory at length."""
FEWEST_FRAMES = 8
"""That must show the face."""


@dataclass(frozen=True, slots=True)
class AdaptResult:
    """What an adaptation brought, measured on frames of the shot that it never saw."""

    path: Path
    frames: int
    steps: int
    base_psnr_db: float
    """In the mouth region of the held-back frames, before."""
    psnr_db: float
    """After; the base's own where it was not beaten, and then the file changes nothing."""
    weights: str
    """What ``render --weights`` takes."""


def adapt_to_shot(
    plate_path: Path,
    out: Path,
    *,
    budget_s: float = 900.0,
    frames: FrameRange | None = None,
    speaker: str = "largest",
    colorspace: str | None = None,
    weights: str = "base",
    device: str = "cpu",
    cache: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> AdaptResult:
    """Fine-tune generator and decoder to a shot; write the changed tensors.

    Args:
        plate_path: The plate.
        out: The safetensors file to write; ``--weights base+FILE`` takes it.
        budget_s: Seconds of training.
        frames: Which frames to learn from; None takes all.
        speaker: See ``Shot.speaker``.
        colorspace: Encoding of the plate, where it does not say.
        weights: The set to start from; an adaptation in it is left out.
        device: Where the networks run.
        cache: Folder of cached results.
        progress: Told of the stages ``track``, ``bank``, ``crops`` and ``learn`` (percent).

    Raises:
        FaceError: Too few frames show the face.
        LipcoreError: The plate, the weights or the device cannot be used.
    """
    check_device(device)
    found = find_weights(weights).unadapted()
    basis = ShapeBasis.load(found)
    path = load_latents(found, device=device)
    with open_plate(plate_path, colorspace=colorspace) as plate:
        chosen = frames or plate.info.frames
        color = ColorTransform.of_plate(plate)
        analysis = analyse(
            plate, chosen, speaker=speaker, color=color, basis=basis, cache=Cache(cache),
            progress=progress,
        )
        track = analysis.track
        seen = np.flatnonzero(np.isfinite(track.landmarks).all(axis=(1, 2)))
        if len(seen) < FEWEST_FRAMES:
            raise FaceError(
                f"only {len(seen)} frames show the face, {FEWEST_FRAMES} are needed",
                hint="Adapt to a longer range (--frames), or to another speaker.",
            )
        still = reference_frame(analysis, np.isfinite(track.landmarks).all(axis=(1, 2)))
        spread = np.linspace(0, len(seen) - 1, min(len(seen), _MOST_FRAMES)).round().astype(int)
        learnt = sorted({*seen[spread].tolist(), still})
        crops = np.empty((len(learnt), path.crop_px, path.crop_px, 3), np.uint8)
        place = {index: k for k, index in enumerate(learnt)}
        for i, frame in enumerate(plate.stream(chosen)):
            progress("crops", i + 1, len(chosen))
            if i in place:
                crops[place[i]] = _to_8_bit(crop_of(frame, track, color, path.crop_px))
    made = adapt(
        crops, analysis.values[learnt], _mouths(track, learnt), boxes_of(track, learnt),
        learnt.index(still), path, budget_s=budget_s,
        progress=lambda share, _: progress("learn", round(100 * share), 100),
    )
    made.save(out)
    return AdaptResult(
        out, len(learnt), made.steps, made.base_psnr, made.psnr, f"{found.name}+{out}"
    )


def _to_8_bit(picture: FloatArray) -> npt.NDArray[np.uint8]:
    values: npt.NDArray[np.uint8] = np.round(picture * 255).astype(np.uint8)
    return values


def _mouths(track: FaceTrack, indices: list[int]) -> FloatArray:
    """``(N, 4)`` centre and half sizes of the outer lips, in the crop."""
    lips = [*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER]
    points = apply_similarity(
        track.transforms[indices], track.landmarks[indices][:, lips, :2]
    )
    low, high = points.min(1), points.max(1)
    out: FloatArray = np.concatenate([(low + high) / 2, (high - low) / 2], axis=1)
    return out
