"""The sync expert: runs of mouths against sound that fits, is shifted, or is another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipcore.errors import ConfigError, TrainingError
from lipcore.models.checkpoint import load_network
from lipcore.models.sync_expert import SyncExpert, SyncExpertConfig
from lipcore.models.vqgan import VQGAN

from .data import AugmentConfig, first_frames, load_clips
from .latents import LatentClip, encode_clips
from .loop import Batch, LoopConfig, Recipe, Trainer
from .losses import sync_loss


@dataclass(frozen=True, slots=True)
class SyncExpertRecipeConfig:
    """Settings of the recipe."""

    vqgan_face: Path
    """Weights of the trained V_f."""
    network: SyncExpertConfig = field(default_factory=SyncExpertConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    lights: int = 1
    """Times that each clip is encoded, every time in another light."""
    clip_frames: int = 0
    """Frames of a clip that are encoded, its first ones; 0 for all."""
    hard_share: float = 0.5
    """Share of the wrong pairs whose sound is of the same clip, some frames away."""
    nearest_frames: int = 4
    """Sound nearer than this still half fits, so it is never called wrong."""
    stretch: float = 0.1
    """Largest change of loudness of the mel steps, as a share of their range."""

    def __post_init__(self) -> None:
        if not 0 <= self.hard_share <= 1 or self.nearest_frames < 1 or self.lights < 1:
            raise ConfigError(
                "hard_share is a share, nearest_frames and lights are counts",
                hint="Give 0 to 1, and 1 or more.",
            )


class SyncExpertRecipe(Recipe):
    """Trains the expert on balanced pairs. Source: section 3.3 of the paper."""

    kind = "sync_expert"

    def __init__(self, config: SyncExpertRecipeConfig, data: Sequence[Path]) -> None:
        self.config, self.loop = config, config.loop
        face = load_network(config.vqgan_face, kind="vqgan_face")
        assert isinstance(face, VQGAN)
        train, val = load_clips(data, "train"), load_clips(data, "val")
        self.clips = train, val

        def usable(clips: list[LatentClip]) -> list[LatentClip]:
            least = config.network.frames + 2 * config.nearest_frames + 2
            return [c for c in clips if c.clip.frames >= least and c.mel.shape[1]]

        self.train = usable(
            encode_clips(
                first_frames(train, config.clip_frames), face, None, None,
                lights=config.lights, augment=config.augment,
            )
        )
        self.val = usable(encode_clips(first_frames(val, config.clip_frames), face, None, None))
        if not self.train or not self.val:
            raise TrainingError(
                "the data has no clips with sound that are long enough",
                hint="The expert needs a second of picture and sound a clip.",
            )
        frames = np.array([c.clip.frames for c in self.train], np.float64) ** 0.5
        self.share = frames / frames.sum()
        torch.manual_seed(config.loop.seed)
        self.learned = {"sync_expert": SyncExpert(config.network)}

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """Pairs, one half right and one half wrong."""
        return self._pairs(rng, self.train, self.share, self.loop.batch_size)

    def _pairs(
        self, rng: np.random.Generator, clips: list[LatentClip], share: np.ndarray[Any, Any] | None,
        count: int,
    ) -> Batch:
        length = self.config.network.frames
        runs, sounds, match = [], [], []
        for item in range(count):
            source = clips[rng.choice(len(clips), p=share)]
            first = int(rng.integers(source.clip.frames - length + 1))
            runs.append(source.face[first : first + length].float())
            middle, heard = first + (length - 1) / 2, source
            if item % 2 and rng.random() < self.config.hard_share:
                middle = self._away(rng, middle, source.clip.frames)
            elif item % 2:
                others = [c for c in clips if c.clip.identity != source.clip.identity] or clips
                heard = others[rng.integers(len(others))]
                middle = float(rng.uniform(0, heard.clip.frames - 1))
            sounds.append(self._sound(rng, heard, middle))
            match.append(item % 2 == 0)
        return {
            "latents": torch.stack(runs), "mel": torch.stack(sounds),
            "match": torch.tensor(match, dtype=torch.float32),
        }

    def _away(self, rng: np.random.Generator, middle: float, frames: int) -> float:
        """A moment of the clip that is not near ``middle``."""
        near = self.config.nearest_frames
        places = np.arange(frames)
        return float(rng.choice(places[np.abs(places - middle) >= near]))

    def _sound(self, rng: np.random.Generator, source: LatentClip, middle: float) -> Tensor:
        window = source.window(middle, self.config.network.mel_steps)[0]
        loudness = 1 + float(rng.uniform(-1, 1)) * self.config.stretch
        return ((window + 4) * loudness - 4).clamp(-4, 4)

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Binary cross-entropy on the cosine."""
        similarity = self.learned["sync_expert"](batch["latents"], batch["mel"]).float()
        loss = sync_loss(similarity, batch["match"])
        trainer.update("sync_expert", loss)
        right = ((similarity > 0) == (batch["match"] > 0.5)).float().mean()
        return {"loss": loss, "accuracy": right}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Loss and accuracy on balanced pairs of people kept out."""
        assert isinstance(network, SyncExpert)
        device = next(network.parameters()).device
        rng = np.random.default_rng(self.loop.seed)
        losses, right = [], []
        for _ in range(8):
            pairs = {k: v.to(device) for k, v in self._pairs(rng, self.val, None, 32).items()}
            similarity = network(pairs["latents"], pairs["mel"]).float()
            losses.append(float(sync_loss(similarity, pairs["match"])))
            right.append(float(((similarity > 0) == (pairs["match"] > 0.5)).float().mean()))
        return {"val_loss": float(np.mean(losses)), "val_accuracy": float(np.mean(right))}

    def sample(self, network: nn.Module) -> Tensor:
        """Cosines of a clip's runs (down) against its sound (across): a bright diagonal."""
        assert isinstance(network, SyncExpert)
        source, length = self.val[0], self.config.network.frames
        firsts = range(min(64, source.clip.frames - length + 1))
        device = next(network.parameters()).device
        runs = torch.stack([source.face[i : i + length].float() for i in firsts])
        steps = self.config.network.mel_steps
        windows = torch.cat([source.window(i + (length - 1) / 2, steps) for i in firsts])
        mouths = network.embed_mouths(runs.to(device))
        cosines = (mouths @ network.embed_sound(windows.to(device)).t()).float()
        return cosines[None, None, None].expand(1, 1, 3, *cosines.shape)

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}
