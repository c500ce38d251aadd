"""The recipe of the speech encoder: from sound to standardised mouth shapes.

Two teachers. Clips of real people: what their mouths did, each person on the person's own
scale, so that the network learns what speech asks of any mouth and nothing of whose it is.
And synthetic speech, whose phonemes and so whose mouth shapes are known to the millisecond,
in many voices. All augmentation works on the mel steps, where it costs next to nothing:
other vocal tracts (frequency warp), microphones (equalisation), rooms (reverberation),
noise, tempo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import savgol_filter
from torch import Tensor

from lipcore.errors import ConfigError, TrainingError
from lipcore.models.mel import MelFrontEnd
from lipcore.models.speech_encoder import (
    SpeechEncoder,
    SpeechEncoderConfig,
    normalize_mel,
    sample_at,
)
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.fit import opening_slope, width_slope
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.speech.activity import level_gain
from lipcore.types import FloatArray

from .spoken import Spoken

_NEPERS = 100.0 / 8 * np.log(10) / 20
"""A unit of the mel front end in natural logarithms of amplitude."""
LEADING = 3
"""Components that speech determines well enough to bring them to full amplitude."""
MOST_GAIN = 1.6
SHUT_BELOW = -0.9
"""Standardised opening below which the lips count as together."""


@dataclass(frozen=True, slots=True)
class SpeechTrainingConfig:
    """How the speech encoder is trained."""

    network: SpeechEncoderConfig = field(default_factory=SpeechEncoderConfig)
    basis: str = "base"
    """Name or folder of the weights whose shape basis is learnt."""
    seed: int = 0
    steps: int = 600
    """Optimiser steps of each member."""
    batch: int = 12
    crop_steps: int = 400
    """Mel steps of a training crop: 4 s."""
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    synthetic_share: float = 0.12
    """Share of crops that are synthetic speech; 0 trains on real clips alone."""
    agreement: float = 0.5
    """Weight of the concordance loss, which keeps the amplitude up, beside the squared error."""
    component_weights: tuple[float, ...] = (1.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.2, 0.1)
    opening_weight: float = 1.5
    width_weight: float = 0.7
    closure_weight: float = 0.3
    """How much more an error counts while the lips are together: a mouth that fails to shut
    on m, b and p is seen at once."""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.crop_steps) < 1:
            raise ConfigError("steps, batch and crop_steps start at 1")
        if not 0 <= self.synthetic_share < 1:
            raise ConfigError(
                f"synthetic_share is {self.synthetic_share}", hint="Choose 0 or more, below 1."
            )
        if len(self.component_weights) != self.network.components:
            raise ConfigError(
                f"{len(self.component_weights)} component_weights for "
                f"{self.network.components} components"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Sound with the mouth that made it, on the steps of the mel."""

    name: str
    person: str
    mel: Tensor
    """``(M, T)`` of the front end."""
    shapes: Tensor
    """``(T, C + 2)``: components, opening and width, each less the person's mean and over
    the person's standard deviation."""
    known: Tensor
    """``(T,)`` 1 where the picture covers the sound, else 0."""


def real_utterance(
    name: str, person: str, sound: FloatArray, landmarks: FloatArray, rate: Fraction,
    basis: ShapeBasis,
) -> Utterance:  # fmt: skip
    """A clip as a teacher.

    Args:
        name: Of the clip.
        person: Who speaks.
        sound: ``(samples,)`` at 16 kHz, its offset to the picture taken out.
        landmarks: ``(N, 478, 3)`` raw meshes.
        rate: Frames a second.
        basis: Of mouth shapes.
    """
    smooth = savgol_filter(landmarks.astype(np.float64), 5, 2, axis=0).astype(np.float32)
    values = basis.measure(smooth)[0]
    measured = np.concatenate(
        [values, inner_opening(smooth)[:, None], lip_width(smooth)[:, None]], axis=1
    )
    standard = (measured - measured.mean(0)) / (measured.std(0) + 1e-6)
    mel = _mel(sound)
    at = np.arange(mel.shape[1]) / 100 * float(rate) - 0.5
    frames = np.arange(len(standard))
    shapes = np.stack([np.interp(at, frames, column) for column in standard.T], axis=1)
    known = (at >= -0.5) & (at <= len(standard) - 0.5)
    return Utterance(
        name, person, mel, torch.from_numpy(shapes).float(), torch.from_numpy(known).float()
    )


