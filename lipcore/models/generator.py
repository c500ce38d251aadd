"""The generator: pose, reference and mouth shape (and speech) to the latents of the new face."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.blocks import Downsample, ResidualBlock, SelfAttention, Upsample, group_norm


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """Sizes of the generator."""

    latent_grid: int = 16
    """Side of the grids of V_f and V_p, which are the same."""
    latent_channels: int = 256
    """Values a latent of V_f."""
    pose_channels: int = 256
    """Values a latent of V_p."""
    channels: tuple[int, ...] = (256, 384, 512)
    """Channels of each level; between two levels the grid halves."""
    blocks: int = 2
    """Residual blocks a level, on either side."""
    attention_grids: tuple[int, ...] = (16, 8)
    """Sides of the grids with attention."""
    shape_size: int = 8
    """Components of a mouth shape."""
    speech_size: int = 256
    """Features of the speech encoder; 0 where the shape is all that is heard."""
    condition: int = 256
    """Width of what modulates the blocks."""

    def __post_init__(self) -> None:
        if not self.channels or self.latent_grid % 2 ** (len(self.channels) - 1):
            raise ConfigError(
                f"{len(self.channels)} levels do not divide a grid of {self.latent_grid}",
                hint="The grid is halved once between two levels.",
            )
        if self.blocks < 1 or self.shape_size < 1:
            raise ConfigError("blocks and shape_size are counts", hint="Give 1 or more.")


class Condition(nn.Module):
    """What the mouth shall do, as one vector.

    (B, shape_size) and, where the config has it, (B, speech_size) -> (B, condition)

    Shapes are divided by their usual spread first. Speech may be absent (None): it is then
    a learnt vector, so that artists' curves alone can drive the mouth.
    """

    shape_std: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.register_buffer("shape_std", torch.ones(config.shape_size))
        self.of_shape = nn.Linear(config.shape_size, config.condition)
        self.of_speech = (
            nn.Linear(config.speech_size, config.condition) if config.speech_size else None
        )
        self.no_speech = nn.Parameter(torch.zeros(config.condition))
        self.mix = nn.Sequential(
            nn.SiLU(), nn.Linear(config.condition, config.condition),
            nn.SiLU(), nn.Linear(config.condition, config.condition),
        )

    def forward(self, shape: Tensor, speech: Tensor | None) -> Tensor:
        """Join shape and speech."""
        hidden = self.of_shape(shape / self.shape_std)
        if self.of_speech is not None and speech is not None:
            hidden = hidden + self.of_speech(speech)
        else:
            hidden = hidden + self.no_speech
        out: Tensor = self.mix(hidden)
        return out


class _Level(nn.Module):
    """Residual blocks under a condition, each followed by attention where asked."""

    def __init__(
        self, channels_in: int, channels_out: int, blocks: int, condition: int, *, attends: bool
    ) -> None:
        super().__init__()
        widths = [channels_in] + [channels_out] * blocks
        self.blocks = nn.ModuleList(
            ResidualBlock(a, b, condition) for a, b in pairwise(widths)
        )
        self.attention = nn.ModuleList(
            SelfAttention(channels_out) if attends else nn.Identity() for _ in range(blocks)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x, condition))
        return x


class Generator(nn.Module):
    """Face encoder and decoder with skips, in latent space, modulated by the mouth's shape.

    Source: section 3.2 of the paper. Ours takes an explicit mouth shape, for which the
    speech encoder (or an artist) speaks, beside the speech features; both modulate every
    block by FiLM, where the paper joins speech at the bottleneck.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.condition = Condition(c)
        inputs = c.pose_channels + c.latent_channels
        self.conv_in = nn.Conv2d(inputs, c.channels[0], 3, padding=1)
        side, width = c.latent_grid, c.channels[0]
        self.down = nn.ModuleList()
        self.halve = nn.ModuleList()
        for level, target in enumerate(c.channels):
            if level:
                side //= 2
            self.halve.append(Downsample(width) if level else nn.Identity())
            attends = side in c.attention_grids
            self.down.append(_Level(width, target, c.blocks, c.condition, attends=attends))
            width = target
        self.middle = _Level(width, width, 1, c.condition, attends=True)
        self.up = nn.ModuleList()
        self.enlarge = nn.ModuleList()
        for level, target in reversed(list(enumerate(c.channels))):
            attends = side in c.attention_grids
            self.up.append(
                _Level(width + target, target, c.blocks, c.condition, attends=attends)
            )
            width = c.channels[max(0, level - 1)]
            self.enlarge.append(Upsample(target, width) if level else nn.Identity())
            side *= 2
        self.norm_out = group_norm(width)
        self.conv_out = nn.Conv2d(width, c.latent_channels, 3, padding=1)
        self.bypass = nn.Conv2d(inputs, c.latent_channels, 1)

    def forward(
        self, pose: Tensor, reference: Tensor, shape: Tensor, speech: Tensor | None = None
    ) -> Tensor:
        """Latents of the face with its new mouth.

        Args:
            pose: (B, pose_channels, h, w) V_p latents of the masked crop.
            reference: (B, D, h, w) V_f latents of another frame of the same person; at
                inference one with a closed mouth.
            shape: (B, shape_size) mouth shape, interocular units.
            speech: (B, speech_size) features of the speech encoder, or None.

        Returns:
            (B, D, h, w) continuous V_f latents.
        """
        condition = self.condition(shape, speech)
        inputs = torch.cat([pose, reference], dim=1)
        x = self.conv_in(inputs)
        skips: list[Tensor] = []
        for halve, level in zip(self.halve, self.down, strict=True):
            x = level(halve(x), condition)
            skips.append(x)
        x = self.middle(x, condition)
        for level, enlarge in zip(self.up, self.enlarge, strict=True):
            x = enlarge(level(torch.cat([x, skips.pop()], dim=1), condition))
        out: Tensor = self.conv_out(F.silu(self.norm_out(x))) + self.bypass(inputs)
        return out
