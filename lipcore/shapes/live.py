"""The mouth shapes that a sound asks for while it is still being heard."""

from __future__ import annotations

import numpy as np
import torch

from lipcore.models.checkpoint import shared_network
from lipcore.models.mel import MelFrontEnd
from lipcore.models.speech_encoder import SpeechEncoder, sample_at, scale_mel
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.from_speech import (
    LEAST_OPEN,
    SMOOTH_REACH,
    mel_steps,
    smooth_steps,
    speech_scale,
)
from lipcore.speech.activity import (
    CHUNK,
    VoiceDetector,
    level_gain,
    speech_envelope,
    speech_spans,
)
from lipcore.types import FloatArray
from lipcore.weights import WeightsSet

SAMPLE_RATE_HZ = 16_000
_HISTORY_S = 8
"""What level and timbre of the speech are taken from."""
_RENEW_S = 0.5
"""How often they are taken anew."""


class LiveShapes:
    """Hears a sound piece by piece, and says what the mouth does at a moment just past.

    Of the sound the last eight seconds are kept. A shape asked of a moment knows what was
    heard after it, a few tenths of a second in a stream: beyond that the network sees silence.

    Args:
        weights: With a speech network and a shape basis.

    Raises:
        WeightsError: The networks are absent or unusable.
        DependencyError: The voice detector is absent.
    """

    def __init__(self, weights: WeightsSet) -> None:
        network = shared_network(weights.file("speech"), kind="speech")
        assert isinstance(network, SpeechEncoder)
        self._network = network
        self._open = ShapeBasis.load(weights).column("open")
        self._front = MelFrontEnd()
        self._hop = self._front.config.hop
        self._voice = VoiceDetector()
        self._samples = np.zeros(0, np.float32)
        self._start = 0
        """Number of the first sample that is kept; a multiple of hop and chunk."""
        self._spoken: list[float] = []
        """Probabilities of speech, of each chunk from ``_start`` on."""
        self._gain = 1.0
        self._renewed = -1
        self._scale: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def heard(self) -> int:
        """Samples that were heard so far."""
        return self._start + len(self._samples)

    def hear(self, samples: FloatArray) -> None:
        """Take the next samples, ``(n,)`` at 16 kHz in [-1, 1]."""
        self._samples = np.concatenate([self._samples, samples.astype(np.float32)])
        step = int(np.lcm(self._hop, CHUNK))
        excess = (len(self._samples) - _HISTORY_S * SAMPLE_RATE_HZ) // step * step
        if excess > 0:
            self._listen()
            self._samples = self._samples[excess:].copy()
            self._start += excess
            del self._spoken[: excess // CHUNK]
        self._renew()
        self._listen()

    def at(self, time_s: float) -> FloatArray:
        """``(C,)`` the mouth shape at a moment, in standard units; 0 where nobody speaks.

        Args:
            time_s: Seconds since the first sample, of the last seconds.
        """
        components = self._network.config.components
        if not len(self._samples):
            return np.zeros(components, np.float32)
        moment = time_s - self._start / SAMPLE_RATE_HZ
        spans = speech_spans(np.array(self._spoken, np.float32))
        share = speech_envelope(spans, np.array([moment]))[0]
        if share == 0:
            return np.zeros(components, np.float32)
        values = self._read(moment)
        opening = values[self._open]
        if opening < 0:
            values[self._open] = LEAST_OPEN * np.tanh(opening / LEAST_OPEN)
        out: FloatArray = values * share
        return out

    @torch.inference_mode()
    def _read(self, moment: float) -> FloatArray:
        assert self._scale is not None
        total = 1 + len(self._samples) // self._hop
        position = min(max(0.0, moment * self._front.config.steps_a_second), total - 1)
        context = self._network.config.context + SMOOTH_REACH
        first, last = max(0, int(position) - context), min(total, int(position) + 2 + context)
        mel = mel_steps(self._front, self._samples, self._gain, first, last)[None]
        shapes = smooth_steps(self._network(scale_mel(mel, *self._scale)))
        values: FloatArray = sample_at(shapes, torch.tensor([position - first]))[0, 0].numpy()
        return values

    def _listen(self) -> None:
        """Let the voice detector hear what is whole."""
        while (end := (len(self._spoken) + 1) * CHUNK) <= len(self._samples):
            chunk = self._samples[end - CHUNK : end]
            self._spoken.append(self._voice.hear(chunk * np.float32(self._gain)))

    def _renew(self) -> None:
        period = int(self.heard / (_RENEW_S * SAMPLE_RATE_HZ))
        if self._scale is not None and period == self._renewed:
            return
        self._renewed = period
        self._gain = level_gain(self._samples)
        total = 1 + len(self._samples) // self._hop
        with torch.inference_mode():
            self._scale = speech_scale(self._front, self._samples, self._gain, total)
