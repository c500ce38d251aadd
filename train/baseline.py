"""The baselines of the tables, and the expert of one, trained as their authors train them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.evaluate.baseline_faces import LIPGAN_BEFORE
from lipcore.evaluate.baseline_sound import cepstra_steps, cut_cepstra, cut_mel
from lipcore.models.checkpoint import load_network
from lipcore.models.published import lipgan, wav2lip, yousaidthat
from lipcore.models.published.face_sizes import SIDE
from lipcore.models.published.importing import load_published
from lipcore.models.published.lipgan import LipGAN, LipGANConfig
from lipcore.models.published.wav2lip import LipExpert, LipExpertConfig, Wav2Lip, Wav2LipConfig
from lipcore.models.published.yousaidthat import YouSaidThat, YouSaidThatConfig

from .baseline_faces import FaceRecipe, cut_faces, hear, without_lower_half
from .data import Clip
from .discriminator import LipGANJudge
from .loop import Batch, LoopConfig, Trainer

_APART = 6
"""Frames from a face to another that shows the person, as LipGAN's authors have it."""


@dataclass(frozen=True, slots=True)
class LipExpertRecipeConfig:
    """Settings of the recipe."""

    network: LipExpertConfig = field(default_factory=LipExpertConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


class LipExpertRecipe(FaceRecipe):
    """Trains Wav2Lip's expert on pairs of which half belong together. Source: Prajwal et al.,
    2020, section 3.2, and ``color_syncnet_train.py``."""

    kind = "lip_expert"

    def __init__(self, config: LipExpertRecipeConfig, data: Sequence[Path]) -> None:
        super().__init__(config.loop, data, 3 * wav2lip.RUN)
        self.config = config
        self.learned = {"lip_expert": LipExpert(config.network)}

    def item(self, rng: np.random.Generator, clip: Clip) -> dict[str, Tensor]:
        """A run of faces, and the sound of it or of another run."""
        first, other = _two_runs(rng, clip)
        match = bool(rng.random() < 0.5)
        return {
            "faces": cut_faces(clip, _run(first), SIDE),
            "mel": _mel(clip, [first if match else other])[0], "match": torch.tensor(float(match)),
        }  # fmt: skip

    def make(self, network: nn.Module, batch: Batch) -> Tensor:
        """The cosines, as a grey picture."""
        cosines: Tensor = network(batch["mel"][:, None], batch["faces"]).float()
        return cosines[:, None, None, None].expand(-1, 3, 8, 8)

    def wanted(self, batch: Batch) -> Tensor:
        """What they should be, likewise."""
        return batch["match"][:, None, None, None].expand(-1, 3, 8, 8)

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Say yes or no to each pair."""
        cosines = self.learned["lip_expert"](batch["mel"][:, None], batch["faces"])
        loss = _yes_or_no(cosines, batch["match"])
        trainer.update("lip_expert", loss)
        right = ((cosines > 0.5) == (batch["match"] > 0.5)).float().mean()
        return {"loss": loss, "accuracy": right}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Loss and accuracy on people kept out."""
        cosines, match = [], []
        for batch in self.held(network):
            cosines.append(network(batch["mel"][:, None], batch["faces"]))
            match.append(batch["match"])
        said, true = torch.cat(cosines), torch.cat(match)
        right = ((said > 0.5) == (true > 0.5)).float().mean()
        return {"val_loss": float(_yes_or_no(said, true)), "val_accuracy": float(right)}


@dataclass(frozen=True, slots=True)
class Wav2LipRecipeConfig:
    """Settings of the recipe."""

    network: Wav2LipConfig = field(default_factory=Wav2LipConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    expert: Path | None = None
    """Weights of a trained ``lip_expert``; None takes the imported ``lip-expert``. Larger faces
    are resized to the expert's 96 pixels."""
    sync_weight: float = 0.03
    """Weight of the expert's loss; that of the pixels is 1 less this. 0 for no expert."""
    sync_from: float = 0.5
    """Share of the run after which the expert counts. Its authors wait until its loss on other
    data is below 0.75, which ``val_sync`` of the log tells."""

    def __post_init__(self) -> None:
        if not 0 <= self.sync_weight < 1:
            raise ConfigError(f"sync_weight {self.sync_weight} is not in [0, 1)", hint="Try 0.03.")


class Wav2LipRecipe(FaceRecipe):
    """Trains Wav2Lip at any size of faces. Source: Prajwal et al., 2020, section 3.3, and
    ``wav2lip_train.py``, without the discriminator of ``hq_wav2lip_train.py``.

    A frame's window of sound begins at the frame, as the published inference has it; the
    published training begins it a frame earlier.
    """

    kind = "wav2lip"

    def __init__(self, config: Wav2LipRecipeConfig, data: Sequence[Path]) -> None:
        super().__init__(config.loop, data, 3 * wav2lip.RUN)
        self.config = config
        self.learned = {"wav2lip": Wav2Lip(config.network)}
        self.expert: nn.Module | None = None
        if config.sync_weight:
            self.expert = (
                load_published("lip-expert")[0] if config.expert is None
                else load_network(config.expert, kind="lip_expert")
            )  # fmt: skip
            self.frozen = (self.expert,)

    def item(self, rng: np.random.Generator, clip: Clip) -> dict[str, Tensor]:
        """A run, another run of the person, and the sound of the first one."""
        first, other = _two_runs(rng, clip)
        size, mel = self.config.network.size, _mel(clip, _run(first))
        return {
            "faces": cut_faces(clip, _run(first), size),
            "others": cut_faces(clip, _run(other), size),
            "mel": mel, "run_mel": mel[0],
        }  # fmt: skip

    def make(self, network: nn.Module, batch: Batch) -> Tensor:
        """Faces of all runs, one after another."""
        seen = torch.cat([without_lower_half(batch["faces"]), batch["others"]], dim=2)
        made: Tensor = network(batch["mel"].flatten(0, 1)[:, None], seen.flatten(0, 1))
        return made

    def wanted(self, batch: Batch) -> Tensor:
        """The faces themselves."""
        return batch["faces"].flatten(0, 1)

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """L1; later also the expert's judgement."""
        made = self.make(self.learned["wav2lip"], batch).float()
        pixel = (made - self.wanted(batch)).abs().mean()
        loss, logged = pixel, {"l1": pixel}
        if self.expert is not None and trainer.progress >= self.config.sync_from:
            sync = self._sync(made, batch)
            weight = self.config.sync_weight
            loss, logged = weight * sync + (1 - weight) * pixel, logged | {"sync": sync}
        trainer.update("wav2lip", loss)
        return {"loss": loss, **logged}

    def _sync(self, made: Tensor, batch: Batch) -> Tensor:
        assert self.expert is not None
        runs = made.view(-1, wav2lip.RUN, *made.shape[1:])
        cosines = self.expert(batch["run_mel"][:, None], runs)
        return _yes_or_no(cosines, torch.ones_like(cosines))

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR of lower halves, and the expert's loss, on people kept out."""
        scores = super().validate(network)
        if self.expert is not None:
            losses = [
                float(self._sync(self.make(network, batch).float(), batch))
                for batch in self.held(network)
            ]
            scores["val_sync"] = float(np.mean(losses))
        return scores


@dataclass(frozen=True, slots=True)
class LipGANRecipeConfig:
    """Settings of the recipe."""

    network: LipGANConfig = field(default_factory=LipGANConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    judge_weight: float = 0.01
    """Weight of the judge's distance beside the pixels."""

    def __post_init__(self) -> None:
        if self.loop.batch_size < 2:
            raise ConfigError(
                "the judge is taught with the sound of another item", hint="Set batch_size to 2."
            )


class LipGANRecipe(FaceRecipe):
    """Trains LipGAN with its judge of sync. Source: Prajwal et al., 2019, section 4, and
    ``train.py`` of the branch ``fully_pythonic``."""

    kind = "lipgan"

    def __init__(self, config: LipGANRecipeConfig, data: Sequence[Path]) -> None:
        super().__init__(config.loop, data, 2 * _APART + 1)
        self.config = config
        self.learned = {
            "lipgan": LipGAN(config.network), "judge": LipGANJudge(config.network.divide),
        }

    def item(self, rng: np.random.Generator, clip: Clip) -> dict[str, Tensor]:
        """A face, another of the person, and its sound."""
        frame = int(rng.integers(clip.frames))
        other = int(rng.choice([i for i in range(clip.frames) if abs(i - frame) >= _APART]))
        size = self.config.network.size
        mel = cut_mel(hear(clip), [frame], float(clip.rate), steps=lipgan.MEL_STEPS,
                      before=LIPGAN_BEFORE)  # fmt: skip
        return {
            "faces": cut_faces(clip, [frame], size)[0], "others": cut_faces(clip, [other], size)[0],
            "mel": torch.from_numpy(mel[0]),
        }  # fmt: skip

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """Items, each with the sound of another beside its own."""
        batch = super().draw(rng, progress)
        return batch | {"wrong_mel": batch["mel"].roll(1, 0)}

    def make(self, network: nn.Module, batch: Batch) -> Tensor:
        """The faces that are drawn."""
        seen = torch.cat([batch["others"], without_lower_half(batch["faces"])], dim=1)
        made: Tensor = network(batch["mel"][:, None], seen)
        return made

    def wanted(self, batch: Batch) -> Tensor:
        """The faces themselves."""
        return batch["faces"]

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """L1 and the judge's distance; then teach the judge: drawn faces or another's sound, by
        turns, are far, a face and its own sound are near."""
        judge, real, mel = self.learned["judge"], batch["faces"], batch["mel"][:, None]
        made = self.make(self.learned["lipgan"], batch).float()
        pixel = (made - real).abs().mean()
        judge.requires_grad_(False)
        near = judge(made, mel).float().square().mean()
        judge.requires_grad_(True)
        loss = pixel + self.config.judge_weight * near
        trainer.update("lipgan", loss)
        if torch.rand(()) < 0.5:  # alike in all processes
            wrong = judge(made.detach(), mel)
        else:
            wrong = judge(real, batch["wrong_mel"][:, None])
        judged = 0.5 * (
            judge(real, mel).float().square().mean()
            + (1 - wrong.float()).clamp_min(0).square().mean()
        )
        trainer.update("judge", judged)
        return {"loss": loss, "l1": pixel, "near": near, "judged": judged}


@dataclass(frozen=True, slots=True)
class YouSaidThatRecipeConfig:
    """Settings of the recipe."""

    network: YouSaidThatConfig = field(default_factory=YouSaidThatConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


class YouSaidThatRecipe(FaceRecipe):
    """Trains Speech2Vid on pixels. Source: Chung et al., 2017, section 3; their content losses go
    through a VGG-M that cannot be had here, and are left out, as is the second network."""

    kind = "yousaidthat"
    blue_first = False

    def __init__(self, config: YouSaidThatRecipeConfig, data: Sequence[Path]) -> None:
        super().__init__(config.loop, data, yousaidthat.PICTURES + 1)
        self.config = config
        self.learned = {"yousaidthat": YouSaidThat(config.network)}

    def item(self, rng: np.random.Generator, clip: Clip) -> dict[str, Tensor]:
        """An aligned face, five others of the person, and the cepstra around it."""
        frame, *others = (int(i) for i in rng.permutation(clip.frames)[: yousaidthat.PICTURES + 1])
        rate = float(clip.rate)
        heard = cut_cepstra(
            cepstra_steps(clip.sound, clip.frames / rate), [frame], rate, steps=yousaidthat.STEPS
        )
        wanted = _aligned(clip, frame)[:, 1:-2, 1:-2] / 255
        return {
            "faces": wanted, "person": torch.cat([_aligned(clip, i) for i in others]),
            "cepstra": torch.from_numpy(heard[0]),
        }  # fmt: skip

    def make(self, network: nn.Module, batch: Batch) -> Tensor:
        """The faces that are drawn."""
        made: Tensor = network(batch["cepstra"][:, None], batch["person"])
        return made

    def wanted(self, batch: Batch) -> Tensor:
        """The faces themselves."""
        return batch["faces"]

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """L1."""
        made = self.make(self.learned["yousaidthat"], batch).float()
        loss = (made - batch["faces"]).abs().mean()
        trainer.update("yousaidthat", loss)
        return {"loss": loss, "l1": loss}


def _run(first: int) -> range:
    return range(first, first + wav2lip.RUN)


def _two_runs(rng: np.random.Generator, clip: Clip) -> tuple[int, int]:
    """First frames of two different runs."""
    first, other = rng.choice(clip.frames - wav2lip.RUN + 1, 2, replace=False)
    return int(first), int(other)


def _mel(clip: Clip, frames: Sequence[int]) -> Tensor:
    """(N, 80, 16)"""
    windows = cut_mel(hear(clip), frames, float(clip.rate), steps=wav2lip.MEL_STEPS)
    return torch.from_numpy(windows)


def _aligned(clip: Clip, frame: int) -> Tensor:
    """(3, 112, 112) red first, 0-255: the canonical crop."""
    inner = slice(clip.margin_px, clip.margin_px + clip.crop_px)
    side = yousaidthat.SEEN_SIDE
    way = cv2.INTER_AREA if clip.crop_px > side else cv2.INTER_LINEAR
    small = cv2.resize(clip.crops[frame][inner, inner], (side, side), interpolation=way)
    return torch.from_numpy(small).permute(2, 0, 1).float()


def _yes_or_no(cosines: Tensor, match: Tensor) -> Tensor:
    """Binary cross-entropy on cosines of ReLU'd embeddings, which are probabilities here."""
    sure = cosines.float().clamp(1e-6, 1 - 1e-6)
    return -(match * sure.log() + (1 - match) * (1 - sure).log()).mean()
