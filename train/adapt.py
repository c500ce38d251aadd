"""Adaptation: the latent path learns one shot's own face, as compositors train per shot."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipcore.errors import ConfigError, TrainingError
from lipcore.models.checkpoint import save_tensors
from lipcore.models.latent_path import LatentPath
from lipcore.types import FloatArray

from .data import mouth_region, mouth_weight
from .losses import gradient_loss, mouth_psnr, weighted_l1

Progress = Callable[[float, str], None]
"""Called with the share that is done (0 to 1) and a line on where it stands."""


@dataclass(frozen=True, slots=True)
class AdaptConfig:
    """How far a shot is learnt."""

    learning_rate: float = 3e-4
    batch_size: int = 2
    held_back: float = 0.2
    """Share of the shot, its end, that judges the adaptation and never teaches it."""
    checks: int = 6
    """Times that the held-back frames are drawn; the best one is kept."""
    max_held: int = 12
    """Held-back frames that are drawn at a check."""
    mouth_gain: float = 6.0
    max_steps: int = 0
    """Stop after this many steps, so that the result does not depend on the machine's speed;
    0 for no such limit."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.held_back < 1 or self.checks < 1 or self.batch_size < 1:
            raise ConfigError(
                "held_back is a share, checks and batch_size are counts",
                hint="Give a number between 0 and 1, and 1 or more.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """What a shot taught: only the tensors that changed, and how much it helped."""

    delta: dict[str, Tensor]
    """``kind.parameter`` to float16; empty where the base was not beaten."""
    steps: int
    base_psnr: float
    """dB in the mouth region of the held-back frames, drawn by the weights as they came."""
    psnr: float
    """The same, adapted; never below ``base_psnr``."""

    def save(self, path: Path) -> None:
        """Write the delta with its scores."""
        record = {"steps": self.steps, "base_psnr": self.base_psnr, "psnr": self.psnr}
        save_tensors(path, self.delta, kind="adaptation", config={}, record=record)


@dataclass(frozen=True, eq=False)
class _Shot:
    """A shot's crops and what the networks need beside them, encoded once."""

    crops: Tensor
    boxes: Tensor
    mouths: Tensor
    shapes: Tensor
    pose: Tensor
    reference: Tensor

    def pick(self, frames: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(crops, mouth boxes in pixels, pose latents, shapes) of frames."""
        crops = self.crops[frames].float() / 127.5 - 1
        return crops, self.mouths[frames] * crops.shape[-1], self.pose[frames], self.shapes[frames]


def adapt(
    crops: np.ndarray[Any, np.dtype[np.uint8]],
    shapes: FloatArray,
    mouths: FloatArray,
    boxes: FloatArray,
    reference: int,
    networks: LatentPath,
    *,
    budget_s: float,
    config: AdaptConfig | None = None,
    progress: Progress | None = None,
) -> Adaptation:
    """Fine-tune the generator and the decoder on a shot's own frames.

    Encoders and codebook stay, so latents that are cached stay valid. The end of the shot is
    held back; what is returned draws its mouths better than the base weights did, or is
    empty. ``networks`` is left as it came.

    Args:
        crops: (N, S, S, 3) uint8 canonical crops of the shot, display-referred.
        shapes: (N, components) the mouth shapes that the frames show.
        mouths: (N, 4) centre and half sizes of the outer lips, in the crop (0 to 1).
        boxes: (N, 4) of ``pose_mask.lower_face_box``, in the crop (0 to 1).
        reference: Index of the closed-mouth frame that renders use too.
        networks: The latent path to start from.
        budget_s: Seconds of training; encoding the shot first comes on top.
        config: How far.
        progress: Told where it stands.

    Raises:
        TrainingError: There are fewer than 8 frames, or arrays differ in length.
    """
    c = config or AdaptConfig()
    count = len(crops)
    if count < 8 or not len(shapes) == len(mouths) == len(boxes) == count:
        raise TrainingError(
            f"{count} frames with a face are too few to learn a face from",
            hint="Adapt on a longer frame range: 8 frames are the least, 100 are good.",
        )
    torch.manual_seed(c.seed)
    rng = np.random.default_rng(c.seed)
    shot = _encode(crops, shapes, mouths, boxes, reference, networks)
    held = max(1, round(count * c.held_back))
    taught = [i for i in range(count - held) if i != reference]
    judged = np.unique(np.linspace(count - held, count - 1, min(held, c.max_held)).round())
    judges = [int(i) for i in judged]
    learned = _learned(networks)
    saved = {name: p.detach().clone() for name, p in learned.items()}
    try:
        base = best = _score(shot, judges, networks)
        kept = dict(saved)
        for p in learned.values():
            p.requires_grad_(True)
        optimizer = torch.optim.AdamW(list(learned.values()), c.learning_rate, betas=(0.9, 0.99))
        step, checked, started = 0, 0, time.monotonic()

        def spent_share() -> float:
            by_time = (time.monotonic() - started) / budget_s
            return max(by_time, step / c.max_steps) if c.max_steps else by_time

        while (spent := spent_share()) < 1:
            rate = c.learning_rate * min(1.0, (step + 1) / 10) * (1 - 0.9 * spent)
            optimizer.param_groups[0]["lr"] = rate
            frames = [int(i) for i in rng.choice(taught, c.batch_size)]
            _step(shot, frames, networks, optimizer, c)
            step += 1
            if spent * (c.checks + 1) >= checked + 1:
                checked += 1
                best, kept = _keep_better(shot, judges, networks, learned, best, kept)
            if progress is not None:
                progress(min(1.0, spent), f"step {step}, best {best:.1f} dB (base {base:.1f})")
        best, kept = _keep_better(shot, judges, networks, learned, best, kept)
    finally:
        with torch.no_grad():
            for name, p in learned.items():
                p.requires_grad_(False)
                p.copy_(saved[name])
    changed = {
        name: value.to("cpu", torch.float16)
        for name, value in kept.items() if not torch.equal(value, saved[name])
    }
    return Adaptation(changed, step, base, best)


def _encode(
    crops: np.ndarray[Any, np.dtype[np.uint8]], shapes: FloatArray, mouths: FloatArray,
    boxes: FloatArray, reference: int, networks: LatentPath,
) -> _Shot:
    pictures = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2)
    places = torch.from_numpy(np.asarray(boxes, np.float32))
    poses = [
        networks.encode_pose(pictures[i : i + 8].float() / 127.5 - 1, places[i : i + 8])
        for i in range(0, len(crops), 8)
    ]
    still = networks.encode(pictures[[reference]].float() / 127.5 - 1)
    return _Shot(
        pictures, places, torch.from_numpy(np.asarray(mouths, np.float32)),
        torch.from_numpy(np.asarray(shapes, np.float32)), torch.cat(poses), still,
    )


def _learned(networks: LatentPath) -> dict[str, nn.Parameter]:
    """The tensors that adaptation may change, by the names of a delta.

    The whole generator, and of the decoder its finer half: what turns latents into this
    face's skin, lips and teeth, and small enough to travel beside the shot.
    """
    chosen = {f"generator.{n}": p for n, p in networks.generator.named_parameters()}
    finest = networks.face.config.channels[0]
    for name, p in networks.face.decoder.named_parameters():
        if p.shape[0] <= 2 * finest:
            chosen[f"vqgan_face.decoder.{name}"] = p
    return chosen


def _draw(shot: _Shot, frames: list[int], networks: LatentPath) -> tuple[Tensor, Tensor, Tensor]:
    """(drawn crops, true crops, mouth boxes in pixels) with gradients, through the codebook
    where the path uses it."""
    device = next(networks.generator.parameters()).device
    crops, mouths, pose, shapes = (x.to(device) for x in shot.pick(frames))
    reference = shot.reference.to(device).expand(len(frames), -1, -1, -1)
    latents = networks.generator(pose, reference, shapes).float()
    if networks.latents == "quantized":
        codes = networks.face.quantize(latents.detach()).latents
        latents = latents + (codes - latents).detach()
    return networks.face.decode(latents).float(), crops, mouths


def _step(
    shot: _Shot, frames: list[int], networks: LatentPath, optimizer: torch.optim.Optimizer,
    config: AdaptConfig,
) -> None:
    device = next(networks.generator.parameters()).device
    with torch.autocast(
        device.type, networks.autocast or torch.bfloat16, enabled=networks.autocast is not None
    ):
        drawn, crops, mouths = _draw(shot, frames, networks)
    weight = mouth_weight(mouths, crops.shape[-1], config.mouth_gain)
    loss = weighted_l1(drawn, crops, weight) + gradient_loss(drawn, crops, weight)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()


@torch.no_grad()
def _score(shot: _Shot, frames: list[int], networks: LatentPath) -> float:
    """Mean dB in the mouth region, as a render would draw the frames."""
    values: list[float] = []
    for first in range(0, len(frames), 4):
        some = frames[first : first + 4]
        crops, mouths, pose, shapes = shot.pick(some)
        drawn = networks.decode(networks.generate(pose, shot.reference, shapes)).cpu()
        values += mouth_psnr(drawn, crops, mouth_region(mouths, crops.shape[-1])).tolist()
    return float(np.mean(values))


def _keep_better(
    shot: _Shot, judges: list[int], networks: LatentPath, learned: dict[str, nn.Parameter],
    best: float, kept: dict[str, Tensor],
) -> tuple[float, dict[str, Tensor]]:
    """The present values, rounded as they will be stored, if they draw better than the best."""
    exact = {n: p.detach().clone() for n, p in learned.items()}
    with torch.no_grad():
        for p in learned.values():
            p.copy_(p.half().float())
    score = _score(shot, judges, networks)
    if score > best:
        best, kept = score, {n: p.detach().clone() for n, p in learned.items()}
    with torch.no_grad():
        for name, p in learned.items():
            p.copy_(exact[name])
    return best, kept
