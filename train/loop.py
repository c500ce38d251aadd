"""The loop that every recipe runs in: steps, checkpoints, averages, logs and sample pictures.

A step depends on the seed and the number of the step alone (data and chance are drawn anew
from them), so a run that was killed goes on exactly as if it had not been. However many
processes share a run, the batch of a step is the same, cut into equal parts.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lipcore import __version__
from lipcore.config import save_config, to_mapping
from lipcore.errors import ConfigError, TrainingError
from lipcore.models.checkpoint import save_network
from lipcore.models.processes import mean_over_processes

from .data import Clip
from .interrupts import Interrupts, held_interrupts
from .precision import Chosen, choose_precision, make_precision
from .runfolder import RunFolder, code_fingerprint, data_fingerprint

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Batch = dict[str, Tensor]

_FIRST_PICTURE_S = 20.0
"""Training seconds after which the first picture is drawn, however slow the steps are."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How long and how a recipe runs."""

    seed: int = 0
    batch_size: int = 8
    """Crops, or runs of crops, a step; the processes of a run share them equally."""
    max_steps: int = 1000
    max_minutes: float = 0.0
    """Stop after this much training, resumed runs counted together; 0 for no such limit."""
    learning_rate: float = 2e-4
    final_learning_rate: float = 0.05
    """Share of the learning rate that is left at the end of its cosine."""
    warmup_steps: int = 50
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0 for no limit."""
    ema_decay: float = 0.999
    """Share of the running mean of the weights that a step keeps; the mean is what ships."""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """``auto`` takes bf16 where the processor multiplies it natively."""
    threads: int = 0
    """Threads of the processor; 0 leaves torch's choice."""
    workers: int = 0
    """Processes that prepare batches; 0 prepares them between steps."""
    save_minutes: float = 3.0
    log_steps: int = 20
    sample_steps: int = 500
    """Steps between sample pictures; the first is drawn at a tenth of this."""
    validate_steps: int = 500

    def __post_init__(self) -> None:
        if self.max_steps < 1 or self.batch_size < 1:
            raise ConfigError("a run needs a step and a crop", hint="Give 1 or more of both.")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay {self.ema_decay} is not in [0, 1)", hint="Try 0.999.")
        if self.learning_rate <= 0:
            raise ConfigError("the learning rate is not positive", hint="2e-4 is usual.")


class Recipe(ABC):
    """What one network learns: its data, its losses, its measures.

    ``learned`` names the networks that training changes; each has its own optimizer.
    """

    kind: str
    """Kind of the weights file that the recipe makes; also the name of its network."""
    loop: LoopConfig
    learned: dict[str, nn.Module]
    clips: tuple[list[Clip], list[Clip]]
    """What it learns from, and what is kept out."""
    half: bool = True
    """Whether weights are kept as float16, which the spreads of batch norms may leave."""
    frozen: tuple[nn.Module, ...] = ()
    """Networks that losses and pictures go through, and that stay as they are."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """One batch; all chance comes from ``rng``."""

    @abstractmethod
    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """One step: losses, backward and update through ``trainer``; gives what to log."""

    @abstractmethod
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Measures of the averaged network on people kept out of training."""

    @abstractmethod
    def sample(self, network: nn.Module) -> Tensor:
        """A grid of pictures (R, K, 3, H, W) in [-1, 1] to look at."""

    def record(self) -> dict[str, Any]:
        """Facts of the data for the record in the weights file."""
        return {}