def synthetic_utterances(spoken: Sequence[Spoken], basis: ShapeBasis) -> list[Utterance]:
    """Synthetic speech as a teacher, standardised over all of it."""
    if not spoken:
        return []
    open_map, width_map = opening_slope(basis), width_slope(basis)
    std = basis.std.astype(np.float64)
    shapes = []
    for item in spoken:
        opening = item.shapes @ (open_map * std)
        width = item.shapes @ (width_map * std)
        shapes.append(np.concatenate([item.shapes, opening[:, None], width[:, None]], axis=1))
    everything = np.concatenate(shapes)
    mean, spread = everything.mean(0), everything.std(0)
    spread[spread < 1e-3] = 1.0
    utterances = []
    for item, shape in zip(spoken, shapes, strict=True):
        mel = _mel(item.samples)
        length = min(mel.shape[1], len(shape))
        standard = torch.from_numpy((shape[:length] - mean) / spread).float()
        utterances.append(
            Utterance(item.voice, "synthetic", mel[:, :length], standard, torch.ones(length))
        )
    return utterances


def _mel(sound: FloatArray) -> Tensor:
    levelled = torch.from_numpy(sound * np.float32(level_gain(sound)))
    with torch.no_grad():
        mel: Tensor = MelFrontEnd()(levelled[None])[0]
    return mel


