"""What runs inside Nuke's Inference node: one shot, its dialogue baked in, as TorchScript.

One tensor in, one out; what varies is the attribute ``frame``, which becomes a knob. Written
in what TorchScript compiles: no Python runs there. Plain lists hold what must stay exact when
the host halves every tensor for speed.
"""

from typing import List  # noqa: UP035 -- TorchScript reads these annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def to_display(linear: Tensor) -> Tensor:
    """The curve of ``ColorTransform``: sRGB, mirrored below 0, a logarithm above 1."""
    size = linear.abs()
    low = size.clamp(max=0.0031308) * 12.92
    middle = 1.055 * size.clamp(0.0031308, 1.0).pow(1 / 2.4) - 0.055
    high = 1.0 + (1.055 / 2.4) * size.clamp(min=1.0).log()
    out = torch.where(size <= 0.0031308, low, torch.where(size <= 1.0, middle, high))
    return out * linear.sign()


def from_display(display: Tensor) -> Tensor:
    """The inverse of ``to_display``."""
    size = display.abs()
    knee = 0.0031308 * 12.92
    low = size / 12.92
    middle = ((size.clamp(knee, 1.0) + 0.055) / 1.055).pow(2.4)
    high = ((size.clamp(min=1.0) - 1.0) / (1.055 / 2.4)).exp()
    out = torch.where(size <= knee, low, torch.where(size <= 1.0, middle, high))
    return out * display.sign()


