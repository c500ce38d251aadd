"""The cepstra that SyncNet hears."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from lipcore.types import FloatArray

Matrix = npt.NDArray[np.float64]

_RATE_HZ, _WINDOW, _HOP, _FFT = 16_000, 400, 160, 512
_FILTERS, _CEPSTRA, _LIFTER, _PREEMPHASIS = 26, 13, 22, 0.97
_SMALLEST = np.finfo(np.float64).eps


def mfcc(samples: FloatArray) -> FloatArray:
    """Mel-frequency cepstra as the published evaluation of SyncNet takes them.

    Args:
        samples: ``(L,)`` at 16 kHz, in [-1, 1].

    Returns:
        ``(13, T)``, 100 steps a second; the first row is the log energy.

    Source: the defaults of ``python_speech_features.mfcc`` (25 ms rectangular windows every
    10 ms, 512-point transform, 26 filters from 0 Hz to 8 kHz whose edges lie on bins, lifter 22),
    on 16-bit samples. Rounding to 16 bits is left out.
    """
    loud = samples.astype(np.float64) * 32768.0
    loud = np.append(loud[:1], loud[1:] - _PREEMPHASIS * loud[:-1])
    count = 1 + max(0, -(-(len(loud) - _WINDOW) // _HOP))
    padded = np.pad(loud, (0, max(0, (count - 1) * _HOP + _WINDOW - len(loud))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:count]
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2 / _FFT
    energy = power.sum(axis=1)
    bands = power @ _filters().T
    cepstra = dct(np.log(np.where(bands == 0, _SMALLEST, bands)), type=2, norm="ortho")
    steps = np.arange(_CEPSTRA)
    lifted = cepstra[:, :_CEPSTRA] * (1 + _LIFTER / 2 * np.sin(np.pi * steps / _LIFTER))
    lifted[:, 0] = np.log(np.where(energy == 0, _SMALLEST, energy))
    return np.ascontiguousarray(lifted.T, np.float32)


@lru_cache(maxsize=1)
def _filters() -> Matrix:
    """``(26, 257)`` triangles on the mel scale of O'Shaughnessy."""
    top = 2595 * np.log10(1 + _RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, top, _FILTERS + 2) / 2595) - 1)
    edges = np.floor((_FFT + 1) * edges_hz / _RATE_HZ)
    bins = np.arange(_FFT // 2 + 1)
    bank = np.zeros((_FILTERS, len(bins)))
    for row, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rising = (bins >= low) & (bins < middle)
        falling = (bins >= middle) & (bins < high)
        bank[row, rising] = (bins[rising] - low) / (middle - low)
        bank[row, falling] = (high - bins[falling]) / (high - middle)
    return bank
