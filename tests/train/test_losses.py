"""Losses against values worked out by hand."""

from __future__ import annotations

import torch
from lipcore.train.losses import balance, feature_loss


def test_features_count_each_level_alike_and_pull_on_what_was_made_alone() -> None:
    made = [torch.zeros(1, 2, 4, 4, requires_grad=True), torch.zeros(1, 8, 2, 2)]
    real = [torch.full((1, 2, 4, 4), 3.0, requires_grad=True), torch.ones(1, 8, 2, 2)]
    loss = feature_loss(made, real)
    assert loss.item() == 2.0
    loss.backward()  # type: ignore[no-untyped-call]
    assert made[0].grad is not None and real[0].grad is None


def test_balance_is_the_ratio_of_the_pulls_on_the_last_layer_and_at_most_ten() -> None:
    layer = torch.tensor([1.0, 2.0], requires_grad=True)
    assert abs(float(balance(layer.sum() * 6, layer.sum() * 3, layer)) - 2) < 1e-3
    assert float(balance(layer.sum() * 60, layer.sum(), layer)) == 10.0