class Trainer:
    """Runs a recipe in a folder, and goes on where an earlier run stopped.

    Args:
        recipe: What is trained.
        config: The recipe's config, written beside the results.
        out: Folder of the run.
        resume: Go on from the folder's last checkpoint. Without it the folder must not hold
            one.

    Raises:
        TrainingError: A checkpoint is in the way, is missing, or is damaged.
        OutputNotWritableError: The folder cannot be made.
    """

    def __init__(self, recipe: Recipe, config: object, out: Path, *, resume: bool = False) -> None:
        self.recipe, self.loop, self.config = recipe, recipe.loop, config
        self.folder = RunFolder(out)
        if self.folder.holds_run and not resume:
            raise TrainingError(
                f"{out} holds a run already",
                hint="Go on with --resume, or choose another folder.",
                path=str(out),
            )
        if self.loop.threads:
            torch.set_num_threads(self.loop.threads)
        self.precision = choose_precision(self.loop.precision)
        self.fabric = _make_fabric(self.precision)
        self.fabric.launch()
        torch.manual_seed(self.loop.seed)
        self.step = 0
        self.seconds = 0.0
        self.average = deepcopy(recipe.learned[recipe.kind])
        for network in (self.average, *recipe.frozen):
            network.to(self.fabric.device).eval().requires_grad_(False)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name, network in recipe.learned.items():
            optimizer = torch.optim.AdamW(
                network.parameters(), self.loop.learning_rate, betas=self.loop.betas,
                weight_decay=self.loop.weight_decay,
            )
            recipe.learned[name], self.optimizers[name] = self.fabric.setup(network, optimizer)
        self._pending: list[dict[str, float]] = []
        self._drawn = False
        self.history: list[dict[str, Any]] = []
        if resume:
            self._load()
        self.history.append(self._start())
        if self.fabric.is_global_zero:
            save_config(config, out / "recipe.yaml")
            self.folder.go_on_from(self.step)

    def _start(self) -> dict[str, Any]:
        """What this process brings to the run; one entry of its history."""
        clips = [clip for side in self.recipe.clips for clip in side]
        return {
            "step": self.step, "version": __version__, "code": code_fingerprint(),
            "data": data_fingerprint(clips), "processes": self.fabric.world_size,
        }

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1, by steps or by time, whichever is further."""
        done = self.step / self.loop.max_steps
        if self.loop.max_minutes:
            done = max(done, self.seconds / 60 / self.loop.max_minutes)
        return min(1.0, done)

    def run(self) -> dict[str, float]:
        """Train to the end; gives the last measures.

        An interrupt of a single process waits for the end of its step, and the run is saved.
        """
        # Of several processes, the others may be a step further on.
        with held_interrupts(self.fabric.world_size == 1) as interrupts:
            return self._run(interrupts)

    def _run(self, interrupts: Interrupts) -> dict[str, float]:
        logged = self._pending
        saved = time.monotonic()
        batches = self._batches()
        while self.progress < 1:
            started = time.monotonic()
            torch.manual_seed(hash((self.loop.seed, self.step)) % 2**63)
            self._schedule()
            values = self.recipe.run_step(next(batches), self)
            self.step += 1
            logged.append({k: float(v.detach()) for k, v in values.items()})
            if not all(np.isfinite(v) for v in logged[-1].values()):
                raise TrainingError(
                    f"step {self.step} gave a loss that is not a number",
                    hint="Lower learning_rate, or go on from the last checkpoint with --resume.",
                    step=self.step,
                )
            self.seconds += time.monotonic() - started
            if self.loop.max_minutes:  # all processes shall stop at the same step
                self.seconds = self.fabric.broadcast(self.seconds)
            if self.step % self.loop.log_steps == 0:
                # A part that began to count inside this stretch is there in some steps only.
                means = [float(np.mean([v[k] for v in logged if k in v])) for k in logged[-1]]
                shared = mean_over_processes(torch.tensor(means, device=self.fabric.device))
                self._log("train", dict(zip(logged[-1], shared.tolist(), strict=True)))
                logged.clear()
            if self._is_time_for_picture():
                self._sample()
            if self.step % self.loop.validate_steps == 0:
                self._validate()
            interrupted = interrupts.held is not None
            if interrupted or time.monotonic() - saved > self.loop.save_minutes * 60:
                self.save({})
                saved = time.monotonic()
            if interrupted:
                interrupts.let_go()
        self._sample()
        scores = self._validate()
        self.save(scores)
        self.folder.close()
        return scores

    def _is_time_for_picture(self) -> bool:
        early = not self._drawn and self.seconds > _FIRST_PICTURE_S
        every = self.loop.sample_steps
        return early or self.step % every == 0 or self.step == every // 10

    def chance(self, count: int) -> Tensor:
        """(count,) numbers in [0, 1) for this process's items, by the seed and the step alone:
        its part of what one process with the whole batch would draw."""
        whole = torch.rand(count * self.fabric.world_size, device=self.fabric.device)
        return self._own_part(whole)

    def noise(self, shape: Sequence[int]) -> Tensor:
        """Normal noise for this process's items, drawn as ``chance`` is."""
        count = shape[0] * self.fabric.world_size
        return self._own_part(torch.randn((count, *shape[1:]), device=self.fabric.device))

    def _own_part(self, whole: Tensor) -> Tensor:
        return whole.chunk(self.fabric.world_size)[self.fabric.global_rank]

    def update(self, name: str, loss: Tensor, *, last: bool = True) -> None:
        """Backward, clip and step one learned network; the recipe's own also moves its mean."""
        network, optimizer = self.recipe.learned[name], self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if self.loop.gradient_clip:
            self.fabric.clip_gradients(
                network, optimizer, max_norm=self.loop.gradient_clip, error_if_nonfinite=False
            )
        optimizer.step()
        if name == self.recipe.kind and last:
            self._follow(unwrap(network))

    @torch.no_grad()
    def _follow(self, network: nn.Module) -> None:
        decay = min(self.loop.ema_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.parameters(), network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, now in zip(self.average.buffers(), network.buffers(), strict=True):
            kept.copy_(now)

    def _schedule(self) -> None:
        warm = min(1.0, (self.step + 1) / max(1, self.loop.warmup_steps))
        floor = self.loop.final_learning_rate
        cosine = floor + (1 - floor) * 0.5 * (1 + float(np.cos(np.pi * self.progress)))
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.loop.learning_rate * warm * cosine

    def _batches(self) -> Iterator[Batch]:
        """Batches from the present step on."""
        stream = _StepBatches(self.recipe, self.loop.seed, self)
        if not self.loop.workers:
            while True:
                yield self._place(stream[self.step])
        loader: torch.utils.data.DataLoader[Batch] = torch.utils.data.DataLoader(
            stream, batch_size=None, sampler=range(self.step, self.loop.max_steps),
            num_workers=self.loop.workers, pin_memory=self.fabric.device.type == "cuda",
        )
        for batch in loader:
            yield self._place(batch)

    def _place(self, batch: Batch) -> Batch:
        count = self.fabric.world_size
        if uneven := next((k for k, v in batch.items() if len(v) % count), None):
            raise TrainingError(
                f"{len(batch[uneven])} items a step do not divide among {count} processes",
                hint="Set batch_size to a multiple of the number of processes.",
            )
        own = {k: self._own_part(v) for k, v in batch.items()}
        moved: Batch = self.fabric.to_device(own)
        return moved

    def _log(self, part: str, values: Mapping[str, float]) -> None:
        if self.fabric.is_global_zero:
            self.folder.log(part, self.step, self.seconds / 60, values)

    @torch.no_grad()
    def _sample(self) -> None:
        if self.fabric.is_global_zero:
            with self.fabric.autocast():
                grid = self.recipe.sample(self.average)
            self.folder.draw(self.step, grid)
        self._drawn = True

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        with self.fabric.autocast():
            scores = self.recipe.validate(self.average)
        self._log("val", scores)
        return scores

    def save(self, scores: Mapping[str, float]) -> None:
        """Write the checkpoint, and the averaged network as weights, each in one move."""
        if not self.fabric.is_global_zero:
            return
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "pending": self._pending,
            "history": self.history,
            "average": self.average.state_dict(),
            "networks": {n: unwrap(m).state_dict() for n, m in self.recipe.learned.items()},
            "optimizers": {n: o.state_dict() for n, o in self.optimizers.items()},
        }
        self.folder.write_checkpoint(state)
        record = {
            "recipe": type(self.recipe).__name__, "steps": self.step,
            "seconds": round(self.seconds), "batch_size": self.loop.batch_size,
            "processes": self.fabric.world_size, "precision": self.precision,
            "scores": dict(scores), "settings": to_mapping(self.config),
            "history": self.history, **self.recipe.record(),
        }
        kind = self.recipe.kind
        save_network(
            self.folder.path / f"{kind}.safetensors", self.average, kind=kind, record=record,
            half=self.recipe.half,
        )  # fmt: skip

    def _load(self) -> None:
        state = self.folder.read_checkpoint()
        try:
            self.average.load_state_dict(state["average"])
            for name, network in self.recipe.learned.items():
                unwrap(network).load_state_dict(state["networks"][name])
                self.optimizers[name].load_state_dict(state["optimizers"][name])
            self.step, self.seconds = state["step"], state["seconds"]
            self._pending, self.history = state["pending"], state["history"]
        except (KeyError, ValueError, RuntimeError) as error:
            raise TrainingError(
                f"{self.folder.checkpoint} does not fit this recipe ({error})",
                hint="Begin again in another folder.",
                path=str(self.folder.checkpoint),
            ) from error


