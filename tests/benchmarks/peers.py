"""Peers' networks at their published layer sizes, with random weights: speed does not ask what
a network has learnt. Wav2Lip's generator and S3FD are in ``lipcore.models.published``.

MuseTalk and LatentSync both draw with Stable Diffusion 1's UNet between the encoder and the
decoder of its VAE, and hear by Whisper-tiny's encoder. Sources: Rombach et al., *High-Resolution
Image Synthesis with Latent Diffusion Models* (CVPR 2022), ``v1-inference.yaml``; Zhang et al.,
*MuseTalk* (2024), ``musetalk.json`` (8 channels in, 384 wide sound, one step); Li et al.,
*LatentSync* (2024), ``stage2_512.yaml`` (13 channels in, temporal layers at every scale but none
in the middle); Guo et al., *AnimateDiff* (2023), for those layers; Radford et al., *Robust Speech
Recognition via Large-Scale Weak Supervision* (2022).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (320, 640, 1280, 1280)
_TIME, _HEADS, _GROUPS = 1280, 8, 32
SOUND_WIDTH, SOUND_TOKENS = 384, 50
"""Of what a frame hears: ten steps of Whisper-tiny, from its five depths."""


class _Residual(nn.Module):
    """Two convolutions beside a way around them; told of the time where ``timed``."""

    def __init__(self, wide: int, out: int, *, timed: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(_GROUPS, wide), nn.GroupNorm(_GROUPS, out)
        self.conv1, self.conv2 = (nn.Conv2d(c, out, 3, padding=1) for c in (wide, out))
        self.time = nn.Linear(_TIME, out) if timed else None
        self.around = nn.Identity() if wide == out else nn.Conv2d(wide, out, 1)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None and time is not None:
            y = y + self.time(F.silu(time))[:, :, None, None]
        made: Tensor = self.around(x) + self.conv2(F.silu(self.norm2(y)))
        return made


class _Attention(nn.Module):
    def __init__(self, width: int, heard: int | None = None) -> None:
        super().__init__()
        self.q = nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(heard or width, width, bias=False) for _ in range(2))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, heard: Tensor | None = None) -> Tensor:
        seen = x if heard is None else heard
        q, k, v = (
            y.unflatten(2, (_HEADS, -1)).transpose(1, 2)
            for y in (self.q(x), self.k(seen), self.v(seen))
        )
        made: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return made


class _GatedLayers(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        values, gates = self.wide(x).chunk(2, dim=-1)
        made: Tensor = self.narrow(values * F.gelu(gates))
        return made


class _Spatial(nn.Module):
    """Each frame's places attend to each other, and to the sound."""

    def __init__(self, width: int, heard: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.proj_in, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own, self.sound = _Attention(width), _Attention(width, heard)
        self.layers = _GatedLayers(width)

    def forward(self, x: Tensor, sound: Tensor) -> Tensor:
        y = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        y = y + self.own(self.norms[0](y))
        y = y + self.sound(self.norms[1](y), sound)
        y = y + self.layers(self.norms[2](y))
        made: Tensor = x + self.proj_out(y.transpose(1, 2).unflatten(2, x.shape[2:]))
        return made


class _Temporal(nn.Module):
    """Each place attends to itself over the frames of a window, twice."""

    places: Tensor

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.proj_in, self.proj_out = (nn.Linear(width, width) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = nn.ModuleList(_Attention(width) for _ in range(2))
        self.layers = _GatedLayers(width)
        self.register_buffer("places", torch.zeros(1, frames, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).unflatten(0, (-1, self.frames)).permute(0, 3, 4, 1, 2)
        kept = y.shape  # (B, H, W, T, C)
        y = self.proj_in(y.flatten(0, 2))
        for norm, own in zip(self.norms, self.own, strict=False):
            y = y + own(norm(y) + self.places)
        y = self.proj_out(y + self.layers(self.norms[2](y))).view(kept)
        made: Tensor = x + y.permute(0, 3, 4, 1, 2).flatten(0, 1)
        return made


class _Level(nn.Module):
    """A residual block, then attention over places and over time, where there is such."""

    def __init__(self, wide: int, out: int, heard: int, frames: int) -> None:
        super().__init__()
        self.residual = _Residual(wide, out, timed=True)
        self.spatial = _Spatial(out, heard) if heard else None
        self.temporal = _Temporal(out, frames) if frames else None

    def forward(self, x: Tensor, time: Tensor, sound: Tensor) -> Tensor:
        x = self.residual(x, time)
        if self.spatial is not None:
            x = self.spatial(x, sound)
        return x if self.temporal is None else self.temporal(x)


class _Up(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.conv(F.interpolate(x, scale_factor=2.0))
        return made


class DiffusionUNet(nn.Module):
    """Stable Diffusion 1's UNet.

    Args:
        channels: Of the latents that come in.
        heard: Width of what the middle layers attend to.
        frames: Of a window, which attend to each other; 0 for pictures on their own.
    """

    def __init__(self, channels: int = 4, heard: int = 768, frames: int = 0) -> None:
        super().__init__()
        self.time = nn.Sequential(
            nn.Linear(WIDTHS[0], _TIME), nn.SiLU(), nn.Linear(_TIME, _TIME)
        )
        self.first = nn.Conv2d(channels, WIDTHS[0], 3, padding=1)
        lowest = len(WIDTHS) - 1
        passed, wide = [WIDTHS[0]], WIDTHS[0]
        self.down = nn.ModuleList()
        for i, width in enumerate(WIDTHS):
            for _ in range(2):
                self.down.append(_Level(wide, width, heard * (i < lowest), frames))
                wide = width
                passed.append(wide)
            if i < lowest:
                self.down.append(nn.Conv2d(wide, wide, 3, 2, 1))
                passed.append(wide)
        self.middle = nn.ModuleList([
            _Level(wide, wide, heard, 0), _Level(wide, wide, 0, 0)
        ])  # fmt: skip
        self.up = nn.ModuleList()
        for i, width in reversed(list(enumerate(WIDTHS))):
            for _ in range(3):
                self.up.append(_Level(wide + passed.pop(), width, heard * (i < lowest), frames))
                wide = width
            if i > 0:
                self.up.append(_Up(wide))
        self.norm = nn.GroupNorm(_GROUPS, wide)
        self.last = nn.Conv2d(wide, 4, 3, padding=1)

    def forward(self, latents: Tensor, steps: Tensor, sound: Tensor) -> Tensor:
        """(B*T, C, h, w), (B*T,) and (B*T, N, heard) to (B*T, 4, h, w)."""
        half = WIDTHS[0] // 2
        turns = torch.exp(-math.log(10_000) / half * torch.arange(half, device=steps.device))
        angles = steps[:, None].float() * turns
        time = self.time(torch.cat([angles.cos(), angles.sin()], 1))
        x = self.first(latents)
        passed = [x]
        for layer in self.down:
            x = layer(x, time, sound) if isinstance(layer, _Level) else layer(x)
            passed.append(x)
        for layer in self.middle:
            x = layer(x, time, sound)
        for layer in self.up:
            if isinstance(layer, _Level):
                x = layer(torch.cat([x, passed.pop()], 1), time, sound)
            else:
                x = layer(x)
        made: Tensor = self.last(F.silu(self.norm(x)))
        return made


class _OneHead(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).flatten(2).transpose(1, 2)
        y = self.out(F.scaled_dot_product_attention(self.q(y), self.k(y), self.v(y)))
        made: Tensor = x + y.transpose(1, 2).unflatten(2, x.shape[2:])
        return made


class DiffusionVAE(nn.Module):
    """The VAE of Stable Diffusion 1 (``ft-mse`` has other values, not other layers)."""

    def __init__(self) -> None:
        super().__init__()
        widths, wide = (128, 256, 512, 512), 128
        down: list[nn.Module] = [nn.Conv2d(3, wide, 3, padding=1)]
        for i, width in enumerate(widths):
            down += [_Residual(wide, width), _Residual(width, width)]
            wide = width
            if i < len(widths) - 1:
                down += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(wide, wide, 3, 2)]
        self.encoder = nn.Sequential(
            *down, *_middle(wide), nn.GroupNorm(_GROUPS, wide), nn.SiLU(),
            nn.Conv2d(wide, 8, 3, padding=1), nn.Conv2d(8, 8, 1),
        )
        up: list[nn.Module] = [nn.Conv2d(4, 4, 1), nn.Conv2d(4, wide, 3, padding=1), *_middle(wide)]
        for i, width in reversed(list(enumerate(widths))):
            up += [_Residual(wide, width), _Residual(width, width), _Residual(width, width)]
            wide = width
            if i > 0:
                up.append(_Up(wide))
        self.decoder = nn.Sequential(
            *up, nn.GroupNorm(_GROUPS, wide), nn.SiLU(), nn.Conv2d(wide, 3, 3, padding=1)
        )


def _middle(width: int) -> list[nn.Module]:
    return [_Residual(width, width), _OneHead(width), _Residual(width, width)]


class WhisperEncoder(nn.Module):
    """Whisper-tiny's: 30 s of sound to 1500 steps, from each of its depths."""

    places: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(80, SOUND_WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(SOUND_WIDTH, SOUND_WIDTH, 3, 2, 1)
        self.register_buffer("places", torch.zeros(1, 1500, SOUND_WIDTH))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                SOUND_WIDTH, 6, 4 * SOUND_WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(4)
        )
        self.norm = nn.LayerNorm(SOUND_WIDTH)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, 80, 3000) to (B, 5, 1500, 384)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2) + self.places
        seen = [x]
        for layer in self.layers:
            x = layer(x)
            seen.append(x)
        seen[-1] = self.norm(x)
        return torch.stack(seen, 1)


def parameters_of(network: nn.Module) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in network.parameters()) / 1e6


def multiplications_of(network: nn.Module, *inputs: Tensor) -> float:
    """Thousand millions of multiply-adds of a pass, counted where weights meet values: in
    convolutions and linear layers."""
    total = 0.0

    def count(module: nn.Module, taken: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        if isinstance(module, nn.Linear):
            met = made.numel() // len(weight)
        else:
            # Each value that a transposed convolution takes meets the kernel; of others, each
            # that is made.
            seen = taken[0] if isinstance(module, nn.ConvTranspose2d) else made
            met = seen[:, 0].numel()
        total += met * weight.numel() / 1e9

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    with torch.inference_mode():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return total
