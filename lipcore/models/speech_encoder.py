"""The speech encoder: dialogue to features, and features to mouth shapes.

A temporal convolution network over the log-mel spectrum, about half a second to either side
of the moment. It sees an utterance on its own scale (mean and spread of the speech in it), so
that microphone, loudness and distance do not matter, and it answers in standard units: 0 is
the mouth closed at rest, 1 one standard deviation of the speaker.

Nothing in it knows of a frame rate: features stand every 10 ms, and shapes are read off at
any moment between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError

LOUD_RANGE = 2.0
"""Units of the mel front end (12.5 dB) below the loudest step that can be loud speech."""
SPEECH_RANGE = 2.0
"""Units below the loud moments in which speech is still speech; digital silence lies lower."""
SMALLEST_SPREAD = 0.3
"""Below this an utterance is taken for noise, and not blown up further."""


@dataclass(frozen=True, slots=True)
class SpeechEncoderConfig:
    """Sizes of the speech encoder."""

    mel_bins: int = 80
    channels: int = 96
    """D: width of the network and of its features."""
    kernel: int = 5
    """Steps a convolution sees; odd."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 8)
    """Of the residual blocks, in order."""
    components: int = 8
    """C: mouth-shape components."""
    members: int = 1
    """Networks side by side whose shapes are averaged."""
    dropout: float = 0.2
    """In training only."""

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0 or self.kernel < 1:
            raise ConfigError(f"kernel is {self.kernel}", hint="Choose an odd number.")
        if min(self.mel_bins, self.channels, self.components, self.members) < 1:
            raise ConfigError("a size of the speech encoder is below 1")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}", hint="Choose 0 or more, below 1.")

    @property
    def context(self) -> int:
        """Mel steps that a feature sees to either side of its own."""
        return (self.kernel // 2) * (1 + sum(self.dilations))


class _Block(nn.Module):
    """Residual block: norm, gated dilated convolution, projection."""

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Conv1d(
            channels, 2 * channels, kernel, padding=dilation * (kernel // 2), dilation=dilation
        )
        self.project = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x.transpose(1, 2)).transpose(1, 2)
        added: Tensor = self.project(self.dropout(F.glu(self.mix(y), dim=1)))
        return x + added


class SpeechMember(nn.Module):
    """One network of a speech encoder."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.enter = nn.Conv1d(
            config.mel_bins, config.channels, config.kernel, padding=config.kernel // 2
        )
        self.blocks = nn.ModuleList(
            _Block(config.channels, config.kernel, dilation, config.dropout)
            for dilation in config.dilations
        )
        self.norm = nn.LayerNorm(config.channels)
        self.dropout = nn.Dropout(config.dropout)
        self.shape = nn.Linear(config.channels, config.components)

    def forward(self, mel: Tensor) -> Tensor:
        """Normalised mel ``(B, M, T)`` to features ``(B, T, D)``."""
        x: Tensor = self.enter(self.dropout(mel))
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.norm(x.transpose(1, 2))
        return normed

    def answer(self, features: Tensor) -> Tensor:
        """Features ``(B, T, D)`` to shapes ``(B, T, C)``."""
        shapes: Tensor = self.shape(self.dropout(features))
        return shapes


class SpeechEncoder(nn.Module):
    """Normalised log-mel steps to features and standardised mouth shapes.

    Source: the paper's speech encoder sees 200 ms; ours sees a second, because lips move
    ahead of the sound, and carries a mouth-shape head.
    """

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(SpeechMember(config) for _ in range(config.members))
        self.gain: Tensor
        self.rest: Tensor
        self.register_buffer("gain", torch.ones(config.components))
        self.register_buffer("rest", torch.zeros(config.components))

    def networks(self) -> Iterator[SpeechMember]:
        """The members, typed."""
        for member in self.members:
            assert isinstance(member, SpeechMember)
            yield member

    def features(self, mel: Tensor) -> Tensor:
        """Features of normalised mel steps.

        Args:
            mel: ``(B, M, T)`` as ``normalize_mel`` gives it.

        Returns:
            ``(B, T, members * D)``.
        """
        return torch.cat([member(mel) for member in self.networks()], dim=2)

    def shapes(self, features: Tensor) -> Tensor:
        """Mouth shapes of features.

        Args:
            features: ``(B, T, members * D)``.

        Returns:
            ``(B, T, C)`` in standard units: 0 is the mouth closed at rest, 1 one standard
            deviation of the speaker.
        """
        parts = features.chunk(self.config.members, dim=2)
        answers = [
            member.answer(part) for member, part in zip(self.networks(), parts, strict=True)
        ]
        return torch.stack(answers).mean(dim=0) * self.gain - self.rest

    def forward(self, mel: Tensor) -> Tensor:
        """Normalised mel ``(B, M, T)`` to standardised shapes ``(B, T, C)``."""
        return self.shapes(self.features(mel))


def speech_steps(level: Tensor) -> Tensor:
    """Which mel steps carry speech, by level alone.

    Silence before, after and between does not change the answer, so that a moment looks the
    same wherever it stands in a dialogue.

    Args:
        level: ``(B, T)`` mean over the bins of the front end.

    Returns:
        ``(B, T)`` bool.
    """
    loud = level > level.amax(dim=1, keepdim=True) - LOUD_RANGE
    top = torch.nanquantile(level.masked_fill(~loud, torch.nan), 0.9, dim=1, keepdim=True)
    return level > top - SPEECH_RANGE


def normalize_mel(mel: Tensor) -> Tensor:
    """An utterance on its own scale.

    Each bin less its mean over the speech, all over one spread: what stays does not depend on
    gain, microphone or distance.

    Args:
        mel: ``(B, M, T)`` of the front end (12.5 dB a unit).

    Returns:
        ``(B, M, T)`` within -4 to 4.
    """
    speech = speech_steps(mel.mean(dim=1)).to(mel.dtype)[:, None]
    count = speech.sum(dim=2, keepdim=True).clamp(min=1)
    mean = (mel * speech).sum(dim=2, keepdim=True) / count
    variance = ((mel - mean) ** 2 * speech).mean(dim=1, keepdim=True).sum(2, keepdim=True) / count
    return scale_mel(mel, mean, variance)


def scale_mel(mel: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """The last step of ``normalize_mel``, for statistics that were gathered elsewhere.

    Args:
        mel: ``(B, M, T)`` of the front end.
        mean: ``(B, M, 1)``.
        variance: ``(B, 1, 1)`` about that mean, over bins and speech steps.
    """
    return ((mel - mean) / variance.sqrt().clamp(min=SMALLEST_SPREAD)).clamp(-4, 4)


def sample_at(steps: Tensor, positions: Tensor) -> Tensor:
    """Read a sequence between its steps, linearly.

    Args:
        steps: ``(B, T, D)``.
        positions: ``(N,)`` in steps; beyond the ends the end is held.

    Returns:
        ``(B, N, D)``.
    """
    last = steps.shape[1] - 1
    at = positions.clamp(0, last)
    low = at.floor().long().clamp(max=max(last - 1, 0))
    share = (at - low)[:, None].to(steps.dtype)
    high = (low + 1).clamp(max=last)
    return steps[:, low] * (1 - share) + steps[:, high] * share
