"""The adversary of the reconstruction: judges patches, not pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.blocks import group_norm


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
