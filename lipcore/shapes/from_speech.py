"""The mouth shapes that a dialogue asks for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lipcore.models.checkpoint import shared_network
from lipcore.models.mel import MelFrontEnd
from lipcore.models.speech_encoder import SpeechEncoder, sample_at, scale_mel, speech_steps
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import STANDARD
from lipcore.speech.activity import level_gain, speech_envelope, speech_probability, speech_spans
from lipcore.types import Dialogue, FloatArray, FrameRange, ShapeCurves
from lipcore.weights import WeightsSet

CHUNK_STEPS = 3000
"""Mel steps that are held at a time: half a minute."""
LEAST_OPEN = -0.25
"""Lips press together as far as this, approached smoothly."""

SMOOTH_STEPS = 1.5
"""Standard deviation, in mel steps, of the low-pass before shapes are read off at frames:
faster wobble than a mouth's would otherwise alias into the frame rate."""

_MARGIN = 4
"""Mel steps beside a chunk whose analysis windows reach outside it."""
SMOOTH_REACH = 5
"""Mel steps to either side that the low-pass sees."""


def shapes_from_dialogue(
    dialogue: Dialogue,
    rate: Fraction,
    frames: FrameRange,
    weights: WeightsSet,
    *,
    silence: bool = True,
) -> ShapeCurves:
    """Read mouth shapes off a dialogue, each at the middle of its frame.

    Args:
        dialogue: At 16 kHz; its first sample belongs to the beginning of the first frame.
        rate: Frames a second, any.
        frames: Which frames; beyond the dialogue's end the mouth is closed.
        weights: With a speech network and a shape basis.
        silence: Close the mouth where nobody speaks; otherwise the network alone decides.

    Returns:
        Curves in standard units (0 closed, 1 a standard deviation of the speaker), to be
        brought to a person by ``fit.fit_person``. Exactly 0 in silence. The same input gives
        the same curves; work memory does not grow with the dialogue.

    Raises:
        WeightsError: The networks are absent or unusable.
        DependencyError: The voice detector is absent.
    """
    basis = ShapeBasis.load(weights)
    network = shared_network(weights.file("speech"), kind="speech")
    assert isinstance(network, SpeechEncoder)
    times = (np.arange(len(frames)) + 0.5) / float(rate)
    values = _read_shapes(network, dialogue.samples, times)
    column = basis.column("open")
    opening = values[:, column]
    pressed = LEAST_OPEN * np.tanh(opening / LEAST_OPEN)
    values[:, column] = np.where(opening < 0, pressed, opening)
    if silence:
        values *= speech_envelope(speech_spans(speech_probability(dialogue)), times)[:, None]
    values[times >= float(dialogue.duration_s)] = 0
    values += 0.0  # no negative zeros in files for people
    return ShapeCurves(
        rate=rate,
        first_frame=frames.first,
        values=values,
        names=basis.names,
        unit=STANDARD,
        source=f"dialogue {dialogue.source.name}" if dialogue.source else "dialogue",
        weights=basis.label,
    )


@torch.inference_mode()
def _read_shapes(
    network: SpeechEncoder, samples: FloatArray, times_s: npt.NDArray[np.float64]
) -> FloatArray:
    """``(N, C)`` of the network at moments, chunk by chunk."""
    front, gain = MelFrontEnd(), level_gain(samples)
    total = 1 + len(samples) // front.config.hop
    mean, variance = speech_scale(front, samples, gain, total)
    positions = torch.from_numpy(times_s * front.config.steps_a_second).clamp(0, total - 1)
    values = torch.zeros(len(times_s), network.config.components)
    context = network.config.context + SMOOTH_REACH
    for first in range(0, total, CHUNK_STEPS):
        last = min(first + CHUNK_STEPS, total)
        inside = (positions >= first) & (positions < last)
        if not inside.any():
            continue
        start, stop = max(0, first - context), min(total, last + 1 + context)
        mel = scale_mel(mel_steps(front, samples, gain, start, stop)[None], mean, variance)
        values[inside] = sample_at(smooth_steps(network(mel)), positions[inside] - start)[0]
    result: FloatArray = values.numpy()
    return result


def smooth_steps(shapes: Tensor) -> Tensor:
    """Low-pass ``(1, T, C)`` over time, ends held."""
    at = torch.arange(-SMOOTH_REACH, SMOOTH_REACH + 1) / SMOOTH_STEPS
    kernel = torch.exp(-0.5 * at.square())
    ends = (SMOOTH_REACH, SMOOTH_REACH)
    padded = F.pad(shapes.transpose(1, 2), ends, mode="replicate").transpose(0, 1)
    smooth: Tensor = F.conv1d(padded, (kernel / kernel.sum())[None, None]).transpose(0, 1)
    return smooth.transpose(1, 2)


def mel_steps(
    front: MelFrontEnd, samples: FloatArray, gain: float, start: int, stop: int
) -> Tensor:
    """Steps ``start`` to ``stop - 1`` of a sound, ``(M, stop - start)``, as of the whole."""
    hop = front.config.hop
    begin = max(0, start - _MARGIN)
    part = samples[begin * hop : (stop + _MARGIN) * hop]
    mel: Tensor = front(torch.from_numpy(part * np.float32(gain))[None])[0]
    return mel[:, start - begin : stop - begin]


def speech_scale(
    front: MelFrontEnd, samples: FloatArray, gain: float, total: int
) -> tuple[Tensor, Tensor]:
    """Mean ``(1, M, 1)`` and variance ``(1, 1, 1)`` of the speech, as ``normalize_mel`` has it.

    Two passes: levels first (one number a step), then the sums over the steps that are speech.
    """

    def chunks() -> Iterator[tuple[int, Tensor]]:
        for first in range(0, total, CHUNK_STEPS):
            yield first, mel_steps(front, samples, gain, first, min(first + CHUNK_STEPS, total))

    speech = speech_steps(torch.cat([mel.mean(dim=0) for _, mel in chunks()])[None])[0]
    count = speech.sum().clamp(min=1)
    bins = front.config.bins
    summed, squared = torch.zeros(bins, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for first, mel in chunks():
        spoken = mel[:, speech[first : first + mel.shape[1]]].double()
        summed += spoken.sum(dim=1)
        squared += spoken.square().sum()
    mean = summed / count
    variance = squared / (count * bins) - mean.square().mean()
    return mean.float()[None, :, None], variance.clamp(min=0).float()[None, None, None]
