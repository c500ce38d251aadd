"""V_f and V_p: crops to a small grid of latents and back, through a codebook."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.blocks import (
    DepthToSpace,
    Downsample,
    ResidualBlock,
    SelfAttention,
    SpaceToDepth,
    Upsample,
    group_norm,
)
from lipcore.models.pose_mask import Mask
from lipcore.models.quantizer import Quantized, Quantizer, QuantizerConfig


@dataclass(frozen=True, slots=True)
class VQGANConfig:
    """Sizes of an encoder, a codebook and a decoder."""

    crop_px: int = 256
    """Side of the crop in pixels."""
    space_to_depth: int = 1
    """Side of the pixel blocks that are folded into channels before the first convolution."""
    channels: tuple[int, ...] = (128, 128, 256, 256, 512)
    """Channels of each level; between two levels the grid halves."""
    encoder_blocks: int = 2
    """Residual blocks a level of the encoder."""
    decoder_blocks: int = 3
    """Residual blocks a level of the decoder."""
    attention_grids: tuple[int, ...] = (16,)
    """Sides of the grids on which residual blocks are followed by attention. Without any, the
    network is convolutional throughout, and can learn from patches."""
    codes: int = 1024
    """Codes of the codebook, N."""
    latent_channels: int = 256
    """Values a latent, D."""
    ema_codebook: bool = True
    """Codes follow running means; otherwise the loss moves them, as the paper's do."""
    normalized_codes: bool = False
    """Compare latents and codes by angle."""
    mask: Mask = "edge"
    """What is hidden from V_p; V_f sees whole crops, whatever stands here."""

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise ConfigError(
                f"channels {self.channels} describe no network",
                hint="Give one positive number a level.",
            )
        if self.space_to_depth < 1 or self.crop_px % self.factor:
            raise ConfigError(
                f"a crop of {self.crop_px} px does not divide by {self.factor}",
                hint="Take a multiple of space_to_depth times 2 for each level after the first.",
            )
        if self.encoder_blocks < 1 or self.decoder_blocks < 1:
            raise ConfigError("a level needs a residual block", hint="Give 1 or more.")

    @property
    def factor(self) -> int:
        """Pixels of the crop a latent, along one side (the f of f=8, f=16)."""
        return int(self.space_to_depth * 2 ** (len(self.channels) - 1))

    @property
    def latent_grid(self) -> int:
        """Side of the grid of latents."""
        return self.crop_px // self.factor


def _middle(width: int, *, attends: bool) -> list[nn.Module]:
    """What stands between the levels and the latents, at their grid."""
    between = [SelfAttention(width)] if attends else []
    return [ResidualBlock(width, width), *between, ResidualBlock(width, width)]


class Encoder(nn.Module):
    """(B, 3, S, S) in [-1, 1] -> (B, D, S/f, S/f)"""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        widths, side = config.channels, config.crop_px // config.space_to_depth
        self.fold = SpaceToDepth(config.space_to_depth)
        self.conv_in = nn.Conv2d(3 * config.space_to_depth**2, widths[0], 3, padding=1)
        layers: list[nn.Module] = []
        width = widths[0]
        for level, target in enumerate(widths):
            if level:
                layers.append(Downsample(width))
                side //= 2
            for _ in range(config.encoder_blocks):
                layers.append(ResidualBlock(width, target))
                width = target
                if side in config.attention_grids:
                    layers.append(SelfAttention(width))
        layers += _middle(width, attends=side in config.attention_grids)
        self.levels = nn.Sequential(*layers)
        self.norm_out = group_norm(width)
        self.conv_out = nn.Conv2d(width, config.latent_channels, 3, padding=1)

    def forward(self, crops: Tensor) -> Tensor:
        """Encode."""
        hidden = self.levels(self.conv_in(self.fold(crops)))
        out: Tensor = self.conv_out(F.silu(self.norm_out(hidden)))
        return out


class Decoder(nn.Module):
    """(B, D, S/f, S/f) -> (B, 3, S, S), unclamped"""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        widths, side = config.channels, config.latent_grid
        width = widths[-1]
        self.conv_in = nn.Conv2d(config.latent_channels, width, 3, padding=1)
        layers = _middle(width, attends=side in config.attention_grids)
        for level, target in enumerate(reversed(widths)):
            if level:
                layers.append(Upsample(width, target))
                width = target
                side *= 2
            for _ in range(config.decoder_blocks):
                layers.append(ResidualBlock(width, target))
                width = target
                if side in config.attention_grids:
                    layers.append(SelfAttention(width))
        self.levels = nn.Sequential(*layers)
        self.norm_out = group_norm(width)
        self.conv_out = nn.Conv2d(width, 3 * config.space_to_depth**2, 3, padding=1)
        self.unfold = DepthToSpace(config.space_to_depth)

    @property
    def last_layer(self) -> Tensor:
        """The weight whose gradients balance the adversarial term against the others."""
        return self.conv_out.weight

    def forward(self, latents: Tensor) -> Tensor:
        """Decode."""
        hidden = self.levels(self.conv_in(latents))
        out: Tensor = self.unfold(self.conv_out(F.silu(self.norm_out(hidden))))
        return out


class VQGAN(nn.Module):
    """Encoder, codebook and decoder.

    Source: section 3.1 of the paper; Esser et al., *Taming Transformers*, 2021. Ours folds
    blocks of pixels into channels at both ends, so that a 768 px crop meets the 16 x 16 grid
    of the paper without a 256 px picture in between, and may stop at a finer grid.
    """

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = Quantizer(
            QuantizerConfig(
                codes=config.codes,
                channels=config.latent_channels,
                ema=config.ema_codebook and not config.normalized_codes,
                normalize=config.normalized_codes,
            )
        )
        self.decoder = Decoder(config)

    def encode(self, crops: Tensor) -> Tensor:
        """Continuous latents of crops.

        Args:
            crops: (B, 3, S, S) in [-1, 1].

        Returns:
            (B, D, S/f, S/f).
        """
        latents: Tensor = self.encoder(crops)
        return latents

    def quantize(self, latents: Tensor) -> Quantized:
        """Nearest codes of latents (B, D, h, w)."""
        quantized: Quantized = self.quantizer(latents)
        return quantized

    def decode(self, latents: Tensor) -> Tensor:
        """Crops of latents, continuous or quantised.

        Args:
            latents: (B, D, S/f, S/f).

        Returns:
            (B, 3, S, S), about [-1, 1], unclamped.
        """
        crops: Tensor = self.decoder(latents)
        return crops

    def forward(self, crops: Tensor, continuous: Tensor | None = None) -> tuple[Tensor, Quantized]:
        """Crops through latents and back.

        Args:
            crops: (B, 3, S, S) in [-1, 1].
            continuous: (B,) bool; items whose latents skip the codebook. A decoder that has
                seen both serves both switches at inference.

        Returns:
            The reconstruction (B, 3, S, S), and what the quantizer gave.
        """
        latents = self.encode(crops)
        quantized = self.quantize(latents)
        chosen = quantized.latents
        if continuous is not None:
            chosen = torch.where(continuous[:, None, None, None], latents.float(), chosen)
        return self.decode(chosen), quantized
