"""How well mouths and sound fit, as lipcore's own sync expert sees it: mouths in the picture, not
the lips' landmarks.

Source: Chung and Zisserman, *Out of time*, 2016: the shift at which mouths and sound fit best,
averaged over the clip, and by how much it fits better there than elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lipcore.errors import WeightsVersionError
from lipcore.models.checkpoint import load_network
from lipcore.models.mel import MelFrontEnd
from lipcore.models.sync_expert import SyncExpert
from lipcore.models.vqgan import VQGAN
from lipcore.tracking.networks import Picture
from lipcore.types import FloatArray
from lipcore.weights import find_weights

LARGEST_FRAMES = 15
EXPERT_RATE = 25
"""Frames a second that the shipped expert learnt."""
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
    runs: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    """(R,) cosine of each run of frames with the sound where it lies."""
    length: int = 25
    """Frames of a run."""

    @property
    def unmoved(self) -> float:
        """Mean cosine with the sound where it lies."""
        return float(self.cosines[LARGEST_FRAMES])

    @property
    def lead(self) -> float:
        """By how much that exceeds the median over all shifts; below 0 where sound that is moved
        fits better."""
        return self.unmoved - float(np.median(self.cosines))


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
    mel = front(torch.from_numpy(np.ascontiguousarray(sound, np.float32))[None])[0]
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
    return SyncOffset(
        best - LARGEST_FRAMES, float(cosines[best] - np.median(cosines)), cosines,
        table.diagonal(LARGEST_FRAMES).astype(np.float32), length,
    )


class ExpertJudge:
    """V_f and the expert of a set of weights, loaded when they are first needed.

    Args:
        weights: Name or path of the set.

    Raises:
        WeightsNotFoundError: There is no such set.
    """

    def __init__(self, weights: str = "base") -> None:
        self._weights = find_weights(weights)

    @cached_property
    def digest(self) -> str:
        """Changes with the weights that judge."""
        files = (self._weights.file(kind) for kind in ("vqgan_face", "sync_expert"))
        return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]

    @cached_property
    def networks(self) -> tuple[VQGAN, SyncExpert]:
        """Both; latents of the first are what the second sees.

        Raises:
            WeightsError: One is absent or damaged, or the expert sees pixels.
        """
        face = load_network(self._weights.file("vqgan_face"), kind="vqgan_face")
        expert = load_network(self._weights.file("sync_expert"), kind="sync_expert")
        assert isinstance(face, VQGAN) and isinstance(expert, SyncExpert)
        if expert.config.sees != "latents":
            raise WeightsVersionError(
                "the sync expert sees pixels where latents are measured",
                hint="Take weights whose expert was trained with sees: latents.",
            )
        return face, expert


@dataclass(slots=True)
class ExpertMouths:
    """The expert's view of a picture, gathered frame by frame, at 25 a second."""

    judge: ExpertJudge
    rate: float
    """Frames a second of the picture."""
    _latents: list[Tensor] = field(default_factory=list)
    _waiting: list[Picture] = field(default_factory=list)
    _last: Picture | None = None
    _taken: int = 0

    def add(self, index: int, cut: Callable[[int], Picture] | None) -> None:
        """Frame ``index``.

        Args:
            index: Its place in the picture.
            cut: Gives its canonical crop, display-referred, of as many pixels a side; None
                where the frame shows no face: the one before stands for it.
        """
        while int((self._taken + 0.5) / EXPERT_RATE * self.rate) <= index:
            self._taken += 1
            side = self.judge.networks[0].config.crop_px
            if cut is not None:
                self._last = cut(side)
            elif self._last is None:
                self._last = np.zeros((side, side, 3), np.uint8)
            self._waiting.append(self._last)
            if len(self._waiting) == _BATCH:
                self._encode()

    @torch.no_grad()
    def _encode(self) -> None:
        batch = np.stack(self._waiting).transpose(0, 3, 1, 2)
        values = torch.from_numpy(np.ascontiguousarray(batch)).float() / 127.5 - 1
        self._latents.append(self.judge.networks[0].encode(values).half())
        self._waiting.clear()

    def measure(self, samples: FloatArray) -> SyncOffset | None:
        """Against the sound; None where the picture is too short.

        Args:
            samples: At 16 kHz, from the first frame's start.
        """
        if self._waiting:
            self._encode()
        if not self._latents:
            return None
        return measure_offset(
            self.judge.networks[1], torch.cat(self._latents), samples, float(EXPERT_RATE)
        )
