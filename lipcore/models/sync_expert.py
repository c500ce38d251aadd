"""The sync expert: do these mouths belong to this sound?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.blocks import Downsample, ResidualBlock, group_norm

_MOUTH_TOP, _MOUTH_BOTTOM, _MOUTH_SIDE = 0.5, 0.9375, 0.25
"""Where mouth and jaw lie in the canonical crop, as shares of its side."""


@dataclass(frozen=True, slots=True)
class SyncExpertConfig:
    """Sizes of the sync expert."""

    frames: int = 5
    """Frames a run, T."""
    mel_steps: int = 20
    """Mel steps beside them; 20 are 200 ms, as long as 5 frames at 25 a second."""
    mel_bins: int = 80
    sees: Literal["latents", "pixels"] = "latents"
    """V_f latents, or the crops that V_f decodes: pixels cost a decoder, and show what a
    viewer sees. A crop is a grid of ``latent_grid`` with 3 ``latent_channels``."""
    latent_grid: int = 16
    latent_channels: int = 256
    channels: tuple[int, ...] = (256, 384, 512)
    """Channels of each level of the trunk that sees one frame at a time."""
    mel_channels: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of each level of the sound's side."""
    temporal: int = 512
    """Channels of the convolutions over time, on either side."""
    embedding: int = 512

    def __post_init__(self) -> None:
        if min(self.frames, self.mel_steps, self.embedding, self.temporal) < 1:
            raise ConfigError(
                "frames, mel_steps, temporal and embedding are counts", hint="Give 1 or more."
            )
        if self.sees == "pixels" and self.latent_channels != 3:
            raise ConfigError(
                f"pixels have 3 channels, latent_channels is {self.latent_channels}",
                hint="Set latent_channels to 3 and latent_grid to the side of the crops.",
            )
        if self.latent_grid < 2:
            raise ConfigError("a grid of one place has no lower half", hint="Give 2 or more.")


def _levels(channels_in: int, channels: tuple[int, ...]) -> nn.Sequential:
    """Residual blocks on a grid that halves between two levels."""
    layers: list[nn.Module] = [nn.Conv2d(channels_in, channels[0], 3, padding=1)]
    width = channels[0]
    for level, target in enumerate(channels):
        if level:
            layers.append(Downsample(width))
        layers.append(ResidualBlock(width, target))
        width = target
    return nn.Sequential(*layers, group_norm(width), nn.SiLU())


class _OverTime(nn.Module):
    """(B, C, L) -> (B, E) of length 1: two convolutions over time, then every moment its own
    weights, for when something happens is what the expert is about."""

    def __init__(self, channels: int, length: int, width: int, embedding: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, width, 3, padding=1)
        self.conv_2 = nn.Conv1d(width, width, 3, padding=1)
        self.norm_1, self.norm_2 = group_norm(width), group_norm(width)
        self.out = nn.Linear(width * length, embedding)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.silu(self.norm_1(self.conv_1(x)))
        hidden = hidden + F.silu(self.norm_2(self.conv_2(hidden)))
        return F.normalize(self.out(hidden.flatten(1)), dim=1)


class SyncExpert(nn.Module):
    """Embeds runs of mouths and of sound side by side; their cosine says how well they fit.

    Source: Chung and Zisserman, *Out of time*, 2016; the paper's expert on latents (section
    3.3). Ours differs: one trunk sees each frame alone and only then looks over time, less the
    run's mean, so that who speaks is gone and how the mouth moves is left; embeddings are
    normalised and signed, as a ReLU at the end stalls at chance.
    """

    def __init__(self, config: SyncExpertConfig) -> None:
        super().__init__()
        self.config = c = config
        self.trunk = _levels(c.latent_channels, c.channels)
        self.motion = _OverTime(c.channels[-1], c.frames, c.temporal, c.embedding)
        self.hearing = _levels(1, c.mel_channels)
        bins, steps = c.mel_bins, c.mel_steps
        for _ in c.mel_channels[1:]:
            bins, steps = (bins + 1) // 2, (steps + 1) // 2
        self.rhythm = _OverTime(c.mel_channels[-1] * bins, steps, c.temporal, c.embedding)

    def _see(self, latents: Tensor) -> Tensor:
        """(B, N, D, h, w) -> (B, C, N): each frame's mouth and jaw."""
        grid = latents.shape[-1]
        top, bottom = round(_MOUTH_TOP * grid), round(_MOUTH_BOTTOM * grid)
        side = round(_MOUTH_SIDE * grid)
        seen = latents[..., top:bottom, side : grid - side]
        features = self.trunk(seen.flatten(0, 1)).mean((2, 3))
        seen_over_time: Tensor = features.view(*latents.shape[:2], -1).transpose(1, 2)
        return seen_over_time

    def _feel(self, runs: Tensor) -> Tensor:
        """(B, C, T) -> (B, E)"""
        embedded: Tensor = self.motion(runs - runs.mean(2, keepdim=True))
        return embedded

    def embed_mouths(self, latents: Tensor) -> Tensor:
        """(B, T, D, h, w) V_f latents or crops -> (B, E) of length 1; mouth and jaw are seen"""
        return self._feel(self._see(latents))

    def embed_sound(self, mel: Tensor) -> Tensor:
        """(B, bins, mel_steps) -> (B, E) of length 1"""
        heard = self.hearing(mel[:, None] / 4)
        embedded: Tensor = self.rhythm(heard.flatten(1, 2))
        return embedded

    def forward(self, latents: Tensor, mel: Tensor) -> Tensor:
        """How well mouths and sound fit.

        Args:
            latents: (B, T, D, h, w) V_f latents, or crops, of T successive frames.
            mel: (B, bins, mel_steps) sound around the middle of the run. Or, for latents of
                W > T frames, (B, R, bins, mel_steps): sounds of R runs, evenly spread over
                them; each frame is then seen once, however many runs share it.

        Returns:
            (B,) cosine in [-1, 1]; or (B, R, R), of each run (down) with each sound (across).
        """
        if mel.dim() == 3:
            return (self.embed_mouths(latents) * self.embed_sound(mel)).sum(1)
        count, length = mel.shape[1], self.config.frames
        stride = (latents.shape[1] - length) // max(1, count - 1)
        runs = self._see(latents).unfold(2, length, stride)[:, :, :count]
        mouths = self._feel(runs.transpose(1, 2).flatten(0, 1)).view(len(mel), count, -1)
        sounds = self.embed_sound(mel.flatten(0, 1)).view(len(mel), count, -1)
        table: Tensor = mouths @ sounds.transpose(1, 2)
        return table
