"""LPIPS: trunks that were trained on photographs, and linear heads on the people's judgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

ALEXNET_CHANNELS, VGG16_CHANNELS = (64, 192, 384, 256, 256), (64, 128, 256, 512, 512)
"""Channels of the five features that are compared."""
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_SMALLEST = 1e-10


class AlexNet(nn.Module):
    """The convolutions of AlexNet, and what stands after each ReLU of them.

    Layout of ``alexnet-owt-7be5be79.pth``: names and shapes of ``features`` in
    ``torchvision/models/alexnet.py`` (github.com/pytorch/vision; Krizhevsky, *One weird trick for
    parallelizing convolutional neural networks*, 2014). The classifier is left out.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth, fifth = ALEXNET_CHANNELS
        self.features = nn.Sequential(
            nn.Conv2d(3, first, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(first, second, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(second, third, 3, padding=1), nn.ReLU(),
            nn.Conv2d(third, fourth, 3, padding=1), nn.ReLU(),
            nn.Conv2d(fourth, fifth, 3, padding=1), nn.ReLU(),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) red first, [-1, 1], 31 pixels or more either way -> five features"""
        return _features_after(self.features, _scaled(pictures), (1, 4, 7, 9, 11))


class VGG16(nn.Module):
    """The convolutions of VGG-16, and what stands after the last ReLU of each block.

    Layout of ``vgg16-397923af.pth``: names and shapes of ``features`` in
    ``torchvision/models/vgg.py``, configuration D (github.com/pytorch/vision; Simonyan and
    Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, 2015). The
    classifier is left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_blocks((2, 2, 3, 3, 3)))

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) red first, [-1, 1], 16 pixels or more either way -> five features"""
        return _features_after(self.features, _scaled(pictures), (3, 8, 15, 22, 29))


def _blocks(counts: Sequence[int]) -> Iterator[nn.Module]:
    before = 3
    for block, (count, channels) in enumerate(zip(counts, VGG16_CHANNELS, strict=True)):
        if block:
            yield nn.MaxPool2d(2, 2)
        for _ in range(count):
            yield nn.Conv2d(before, channels, 3, padding=1)
            yield nn.ReLU()
            before = channels


def _scaled(pictures: Tensor) -> Tensor:
    """In the units that the trunks learnt: ImageNet's mean and spread, from [-1, 1]."""
    shift, scale = (torch.tensor(v, device=pictures.device)[:, None, None]
                    for v in (_SHIFT, _SCALE))  # fmt: skip
    out: Tensor = (pictures - shift) / scale
    return out


def _features_after(
    layers: nn.Sequential, values: Tensor, places: Sequence[int]
) -> tuple[Tensor, ...]:
    found = []
    for i, layer in enumerate(layers):
        values = layer(values)
        if i in places:
            found.append(values)
    return tuple(found)


class LPIPSHeads(nn.Module):
    """What each channel of five features weighs.

    Layout of ``lpips/weights/v0.1/alex.pth`` and ``vgg.pth`` (github.com/richzhang/
    PerceptualSimilarity, ``lpips/lpips.py``): ``lin0.model.1.weight`` to ``lin4``, of shape
    (1, channels, 1, 1), no bias; ``model.0`` is a dropout without weights.

    Args:
        channels: Of each feature.

    Source: Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric*, 2018.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        for i, width in enumerate(channels):
            head = nn.Module()
            head.model = nn.Sequential(nn.Dropout(), nn.Conv2d(width, 1, 1, bias=False))
            self.add_module(f"lin{i}", head)

    def forward(self, one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        """Features of two pictures by one trunk -> (B,) distances, 0 where they are the same"""
        total = torch.zeros(len(one[0]), device=one[0].device)
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            apart = (_unit(a) - _unit(b)).square()
            total = total + self.get_submodule(f"lin{i}.model")(apart).mean(dim=(1, 2, 3))
        return total


def _unit(values: Tensor) -> Tensor:
    """Each place's channels as a vector of length 1."""
    out: Tensor = values / (values.square().sum(dim=1, keepdim=True).sqrt() + _SMALLEST)
    return out
