"""Adversaries: one of the reconstruction, which judges patches, and LipGAN's, which judges sync."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.blocks import group_norm

_SIDE = 96
"""Pixels of the faces that LipGAN's judge sees."""


@dataclass(frozen=True, slots=True)
class DiscriminatorConfig:
    """Sizes of a patch discriminator."""

    channels: int = 64
    """Channels of the first level; they double on each further one, up to eight times."""
    levels: int = 3
    """Times that the grid halves: 3 levels judge patches of 70 px."""
    channels_in: int = 3

    def __post_init__(self) -> None:
        if self.channels < 1 or self.levels < 1:
            raise ConfigError("a discriminator needs a level and a channel", hint="Give 1 or more.")


class PatchDiscriminator(nn.Module):
    """(B, 3, H, W) -> (B, 1, about H / 2**levels, about W / 2**levels), high where real; and
    the features of its levels

    Source: Isola et al., *Image-to-Image Translation with Conditional Adversarial Networks*,
    2017; group instead of batch normalisation, as batches are small.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        layers: list[nn.Module] = [
            nn.Conv2d(config.channels_in, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        ]
        for level in range(1, config.levels + 1):
            wider = config.channels * min(2**level, 8)
            stride = 2 if level < config.levels else 1
            layers += [
                nn.Conv2d(width, wider, 4, stride=stride, padding=1, bias=False),
                group_norm(wider), nn.LeakyReLU(0.2),
            ]
            width = wider
        layers.append(nn.Conv2d(width, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Judge; gives the judgement, and what each level saw on the way to it."""
        seen: list[Tensor] = []
        out = pictures
        for layer in self.layers:
            out = layer(out)
            if isinstance(layer, nn.LeakyReLU):
                seen.append(out)
        return out, seen


class LipGANJudge(nn.Module):
    """How far a face is from a sound.

    Source: ``discriminator.py`` of github.com/Rudrabha/LipGAN (branch ``fully_pythonic``).

    Args:
        divide: Channels of all layers are divided by this.
    """

    def __init__(self, divide: int = 1) -> None:
        super().__init__()
        a, b, c, d, e = (w // divide for w in (32, 64, 128, 256, 512))
        self.face = nn.Sequential(
            *_judged(3, b, 7, 2), *_judged(b, c, 5, 2), *_judged(c, d, 3, 2),
            *_judged(d, e, 3, 2), *_judged(e, e, 3, 2), nn.Conv2d(e, e, 3),
        )  # fmt: skip
        self.sound = nn.Sequential(
            *_judged(1, a, 3, 1), *_judged(a, b, 3, 3), *_judged(b, c, 3, (3, 1)),
            *_judged(c, d, 3, 3), *_judged(d, e, 3, 1, pads=False), *_judged(e, e, 1, 1),
        )  # fmt: skip

    def forward(self, faces: Tensor, mel: Tensor) -> Tensor:
        """(B, 3, H, W) of 96 pixels or more, and (B, 1, 80, 27) -> (B,) in [0, 2]"""
        if faces.shape[-1] != _SIDE:
            faces = F.interpolate(faces, (_SIDE, _SIDE), mode="bilinear", antialias=True)
        seen = F.normalize(self.face(faces).flatten(1), dim=1)
        heard = F.normalize(self.sound(mel).flatten(1), dim=1)
        return (seen - heard).square().sum(1).clamp_min(1e-12).sqrt()


def _judged(
    c: int, out: int, size: int, step: int | tuple[int, int], *, pads: bool = True
) -> list[nn.Module]:
    """One group: keras-contrib's instance norm takes all of an item together by default."""
    padding = size // 2 if pads else 0
    return [nn.Conv2d(c, out, size, step, padding), nn.GroupNorm(1, out), nn.LeakyReLU(0.2)]
