"""The inner mouth: teeth, tongue and dark between lips whose shape is given.

It sees no identity: only the lips, cut open, and what another frame of the same shot showed
between them at the same place of the skull. Mouths generalise where whole faces do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError

BOX_WIDTH, BOX_HEIGHT = 128, 96
"""Pixels of the mouth box: columns and rows."""
BOX_ORIGIN = (-0.52, 0.46)
"""Top-left corner of the box in the frontal canonical head, interocular units."""
BOX_SIDE = 1.04
"""Width of the box in interocular units; its height is three quarters of that."""


@dataclass(frozen=True, slots=True)
class InnerMouthConfig:
    """Sizes of the network."""

    channels: tuple[int, ...] = (16, 32, 64, 96)
    """Of each level, the finest first."""

    def __post_init__(self) -> None:
        if not 2 <= len(self.channels) <= 5 or min(self.channels) < 8:
            raise ConfigError(f"inner mouth channels are 2 to 5 numbers >= 8: {self.channels}")


class _Block(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, padding=1)
        self.second = nn.Conv2d(outside, outside, 3, padding=1)
        self.norm = nn.GroupNorm(8, outside)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.silu(self.norm(self.first(x))))
        out: Tensor = F.silu(y + self.skip(x))
        return out


class InnerMouth(nn.Module):
    """A U-Net over the mouth box."""

    def __init__(self, config: InnerMouthConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.enter = _Block(9, c[0])
        self.down = nn.ModuleList(_Block(a, b) for a, b in pairwise(c))
        self.up = nn.ModuleList(
            _Block(a + b, b) for a, b in zip(c[:0:-1], c[-2::-1], strict=True)
        )
        self.leave = nn.Conv2d(c[0], 4, 3, padding=1)

    def forward(self, lips: Tensor, inside: Tensor, known: Tensor, known_inside: Tensor) -> Tensor:
        """Paint the inside.

        Args:
            lips: ``(B, 3, H, W)`` display-referred 0-1 mouth box; what lies inside is not
                looked at.
            inside: ``(B, 1, H, W)`` 0-1, 1 between the wanted inner lips.
            known: ``(B, 3, H, W)`` the box of another frame of the same head.
            known_inside: ``(B, 1, H, W)`` 1 between that frame's inner lips; all 0 where
                nothing is known.

        Returns:
            ``(B, 3, H, W)`` display-referred; of use where ``inside`` is above 0.
        """
        skin = 1 - inside
        light = (lips * skin).mean((1, 2, 3), keepdim=True) / skin.mean(
            (1, 2, 3), keepdim=True
        ).clamp_min(1e-3)
        light = light.clamp_min(0.02)
        seen = known_inside * inside
        # Distance below the skull, the same for every mouth: upper teeth do not move.
        rows = torch.ones_like(lips[0, 0, :, 0]).cumsum(0) - 1
        height = rows * (2 / (lips.shape[2] - 1)) - 1
        place = height[None, None, :, None].expand(lips.shape[0], 1, -1, lips.shape[3])
        x = torch.cat([lips * skin / light, inside, known * seen / light, seen, place], 1)
        x = self.enter(x)
        passed = []
        for block in self.down:
            passed.append(x)
            x = block(F.avg_pool2d(x, 2))
        for block, skip in zip(self.up, reversed(passed), strict=True):
            x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip], 1))
        x = self.leave(x)
        painted = F.softplus(x[:, :3] - 1.0) * light
        # Teeth that are known stay as they are: the network decides where to believe them.
        belief = torch.sigmoid(x[:, 3:]) * seen
        out: Tensor = belief * known + (1 - belief) * painted
        return out