class _StepBatches(torch.utils.data.Dataset[Batch]):
    """The batch of each step; the same whichever process or worker draws it."""

    def __init__(self, recipe: Recipe, seed: int, trainer: Trainer) -> None:
        self.recipe, self.seed = recipe, seed
        self.max_steps = trainer.loop.max_steps
        self.trainer = trainer if not trainer.loop.workers else None

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        progress = self.trainer.progress if self.trainer else step / self.max_steps
        return self.recipe.draw(rng, progress)


def _make_fabric(precision: Chosen) -> Fabric:
    """Fabric over what torchrun started, or else over the GPUs of this machine."""
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy

    local = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))
    count = int(os.environ["WORLD_SIZE"]) if local else torch.cuda.device_count()
    # Some parts of a network rest in some steps: the adversary's, those that hear speech.
    strategy = DDPStrategy(find_unused_parameters=True) if count > 1 else "auto"
    nodes = count // local if local else 1
    return Fabric(
        accelerator="auto", strategy=strategy, devices=local or "auto", num_nodes=nodes,
        plugins=make_precision(precision),
    )


def unwrap(network: nn.Module) -> nn.Module:
    """The network inside what Fabric made of it."""
    inner = network
    while isinstance(wrapped := getattr(inner, "module", None), nn.Module):
        inner = wrapped
    return inner
