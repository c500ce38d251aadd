"""Clips as latents: what the generator and the sync expert learn from, encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lipcore.models.mel import MelFrontEnd
from lipcore.models.pose_mask import MARGIN, hide_lower_face
from lipcore.models.speech_encoder import SpeechEncoder, normalize_mel
from lipcore.models.vqgan import VQGAN
from lipcore.tracking.head import INNER_LIP_MIDDLE
from lipcore.types import FloatArray

from .data import AugmentConfig, Clip, recolor
from .loop import native_bf16


class Measure(Protocol):
    """Mouth shapes of a clip's landmarks (N, 478, 3), as (N, components)."""

    def __call__(self, landmarks: FloatArray) -> FloatArray: ...


@dataclass(frozen=True, eq=False)
class LatentClip:
    """One clip, encoded in one light."""

    clip: Clip
    face: Tensor
    """(N, D, h, w) float16, continuous V_f latents."""
    pose: Tensor
    """(N, D_p, h, w) float16, continuous V_p latents; empty where no V_p was given."""
    shapes: Tensor
    """(N, components) float32; empty where no measure was given."""
    mel: Tensor
    """(bins, steps) of the clip's sound."""
    speech: Tensor
    """(N, features) of the speech encoder; empty where none was given."""
    opening: FloatArray
    """(N,) gap of the inner lips, share of the crop's side: which frames are closed."""

    def window(self, middle: float, length: int) -> Tensor:
        """(1, bins, length) mel steps around frame ``middle``, which may lie between two."""
        times = torch.tensor([middle + 0.5], dtype=torch.float64) / float(self.clip.rate)
        return MelFrontEnd().window_at(self.mel, times, length)


@torch.no_grad()
def encode_clips(
    clips: Sequence[Clip],
    face: VQGAN,
    pose: VQGAN | None,
    measure: Measure | None,
    *,
    speech: SpeechEncoder | None = None,
    lights: int = 1,
    augment: AugmentConfig | None = None,
    seed: int = 0,
    batch: int = 16,
) -> list[LatentClip]:
    """Encode clips, each in a number of lights.

    Args:
        clips: What to encode.
        face: V_f.
        pose: V_p, or None where no pose latents are needed.
        measure: Landmarks to mouth shapes, or None.
        speech: The speech encoder, or None where no features are needed.
        lights: Times that each clip is encoded; the first as it is, the others recolored.
        augment: How far to recolor.
        seed: Of the recoloring.
        batch: Crops encoded at once.
    """
    front = MelFrontEnd()
    device = next(face.parameters()).device
    out: list[LatentClip] = []
    for clip in clips:
        shapes = torch.zeros(0)
        if measure is not None:
            shapes = torch.from_numpy(measure(clip.plate_landmarks)[: clip.frames])
        mel = front(torch.from_numpy(clip.sound)[None])[0] if len(clip.sound) else None
        heard = torch.zeros(0)
        if speech is not None and mel is not None:
            heard = _features(speech, mel, clip)
        lips = clip.landmarks[:, list(INNER_LIP_MIDDLE)]
        opening = np.linalg.norm(lips[:, 0] - lips[:, 1], axis=1)[: clip.frames]
        for light in range(lights):
            faces, poses = [], []
            for first in range(0, clip.frames, batch):
                frames = range(first, min(first + batch, clip.frames))
                crops = torch.stack([clip.crop(i) for i in frames])
                if light and augment is not None:
                    rng = np.random.default_rng([seed, light, len(out)])
                    crops = recolor(rng, crops, augment, alike=True)
                crops = crops.to(device, memory_format=torch.channels_last)
                boxes = torch.from_numpy(clip.faces[first : first + len(frames)] * clip.crop_px)
                masked = hide_lower_face(crops, boxes.to(device), MARGIN * clip.crop_px)
                with torch.autocast(device.type, torch.bfloat16, enabled=native_bf16()):
                    faces.append(face.encode(crops).half().cpu())
                    if pose is not None:
                        poses.append(pose.encode(masked).half().cpu())
            out.append(
                LatentClip(
                    clip=clip, face=torch.cat(faces),
                    pose=torch.cat(poses) if poses else torch.zeros(0), shapes=shapes,
                    mel=mel if mel is not None else torch.zeros(80, 0),
                    speech=heard, opening=opening,
                )
            )
    return out


def _features(speech: SpeechEncoder, mel: Tensor, clip: Clip) -> Tensor:
    """(N, features) at the middle of each frame, between the steps of the sound."""
    features = speech.features(normalize_mel(mel[None]))[0]
    times = (torch.arange(clip.frames, dtype=torch.float64) + 0.5) / float(clip.rate)
    at = (times * MelFrontEnd().config.steps_a_second).clamp(0, len(features) - 1)
    low = at.floor().long()
    share = (at - low).to(features.dtype)[:, None]
    return features[low] * (1 - share) + features[(low + 1).clamp_max(len(features) - 1)] * share
