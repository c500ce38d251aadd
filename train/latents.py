"""Clips as latents: what the generator and the sync expert learn from, encoded once.

Latents stay on disk, by the networks and the shards that they come from, and are mapped into
memory: a second run of any recipe starts at once, and more clips may be learnt from than memory
holds.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lipcore.cache import Cache, make_key
from lipcore.models.mel import MelFrontEnd
from lipcore.models.pose_mask import MARGIN, hide_lower_face
from lipcore.models.speech_encoder import SpeechEncoder, normalize_mel
from lipcore.models.vqgan import VQGAN
from lipcore.tracking.head import INNER_LIP_MIDDLE
from lipcore.types import FloatArray

from .data import AugmentConfig, Clip, recolor
from .precision import native_bf16

_CACHE_BYTES = 20 * 2**30
_LATENTS_FORMAT = 1
"""Raised when the same networks and shards would give other latents."""


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
    """Encode clips, each in a number of lights; what was encoded before is read from the cache.

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

    Raises:
        OutputError: The cache folder cannot be written.
    """
    front = MelFrontEnd()
    encoder = _Encoder(face, pose, augment, seed, batch, _cache_for(clips, face, pose, lights))
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
            faces, poses = encoder.encode(clip, light)
            out.append(
                LatentClip(
                    clip=clip, face=faces, pose=poses, shapes=shapes,
                    mel=mel if mel is not None else torch.zeros(80, 0),
                    speech=heard, opening=opening,
                )
            )
    return out


class _Encoder:
    """Latents of clips by frozen networks, from the cache where they are there."""

    def __init__(
        self, face: VQGAN, pose: VQGAN | None, augment: AugmentConfig | None, seed: int,
        batch: int, cache: Cache,
    ) -> None:  # fmt: skip
        self._face, self._pose, self._augment = face, pose, augment
        self._seed, self._batch, self._cache = seed, batch, cache
        self._networks = [_digest(n) for n in (face, pose) if n is not None]

    def encode(self, clip: Clip, light: int) -> tuple[Tensor, Tensor]:
        """(N, D, h, w) of V_f and (N, D_p, h, w) of V_p (empty without one), float16."""
        state = clip.sample.shard.stat()
        changed = (light, self._seed, self._augment and astuple(self._augment)) if light else ()
        key = make_key(
            _LATENTS_FORMAT, *self._networks, clip.sample.shard.absolute(), state.st_size,
            state.st_mtime_ns, clip.sample.key, clip.crop_px, clip.frames, changed, native_bf16(),
            self._pose.config.mask if self._pose is not None else "",
        )

        def build(folder: Path) -> None:
            for name, latents in zip(("face", "pose"), self._run(clip, light), strict=True):
                np.save(folder / f"{name}.npy", latents.numpy())

        folder, _ = self._cache.entry("latents", key, build)
        faces, poses = (
            # copy on write: torch wants to be able to write, the file stays as it is
            torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c" if there else None))
            for name, there in (("face", True), ("pose", self._pose is not None))
        )
        return faces, poses

    @torch.no_grad()
    def _run(self, clip: Clip, light: int) -> tuple[Tensor, Tensor]:
        device = next(self._face.parameters()).device
        faces, poses = [], []
        name = zlib.crc32(clip.name.encode())
        for first in range(0, clip.frames, self._batch):
            frames = range(first, min(first + self._batch, clip.frames))
            crops = torch.stack([clip.crop(i) for i in frames])
            if light and self._augment is not None:
                rng = np.random.default_rng([self._seed, light, name])
                crops = recolor(rng, crops, self._augment, alike=True)
            crops = crops.to(device, memory_format=torch.channels_last)
            boxes = torch.from_numpy(clip.faces[first : first + len(frames)] * clip.crop_px)
            with torch.autocast(device.type, torch.bfloat16, enabled=native_bf16()):
                faces.append(self._face.encode(crops).half().cpu())
                if self._pose is not None:
                    masked = hide_lower_face(
                        crops, boxes.to(device), MARGIN * clip.crop_px, self._pose.config.mask
                    )
                    poses.append(self._pose.encode(masked).half().cpu())
        return torch.cat(faces), torch.cat(poses) if poses else torch.zeros(0)


def _cache_for(clips: Sequence[Clip], face: VQGAN, pose: VQGAN | None, lights: int) -> Cache:
    """The cache, large enough that what is encoded last does not push out what came first."""
    if not clips:
        return Cache()
    frames = sum(c.frames for c in clips) * lights
    sizes = [n.config.latent_channels * (clips[0].crop_px // n.config.factor) ** 2
             for n in (face, pose) if n is not None]  # fmt: skip
    return Cache(limit_bytes=max(_CACHE_BYTES, 4 * frames * sum(sizes)))


def _digest(network: nn.Module) -> str:
    """A hash of all weights of a network."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.detach().cpu().flatten().view(torch.uint8).numpy().tobytes()
                      if values.dim() else str(values.item()).encode())  # fmt: skip
    return digest.hexdigest()


def _features(speech: SpeechEncoder, mel: Tensor, clip: Clip) -> Tensor:
    """(N, features) at the middle of each frame, between the steps of the sound."""
    features = speech.features(normalize_mel(mel[None]))[0]
    times = (torch.arange(clip.frames, dtype=torch.float64) + 0.5) / float(clip.rate)
    at = (times * MelFrontEnd().config.steps_a_second).clamp(0, len(features) - 1)
    low = at.floor().long()
    share = (at - low).to(features.dtype)[:, None]
    return features[low] * (1 - share) + features[(low + 1).clamp_max(len(features) - 1)] * share
