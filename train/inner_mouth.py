"""The inner-mouth network: paint teeth, tongue and dark between lips cut out of real frames.

A sample is two frames of one person, mapped to the same place of the skull. The inside of
the first is cut out and is to be painted; of the second only its own inside is shown, where
the two overlap: upper teeth that are known stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError, TrainingError
from lipcore.models.inner_mouth import (
    BOX_HEIGHT,
    BOX_ORIGIN,
    BOX_SIDE,
    BOX_WIDTH,
    InnerMouth,
    InnerMouthConfig,
)
from lipcore.tracking.head import CROP_ORIGIN, CROP_SIDE, LIPS_INNER_LOWER, LIPS_INNER_UPPER
from lipcore.types import FloatArray

from .data import AugmentConfig, Clip, load_clips, recolor
from .discriminator import DiscriminatorConfig, PatchDiscriminator
from .loop import Batch, LoopConfig, Recipe, Trainer
from .losses import discriminator_hinge, generator_hinge, gradient_loss, weighted_l1

_OPEN = 0.03
"""Interocular units; a mouth open less than this has no inside to learn from."""


@dataclass(frozen=True, slots=True)
class InnerMouthRecipeConfig:
    """Settings of the recipe."""

    network: InnerMouthConfig = field(default_factory=InnerMouthConfig)
    discriminator: DiscriminatorConfig = field(
        default_factory=lambda: DiscriminatorConfig(channels=24, levels=2, channels_in=4)
    )
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    unknown: float = 0.3
    """Share of samples for which nothing of the inside is known."""
    gradient_weight: float = 1.0
    adversarial_from: float = 0.4
    """Share of the run after which the adversary counts; 1 or more for never."""
    adversarial_weight: float = 0.02
    frames_per_clip: int = 800
    """Long clips are thinned to this many frames."""

    def __post_init__(self) -> None:
        if not 0 <= self.unknown <= 1:
            raise ConfigError(f"unknown is a share, got {self.unknown}", hint="Try 0.3.")


@dataclass(frozen=True, eq=False)
class _Person:
    boxes: npt.NDArray[np.uint8]
    """(N, 96, 128, 3) mouth boxes."""
    inside: npt.NDArray[np.uint8]
    """(N, 96, 128) coverage of the inside, 0-255."""
    opening: FloatArray
    """(N,) interocular units."""

    def open_frames(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.opening > _OPEN)


class InnerMouthRecipe(Recipe):
    """Trains the inner-mouth network on mouth boxes alone."""

    kind = "inner_mouth"

    def __init__(self, config: InnerMouthRecipeConfig, data: Sequence[Path]) -> None:
        self.config, self.loop = config, config.loop
        self.clips = load_clips(data, "train"), load_clips(data, "val")
        self.people = _gather(self.clips[0], config.frames_per_clip)
        self.kept_out = _gather(self.clips[1], config.frames_per_clip)
        share = np.sqrt([len(p.open_frames()) for p in self.people])
        self.share = share / share.sum()
        torch.manual_seed(config.loop.seed)
        self.learned = {
            "inner_mouth": InnerMouth(config.network),
            "discriminator": PatchDiscriminator(config.discriminator),
        }

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """Pairs of frames, recoloured and moved alike."""
        picks = rng.choice(len(self.people), self.loop.batch_size, p=self.share)
        batch = _pairs([self.people[i] for i in picks], rng, self.config.unknown)
        both = torch.cat([batch["lips"], batch["known"]], 3)  # one light for both frames
        lips, known = (recolor(rng, both * 2 - 1, self.config.augment) + 1).div(2).chunk(2, 3)
        place = _jitter(rng, self.loop.batch_size, self.config.augment.flip)
        slip = place.clone()
        slip[:, :, 2] += torch.from_numpy(rng.normal(0, 0.01, (len(place), 2))).float()
        return {
            "lips": _move(lips, place), "inside": (_move(batch["inside"], place) > 0.5).float(),
            "known": _move(known, slip), "known_inside": _move(batch["known_inside"], slip),
        }

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Paint the inside; later, past a judge who sees where it was painted."""
        c = self.config
        lips, inside = batch["lips"], batch["inside"]
        made = self.learned["inner_mouth"](
            lips, inside, batch["known"], batch["known_inside"]
        ).float()
        weight = inside + 0.02
        pixel = weighted_l1(made, lips, weight)
        edges = gradient_loss(made, lips, inside + 1e-4)
        loss = pixel + c.gradient_weight * edges
        logged = {"l1": pixel, "gradient": edges}
        if trainer.progress >= c.adversarial_from:
            judge = self.learned["discriminator"]
            whole = torch.cat([made * inside + lips * (1 - inside), inside], 1)
            judge.requires_grad_(False)
            fooled = generator_hinge(judge(whole)[0].float())
            judge.requires_grad_(True)
            loss = loss + c.adversarial_weight * fooled
            trainer.update("inner_mouth", loss)
            real = judge(torch.cat([lips, inside], 1))[0].float()
            judged = discriminator_hinge(real, judge(whole.detach())[0].float())
            trainer.update("discriminator", judged)
            logged |= {"fooled": fooled, "judged": judged}
        else:
            trainer.update("inner_mouth", loss)
        return {"loss": loss, **logged}

    def _held(self) -> Batch:
        """The same pairs of people kept out, at every call."""
        rng = np.random.default_rng(5)
        return _pairs([self.kept_out[i % len(self.kept_out)] for i in range(48)], rng, 0.0)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR inside the mouths of people kept out, with and without another frame."""
        batch = self._held()
        scores = {}
        for name, share in (("known", 1.0), ("unknown", 0.0)):
            made = network(
                batch["lips"], batch["inside"], batch["known"], batch["known_inside"] * share
            ).float()
            error = ((made - batch["lips"]).square() * batch["inside"]).sum()
            mean = error / (3 * batch["inside"].sum())
            scores[f"inside_psnr_{name}"] = float(-10 * mean.log10())
        return scores

    def sample(self, network: nn.Module) -> Tensor:
        """Rows: frame, cut, what is known, painted with it, painted without."""
        batch = {k: v[:10] for k, v in self._held().items()}
        lips, inside, known, seen = (
            batch[k] for k in ("lips", "inside", "known", "known_inside")
        )
        rows = [lips, lips * (1 - inside), known]
        for share in (1.0, 0.0):
            made = network(lips, inside, known, seen * share).float()
            rows.append(made * inside + lips * (1 - inside))
        return torch.stack(rows).clamp(0, 1) * 2 - 1

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}


def _gather(clips: list[Clip], most: int) -> list[_Person]:
    """Mouth boxes by person.

    Raises:
        TrainingError: No mouth is open.
    """
    people: dict[str, list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], float]]] = {}
    for clip in clips:
        step = max(1, -(-clip.frames // most))
        rows = people.setdefault(clip.identity, [])
        rows += [_cut(clip, frame) for frame in range(0, clip.frames, step)]
    found = [
        _Person(
            np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows]),
            np.array([r[2] for r in rows], np.float32),
        )
        for rows in people.values()
    ]
    speaking = [p for p in found if len(p.open_frames())]
    if not speaking:
        raise TrainingError(
            "no mouth is open in any of the clips", hint="Prepare clips of people who speak."
        )
    return speaking


def _cut(clip: Clip, frame: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], float]:
    """(mouth box, coverage of its inside, opening) of one frame."""
    unit = BOX_WIDTH / BOX_SIDE  # pixels an interocular unit
    scale = CROP_SIDE * unit
    shift = (np.array(CROP_ORIGIN) - np.array(BOX_ORIGIN)) * unit
    matrix = np.array([[scale / clip.crop_px, 0, 0], [0, scale / clip.crop_px, 0]], np.float64)
    matrix[:, 2] = shift + (0.5 - clip.margin_px) * matrix[0, 0] - 0.5
    crop: npt.NDArray[Any] = clip.crops[frame]
    if matrix[0, 0] < 0.7:
        crop = cv2.GaussianBlur(crop, (0, 0), 0.5 * float(np.sqrt(1 / matrix[0, 0] ** 2 - 1)))
    box = cv2.warpAffine(
        crop, matrix, (BOX_WIDTH, BOX_HEIGHT), flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    points = clip.landmarks[frame]
    line = points[[*LIPS_INNER_UPPER, *LIPS_INNER_LOWER[::-1]]] * scale + shift - 0.5
    inside = np.zeros((BOX_HEIGHT, BOX_WIDTH), np.uint8)
    cv2.fillPoly(inside, [np.round(line * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    opening = float(np.linalg.norm(points[14] - points[13])) * CROP_SIDE
    return np.asarray(box, np.uint8), inside, opening


def _pairs(people: list[_Person], rng: np.random.Generator, unknown: float) -> Batch:
    """For each person a frame with an open mouth, and another frame of the same person."""
    first, second = [], []
    for person in people:
        some = rng.choice(person.open_frames(), 2)
        wide = int(some[int(person.opening[some].argmax())])
        first.append(wide if rng.random() < 0.5 else int(some[0]))
        other = rng.choice(len(person.boxes), 2)
        open_other = int(other[int(person.opening[other].argmax())])
        second.append(open_other if rng.random() < 0.5 else int(other[0]))

    def stack(name: str, frames: list[int]) -> Tensor:
        pictures = np.stack([getattr(p, name)[i] for p, i in zip(people, frames, strict=True)])
        planes = pictures[:, None] if pictures.ndim == 3 else pictures.transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(planes)).float() / 255

    kept = torch.from_numpy((rng.random(len(people)) >= unknown).astype(np.float32))
    return {
        "lips": stack("boxes", first), "inside": stack("inside", first),
        "known": stack("boxes", second),
        "known_inside": stack("inside", second) * kept[:, None, None, None],
    }


def _jitter(rng: np.random.Generator, count: int, flip: bool) -> Tensor:
    """(B, 2, 3) small turns, sizes and shifts, in the units of ``affine_grid``."""
    angle, size = rng.normal(0, 0.06, count), 1 + rng.normal(0, 0.06, count)
    side = np.where(rng.random(count) < 0.5, -1.0, 1.0) if flip else np.ones(count)
    place = np.zeros((count, 2, 3), np.float32)
    place[:, 0, 0], place[:, 0, 1] = np.cos(angle) * size * side, -np.sin(angle) * size
    place[:, 1, 0], place[:, 1, 1] = np.sin(angle) * size * side, np.cos(angle) * size
    place[:, :, 2] = rng.normal(0, 0.05, (count, 2))
    return torch.from_numpy(place)


def _move(pictures: Tensor, place: Tensor) -> Tensor:
    grid = F.affine_grid(place, list(pictures.shape), align_corners=False)
    padding = "border" if pictures.shape[1] == 3 else "zeros"
    return F.grid_sample(pictures, grid, padding_mode=padding, align_corners=False)
