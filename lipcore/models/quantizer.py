"""The codebook between encoder and decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.processes import gather_items, sum_over_processes


@dataclass(frozen=True, slots=True)
class QuantizerConfig:
    """Settings of a codebook."""

    codes: int = 1024
    """Number of codes, N."""
    channels: int = 256
    """Values a code, D."""
    ema: bool = True
    """Codes follow running means of what they stand for; otherwise the loss moves them."""
    decay: float = 0.97
    """Share of the running means that a step keeps."""
    commitment: float = 0.25
    """Weight of the term that holds the encoder near its codes."""
    normalize: bool = False
    """Compare latents and codes by angle (both scaled to length 1)."""
    restart_below: float = 0.1
    """A code used less often than this share of an even use takes the place of a latent."""

    def __post_init__(self) -> None:
        if self.codes < 2 or self.channels < 1:
            raise ConfigError(
                f"a codebook of {self.codes} codes of {self.channels} values is none",
                hint="Give 2 codes or more, of 1 value or more.",
            )
        if not 0 < self.decay < 1:
            raise ConfigError(
                f"decay {self.decay} is not between 0 and 1", hint="0.97 to 0.99 is usual."
            )
        if self.normalize and self.ema:
            raise ConfigError(
                "a codebook compared by angle is moved by the loss, not by running means",
                hint="Set ema to false where normalize is true.",
            )


class Quantized(NamedTuple):
    """What a quantizer gives back."""

    latents: Tensor
    """(B, D, H, W): the codes, with the gradient of the latents that went in."""
    codes: Tensor
    """(B, H, W) int64: index of each place's code."""
    loss: Tensor
    """Scalar to be minimised with the reconstruction; 0 at inference."""


class Quantizer(nn.Module):
    """Replace each latent by the nearest of N codes, with a straight-through gradient.

    Source: van den Oord et al., *Neural Discrete Representation Learning*, 2017 (running means
    in its appendix A); the paper's codebook is 1024 x 256. Codes that fall out of use restart
    at latents of the present batch, which the paper leaves open.
    """

    codebook: Tensor
    usage: Tensor
    started: Tensor

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        initial = torch.randn(config.codes, config.channels) / config.channels**0.5
        if config.ema:
            self.register_buffer("codebook", initial)
        else:
            self.codebook = nn.Parameter(initial)
        self.register_buffer("usage", torch.ones(config.codes))
        self.register_buffer("started", torch.zeros((), dtype=torch.int64))

    def nearest(self, latents: Tensor) -> Tensor:
        """Index of the nearest code. (B, D, H, W) -> (B, H, W) int64"""
        flat = latents.float().permute(0, 2, 3, 1).flatten(0, 2)
        book = self.codebook.float()
        if self.config.normalize:
            flat, book = F.normalize(flat, dim=1), F.normalize(book, dim=1)
        distance = book.square().sum(1) - 2 * flat @ book.t()
        return distance.argmin(1).view(latents.shape[0], *latents.shape[2:])

    def look_up(self, codes: Tensor) -> Tensor:
        """Codes by index. (B, H, W) int64 -> (B, D, H, W)"""
        book = F.normalize(self.codebook, dim=1) if self.config.normalize else self.codebook
        return F.embedding(codes, book).permute(0, 3, 1, 2)

    def forward(self, latents: Tensor) -> Quantized:
        """Quantise latents (B, D, H, W); in training mode the codebook follows them."""
        with torch.autocast(latents.device.type, enabled=False):
            latents = latents.float()
            if self.config.normalize:
                latents = F.normalize(latents, dim=1)
            if self.training and not self.started:
                self._start(latents.detach())
            codes = self.nearest(latents.detach())
            if not self.training:
                return Quantized(self.look_up(codes), codes, latents.new_zeros(()))
            self._follow(latents.detach(), codes)
            chosen = self.look_up(codes)
            loss = self.config.commitment * F.mse_loss(latents, chosen.detach())
            if not self.config.ema:
                loss = loss + F.mse_loss(chosen, latents.detach())
            through = latents + (chosen - latents).detach()
            return Quantized(through, codes, loss)

    @torch.no_grad()
    def _start(self, latents: Tensor) -> None:
        """Place the codes on latents of the first batch: no code begins unused."""
        picks = self._pick(latents, self.config.codes)
        self.codebook.copy_(picks + 1e-3 * picks.std() * torch.randn_like(picks))
        self.usage.fill_(1.0)
        self.started.fill_(1)

    def _pick(self, latents: Tensor, count: int) -> Tensor:
        """Latents by chance out of the whole batch, whichever processes share it: they draw the
        same numbers, as the loop gives a step one seed."""
        flat = gather_items(latents).permute(0, 2, 3, 1).flatten(0, 2)
        return flat[torch.randint(len(flat), (count,), device=flat.device)]

    @torch.no_grad()
    def _follow(self, latents: Tensor, codes: Tensor) -> None:
        """Move running use and means towards this batch; restart codes that are not used."""
        flat = latents.permute(0, 2, 3, 1).flatten(0, 2)
        index = codes.flatten()
        counts = torch.zeros_like(self.usage).index_add_(0, index, torch.ones_like(flat[:, 0]))
        sums = torch.zeros_like(self.codebook).index_add_(0, index, flat)
        counts, sums = sum_over_processes(counts), sum_over_processes(sums)
        decay, total = self.config.decay, counts.sum()
        before = decay * self.usage
        self.usage.copy_(before + (1 - decay) * counts)
        if self.config.ema:
            mean = before[:, None] * self.codebook + (1 - decay) * sums
            self.codebook.copy_(mean / self.usage.clamp_min(1e-5)[:, None])
        dead = self.usage < self.config.restart_below * total / self.config.codes
        fresh = self._pick(latents, self.config.codes)
        self.codebook.copy_(torch.where(dead[:, None], fresh, self.codebook))
        even = (total / self.config.codes).clamp_min(1e-3)
        self.usage.copy_(torch.where(dead, even, self.usage))
