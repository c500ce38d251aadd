"""What the baselines hear of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import dct

from lipcore.models.mel import MelConfig, MelFrontEnd
from lipcore.types import FloatArray

Matrix = npt.NDArray[np.float64]

SAMPLE_RATE_HZ = 16_000
_STEPS_A_SECOND = 80
_WINDOW, _HOP, _FFT = 400, 160, 512
_FILTERS, _CEPSTRA, _LIFTER, _PREEMPHASIS = 40, 13, 22, 0.97
_LOWEST_HZ, _HIGHEST_HZ = 300.0, 3700.0
_SMALLEST = 1e-10
_BESIDE_STEPS = 100
"""Silence before and after the sound: a second, as in the published demo."""


@torch.no_grad()
def mel_steps(samples: FloatArray) -> FloatArray:
    """``(80, M)`` mel steps, 80 a second, in [-4, 4], as Wav2Lip and LipGAN take them.

    Args:
        samples: ``(L,)`` at 16 kHz, L of 1 or more.
    """
    front = MelFrontEnd(MelConfig(hop=SAMPLE_RATE_HZ // _STEPS_A_SECOND))
    sound = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    steps: FloatArray = front(sound[None])[0].numpy()
    return steps


def cut_mel(
    heard: FloatArray, frames: Sequence[int], rate: float, *, steps: int, before: float = 0.0
) -> FloatArray:
    """Mel steps that frames hear.

    Args:
        heard: From ``mel_steps``; the sound begins with frame 0.
        frames: Which, N of them.
        rate: Frames a second.
        steps: Of a window, S.
        before: By how many frames of 25 a second a window begins before its frame. Windows that
            would begin before the sound, or end after it, are moved inside, as the authors do.

    Returns:
        ``(N, 80, S)``
    """
    missing = max(0, steps - heard.shape[1])
    heard = np.pad(heard, ((0, 0), (0, missing)), constant_values=-MelConfig().max_abs)
    last, earlier = heard.shape[1] - steps, before * _STEPS_A_SECOND / 25
    starts = [max(0, min(int(i * _STEPS_A_SECOND / rate - earlier), last)) for i in frames]
    windows: FloatArray = np.stack([heard[:, s : s + steps] for s in starts])
    return windows


def cepstra_steps(samples: FloatArray, length_s: float) -> FloatArray:
    """``(12, M)`` cepstra, 100 a second, as You said that? takes them: without the energy, and
    with a second of silence on either side.

    Args:
        samples: ``(L,)`` at 16 kHz.
        length_s: What is to be heard; a shorter sound ends in silence.
    """
    beside = np.zeros(_BESIDE_STEPS * _HOP, np.float32)
    missing = max(0, round(length_s * SAMPLE_RATE_HZ) - len(samples))
    padded = np.concatenate([beside, samples, np.zeros(missing, np.float32), beside])
    return htk_cepstra(padded)[1:]


def cut_cepstra(
    heard: FloatArray, frames: Sequence[int], rate: float, *, steps: int
) -> FloatArray:
    """Cepstra around frames.

    Args:
        heard: From ``cepstra_steps``; the sound begins with frame 0.
        frames: Which, N of them, within ``length_s``.
        rate: Frames a second.
        steps: Of a window, S, odd; its middle lies on the frame's.

    Returns:
        ``(N, 12, S)``
    """
    middles_s = (np.asarray(frames) + 0.5) / rate - _WINDOW / 2 / SAMPLE_RATE_HZ
    firsts = np.round(middles_s * SAMPLE_RATE_HZ / _HOP).astype(int) - steps // 2 + _BESIDE_STEPS
    windows: FloatArray = np.stack([heard[:, f : f + steps] for f in firsts])
    return windows


def htk_cepstra(samples: FloatArray) -> FloatArray:
    """Mel-frequency cepstra as MATLAB's ``mfcc`` of K. Wojcicki takes them.

    Args:
        samples: ``(L,)`` at 16 kHz, in [-1, 1], L of 400 or more.

    Returns:
        ``(13, 1 + (L - 400) // 160)``

    Source: K. Wojcicki, *HTK MFCC MATLAB*, 2011, with the settings of ``run_demo.m`` of
    github.com/joonson/yousaidthat: 25 ms Hamming windows every 10 ms, magnitudes of a 512-point
    transform, 40 triangles of height 1 from 300 to 3,700 Hz, lifter 22. Digital silence, whose
    logarithm is infinite there, is held at 1e-10.
    """
    loud = samples.astype(np.float64) * 32768.0
    loud = np.append(loud[:1], loud[1:] - _PREEMPHASIS * loud[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(loud, _WINDOW)[::_HOP]
    spectrum = np.abs(np.fft.rfft(frames * np.hamming(_WINDOW), _FFT))
    bands = spectrum @ _triangles().T
    cepstra = dct(np.log(np.maximum(bands, _SMALLEST)), type=2, axis=1)[:, :_CEPSTRA] / 2
    cepstra *= np.sqrt(2 / _FILTERS)
    cepstra *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(_CEPSTRA) / _LIFTER)
    return np.ascontiguousarray(cepstra.T, np.float32)


@lru_cache(maxsize=1)
def _triangles() -> Matrix:
    """``(40, 257)``, evenly spread over HTK's mel scale."""
    low, high = (1127 * np.log1p(hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges_hz = 700 * np.expm1(np.linspace(low, high, _FILTERS + 2) / 1127)
    at = np.linspace(0, SAMPLE_RATE_HZ / 2, _FFT // 2 + 1)
    ramps = at[None] - edges_hz[:, None]
    gaps = np.diff(edges_hz)[:, None]
    rising, falling = ramps[:-2] / gaps[:-1], -ramps[2:] / gaps[1:]
    bank: Matrix = np.maximum(0, np.minimum(rising, falling))
    return bank
