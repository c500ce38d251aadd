"""The refiner (stage 2): a crop from the decoder to a sharper one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RefinerConfig:
    """Sizes of the refiner."""

    crop_px: int = 768
    channels: tuple[int, ...] = (32, 64, 128, 256, 512, 512, 512)
    """Channels of each level, the finest first; between two levels the grid halves."""
    style: int = 512
    """Width of the style that modulates the decoder."""
    mapping_layers: int = 4
    """Layers between the encoder's summary and the style."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or self.crop_px % 2 ** (len(self.channels) - 1):
            raise ConfigError(
                f"{len(self.channels)} levels do not divide a crop of {self.crop_px} px",
                hint="The crop is halved once between two levels, of which 2 are the least.",
            )
        if self.style < 1 or self.mapping_layers < 1:
            raise ConfigError("style and mapping_layers are counts", hint="Give 1 or more.")


class ModulatedConv(nn.Module):
    """A convolution whose kernel is scaled by a style, then brought back to unit variance.

    (B, C_in, H, W) and (B, style) -> (B, C_out, H, W)

    Source: Karras et al., *Analyzing and Improving the Image Quality of StyleGAN*, 2020. The
    scaling is applied to the input and the output rather than to the kernel: the same sum,
    and one kernel for the whole batch.
    """

    def __init__(
        self, channels_in: int, channels_out: int, style: int, *, size: int = 3,
        demodulates: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, size, size))
        self.gain = 1 / math.sqrt(channels_in * size**2)
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.affine = nn.Linear(style, channels_in)
        nn.init.ones_(self.affine.bias)
        nn.init.normal_(self.affine.weight, std=1 / math.sqrt(style) * 0.1)
        self.demodulates = demodulates
        self.padding = size // 2

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Convolve under a style."""
        scale = self.affine(style)
        weight = self.weight * self.gain
        out = F.conv2d(x * scale[:, :, None, None], weight, padding=self.padding)
        if self.demodulates:
            power = scale.square() @ weight.square().sum((2, 3)).t()
            out = out * (power + 1e-8).rsqrt()[:, :, None, None]
        return out + self.bias[:, None, None]


class StyleBlock(nn.Module):
    """One level of the decoder: up, convolve, join the encoder's features, convolve, picture.

    (B, C_in, H, W), features (B, C_out, s*H, s*W), style -> (B, C_out, s*H, s*W) and picture
    (B, 3, s*H, s*W); s is 2 where ``doubles``, else 1.
    """

    def __init__(self, channels_in: int, channels_out: int, style: int, *, doubles: bool) -> None:
        super().__init__()
        self.doubles = doubles
        self.conv_1 = ModulatedConv(channels_in, channels_out, style)
        self.conv_2 = ModulatedConv(2 * channels_out, channels_out, style)
        self.to_rgb = ModulatedConv(channels_out, 3, style, size=1, demodulates=False)

    def forward(self, x: Tensor, features: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Decode one level."""
        if self.doubles:
            x = _double(x)
        x = F.leaky_relu(self.conv_1(x, style), 0.2) * math.sqrt(2)
        x = torch.cat([x, features], dim=1)
        x = F.leaky_relu(self.conv_2(x, style), 0.2) * math.sqrt(2)
        return x, self.to_rgb(x, style)


class Refiner(nn.Module):
    """An encoder whose features stand where StyleGAN2 puts noise, and a StyleGAN2 decoder.

    Source: Yang et al., *GAN Prior Embedded Network for Blind Face Restoration*, 2021, as the
    paper's second stage uses it. Ours adds its picture to the crop that came in, and starts
    as the identity, so that an untrained refiner changes nothing.
    """

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        self.from_rgb = nn.Conv2d(3, widths[0], 1)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1)
            for a, b in pairwise(widths)
        )
        mapping: list[nn.Module] = [nn.Linear(widths[-1], config.style), nn.LeakyReLU(0.2)]
        for _ in range(config.mapping_layers - 1):
            mapping += [nn.Linear(config.style, config.style), nn.LeakyReLU(0.2)]
        self.mapping = nn.Sequential(*mapping)
        coarse_first = widths[::-1]
        self.up = nn.ModuleList(
            StyleBlock(coarse_first[max(0, i - 1)], width, config.style, doubles=i > 0)
            for i, width in enumerate(coarse_first)
        )
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, crops: Tensor) -> Tensor:
        """Refine.

        Args:
            crops: (B, 3, S, S) in [-1, 1].

        Returns:
            (B, 3, S, S), about [-1, 1], unclamped.
        """
        x = F.leaky_relu(self.from_rgb(crops), 0.2)
        features = [x]
        for conv in self.down:
            x = F.leaky_relu(conv(x), 0.2)
            features.append(x)
        style = self.mapping(x.mean((2, 3)))
        picture: Tensor | None = None
        for block in self.up:
            x, part = block(x, features.pop(), style)
            picture = part if picture is None else _double(picture) + part
        assert picture is not None
        return crops + self.strength * picture


def _double(x: Tensor) -> Tensor:
    """Twice the grid, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
