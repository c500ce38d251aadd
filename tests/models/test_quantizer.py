"""The codebook: nearest codes, gradients past it, codes that follow and codes that restart."""

from __future__ import annotations

import pytest
import torch

from lipcore.errors import ConfigError
from lipcore.models.quantizer import Quantizer, QuantizerConfig


def test_codes_look_up_to_what_they_quantise_to() -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(codes=16, channels=4)).eval()
    latents = torch.randn(2, 4, 5, 3)
    quantized = quantizer(latents)
    assert quantized.codes.shape == (2, 5, 3)
    assert torch.equal(quantizer.look_up(quantized.codes), quantized.latents)
    assert torch.equal(quantizer(quantized.latents).codes, quantized.codes)
    assert quantized.loss == 0


def test_the_nearest_code_is_the_nearest() -> None:
    torch.manual_seed(1)
    quantizer = Quantizer(QuantizerConfig(codes=9, channels=3)).eval()
    latents = torch.randn(1, 3, 4, 4)
    flat = latents.permute(0, 2, 3, 1).reshape(-1, 3)
    wanted = torch.cdist(flat.double(), quantizer.codebook.double()).argmin(1)
    assert torch.equal(quantizer(latents).codes.flatten(), wanted)


def test_by_angle_length_does_not_matter() -> None:
    torch.manual_seed(2)
    config = QuantizerConfig(codes=16, channels=4, ema=False, normalize=True)
    quantizer = Quantizer(config).eval()
    latents = torch.randn(1, 4, 3, 3)
    assert torch.equal(quantizer(latents).codes, quantizer(7 * latents).codes)
    torch.testing.assert_close(quantizer(latents).latents.norm(dim=1), torch.ones(1, 3, 3))


@pytest.mark.parametrize("ema", [True, False])
def test_gradients_pass_straight_through(ema: bool) -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(codes=8, channels=4, ema=ema)).train()
    latents = torch.randn(2, 4, 3, 3, requires_grad=True)
    slope = torch.randn(2, 4, 3, 3)
    (quantizer(latents).latents * slope).sum().backward()
    torch.testing.assert_close(latents.grad, slope)


@pytest.mark.parametrize("normalize", [True, False])
def test_without_running_means_the_loss_moves_the_codes(normalize: bool) -> None:
    torch.manual_seed(0)
    config = QuantizerConfig(codes=4, channels=2, ema=False, normalize=normalize)
    quantizer = Quantizer(config).train()
    quantizer(torch.randn(2, 2, 4, 4)).loss.backward()
    assert quantizer.codebook.grad is not None and quantizer.codebook.grad.any()


@pytest.mark.parametrize("ema", [True, False])
def test_codes_follow_what_they_stand_for(ema: bool) -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(codes=2, channels=2, ema=ema, decay=0.9)).train()
    places = torch.tensor([[3.0, 0.0], [0.0, -2.0]])
    optimizer = None if ema else torch.optim.Adam(quantizer.parameters(), 0.05)
    for _ in range(200):
        picks = places[torch.randint(2, (64,))] + 0.05 * torch.randn(64, 2)
        loss = quantizer(picks.t().reshape(1, 2, 8, 8)).loss
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = quantizer.codebook.detach()[quantizer.codebook.detach()[:, 0].argsort(descending=True)]
    torch.testing.assert_close(found, places, atol=0.1, rtol=0)


def test_codes_that_are_not_used_restart() -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(codes=64, channels=4)).train()
    quantizer.started.fill_(1)
    quantizer.codebook.fill_(100.0)
    quantizer.codebook[0] = 0.0
    for _ in range(300):
        quantizer(torch.randn(2, 4, 8, 8))
    used = quantizer.eval()(torch.randn(16, 4, 8, 8)).codes.unique()
    assert len(used) > 32


def test_running_means_survive_a_checkpoint() -> None:
    torch.manual_seed(0)
    config = QuantizerConfig(codes=8, channels=4)
    first = Quantizer(config).train()
    for _ in range(5):
        first(torch.randn(2, 4, 4, 4))
    second = Quantizer(config).train()
    second.load_state_dict(first.state_dict())
    batch = torch.randn(2, 4, 4, 4)
    for quantizer in (first, second):
        torch.manual_seed(7)
        quantizer(batch)
    torch.testing.assert_close(first.codebook, second.codebook)
    torch.testing.assert_close(first.usage, second.usage)


def test_half_precision_outside_does_not_reach_the_codes() -> None:
    quantizer = Quantizer(QuantizerConfig(codes=8, channels=4)).eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert quantizer(torch.randn(1, 4, 2, 2).bfloat16()).latents.dtype == torch.float32


def test_by_angle_excludes_running_means() -> None:
    with pytest.raises(ConfigError, match="by angle"):
        QuantizerConfig(ema=True, normalize=True)
