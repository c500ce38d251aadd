"""The mel front end against librosa, and windows placed by time."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from lipcore.errors import ConfigError
from lipcore.models.mel import MelConfig, MelFrontEnd, mel_filterbank


def _chirp(seconds: float = 1.3) -> np.ndarray:
    at = np.arange(int(16_000 * seconds)) / 16_000
    noise = np.random.default_rng(0).standard_normal(len(at))
    return (0.4 * np.sin(2 * np.pi * (100 + 2500 * at) * at) + 0.01 * noise).astype(np.float32)


@pytest.mark.parametrize(
    "config", [MelConfig(), MelConfig(n_fft=512, bins=40, fmin_hz=0, fmax_hz=8000)]
)
def test_filterbank_equals_librosas(config: MelConfig) -> None:
    theirs = librosa.filters.mel(
        sr=config.sample_rate_hz, n_fft=config.n_fft, n_mels=config.bins,
        fmin=config.fmin_hz, fmax=config.fmax_hz,
    )
    np.testing.assert_allclose(mel_filterbank(config), theirs, atol=1e-7, rtol=1e-5)


def test_steps_equal_wav2lips_recipe_computed_by_librosa() -> None:
    sound = _chirp()
    emphasized = np.append(sound[0], sound[1:] - 0.97 * sound[:-1])
    spectrum = np.abs(librosa.stft(emphasized, n_fft=800, hop_length=160, win_length=800))
    mel = librosa.filters.mel(sr=16_000, n_fft=800, n_mels=80, fmin=55, fmax=7600) @ spectrum
    level = 20 * np.log10(np.maximum(1e-5, mel)) - 20
    wanted = np.clip(8 * (level + 100) / 100 - 4, -4, 4)
    got = MelFrontEnd()(torch.from_numpy(sound)[None])[0].numpy()
    assert got.shape == wanted.shape == (80, 1 + len(sound) // 160)
    np.testing.assert_allclose(got, wanted, atol=2e-3)


def test_silence_is_the_lowest_value() -> None:
    assert MelFrontEnd()(torch.zeros(2, 3200)).eq(-4).all()


def test_one_sample_of_sound_is_enough() -> None:
    assert MelFrontEnd()(torch.zeros(1, 1)).shape == (1, 80, 1)


@pytest.mark.parametrize("rate", [23.976, 25.0, 29.97, 60.0])
def test_windows_follow_time_at_any_rate(rate: float) -> None:
    front = MelFrontEnd()
    ramp = torch.arange(300.0)[None].repeat(80, 1)  # a step's value is its number
    times = (torch.arange(40, dtype=torch.float64) + 0.5) / rate
    windows = front.window_at(ramp, times, 20)
    assert windows.shape == (40, 80, 20)
    inside = (times * 100 > 10) & (times * 100 < 289)
    middle = windows[inside].mean((1, 2))
    np.testing.assert_allclose(middle, times[inside] * 100, rtol=1e-5)


def test_beyond_the_sound_windows_are_silent() -> None:
    front = MelFrontEnd()
    windows = front.window_at(torch.ones(80, 50), torch.tensor([-5.0, 0.0, 0.25, 9.0]), 20)
    assert windows[0].eq(-4).all() and windows[3].eq(-4).all()
    assert windows[2].eq(1).all()
    assert windows[1, 0, 0] == -4 and windows[1, 0, -1] == 1


def test_bands_beyond_half_the_rate_are_refused() -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        MelConfig(fmax_hz=9000)
