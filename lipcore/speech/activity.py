"""When somebody speaks: silero's voice detector, and an envelope for the mouth made of it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError, DependencyError
from lipcore.types import Dialogue, FloatArray

CHUNK = 512
"""Samples of which the detector says one probability."""
_CONTEXT = 64
_STEP, _SEQUENCE = "silero_vad_16k_op15.onnx", "silero_vad_16k_sequence.onnx"
"""The same network for a chunk at a time, and for many that follow each other."""
_AT_ONCE = 512
"""Chunks of a sequence that are handed over together, 16 s: 1.2 MB."""
_LEAST = "6.2.3"
_INSTALL = f"Run: pip install 'silero-vad>={_LEAST}'"
_BLOCK = 320
_LOUD_RMS = 0.12
_MOST_GAIN = 30.0


@dataclass(frozen=True, slots=True)
class ActivityConfig:
    """When sound counts as speech."""

    enter: float = 0.5
    """Probability from which speech begins."""
    leave: float = 0.35
    """Probability below which it ends."""
    bridge_s: float = 0.3
    """Shorter pauses belong to the speech; what the mouth does in them, the sound says."""
    shortest_s: float = 0.06
    """Shorter bursts are clicks."""
    before_s: float = 0.25
    """Mouths open, and breathe in, before the sound comes; how far, the network says."""
    after_s: float = 0.06
    """And close after it has gone."""
    opening_s: float = 0.25
    """In which the mouth goes from closed to what is asked."""
    closing_s: float = 0.12
    """And back."""

    def __post_init__(self) -> None:
        if not 0 < self.leave <= self.enter < 1:
            raise ConfigError("leave and enter are probabilities, and leave is the smaller one")
        times = (
            self.bridge_s, self.shortest_s, self.before_s, self.after_s, self.opening_s,
            self.closing_s,
        )
        if min(times) < 0:
            raise ConfigError("a time of the activity detector is below 0")


@cache
def _session(network: str) -> Any:
    """The detector, on one thread: chunks are small, and the same each time."""
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise DependencyError("silero-vad is not installed", hint=_INSTALL)
    path = Path(spec.submodule_search_locations[0]) / "data" / network
    if not path.is_file():
        raise DependencyError(f"silero-vad has no network at {path}", hint=_INSTALL)
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except ImportError as error:
        raise DependencyError(
            "onnxruntime is not installed", hint="Run: pip install onnxruntime"
        ) from error
    except Exception as error:  # onnxruntime's errors share no base class
        raise DependencyError(
            f"silero-vad's network does not load ({error})", hint=_INSTALL
        ) from error


def level_gain(samples: FloatArray) -> float:
    """What brings the loud moments of a dialogue to one level, so that a quiet recording is
    heard like a loud one.

    Args:
        samples: ``(samples,)`` at 16 kHz.

    Returns:
        A factor of at most 30 up or down; 1.0 for digital silence.
    """
    blocks = len(samples) // _BLOCK
    if blocks == 0:
        return 1.0
    framed = samples[: blocks * _BLOCK].reshape(blocks, _BLOCK)
    rms = np.sqrt(np.einsum("bs,bs->b", framed, framed, dtype=np.float64) / _BLOCK)
    if rms.max() <= 1e-6:
        return 1.0
    loud = float(np.quantile(rms[rms > rms.max() / 10], 0.75))
    return float(np.clip(_LOUD_RMS / loud, 1 / _MOST_GAIN, _MOST_GAIN))


def speech_probability(dialogue: Dialogue, *, gain: float | None = None) -> FloatArray:
    """Probability of speech in each stretch of 512 samples (32 ms).

    Args:
        dialogue: At 16 kHz.
        gain: Of the samples, where they are part of a longer dialogue; None takes what
            ``level_gain`` says of them.

    Returns:
        ``(ceil(samples / 512),)`` in 0-1.

    Raises:
        ConfigError: The dialogue has another rate.
        DependencyError: silero-vad or onnxruntime is absent.
    """
    if dialogue.sample_rate_hz != 16_000:
        raise ConfigError(f"speech is detected at 16000 Hz, not at {dialogue.sample_rate_hz}")
    samples = dialogue.samples
    factor = np.float32(level_gain(samples) if gain is None else gain)
    count = -(-len(samples) // CHUNK)
    sound = np.zeros(_CONTEXT + count * CHUNK, np.float32)
    np.multiply(samples, factor, out=sound[_CONTEXT : _CONTEXT + len(samples)])
    probability = np.empty(count, np.float32)
    session = _session(_SEQUENCE)
    hidden = cell = np.zeros((1, 1, 128), np.float32)
    for first in range(0, count, _AT_ONCE):
        end = min(first + _AT_ONCE, count)
        # Each chunk is heard with the last samples of the one before it.
        part = sound[first * CHUNK : end * CHUNK + _CONTEXT]
        windows = np.lib.stride_tricks.sliding_window_view(part, _CONTEXT + CHUNK)[::CHUNK]
        given = {"input": np.ascontiguousarray(windows), "h": hidden, "c": cell}
        found, hidden, cell = session.run(["speech_probs", "hn", "cn"], given)
        probability[first:end] = found.reshape(-1)
    return probability


class VoiceDetector:
    """The detector's memory of one sound: let it hear chunk after chunk.

    Raises:
        DependencyError: silero-vad or onnxruntime is absent.
    """

    def __init__(self) -> None:
        self._session = _session(_STEP)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._window = np.zeros((1, _CONTEXT + CHUNK), np.float32)
        self._rate = np.array(16_000, np.int64)

    def hear(self, chunk: FloatArray) -> float:
        """Probability of speech in the next samples.

        Args:
            chunk: ``(512,)`` at 16 kHz, at the level that ``level_gain`` asks for; fewer only
                at the end of the sound.
        """
        window = self._window
        window[:, :_CONTEXT] = window[:, -_CONTEXT:]
        window[:, _CONTEXT:] = 0
        window[0, _CONTEXT : _CONTEXT + len(chunk)] = chunk
        given = {"input": window, "state": self._state, "sr": self._rate}
        probability, self._state = self._session.run(None, given)
        return float(probability[0, 0])


def speech_spans(
    probability: FloatArray, config: ActivityConfig | None = None
) -> list[tuple[float, float]]:
    """Spans of speech in seconds: hysteresis, short pauses bridged, clicks dropped."""
    config = config or ActivityConfig()
    step = CHUNK / 16_000
    spans: list[tuple[float, float]] = []
    start: float | None = None
    for index, value in enumerate(probability):
        if start is None and value >= config.enter:
            start = index * step
        elif start is not None and value < config.leave:
            spans.append((start, index * step))
            start = None
    if start is not None:
        spans.append((start, len(probability) * step))
    joined: list[tuple[float, float]] = []
    for begin, end in spans:
        if joined and begin - joined[-1][1] < config.bridge_s:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return [(begin, end) for begin, end in joined if end - begin >= config.shortest_s]


def speech_envelope(
    spans: list[tuple[float, float]],
    times_s: npt.NDArray[np.float64],
    config: ActivityConfig | None = None,
) -> FloatArray:
    """How much of the asked mouth is to be shown: 1 in speech, exactly 0 in silence.

    Args:
        spans: Of speech, seconds.
        times_s: ``(N,)`` moments.
        config: Margins and ramps.

    Returns:
        ``(N,)`` 0-1, smooth (half a cosine) where speech comes and goes.
    """
    config = config or ActivityConfig()
    shown = np.zeros(len(times_s))
    for begin, end in spans:
        early = np.maximum(begin - config.before_s - times_s, 0) / max(config.opening_s, 1e-6)
        late = np.maximum(times_s - end - config.after_s, 0) / max(config.closing_s, 1e-6)
        share = np.clip(1 - np.maximum(early, late), 0, 1)
        shown = np.maximum(shown, 0.5 - 0.5 * np.cos(np.pi * share))
    return shown.astype(np.float32)
