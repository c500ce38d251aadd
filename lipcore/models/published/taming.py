"""The VQGAN of taming-transformers, f = 16, 1024 codes."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WIDTHS = (128, 128, 256, 256, 512)
"""Channels of each level, the finest first."""
_BLOCKS, _CODES, _LATENT = 2, 1024, 256


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(channels_in), nn.Conv2d(channels_in, channels_out, 3, 1, 1)
        self.norm2, self.conv2 = _norm(channels_out), nn.Conv2d(channels_out, channels_out, 3, 1, 1)
        if channels_in != channels_out:
            self.nin_shortcut = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, values: Tensor) -> Tensor:
        changed = self.conv1(F.silu(self.norm1(values)))
        changed = self.conv2(F.silu(self.norm2(changed)))
        kept = self.nin_shortcut(values) if hasattr(self, "nin_shortcut") else values
        out: Tensor = kept + changed
        return out


class _Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in "qkvo")

    def forward(self, values: Tensor) -> Tensor:
        seen = self.norm(values)
        q, k, v = (part(seen).flatten(2).transpose(1, 2) for part in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(values.shape)
        out: Tensor = values + self.proj_out(mixed)
        return out


class _Resize(nn.Module):
    """Halves the grid, or doubles it."""

    def __init__(self, channels: int, *, larger: bool) -> None:
        super().__init__()
        self._larger = larger
        self.conv = nn.Conv2d(channels, channels, 3, 1 if larger else 2, 1 if larger else 0)

    def forward(self, values: Tensor) -> Tensor:
        if self._larger:
            values = F.interpolate(values, scale_factor=2.0, mode="nearest")
        else:
            values = F.pad(values, (0, 1, 0, 1))
        out: Tensor = self.conv(values)
        return out


class _Level(nn.Module):
    """``block.*``, ``attn.*``, and ``downsample`` or ``upsample``."""

    def __init__(self, channels_in: int, channels: int, blocks: int, *, attends: bool) -> None:
        super().__init__()
        first = [channels_in, *[channels] * blocks]
        self.block = nn.ModuleList(_Block(a, b) for a, b in pairwise(first))
        self.attn = nn.ModuleList(_Attention(channels) for _ in range(blocks if attends else 0))

    def forward(self, values: Tensor) -> Tensor:
        for i, block in enumerate(self.block):
            values = block(values)
            if len(self.attn):
                values = self.attn[i](values)
        for resize in ("downsample", "upsample"):
            if hasattr(self, resize):
                values = self.get_submodule(resize)(values)
        return values


class _Middle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1, self.attn_1 = _Block(channels, channels), _Attention(channels)
        self.block_2 = _Block(channels, channels)

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = self.block_2(self.attn_1(self.block_1(values)))
        return out


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        last = len(_WIDTHS) - 1
        self.conv_in = nn.Conv2d(3, _WIDTHS[0], 3, 1, 1)
        self.down = nn.ModuleList()
        for i, (before, here) in enumerate(pairwise((_WIDTHS[0], *_WIDTHS))):
            level = _Level(before, here, _BLOCKS, attends=i == last)
            if i < last:
                level.downsample = _Resize(here, larger=False)
            self.down.append(level)
        self.mid = _Middle(_WIDTHS[-1])
        self.norm_out, self.conv_out = _norm(_WIDTHS[-1]), nn.Conv2d(_WIDTHS[-1], _LATENT, 3, 1, 1)

    def forward(self, values: Tensor) -> Tensor:
        values = self.conv_in(values)
        for level in self.down:
            values = level(values)
        out: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(values))))
        return out


class _Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        last = len(_WIDTHS) - 1
        self.conv_in = nn.Conv2d(_LATENT, _WIDTHS[-1], 3, 1, 1)
        self.mid = _Middle(_WIDTHS[-1])
        self.up = nn.ModuleList()
        for i, here in enumerate(_WIDTHS):
            level = _Level(_WIDTHS[min(i + 1, last)], here, _BLOCKS + 1, attends=i == last)
            if i > 0:
                level.upsample = _Resize(here, larger=True)
            self.up.append(level)
        self.norm_out, self.conv_out = _norm(_WIDTHS[0]), nn.Conv2d(_WIDTHS[0], 3, 3, 1, 1)

    def forward(self, latents: Tensor) -> Tensor:
        values = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            values = level(values)
        out: Tensor = self.conv_out(F.silu(self.norm_out(values)))
        return out


class _Codebook(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_CODES, _LATENT)

    def forward(self, latents: Tensor) -> Tensor:
        rows = latents.movedim(1, -1).flatten(0, 2)
        nearest = torch.cdist(rows, self.embedding.weight).argmin(1)
        size = latents.shape[0], *latents.shape[2:], _LATENT
        out: Tensor = self.embedding(nearest).reshape(size).movedim(-1, 1)
        return out


class TamingVQGAN(nn.Module):
    """Pictures to codes and back.

    Layout of the first stages ``faceshq`` and ``vqgan_imagenet_f16_1024``: names and shapes of
    ``VQModel`` (``taming/models/vqgan.py``, ``taming/modules/diffusionmodules/model.py``) of
    github.com/CompVis/taming-transformers, stored under ``state_dict``; what begins with
    ``loss.`` belongs to training and is left out.

    Source: Esser et al., *Taming Transformers for High-Resolution Image Synthesis*, 2021.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.quantize = _Encoder(), _Decoder(), _Codebook()
        self.quant_conv = nn.Conv2d(_LATENT, _LATENT, 1)
        self.post_quant_conv = nn.Conv2d(_LATENT, _LATENT, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], sides divisible by 16 -> the same shape, through the codes"""
        codes = self.quantize(self.quant_conv(self.encoder(pictures)))
        out: Tensor = self.decoder(self.post_quant_conv(codes))
        return out
