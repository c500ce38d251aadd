"""The peers are rebuilt at the sizes that were published: else their speed says nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers", Path(__file__).with_name("peers.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameters_are_as_many_as_published(peers: ModuleType) -> None:
    with torch.device("meta"):
        plain = peers.DiffusionUNet()
        musetalk = peers.DiffusionUNet(8, peers.SOUND_WIDTH)
        latentsync = peers.DiffusionUNet(13, peers.SOUND_WIDTH, frames=16)
        vae, whisper = peers.DiffusionVAE(), peers.WhisperEncoder()
    assert count(plain) == 859_520_964  # as diffusers states it of Stable Diffusion 1.5
    assert count(vae) == 83_653_863  # likewise
    assert count(vae.decoder) == 49_490_199
    # Files in float32 of 3.4 and 5.06 GB.
    assert count(musetalk) * 4 == pytest.approx(3.4e9, rel=0.01)
    assert count(latentsync) * 4 == pytest.approx(5.06e9, rel=0.01)
    temporal = sum(count(m) for m in latentsync.modules() if type(m).__name__ == "_Temporal")
    assert round(temporal / 1e6) == 417  # AnimateDiff's first modules
    # Whisper-tiny's encoder; its places are not learnt, and torch gives its keys a bias.
    assert count(whisper) == 7_632_384 + 4 * peers.SOUND_WIDTH


def test_pictures_and_sound_pass_through(peers: ModuleType) -> None:
    with torch.device("meta"):
        unet, vae = peers.DiffusionUNet(13, peers.SOUND_WIDTH, frames=4), peers.DiffusionVAE()
        heard = torch.empty(8, peers.SOUND_TOKENS, peers.SOUND_WIDTH)
        assert unet(torch.empty(8, 13, 32, 32), torch.empty(8), heard).shape == (8, 4, 32, 32)
        assert vae.encoder(torch.empty(2, 3, 256, 256)).shape == (2, 8, 32, 32)
        assert vae.decoder(torch.empty(2, 4, 32, 32)).shape == (2, 3, 256, 256)
        sound = peers.WhisperEncoder().eval()(torch.empty(1, 80, 3000))
    assert sound.shape == (1, 5, 1500, peers.SOUND_WIDTH)


def test_frames_of_a_window_see_each_other_and_windows_do_not(peers: ModuleType) -> None:
    torch.manual_seed(0)
    layer = peers._Temporal(64, 4).eval()
    before = torch.randn(8, 64, 2, 2)
    after = before.clone()
    after[1] = torch.randn(64, 2, 2)
    with torch.inference_mode():
        moved = (layer(after) - layer(before)).abs().amax((1, 2, 3)) > 1e-4
    assert moved.tolist() == [True] * 4 + [False] * 4


def test_multiplications_are_counted(peers: ModuleType) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 4, 2, 2))
    expected = 4 * 4 * 8 * 27 + 4 * 4 * 8 * 4 * 4
    assert peers.multiplications_of(network, torch.randn(1, 3, 8, 8)) == expected / 1e9
    assert peers.multiplications_of(nn.Linear(5, 7), torch.randn(2, 3, 5)) == 2 * 3 * 35 / 1e9
