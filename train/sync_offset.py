"""By how many frames a clip's sound lags its picture, while data is prepared."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from lipcore.evaluate.expert import (
    LARGEST_FRAMES,
    ExpertJudge,
    SyncOffset,
    measure_offset,
)
from lipcore.types import FloatArray

from .data import crops_to_tensor
from .shards import Picture

__all__ = ["LARGEST_FRAMES", "SyncMeter", "SyncOffset", "measure_offset"]
_BATCH = 16


class SyncMeter:
    """Measures clips with the shipped expert, or that of other weights."""

    def __init__(self, weights: str = "base") -> None:
        self._judge = ExpertJudge(weights)

    @property
    def digest(self) -> str:
        """Changes with the weights that measure."""
        return self._judge.digest

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
        face, expert = self._judge.networks
        side = face.config.crop_px
        sized = [np.asarray(cv2.resize(crop, (side, side)), np.uint8) for crop in crops]
        latents = [
            face.encode(crops_to_tensor(sized[i : i + _BATCH])).half()
            for i in range(0, len(sized), _BATCH)
        ]
        return measure_offset(expert, torch.cat(latents), sound, rate)
