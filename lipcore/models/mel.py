"""The mel front end: sound to log-mel steps, inside the model, in torch alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.types import FloatArray


@dataclass(frozen=True, slots=True)
class MelConfig:
    """Settings of the front end; the defaults are Wav2Lip's, with 100 steps a second."""

    sample_rate_hz: int = 16_000
    n_fft: int = 800
    """Length of the analysis window in samples, and of its transform."""
    hop: int = 160
    """Samples between steps: 10 ms."""
    bins: int = 80
    fmin_hz: float = 55.0
    fmax_hz: float = 7600.0
    preemphasis: float = 0.97
    min_level_db: float = -100.0
    ref_level_db: float = 20.0
    max_abs: float = 4.0
    """Steps lie in [-max_abs, max_abs]."""

    def __post_init__(self) -> None:
        if not 0 <= self.fmin_hz < self.fmax_hz <= self.sample_rate_hz / 2:
            raise ConfigError(
                f"mel bands from {self.fmin_hz} to {self.fmax_hz} Hz do not fit "
                f"{self.sample_rate_hz} samples a second",
                hint="Keep 0 <= fmin_hz < fmax_hz <= half the sample rate.",
            )
        if min(self.n_fft, self.hop, self.bins) < 1:
            raise ConfigError("n_fft, hop and bins are counts", hint="Give 1 or more.")

    @property
    def steps_a_second(self) -> float:
        """Mel steps in a second of sound."""
        return self.sample_rate_hz / self.hop


def mel_filterbank(config: MelConfig) -> FloatArray:
    """Triangles of equal area on the mel scale, (bins, n_fft // 2 + 1).

    Source: Slaney, *Auditory Toolbox*, 1998, as librosa and Wav2Lip use it; a test holds it
    equal to librosa's, which takes seconds to wake up and is never called here.
    """
    linear_step, log_from, log_step = 200.0 / 3, 1000.0, math.log(6.4) / 27

    def to_mel(hz: float) -> float:
        if hz < log_from:
            return hz / linear_step
        return log_from / linear_step + math.log(hz / log_from) / log_step

    mels = np.linspace(to_mel(config.fmin_hz), to_mel(config.fmax_hz), config.bins + 2)
    knee = log_from / linear_step
    edges = np.where(
        mels < knee, mels * linear_step, log_from * np.exp(log_step * (mels - knee))
    )
    at = np.linspace(0, config.sample_rate_hz / 2, config.n_fft // 2 + 1)
    ramps = edges[:, None] - at[None]
    gaps = np.diff(edges)
    rising, falling = -ramps[:-2] / gaps[:-1, None], ramps[2:] / gaps[1:, None]
    bank = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(bank * (2.0 / (edges[2:] - edges[:-2]))[:, None], np.float32)


class MelFrontEnd(nn.Module):
    """Sound to normalised log-mel steps.

    Step ``i`` is centred on sample ``i * hop``. Silence is ``-max_abs``.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, config: MelConfig | None = None) -> None:
        super().__init__()
        self.config = config or MelConfig()
        filters = torch.from_numpy(mel_filterbank(self.config))
        self.register_buffer("filters", filters, persistent=False)
        window = torch.hann_window(self.config.n_fft, periodic=True)
        self.register_buffer("window", window, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Mel steps of a whole sound.

        Args:
            samples: (B, L) in [-1, 1], L of one sample or more.

        Returns:
            (B, bins, 1 + L // hop) in [-max_abs, max_abs].
        """
        c = self.config
        with torch.autocast(samples.device.type, enabled=False):
            samples = samples.float()
            before = F.pad(samples, (1, 0))[:, :-1]
            emphasized = samples - c.preemphasis * before
            spectrum = torch.stft(
                emphasized, c.n_fft, c.hop, window=self.window, center=True,
                pad_mode="constant", return_complex=True,
            ).abs()
            mel = self.filters @ spectrum
            floor = 10 ** (c.min_level_db / 20)
            level_db = 20 * mel.clamp_min(floor).log10() - c.ref_level_db
            share = (level_db - c.min_level_db) / -c.min_level_db
            return (2 * c.max_abs * share - c.max_abs).clamp(-c.max_abs, c.max_abs)

    def window_at(self, steps: Tensor, times_s: Tensor, length: int) -> Tensor:
        """Windows of steps around moments, placed by time, so that any frame rate does.

        Args:
            steps: (bins, N) mel steps of one sound.
            times_s: (T,) seconds; for frame ``i`` of a plate, ``(i + 0.5) / rate``.
            length: Steps a window.

        Returns:
            (T, bins, length); the middle of a window lies on its moment, by linear
            interpolation between steps; beyond the sound there is silence.
        """
        edge = -self.config.max_abs
        places = times_s.double() * self.config.steps_a_second
        offsets = torch.arange(length, device=times_s.device).double() - (length - 1) / 2
        at = places[:, None] + offsets[None]
        low = at.floor()
        share = (at - low).to(steps.dtype)[None]
        count = steps.shape[1]
        padded = F.pad(steps, (1, 1), value=edge)

        def fetch(index: Tensor) -> Tensor:
            return padded[:, (index + 1).clamp(0, count + 1).long()]

        mixed = fetch(low) * (1 - share) + fetch(low + 1) * share
        return mixed.permute(1, 0, 2)
