"""The Inception network of FID."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Conv = tuple[int, int, int | tuple[int, int], int, int | tuple[int, int]]
"""Channels in and out, kernel, stride, padding."""
_SIDE = 299


class _Unit(nn.Module):
    def __init__(self, conv: Conv) -> None:
        super().__init__()
        channels_in, channels_out, kernel, stride, padding = conv
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels_out, eps=0.001)

    def forward(self, values: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(values)))


class _Mixed(nn.Module):
    """Branches side by side.

    Args:
        units: Name and shape of every unit.
        branches: Of each branch the names of its units in order; a tuple forks.
        pool: ``mean`` (padding does not count) or ``max``, before ``branch_pool``; ``halve``, a
            branch of its own without weights.
    """

    def __init__(
        self, units: dict[str, Conv], branches: Sequence[Sequence[str | tuple[str, str]]],
        pool: str,
    ) -> None:  # fmt: skip
        super().__init__()
        for name, conv in units.items():
            self.add_module(name, _Unit(conv))
        self._branches, self._pool = branches, pool

    def forward(self, values: Tensor) -> Tensor:
        found = []
        for branch in self._branches:
            passed = values
            for step in branch:
                if isinstance(step, tuple):
                    passed = torch.cat([self.get_submodule(n)(passed) for n in step], dim=1)
                else:
                    passed = self.get_submodule(step)(passed)
            found.append(passed)
        if self._pool == "halve":
            found.append(F.max_pool2d(values, 3, 2))
        else:
            pooled = (
                F.max_pool2d(values, 3, 1, 1) if self._pool == "max"
                else F.avg_pool2d(values, 3, 1, 1, count_include_pad=False)
            )  # fmt: skip
            found.append(self.get_submodule("branch_pool")(pooled))
        return torch.cat(found, dim=1)


def _block_a(c: int, pooled: int) -> _Mixed:
    return _Mixed(
        {"branch1x1": (c, 64, 1, 1, 0), "branch5x5_1": (c, 48, 1, 1, 0),
         "branch5x5_2": (48, 64, 5, 1, 2), "branch3x3dbl_1": (c, 64, 1, 1, 0),
         "branch3x3dbl_2": (64, 96, 3, 1, 1), "branch3x3dbl_3": (96, 96, 3, 1, 1),
         "branch_pool": (c, pooled, 1, 1, 0)},
        (("branch1x1",), ("branch5x5_1", "branch5x5_2"),
         ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")), "mean",
    )  # fmt: skip


def _block_b(c: int) -> _Mixed:
    return _Mixed(
        {"branch3x3": (c, 384, 3, 2, 0), "branch3x3dbl_1": (c, 64, 1, 1, 0),
         "branch3x3dbl_2": (64, 96, 3, 1, 1), "branch3x3dbl_3": (96, 96, 3, 2, 0)},
        (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")), "halve",
    )  # fmt: skip


def _block_c(c: int, m: int) -> _Mixed:
    wide, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    return _Mixed(
        {"branch1x1": (c, 192, 1, 1, 0), "branch7x7_1": (c, m, 1, 1, 0),
         "branch7x7_2": (m, m, *wide), "branch7x7_3": (m, 192, *tall),
         "branch7x7dbl_1": (c, m, 1, 1, 0), "branch7x7dbl_2": (m, m, *tall),
         "branch7x7dbl_3": (m, m, *wide), "branch7x7dbl_4": (m, m, *tall),
         "branch7x7dbl_5": (m, 192, *wide), "branch_pool": (c, 192, 1, 1, 0)},
        (("branch1x1",), tuple(f"branch7x7_{i}" for i in (1, 2, 3)),
         tuple(f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5))), "mean",
    )  # fmt: skip


def _block_d(c: int) -> _Mixed:
    return _Mixed(
        {"branch3x3_1": (c, 192, 1, 1, 0), "branch3x3_2": (192, 320, 3, 2, 0),
         "branch7x7x3_1": (c, 192, 1, 1, 0), "branch7x7x3_2": (192, 192, (1, 7), 1, (0, 3)),
         "branch7x7x3_3": (192, 192, (7, 1), 1, (3, 0)), "branch7x7x3_4": (192, 192, 3, 2, 0)},
        (("branch3x3_1", "branch3x3_2"), tuple(f"branch7x7x3_{i}" for i in (1, 2, 3, 4))),
        "halve",
    )  # fmt: skip


def _block_e(c: int, pool: str) -> _Mixed:
    wide, tall = ((1, 3), 1, (0, 1)), ((3, 1), 1, (1, 0))
    return _Mixed(
        {"branch1x1": (c, 320, 1, 1, 0), "branch3x3_1": (c, 384, 1, 1, 0),
         "branch3x3_2a": (384, 384, *wide), "branch3x3_2b": (384, 384, *tall),
         "branch3x3dbl_1": (c, 448, 1, 1, 0), "branch3x3dbl_2": (448, 384, 3, 1, 1),
         "branch3x3dbl_3a": (384, 384, *wide), "branch3x3dbl_3b": (384, 384, *tall),
         "branch_pool": (c, 192, 1, 1, 0)},
        (("branch1x1",), ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
         ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b"))), pool,
    )  # fmt: skip


class Inception(nn.Module):
    """Pictures to the 2048 features that FID compares.

    Layout of ``pt_inception-2015-12-05-6726825d.pth`` (github.com/mseitzer/pytorch-fid,
    ``src/pytorch_fid/inception.py``): the names of torchvision's Inception v3 without its
    auxiliary head, 1008 classes; averages leave padding out, and the last block takes maxima, as
    the network of TensorFlow that FID was defined with.

    Source: Szegedy et al., *Rethinking the Inception Architecture*, 2016; Heusel et al., 2017.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Unit((3, 32, 3, 2, 0))
        self.Conv2d_2a_3x3 = _Unit((32, 32, 3, 1, 0))
        self.Conv2d_2b_3x3 = _Unit((32, 64, 3, 1, 1))
        self.Conv2d_3b_1x1 = _Unit((64, 80, 1, 1, 0))
        self.Conv2d_4a_3x3 = _Unit((80, 192, 3, 1, 0))
        self.Mixed_5b = _block_a(192, 32)
        self.Mixed_5c = _block_a(256, 64)
        self.Mixed_5d = _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b = _block_c(768, 128)
        self.Mixed_6c = _block_c(768, 160)
        self.Mixed_6d = _block_c(768, 160)
        self.Mixed_6e = _block_c(768, 192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b = _block_e(1280, "mean")
        self.Mixed_7c = _block_e(2048, "max")
        self.fc = nn.Linear(2048, 1008)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) red first, 0-1, of any size -> (B, 2048)"""
        values = F.interpolate(pictures, (_SIDE, _SIDE), mode="bilinear", align_corners=False)
        values = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(2 * values - 1)))
        values = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(values, 3, 2)))
        values = F.max_pool2d(values, 3, 2)
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            values = self.get_submodule(f"Mixed_{name}")(values)
        return values.mean(dim=(2, 3))
