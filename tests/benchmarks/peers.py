"""Peers' networks at their published layer sizes, with random weights: speed does not ask what
a network has learnt.

Sources: Zhang et al., *S3FD: Single Shot Scale-invariant Face Detector* (ICCV 2017), as the
detector that Wav2Lip runs on every frame; Prajwal et al., *A Lip Sync Expert Is All You Need*
(ACM Multimedia 2020), the generator at 96 pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_VGG = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class S3FD(nn.Module):
    """VGG-16 and six scales, each with a score and a box at every place."""

    def __init__(self) -> None:
        super().__init__()
        stages, wide = [], 3
        for widths in _VGG:
            layers: list[nn.Module] = []
            for width in widths:
                layers += [nn.Conv2d(wide, width, 3, 1, 1), nn.ReLU(inplace=True)]
                wide = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.fc = nn.Sequential(
            nn.Conv2d(512, 1024, 3, 1, 3), nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, 1), nn.ReLU(inplace=True),
        )
        self.extra = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(wide, half, 1), nn.ReLU(inplace=True),
                nn.Conv2d(half, 2 * half, 3, 2, 1), nn.ReLU(inplace=True),
            )
            for wide, half in ((1024, 256), (512, 128))
        )
        sizes = (256, 512, 512, 1024, 512, 256)
        self.scores = nn.ModuleList(
            nn.Conv2d(size, 4 if index == 0 else 2, 3, 1, 1) for index, size in enumerate(sizes)
        )
        self.boxes = nn.ModuleList(nn.Conv2d(size, 4, 3, 1, 1) for size in sizes)

    def forward(self, x: Tensor) -> list[Tensor]:
        seen = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index >= 2:
                seen.append(F.normalize(x, dim=1))
            x = F.max_pool2d(x, 2, 2)
        x = self.fc(x)
        seen.append(x)
        for stage in self.extra:
            x = stage(x)
            seen.append(x)
        heads = zip(seen, self.scores, self.boxes, strict=True)
        return [part for x, score, box in heads for part in (score(x).softmax(1), box(x))]


class _Block(nn.Module):
    """Convolution, normalisation, ReLU; with what came in added where ``residual``."""

    def __init__(
        self, wide: int, out: int, kernel: int = 3, stride: int | tuple[int, int] = 1,
        padding: int = 1, *, residual: bool = False, up: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv: nn.Module = (
            nn.ConvTranspose2d(wide, out, kernel, stride, padding, output_padding=up - 1)
            if up
            else nn.Conv2d(wide, out, kernel, stride, padding)
        )
        self.norm = nn.BatchNorm2d(out)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        return F.relu(y + x if self.residual else y)


def _same(width: int, count: int) -> list[_Block]:
    return [_Block(width, width, residual=True) for _ in range(count)]


class Wav2LipGenerator(nn.Module):
    """A masked and a reference crop of 96 pixels, and 16 mel steps of 80 bins: a new crop."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([
            nn.Sequential(_Block(6, 16, 7, 1, 3)),
            nn.Sequential(_Block(16, 32, 3, 2), *_same(32, 2)),
            nn.Sequential(_Block(32, 64, 3, 2), *_same(64, 3)),
            nn.Sequential(_Block(64, 128, 3, 2), *_same(128, 2)),
            nn.Sequential(_Block(128, 256, 3, 2), *_same(256, 2)),
            nn.Sequential(_Block(256, 512, 3, 2), *_same(512, 1)),
            nn.Sequential(_Block(512, 512, 3, 1, 0), _Block(512, 512, 1, 1, 0)),
        ])  # fmt: skip
        self.sound = nn.Sequential(
            _Block(1, 32), *_same(32, 2), _Block(32, 64, 3, (3, 1)), *_same(64, 2),
            _Block(64, 128, 3, 3), *_same(128, 2), _Block(128, 256, 3, (3, 2)), *_same(256, 1),
            _Block(256, 512, 3, 1, 0), _Block(512, 512, 1, 1, 0),
        )
        self.up = nn.ModuleList([
            nn.Sequential(_Block(512, 512, 1, 1, 0)),
            nn.Sequential(_Block(1024, 512, 3, 1, 0, up=1), *_same(512, 1)),
            nn.Sequential(_Block(1024, 512, 3, 2, up=2), *_same(512, 2)),
            nn.Sequential(_Block(768, 384, 3, 2, up=2), *_same(384, 2)),
            nn.Sequential(_Block(512, 256, 3, 2, up=2), *_same(256, 2)),
            nn.Sequential(_Block(320, 128, 3, 2, up=2), *_same(128, 2)),
            nn.Sequential(_Block(160, 64, 3, 2, up=2), *_same(64, 2)),
        ])  # fmt: skip
        self.last = nn.Sequential(_Block(80, 32), nn.Conv2d(32, 3, 1), nn.Sigmoid())

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """(B, 1, 80, 16) and (B, 6, 96, 96) to (B, 3, 96, 96)."""
        kept, x = [], faces
        for stage in self.down:
            x = stage(x)
            kept.append(x)
        x = self.sound(mel)
        for stage in self.up:
            x = torch.cat([stage(x), kept.pop()], 1)
        out: Tensor = self.last(x)
        return out


def parameters_of(network: nn.Module) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in network.parameters()) / 1e6


def multiplications_of(network: nn.Module, *inputs: Tensor) -> float:
    """Thousand millions of multiply-adds of a pass, counted at the convolutions."""
    total = 0.0

    def count(module: nn.Module, taken: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        # Each value that a transposed convolution takes meets the kernel; of others, each made.
        met = taken[0] if isinstance(module, nn.ConvTranspose2d) else made
        total += met[:, 0].numel() * weight.numel() / 1e9

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    with torch.inference_mode():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return total
