"""Faces and sound of prepared clips as the baselines take them, and what their recipes share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from lipcore.errors import TrainingError
from lipcore.evaluate.baseline_sound import mel_steps

from .data import Clip, load_clips
from .loop import Batch, LoopConfig, Recipe

_MESH = 468
_HELD_ITEMS = 8


class FaceRecipe(Recipe):
    """A network that draws faces from faces and sound.

    Args:
        loop: How it runs.
        data: Prepared folders.
        least: Frames that a clip must have.
    """

    half = False
    blue_first = True

    def __init__(self, loop: LoopConfig, data: Sequence[Path], least: int) -> None:
        self.loop = loop
        train, val = load_clips(data, "train"), load_clips(data, "val")
        self.clips = train, val
        self.train, self.val = (
            [c for c in clips if c.frames >= least and len(c.sound)] for clips in self.clips
        )
        if not self.train or not self.val:
            raise TrainingError(
                "the data has no clips with sound that are long enough",
                hint=f"They need {least} frames.",
            )
        frames = np.array([c.frames for c in self.train], np.float64) ** 0.5
        self.share = frames / frames.sum()
        torch.manual_seed(loop.seed)

    @abstractmethod
    def item(self, rng: np.random.Generator, clip: Clip) -> dict[str, Tensor]:
        """What a step takes of a clip."""

    @abstractmethod
    def make(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N, 3, H, W) 0-1: what a network draws."""

    @abstractmethod
    def wanted(self, batch: Batch) -> Tensor:
        """(N, 3, H, W) 0-1: what it should draw."""

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """Items of clips, long ones more often."""
        picks = rng.choice(len(self.train), self.loop.batch_size, p=self.share)
        return _stack([self.item(rng, self.train[i]) for i in picks])

    def held(self, network: nn.Module) -> Iterator[Batch]:
        """The same items of people kept out, at every call; one at a time, as large faces fill
        memory."""
        rng, device = np.random.default_rng(5), next(network.parameters()).device
        for i in range(_HELD_ITEMS):
            batch = _stack([self.item(rng, self.val[i % len(self.val)])])
            yield {k: v.to(device) for k, v in batch.items()}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR of the lower halves of people kept out, dB."""
        values = []
        for batch in self.held(network):
            made, wanted = self.make(network, batch).float(), self.wanted(batch)
            apart = (made - wanted)[:, :, wanted.shape[2] // 2 :]
            error = apart.square().mean((1, 2, 3)).clamp_min(1e-10)
            values.append(float((-10 * error.log10()).mean()))
        return {"lower_psnr": float(np.mean(values))}

    def sample(self, network: nn.Module) -> Tensor:
        """Rows: as they are, as they are drawn."""
        columns = [
            torch.stack([self.wanted(batch)[0], self.make(network, batch)[0].float()])
            for batch in self.held(network)
        ]
        rows = torch.stack(columns, dim=1)
        return (rows.flip(2) if self.blue_first else rows) * 2 - 1

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}


def cut_faces(clip: Clip, frames: Sequence[int], size: int) -> Tensor:
    """Faces in the box of their mesh, the mean box of the run.

    Args:
        clip: The clip.
        frames: Which, T of them.
        size: Side of the result.

    Returns:
        (T, 3, size, size) blue first, 0-1.
    """
    points = clip.landmarks[list(frames)][:, :_MESH] * clip.crop_px + clip.margin_px
    whole = clip.crop_px + 2 * clip.margin_px
    low, high = points.min(axis=1).mean(axis=0), points.max(axis=1).mean(axis=0)
    x0, y0 = (int(v) for v in np.clip(low, 0, whole - 2))
    x1, y1 = (int(v) for v in np.clip(high, (x0 + 2, y0 + 2), whole))
    faces = [cv2.resize(clip.crops[i][y0:y1, x0:x1, ::-1], (size, size)) for i in frames]
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float() / 255


def hear(clip: Clip) -> np.ndarray[Any, np.dtype[np.float32]]:
    """``(80, M)`` mel steps of a clip."""
    return mel_steps(clip.sound)


def without_lower_half(faces: Tensor) -> Tensor:
    """(..., H, W) with the lower half at 0."""
    hidden = faces.clone()
    hidden[..., faces.shape[-2] // 2 :, :] = 0
    return hidden


def _stack(items: list[dict[str, Tensor]]) -> Batch:
    return {k: torch.stack([i[k] for i in items]) for k in items[0]}