class ShotModule(nn.Module):
    """(1, 3, H, W) plate pixels in the file's own encoding -> (1, 4, H, W): the plate with its
    new mouth, and the matte.

    Frames that were not baked, or have no face, come back as they are, matte 0.
    """

    frame: int
    first: int
    width: int
    size: int
    oversample: int
    margin: float
    curved: bool
    matrix: List[float]  # noqa: UP006
    inverse: List[float]  # noqa: UP006
    transforms: List[float]  # noqa: UP006
    boxes: List[float]  # noqa: UP006
    windows: List[int]  # noqa: UP006
    drawn: List[int]  # noqa: UP006
    reference: Tensor
    wanted: Tensor
    shown: Tensor
    mattes: Tensor
    skins: Tensor

    def __init__(
        self, pose: nn.Module, draw: nn.Module, *, first: int, width: int, size: int,
        oversample: int, margin: float, matrix: list[float], inverse: list[float],
        transforms: list[float], boxes: list[float], windows: list[int], drawn: list[int],
        reference: Tensor, wanted: Tensor, shown: Tensor, mattes: Tensor, skins: Tensor,
    ) -> None:
        super().__init__()
        self.pose, self.draw = pose, draw
        self.frame = self.first = first
        self.width, self.size, self.oversample, self.margin = width, size, oversample, margin
        self.curved = len(matrix) > 0
        self.matrix, self.inverse = matrix, inverse
        self.transforms, self.boxes = transforms, boxes
        self.windows, self.drawn = windows, drawn
        self.register_buffer("reference", reference)
        self.register_buffer("wanted", wanted)
        self.register_buffer("shown", shown)
        self.register_buffer("mattes", mattes)
        self.register_buffer("skins", skins)

    def mix(self, rgb: Tensor, weights: List[float]) -> Tensor:  # noqa: UP006
        """A (3, 3) matrix, row by row, on (1, 3, h, w)."""
        m = torch.tensor(weights, dtype=torch.float32, device=rgb.device)
        return F.conv2d(rgb, m.reshape(3, 3, 1, 1))

    def crop(self, plate: Tensor, matrix: Tensor, scale: float) -> Tensor:
        """(1, 3, S, S) display-referred crop, -1 to 1, averaged down from finer samples."""
        fine = self.size * self.oversample
        at = (torch.arange(fine, device=plate.device, dtype=torch.float32) + 0.5) / float(fine)
        inverse = torch.linalg.inv(matrix[:, :2])
        y, x = torch.meshgrid(at, at, indexing="ij")
        there = torch.stack([x - matrix[0, 2], y - matrix[1, 2]], dim=-1) @ inverse.t()
        height, width = plate.shape[2], plate.shape[3]
        sides = torch.tensor([float(width), float(height)], device=plate.device)
        grid = (there * scale / sides * 2 - 1)[None]
        taken = F.grid_sample(plate, grid, padding_mode="border", align_corners=False)
        taken = F.avg_pool2d(taken, self.oversample)
        if self.curved:
            taken = to_display(self.mix(taken, self.matrix))
        return taken.clamp(0, 1) * 2 - 1

    def forward(self, x: Tensor) -> Tensor:
        """Draw the frame that the knob says."""
        plate = x[:, :3].float()
        matte = torch.zeros_like(plate[:, :1])
        index = self.frame - self.first
        known = index >= 0 and index < len(self.drawn)
        if not known or self.drawn[max(0, min(index, len(self.drawn) - 1))] == 0:
            return torch.cat([plate, matte], dim=1).to(x.dtype)
        scale = float(plate.shape[3]) / float(self.width)
        matrix = torch.tensor(
            self.transforms[6 * index : 6 * index + 6], dtype=torch.float32, device=x.device
        ).reshape(2, 3)
        box = self.boxes[4 * index : 4 * index + 4]
        picture = self.crop(plate, matrix, scale)
        at = (torch.arange(self.size, device=x.device, dtype=torch.float32) + 0.5) / float(
            self.size
        )
        beside = (at - box[0]).abs() > box[2] + self.margin
        above = at < box[1] - self.margin
        hidden = picture * (above[:, None] | beside[None, :])
        # The networks compute in the type that the host asked for.
        kind = self.reference.dtype
        pose = self.pose(hidden.to(kind))
        new = self.draw(pose, self.reference, self.wanted[index : index + 1]).float()
        old = self.draw(pose, self.reference, self.shown[index : index + 1]).float()
        skin = self.skins[index : index + 1, None].float() / 255
        alpha = self.mattes[index : index + 1, None].float() / 255
        skin = F.interpolate(skin, size=[self.size, self.size], mode="bilinear",
                             align_corners=False)  # fmt: skip
        alpha = F.interpolate(alpha, size=[self.size, self.size], mode="bilinear",
                              align_corners=False)  # fmt: skip
        layers = torch.cat([(new + 1) / 2, (old + 1) / 2, skin, alpha], dim=1)
        window = self.windows[4 * index : 4 * index + 4]
        x0 = max(0, int(float(window[0]) * scale))
        y0 = max(0, int(float(window[1]) * scale))
        x1 = min(plate.shape[3], int(float(window[0] + window[2]) * scale) + 1)
        y1 = min(plate.shape[2], int(float(window[1] + window[3]) * scale) + 1)
        columns = (torch.arange(x0, x1, device=x.device, dtype=torch.float32) + 0.5) / scale
        rows = (torch.arange(y0, y1, device=x.device, dtype=torch.float32) + 0.5) / scale
        y, c = torch.meshgrid(rows, columns, indexing="ij")
        there = torch.stack([c, y], dim=-1) @ matrix[:, :2].t() + matrix[:, 2]
        put = F.grid_sample(layers, (there * 2 - 1)[None], padding_mode="zeros",
                            align_corners=False)  # fmt: skip
        under = plate[:, :, y0:y1, x0:x1]
        seen = to_display(self.mix(under, self.matrix)) if self.curved else under
        made = put[:, :3] + put[:, 6:7] * (seen - put[:, 3:6])
        if self.curved:
            made = self.mix(from_display(made), self.inverse)
        share = put[:, 7:8]
        merged = torch.where(share > 0, under * (1 - share) + made * share, under)
        out = plate.clone()
        out[:, :, y0:y1, x0:x1] = merged
        matte[:, :, y0:y1, x0:x1] = share
        return torch.cat([out, matte], dim=1).to(x.dtype)
