"""GPEN: a face restored through a generator of faces."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STYLE, _MAPPING, _TAPS = 512, 8, (1.0, 3.0, 3.0, 1.0)


def _widths(size: int) -> dict[int, int]:
    """Channels of each grid."""
    return {side: min(512, 512 * 64 // side) for side in (2**i for i in range(2, 11))
            if side <= size}  # fmt: skip


class _Filter(nn.Module):
    """A stored low-pass kernel, after zeros were put between pixels or not."""

    kernel: Tensor

    def __init__(self, pad: tuple[int, int], *, gain: float = 1.0, spreads: bool = False) -> None:
        super().__init__()
        taps = torch.tensor(_TAPS)
        self.register_buffer("kernel", torch.outer(taps, taps) / taps.sum() ** 2 * gain)
        self._pad, self._spreads = pad, spreads

    def forward(self, values: Tensor) -> Tensor:
        batch, channels, height, width = values.shape
        if self._spreads:
            spread = values.new_zeros(batch, channels, height, 2, width, 2)
            spread[:, :, :, 0, :, 0] = values
            values = spread.reshape(batch, channels, 2 * height, 2 * width)
        padded = F.pad(values, (*self._pad, *self._pad)).flatten(0, 1)[:, None]
        out = F.conv2d(padded, self.kernel.flip(0, 1)[None, None])
        return out.reshape(batch, channels, *out.shape[-2:])


class _Linear(nn.Module):
    def __init__(
        self, c: int, out: int, *, rate: float = 1.0, start: float = 0.0, bends: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, c) / rate)
        self.bias = nn.Parameter(torch.full((out,), start))
        self._gain, self._rate, self._bends = rate / math.sqrt(c), rate, bends

    def forward(self, values: Tensor) -> Tensor:
        out = F.linear(values, self.weight * self._gain, self.bias * self._rate)
        return F.leaky_relu(out, 0.2) * math.sqrt(2) if self._bends else out


class _Bend(nn.Module):
    """A bias, a leaky ReLU, and a gain that keeps the variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor) -> Tensor:
        return F.leaky_relu(values + self.bias[:, None, None], 0.2) * math.sqrt(2)


class _Conv(nn.Module):
    def __init__(self, c: int, out: int, size: int, *, halves: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, c, size, size))
        self._gain, self._size, self._halves = 1 / math.sqrt(c * size**2), size, halves

    def forward(self, values: Tensor) -> Tensor:
        step, padding = (2, 0) if self._halves else (1, self._size // 2)
        return F.conv2d(values, self.weight * self._gain, stride=step, padding=padding)


class _Modulated(nn.Module):
    def __init__(self, c: int, out: int, size: int, *, doubles: bool, demodulates: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, out, c, size, size))
        self.modulation = _Linear(_STYLE, c, start=1.0)
        if doubles:
            self.blur = _Filter((1, 1), gain=4.0)
        self._doubles, self._demodulates = doubles, demodulates
        self._gain, self._padding = 1 / math.sqrt(c * size**2), size // 2

    def forward(self, values: Tensor, style: Tensor) -> Tensor:
        out: Tensor
        kernel, scale = self.weight[0] * self._gain, self.modulation(style)
        values = values * scale[:, :, None, None]
        if self._doubles:
            out = self.blur(F.conv_transpose2d(values, kernel.transpose(0, 1), stride=2))
        else:
            out = F.conv2d(values, kernel, padding=self._padding)
        if self._demodulates:
            power = scale.square() @ kernel.square().sum((2, 3)).T
            out = out * (power + 1e-8).rsqrt()[:, :, None, None]
        return out


class _Noise(nn.Module):
    """Beside the picture stands what the encoder saw on the same grid."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, values: Tensor, seen: Tensor) -> Tensor:
        return torch.cat([values, self.weight * seen], dim=1)


class _Styled(nn.Module):
    def __init__(self, c: int, out: int, *, doubles: bool = False) -> None:
        super().__init__()
        self.conv = _Modulated(c, out, 3, doubles=doubles, demodulates=True)
        self.noise, self.activate = _Noise(), _Bend(2 * out)

    def forward(self, values: Tensor, style: Tensor, seen: Tensor) -> Tensor:
        out: Tensor = self.activate(self.noise(self.conv(values, style), seen))
        return out


class _ToRGB(nn.Module):
    def __init__(self, c: int, *, doubles: bool = True) -> None:
        super().__init__()
        if doubles:
            self.upsample = _Filter((2, 1), gain=4.0, spreads=True)
        self.conv = _Modulated(c, 3, 1, doubles=False, demodulates=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, values: Tensor, style: Tensor, coarser: Tensor | None = None) -> Tensor:
        out: Tensor = self.conv(values, style) + self.bias
        return out if coarser is None else out + self.upsample(coarser)


class _UnitLength(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values * (values.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class _Start(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class _Generator(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        widths = _widths(size)
        mapping = (_Linear(_STYLE, _STYLE, rate=0.01, bends=True) for _ in range(_MAPPING))
        self.style = nn.Sequential(_UnitLength(), *mapping)
        self.input = _Start(widths[4])
        self.conv1 = _Styled(widths[4], widths[4])
        self.to_rgb1 = _ToRGB(2 * widths[4], doubles=False)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for side in list(widths)[1:]:
            here = widths[side]
            self.convs.append(_Styled(2 * widths[side // 2], here, doubles=True))
            self.convs.append(_Styled(2 * here, here))
            self.to_rgbs.append(_ToRGB(2 * here))

    def forward(self, style: Tensor, seen: list[Tensor]) -> Tensor:
        style = self.style(style)
        values = self.conv1(self.input.input.expand(len(style), -1, -1, -1), style, seen[-1])
        picture = self.to_rgb1(values, style)
        for i, to_rgb in enumerate(self.to_rgbs):
            here = seen[-2 - i]
            values = self.convs[2 * i + 1](self.convs[2 * i](values, style, here), style, here)
            picture = to_rgb(values, style, picture)
        out: Tensor = picture
        return out


class GPEN(nn.Module):
    """A damaged face to a restored one.

    Layout of ``GPEN-BFR-512.pth`` (size 512, ``channel_multiplier`` 2, ``narrow`` 1): names and
    shapes of ``FullGenerator`` in ``face_model/gpen_model.py`` of github.com/yangxy/GPEN, the
    filters' kernels included.

    Source: Yang et al., *GAN Prior Embedded Network for Blind Face Restoration in the Wild*, 2021.

    Args:
        size: Pixels of the face's side, a power of 2 from 8 to 1024.
    """

    def __init__(self, size: int = 512) -> None:
        super().__init__()
        widths = _widths(size)
        self.generator = _Generator(size)
        sides = sorted(widths, reverse=True)
        self.ecd0 = nn.Sequential(
            nn.Sequential(_Conv(3, widths[size], 1, halves=False), _Bend(widths[size]))
        )
        for i, side in enumerate(sides[1:], 1):
            down = _Conv(widths[2 * side], widths[side], 3, halves=True)
            unit = nn.Sequential(_Filter((2, 2)), down, _Bend(widths[side]))
            self.add_module(f"ecd{i}", nn.Sequential(unit))
        self.final_linear = nn.Sequential(_Linear(widths[4] * 16, _STYLE, bends=True))
        self._levels = len(sides)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, size, size) red first, in [-1, 1] -> the same shape"""
        seen = []
        values = faces
        for i in range(self._levels):
            values = self.get_submodule(f"ecd{i}")(values)
            seen.append(values)
        out: Tensor = self.generator(self.final_linear(values.flatten(1)), seen)
        return out