class SpeechBatches:
    """Endless augmented crops; all chance comes from the seed."""

    def __init__(
        self, real: Sequence[Utterance], synthetic: Sequence[Utterance],
        config: SpeechTrainingConfig, seed: int,
    ) -> None:  # fmt: skip
        if not real:
            raise TrainingError("no clips to train the speech encoder on")
        self.config = config
        self.real, self.synthetic = list(real), list(synthetic)
        self.rng = np.random.default_rng(seed)
        self.noise = torch.Generator().manual_seed(seed)
        # A long clip of one person teaches less than as much sound of several.
        size = np.array([min(float(u.known.sum()), 2400.0) ** 0.7 for u in self.real])
        self.share = size / size.sum()

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, M, T)`` normalised mel, ``(B, T, C + 2)`` shapes, ``(B, T)`` known."""
        crops = [self._crop() for _ in range(self.config.batch)]
        mel = torch.stack([c[0] for c in crops])
        shapes = torch.stack([c[1] for c in crops])
        known = torch.stack([c[2] for c in crops])
        return self._mask(normalize_mel(self._colour(mel))), shapes, known

    def _crop(self) -> tuple[Tensor, Tensor, Tensor]:
        """A stretch of one utterance at another tempo."""
        rng, length = self.rng, self.config.crop_steps
        if self.synthetic and rng.random() < self.config.synthetic_share:
            utterance = self.synthetic[int(rng.integers(len(self.synthetic)))]
        else:
            utterance = self.real[int(rng.choice(len(self.real), p=self.share))]
        tempo = float(np.exp(rng.normal(0, 0.12)))
        steps = utterance.mel.shape[1]
        span = length * tempo
        start = rng.uniform(min(0.0, steps - span), max(0.0, steps - span))
        at = torch.arange(length) * tempo + start
        inside = ((at >= 0) & (at <= steps - 1)).float()
        mel = sample_at(utterance.mel.T[None], at)[0].T
        mel = torch.where(inside.bool(), mel, utterance.mel.min())
        shapes = sample_at(utterance.shapes[None], at)[0]
        known = sample_at(utterance.known[None, :, None], at)[0, :, 0]
        return mel, shapes, inside * (known > 0.99).float()

    def _colour(self, mel: Tensor) -> Tensor:
        """Other throats, microphones, rooms and noises: ``(B, M, T)`` of the front end."""
        rng, (batch, bins, steps) = self.rng, mel.shape
        warp = torch.from_numpy(np.exp(rng.normal(0, 0.08, batch))).float()[:, None]
        shift = torch.from_numpy(rng.normal(0, 1.0, batch)).float()[:, None]
        source = (torch.arange(bins)[None] * warp + shift).clamp(0, bins - 1)
        low = source.floor().long().clamp(max=bins - 2)
        share = (source - low)[..., None]
        index = low[..., None].expand(-1, -1, steps)
        log = mel.gather(1, index) * (1 - share) + mel.gather(1, index + 1) * share
        log = (log * _NEPERS) + self._tilts(batch, bins, 5, 0.7)
        dry = log.exp()
        decay = torch.from_numpy(rng.uniform(3, 15, batch)).float()[:, None]
        level = torch.from_numpy(rng.uniform(0.05, 0.4, batch) * (rng.random(batch) < 0.4)).float()
        tail = torch.exp(-torch.arange(40) / decay) * level[:, None]
        tail[:, 0] = 1.0
        padded = F.pad(dry.transpose(0, 1), (39, 0))
        wet = F.conv1d(padded, tail.flip(1)[:, None], groups=batch).transpose(0, 1)
        loud = torch.quantile(log.mean(1), 0.95, dim=1)
        below = torch.from_numpy(
            np.where(rng.random(batch) < 0.7, rng.uniform(0.8, 5, batch), 20.0)
        ).float()
        hiss = (loud - below)[:, None, None] + self._tilts(batch, bins, 4, 1.0)
        grain = 0.3 * torch.randn(wet.shape, generator=self.noise)
        heard: Tensor = torch.logaddexp(wet.log(), hiss + grain) / _NEPERS
        return heard

    def _tilts(self, batch: int, bins: int, knots: int, size: float) -> Tensor:
        """Random smooth curves over frequency, ``(B, M, 1)``."""
        drawn = torch.from_numpy(self.rng.normal(0, size, (batch, 1, knots))).float()
        smooth: Tensor = F.interpolate(drawn, bins, mode="linear", align_corners=True)
        return smooth.transpose(1, 2)

    def _mask(self, mel: Tensor) -> Tensor:
        """Hide two bands and one moment of each crop."""
        for row in mel:
            for _ in range(2):
                first = int(self.rng.integers(0, row.shape[0]))
                row[first : first + int(self.rng.integers(0, 12))] = 0
            first = int(self.rng.integers(0, row.shape[1]))
            row[:, first : first + int(self.rng.integers(0, 12))] = 0
        return mel


def shape_loss(
    answers: Tensor, shapes: Tensor, known: Tensor, weights: Tensor,
    agreement: float, closure: float,
) -> Tensor:  # fmt: skip
    """Squared error, and what is missing to full concordance, over what is known.

    Args:
        answers: ``(B, T, Q)``.
        shapes: ``(B, T, Q)`` truth.
        known: ``(B, T)`` 0 or 1.
        weights: ``(Q,)``; the quantities before the last are the opening, then the width.
        agreement: Weight of the concordance.
        closure: How much more an error counts while the lips are together.

    Source: Lin, *A concordance correlation coefficient to evaluate reproducibility*, 1989.
    """
    mask = known[..., None]
    count = mask.sum((0, 1)).clamp(min=1)
    # A mistracked frame must not rule the step.
    shut = 1 + closure * (shapes[..., -2:-1] < SHUT_BELOW).to(mask.dtype)
    error = (((answers - shapes) ** 2).clamp(max=9) * mask * shut).sum((0, 1)) / count
    mean_a, mean_s = (answers * mask).sum((0, 1)) / count, (shapes * mask).sum((0, 1)) / count
    off_a, off_s = (answers - mean_a) * mask, (shapes - mean_s) * mask
    shared = 2 * (off_a * off_s).sum((0, 1)) / count
    spread = (off_a**2 + off_s**2).sum((0, 1)) / count + (mean_a - mean_s) ** 2
    lack = 1 - shared / (spread + 1e-4)
    return ((error + agreement * lack) * weights).sum() / weights.sum()


def train_speech(
    real: Sequence[Utterance], synthetic: Sequence[Utterance], basis: ShapeBasis,
    config: SpeechTrainingConfig,
) -> SpeechEncoder:  # fmt: skip
    """Train every member of a speech encoder, one after the other.

    Returns:
        The network in evaluation mode, on the clips' own scale: 0 is a person's mean, 1 the
        person's standard deviation. ``calibrate`` brings it to standard units.

    Raises:
        TrainingError: There are no clips, or the training diverged.
    """
    torch.manual_seed(config.seed)
    network = SpeechEncoder(config.network)
    slopes = np.stack([opening_slope(basis), width_slope(basis)], axis=1)
    maps = torch.from_numpy(slopes * basis.std[:, None]).float()
    maps = maps / maps.norm(dim=0)
    weights = torch.tensor(
        [*config.component_weights, config.opening_weight, config.width_weight]
    )
    for index, member in enumerate(network.networks()):
        batches = SpeechBatches(real, synthetic, config, config.seed * 100 + index)
        optimizer = torch.optim.AdamW(
            member.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=config.steps, pct_start=0.1
        )
        member.train()
        for _ in range(config.steps):
            mel, shapes, known = batches.draw()
            answers = member.answer(member(mel))
            answers = torch.cat([answers, answers @ maps], dim=2)
            loss = shape_loss(
                answers, shapes, known, weights, config.agreement, config.closure_weight
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(member.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if not torch.isfinite(loss):
                raise TrainingError("the loss is not a number", hint="Lower learning_rate.")
    return network.eval()


@dataclass(frozen=True, slots=True)
class SpeechScore:
    """How answers and truth go together on one clip."""

    opening: float
    """Pearson's correlation of the inner-lip opening."""
    width: float
    """That of the mouth's width."""
    amplitude: float
    """Standard deviation of the answered opening over the true one's."""
    spread: tuple[float, ...]
    """Standard deviation of each answered component; the truth's is 1."""


