"""By how many frames the sound must be moved to explain a pair of lips best.

The judge is a ridge regression from 300 ms of log-mel energy to the opening of the inner lips.
It was fitted on real lips (public addresses and the GRID corpus, CC BY 4.0: 12 clips, see
``tests/benchmarks/fit_offset_judge.py``), saw no picture of ours, and shares nothing with the
networks that draw. How far it can be trusted stands in ``tests/benchmarks/RESULTS.md``: over 3
seconds it is certain of half of the clips, and then right to a frame, but takes three of sixteen
foreign sounds for shifted ones.

It finds offsets; it ranks nothing. Lips that were drawn from sound hold little else than what
sound explains, while two thirds and more of how people open their mouths is their own: so drawn
lips may correlate with the guess better than real ones do. Ranks are for ``expert``, which sees
the mouth and is asked whether this sound fits better than others, and for the lips that really
said the line (``said``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file

from lipcore.models.mel import MelFrontEnd
from lipcore.models.speech_encoder import normalize_mel
from lipcore.types import FloatArray

LARGEST_S = 0.6
"""How far the sound is moved either way."""
_FITTED = Path(__file__).with_name("lips_from_sound.safetensors")
_STEPS = np.arange(-15, 16, 3)
"""Mel steps of 10 ms around a frame's middle that the judge hears."""
_RIDGE = 300.0
_WHOLE_FRAMES = 250
"""Clips longer than this weigh no more for it."""
_LEAST_FRAMES = 40
_LEAST_CORRELATION, _LEAST_LEAD = 0.4, 0.21
"""Below them an offset is a guess: see ``SoundOffset.certain``."""
_NEARLY = 0.05
_BESIDE_S = 0.13
"""Shifts this near to the best one belong to the same peak."""


@dataclass(frozen=True, slots=True, eq=False)
class SoundOffset:
    """What the judge found."""

    frames: int
    """By which the sound lags the lips; negative where it leads."""
    correlation: float
    """Of the opening with what the sound asks for, at that shift."""
    lead: float
    """By how much the correlation exceeds the best one outside the peak."""
    shifts: npt.NDArray[np.int64]
    """``(S,)`` the shifts that were tried, in frames."""
    correlations: FloatArray
    """``(S,)`` the correlation at each of them."""

    @property
    def certain(self) -> bool:
        """Whether the sound explains the lips clearly better there than elsewhere."""
        return self.correlation >= _LEAST_CORRELATION and self.lead >= _LEAST_LEAD

    @property
    def fits_as_it_is(self) -> bool:
        """Whether lips and sound fit unmoved as well as anywhere, or nearly."""
        unmoved = float(self.correlations[self.shifts == 0][0])
        return unmoved >= _LEAST_CORRELATION and unmoved >= self.correlation - _NEARLY


class OffsetJudge:
    """From sound to opening.

    Args:
        weights: ``(F,)`` as ``fit`` finds them; None takes those of the package.
    """

    def __init__(self, weights: FloatArray | None = None) -> None:
        self._given = weights

    @cached_property
    def weights(self) -> FloatArray:
        """``(F,)``: mel bins by steps, and a constant."""
        if self._given is not None:
            return self._given
        stored: FloatArray = load_file(_FITTED)["weights"]
        return stored

    @property
    def digest(self) -> str:
        """Changes with the weights."""
        return hashlib.sha256(self.weights.tobytes()).hexdigest()[:16]

    @classmethod
    def fit(cls, clips: Sequence[tuple[FloatArray, FloatArray, float, float]]) -> OffsetJudge:
        """Learn from real lips.

        Args:
            clips: Of each: opening ``(N,)`` with NaN where unknown, samples at 16 kHz, frames
                a second, and by how many seconds its sound lags.
        """
        heard, seen = [], []
        for opening, samples, rate, lag_s in clips:
            there = np.isfinite(opening)
            rows = _features(_mel(samples), _middles_s(len(opening), rate) + lag_s)[there]
            known = opening[there].astype(np.float64)
            weight = min(1.0, _WHOLE_FRAMES / len(known)) ** 0.5
            heard.append(rows * weight)
            seen.append((known - known.mean()) / known.std() * weight)
        x, y = np.concatenate(heard), np.concatenate(seen)
        solved = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)
        return cls(solved.astype(np.float32))

    def save(self, path: Path = _FITTED) -> None:
        """Write the weights, by default to where the package looks for them."""
        save_file({"weights": self.weights}, path)

    def guess(self, samples: FloatArray, count: int, rate: float) -> FloatArray:
        """The opening that the sound asks for, ``(count,)``, on no scale.

        Args:
            samples: At 16 kHz; the first one belongs to the beginning of the first frame.
            count: Frames.
            rate: Frames a second.
        """
        said: FloatArray = _features(_mel(samples), _middles_s(count, rate)) @ self.weights
        return said

    def measure(self, opening: FloatArray, samples: FloatArray, rate: float) -> SoundOffset | None:
        """Slide the sound along the lips.

        Args:
            opening: ``(N,)`` of the inner lips, in any unit; NaN where unknown.
            samples: At 16 kHz; the first one belongs to the beginning of the first frame.
            rate: Frames a second.

        Returns:
            None where there is nothing to go by: fewer than 40 known frames, lips that do not
            move, or no sound.
        """
        there = np.isfinite(opening)
        if there.sum() < _LEAST_FRAMES or np.ptp(opening[there]) < 1e-6 or not np.any(samples):
            return None
        known = opening[there]
        mel, middles = _mel(samples), _middles_s(len(opening), rate)[there]
        farthest = round(LARGEST_S * rate)
        shifts = np.arange(-farthest, farthest + 1)
        found = []
        for shift in shifts:
            said = _features(mel, middles + shift / rate) @ self.weights
            same = said.std() < 1e-9
            found.append(0.0 if same else float(np.corrcoef(said, known)[0, 1]))
        correlations = np.array(found, np.float32)
        best = int(correlations.argmax())
        apart = np.abs(shifts - shifts[best]) > max(1.0, _BESIDE_S * rate)
        lead = float(correlations[best] - max(0.0, float(correlations[apart].max())))
        return SoundOffset(int(shifts[best]), found[best], lead, shifts, correlations)


def _middles_s(frames: int, rate: float) -> npt.NDArray[np.float64]:
    middles: npt.NDArray[np.float64] = (np.arange(frames) + 0.5) / rate
    return middles


@torch.no_grad()
def _mel(samples: FloatArray) -> FloatArray:
    """``(M, T)`` on the utterance's own scale."""
    mel = MelFrontEnd()(torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None])
    values: FloatArray = normalize_mel(mel)[0].numpy()
    return values


def _features(mel: FloatArray, times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What the judge hears around moments: ``(N, M * steps + 1)``."""
    middle = np.round(times_s * 100).astype(int)
    steps = np.clip(middle[:, None] + _STEPS, 0, mel.shape[1] - 1)
    rows = mel[:, steps].transpose(1, 2, 0).reshape(len(times_s), -1)
    return np.concatenate([rows, np.ones((len(times_s), 1))], axis=1).astype(np.float64)
