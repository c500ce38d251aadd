"""Rewritten networks give what they gave."""

from __future__ import annotations

import torch
from torch import nn

from lipcore.models.blocks import Upsample
from lipcore.runtime.fold import fold_upsampling


def test_folded_upsampling_is_the_same_up_to_rounding() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Upsample(5, 7), nn.Sequential(nn.SiLU(), Upsample(7, 3))).double()
    folded = fold_upsampling(network)
    assert not any(isinstance(module, Upsample) for module in folded.modules())
    assert any(isinstance(module, Upsample) for module in network.modules())
    for sides in ((2, 5, 6, 9), (1, 5, 1, 1)):  # borders count most on a small grid
        x = torch.randn(*sides, dtype=torch.float64)
        assert torch.allclose(folded(x), network(x), atol=1e-12)
