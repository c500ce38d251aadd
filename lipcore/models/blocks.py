"""The parts that the convolutional networks share.

All of them keep the batch and the grid dynamic; tensors are (B, C, H, W).
"""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """The network with its kernels laid out as processors like best, in place."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with groups of 8 channels or more, at most 32 groups."""
    groups = max(1, min(32, channels // 8))
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels, eps=1e-6)


class SpaceToDepth(nn.Module):
    """Fold blocks of ``factor`` x ``factor`` pixels into channels, losing nothing.

    (B, C, H * factor, W * factor) -> (B, C * factor**2, H, W)
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Fold."""
        return F.pixel_unshuffle(x, self.factor) if self.factor > 1 else x


class DepthToSpace(nn.Module):
    """The inverse of ``SpaceToDepth``.

    (B, C * factor**2, H, W) -> (B, C, H * factor, W * factor)
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Unfold."""
        return F.pixel_shuffle(x, self.factor) if self.factor > 1 else x


class Film(nn.Module):
    """Feature-wise linear modulation: ``x * (1 + scale) + shift``, both read off a condition.

    Starts as the identity. (B, C, H, W) and (B, E) -> (B, C, H, W)

    Source: Perez et al., *FiLM: Visual Reasoning with a General Conditioning Layer*, 2018.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.affine = nn.Linear(condition, 2 * channels)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Modulate ``x`` by ``condition``."""
        affine: Tensor = self.affine(condition)
        scale, shift = affine[:, :, None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, 3x3, twice, added to the input; optionally modulated in between.

    (B, C_in, H, W) -> (B, C_out, H, W); with ``condition`` > 0, forward also takes (B, E).
    """

    def __init__(self, channels_in: int, channels_out: int, condition: int = 0) -> None:
        super().__init__()
        self.norm_1 = group_norm(channels_in)
        self.conv_1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm_2 = group_norm(channels_out)
        self.film = Film(channels_out, condition) if condition else None
        self.conv_2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        nn.init.zeros_(self.conv_2.weight)
        assert self.conv_2.bias is not None
        nn.init.zeros_(self.conv_2.bias)
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Transform ``x``, under ``condition`` where the block was built for one."""
        hidden = self.conv_1(F.silu(self.norm_1(x)))
        hidden = self.norm_2(hidden)
        if self.film is not None and condition is not None:
            hidden = self.film(hidden, condition)
        out: Tensor = self.skip(x) + self.conv_2(F.silu(hidden))
        return out


class SelfAttention(nn.Module):
    """Every place of the grid attends to every other. (B, C, H, W) -> (B, C, H, W)"""

    def __init__(self, channels: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(1)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = x + self.out(mixed.transpose(-1, -2).reshape(b, c, h, w))
        return out


class Downsample(nn.Module):
    """Halve the grid by a 3x3 convolution of stride 2. (B, C, H, W) -> (B, C, H/2, W/2)"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Halve."""
        out: Tensor = self.conv(x)
        return out


class Upsample(nn.Module):
    """Double the grid, nearest, then a 3x3 convolution.

    (B, C_in, H, W) -> (B, C_out, 2H, 2W); channels fall here, where they cost most.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Double."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out
