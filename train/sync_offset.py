"""By how many frames a clip's sound lags its picture, as the shipped sync expert sees it.

Source: Chung and Zisserman, *Out of time*, 2016: the shift at which mouths and sound fit best,
averaged over the clip, and by how much it fits better there than elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from lipcore.errors import WeightsVersionError
from lipcore.models.checkpoint import load_network
from lipcore.models.mel import MelFrontEnd
from lipcore.models.sync_expert import SyncExpert
from lipcore.models.vqgan import VQGAN
from lipcore.types import FloatArray
from lipcore.weights import find_weights

from .data import crops_to_tensor
from .shards import Picture

LARGEST_FRAMES = 15
_BATCH = 16


@dataclass(frozen=True, slots=True)
class SyncOffset:
    """What was measured of one clip."""

    frames: int
    """By which the sound lags the picture; negative where it leads."""
    confidence: float
    """Mean cosine at that shift less the median over all shifts. Seen on 18 real
    clips: one's own sound 0.26 to 0.68; another's 0.06 to 0.22 over 4 s and more (0.41 for
    another take of the same person), but 0.21 to 0.49 over 3 s: short clips tell little."""
    cosines: FloatArray
    """(2 * LARGEST_FRAMES + 1,) mean cosine of each shift, the most negative first."""


@torch.no_grad()
def measure_offset(
    expert: SyncExpert, latents: Tensor, sound: FloatArray, rate: float
) -> SyncOffset | None:
    """Slide the sound along the picture.

    Args:
        expert: The trained expert.
        latents: (N, D, h, w) V_f latents of successive frames.
        sound: (samples,) at 16 kHz; its first sample belongs to the first frame's start.
        rate: Frames a second.

    Returns:
        None where the clip is too short: it needs the expert's run of frames and one more.
    """
    length, steps = expert.config.frames, expert.config.mel_steps
    count = len(latents) - length + 1
    if count < 2 or not len(sound):
        return None
    front = MelFrontEnd()
    mel = front(torch.from_numpy(sound)[None])[0]
    middles = torch.arange(-LARGEST_FRAMES, count + LARGEST_FRAMES, dtype=torch.float64)
    times = (middles + length / 2) / rate
    heard = torch.cat(
        [expert.embed_sound(front.window_at(mel, part, steps)) for part in torch.split(times, 64)]
    )
    seen = torch.cat([
        expert.embed_mouths(
            torch.stack([latents[i : i + length].float() for i in range(first, min(first + _BATCH,
                                                                                  count))])
        )
        for first in range(0, count, _BATCH)
    ])  # fmt: skip
    table = (seen @ heard.t()).numpy()
    shifts = range(2 * LARGEST_FRAMES + 1)
    cosines = np.array([table.diagonal(shift).mean() for shift in shifts], np.float32)
    best = int(cosines.argmax())
    return SyncOffset(best - LARGEST_FRAMES, float(cosines[best] - np.median(cosines)), cosines)


class SyncMeter:
    """V_f and the expert of a set of weights, loaded when they are first needed."""

    def __init__(self, weights: str = "base") -> None:
        self._weights = find_weights(weights)

    @cached_property
    def digest(self) -> str:
        """Changes with the weights that measure."""
        files = (self._weights.file(kind) for kind in ("vqgan_face", "sync_expert"))
        return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]

    @cached_property
    def _networks(self) -> tuple[VQGAN, SyncExpert]:
        face = load_network(self._weights.file("vqgan_face"), kind="vqgan_face")
        expert = load_network(self._weights.file("sync_expert"), kind="sync_expert")
        assert isinstance(face, VQGAN) and isinstance(expert, SyncExpert)
        if expert.config.sees != "latents":
            raise WeightsVersionError(
                "the sync expert sees pixels where latents are measured",
                hint="Take weights whose expert was trained with sees: latents.",
            )
        return face, expert

    @torch.no_grad()
    def measure(
        self, crops: Sequence[Picture], sound: FloatArray, rate: float
    ) -> SyncOffset | None:
        """The offset of one clip.

        Args:
            crops: Canonical crops without margin (S, S, 3), display-referred.
            sound: (samples,) at 16 kHz.
            rate: Frames a second.

        Returns:
            None where the clip has no sound, or is too short.
        """
        face, expert = self._networks
        side = face.config.crop_px
        sized = [np.asarray(cv2.resize(crop, (side, side)), np.uint8) for crop in crops]
        latents = [
            face.encode(crops_to_tensor(sized[i : i + _BATCH])).half()
            for i in range(0, len(sized), _BATCH)
        ]
        return measure_offset(expert, torch.cat(latents), sound, rate)