@torch.no_grad()
def score_speech(
    network: SpeechEncoder, utterances: Sequence[Utterance], basis: ShapeBasis
) -> dict[str, SpeechScore]:
    """Scores by clip."""
    open_map, width_map = opening_slope(basis) * basis.std, width_slope(basis) * basis.std
    scores: dict[str, SpeechScore] = {}
    for utterance in utterances:
        known = utterance.known.numpy() > 0
        answers = network(normalize_mel(utterance.mel[None]))[0].numpy()[known]
        truth = utterance.shapes.numpy()[known]
        opening, width = answers @ open_map, answers @ width_map
        scores[utterance.name] = SpeechScore(
            opening=float(np.corrcoef(opening, truth[:, -2])[0, 1]),
            width=float(np.corrcoef(width, truth[:, -1])[0, 1]),
            amplitude=float(opening.std() / (truth[:, :-2] @ open_map).std()),
            spread=tuple(float(s) for s in answers.std(axis=0)),
        )
    return scores


def cross_validate(
    real: Sequence[Utterance], synthetic: Sequence[Utterance], basis: ShapeBasis,
    config: SpeechTrainingConfig,
) -> dict[str, SpeechScore]:  # fmt: skip
    """Scores of each clip by a network that never saw its person (one member, to be quick)."""
    single = replace(config, network=replace(config.network, members=1))
    scores: dict[str, SpeechScore] = {}
    for person in sorted({u.person for u in real}):
        network = train_speech([u for u in real if u.person != person], synthetic, basis, single)
        scores |= score_speech(network, [u for u in real if u.person == person], basis)
    return scores


def calibrate(
    network: SpeechEncoder, real: Sequence[Utterance], scores: Mapping[str, SpeechScore]
) -> None:
    """Bring a trained network to standard units.

    A network that is not sure answers with less than the full motion: the gain of the leading
    components makes up for what it lacks on people it has not seen. The rest is where the
    mouth is at its least opening, the mean over people.

    Args:
        network: Changed in place.
        real: The clips it learnt from.
        scores: Of ``cross_validate``.
    """
    spread = np.mean([score.spread for score in scores.values()], axis=0)
    gain = np.ones(network.config.components)
    gain[:LEADING] = np.clip(1 / spread[:LEADING], 1.0, MOST_GAIN)
    network.gain.copy_(torch.from_numpy(gain))
    rests: dict[str, list[Tensor]] = {}
    for utterance in real:
        shapes = utterance.shapes[utterance.known > 0]
        shut = shapes[:, -2] <= torch.quantile(shapes[:, -2], 0.1)
        rests.setdefault(utterance.person, []).append(shapes[shut, :-2].mean(dim=0))
    people = [torch.stack(clips).mean(dim=0) for clips in rests.values()]
    network.rest.copy_(torch.stack(people).mean(dim=0))
