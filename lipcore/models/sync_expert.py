"""The sync expert: do these mouths belong to this sound?"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.blocks import Downsample, ResidualBlock, group_norm


@dataclass(frozen=True, slots=True)
class SyncExpertConfig:
    """Sizes of the sync expert."""

    frames: int = 5
    """Frames a run, T."""
    mel_steps: int = 20
    """Mel steps beside them; 20 are 200 ms, as long as 5 frames at 25 a second."""
    mel_bins: int = 80
    latent_grid: int = 16
    latent_channels: int = 256
    channels: tuple[int, ...] = (256, 384, 512)
    """Channels of each level of the mouth's side."""
    mel_channels: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of each level of the sound's side."""
    embedding: int = 512

    def __post_init__(self) -> None:
        if min(self.frames, self.mel_steps, self.embedding) < 1:
            raise ConfigError("frames, mel_steps and embedding are counts", hint="Give 1 or more.")
        if self.latent_grid < 2:
            raise ConfigError("a grid of one place has no lower half", hint="Give 2 or more.")


class _Embedder(nn.Module):
    """Levels of residual blocks, a mean over the grid, a linear layer, length 1."""

    def __init__(self, channels_in: int, channels: tuple[int, ...], embedding: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels_in, channels[0], 3, padding=1)]
        width = channels[0]
        for level, target in enumerate(channels):
            if level:
                layers.append(Downsample(width))
            layers.append(ResidualBlock(width, target))
            width = target
        self.levels = nn.Sequential(*layers)
        self.norm = group_norm(width)
        self.out = nn.Linear(width, embedding)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.silu(self.norm(self.levels(x))).mean((2, 3))
        return F.normalize(self.out(pooled), dim=1)


class SyncExpert(nn.Module):
    """Embeds runs of mouths and of sound side by side; their cosine says how well they fit.

    Source: Chung and Zisserman, *Out of time*, 2016; the paper's expert on latents (section
    3.3). Ours has normalised, signed embeddings: a ReLU at the end stalls at chance.
    """

    def __init__(self, config: SyncExpertConfig) -> None:
        super().__init__()
        self.config = config
        self.mouth = _Embedder(
            config.frames * config.latent_channels, config.channels, config.embedding
        )
        self.sound = _Embedder(1, config.mel_channels, config.embedding)

    def embed_mouths(self, latents: Tensor) -> Tensor:
        """(B, T, D, h, w) V_f latents, of which the lower half is seen -> (B, E) of length 1"""
        lower = latents[..., latents.shape[-2] // 2 :, :]
        embedded: Tensor = self.mouth(lower.flatten(1, 2))
        return embedded

    def embed_sound(self, mel: Tensor) -> Tensor:
        """(B, bins, mel_steps) -> (B, E) of length 1"""
        embedded: Tensor = self.sound(mel[:, None])
        return embedded

    def forward(self, latents: Tensor, mel: Tensor) -> Tensor:
        """How well mouths and sound fit.

        Args:
            latents: (B, T, D, h, w) V_f latents of T successive frames.
            mel: (B, bins, mel_steps) sound around the middle of the run.

        Returns:
            (B,) cosine in [-1, 1].
        """
        return (self.embed_mouths(latents) * self.embed_sound(mel)).sum(1)
