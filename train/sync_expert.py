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

from .data import AugmentConfig, first_frames, load_both
from .latents import LatentClip, encode_clips
from .loop import Batch, LoopConfig, Recipe, Trainer
from .losses import contrast_loss, sync_loss


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
    runs: int = 8
    """Runs of a clip that are told apart in an item, R; ``batch_size`` counts items."""
    nearest_frames: int = 2
    """Frames between two runs of an item; sound nearer than this is never called wrong."""
    pair_weight: float = 1.0
    """Weight of the yes or no about each pair, beside the choice among the runs."""
    stretch: float = 0.1
    """Largest change of loudness of the mel steps, as a share of their range."""

    def __post_init__(self) -> None:
        if self.runs < 2 or self.nearest_frames < 1 or self.lights < 1:
            raise ConfigError(
                "runs, nearest_frames and lights are counts",
                hint="Give 2 or more runs, and 1 or more of the others.",
            )


class SyncExpertRecipe(Recipe):
    """Trains the expert to tell runs of one clip apart. Source: section 3.3 of the paper,
    whose pairs alone leave the loss at ln 2 where data is little."""

    kind = "sync_expert"

    def __init__(self, config: SyncExpertRecipeConfig, data: Sequence[Path]) -> None:
        self.config, self.loop = config, config.loop
        face = load_network(config.vqgan_face, kind="vqgan_face")
        assert isinstance(face, VQGAN)
        train, val = load_both(data, face.config.crop_px)
        self.clips = train, val
        self.face = face
        if config.network.sees == "pixels":
            self.frozen = (face,)

        def usable(clips: list[LatentClip]) -> list[LatentClip]:
            least = config.network.frames + config.nearest_frames * (config.runs - 1)
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
        """Stretches of clips, each with the sounds of its runs."""
        c = self.config
        span = c.network.frames + c.nearest_frames * (c.runs - 1)
        stretches, sounds = [], []
        for _ in range(self.loop.batch_size):
            source = self.train[rng.choice(len(self.train), p=self.share)]
            first = int(rng.integers(source.clip.frames - span + 1))
            stretches.append(source.face[first : first + span].float())
            middles = first + (c.network.frames - 1) / 2 + c.nearest_frames * np.arange(c.runs)
            sounds.append(self._sounds(rng, source, middles))
        return {"latents": torch.stack(stretches), "mel": torch.stack(sounds)}

    @torch.no_grad()
    def _show(self, latents: Tensor) -> Tensor:
        """(B, N, D, h, w) latents as the expert sees them: as they are, or decoded."""
        if self.config.network.sees == "latents":
            return latents
        crops = self.face.decode(latents.flatten(0, 1)).float()
        return crops.view(*latents.shape[:2], *crops.shape[1:])

    def _pairs(self, rng: np.random.Generator, count: int) -> Batch:
        """Pairs of clips kept out, one half right, one half with sound from elsewhere in the
        clip, ``nearest_frames`` away or more."""
        length = self.config.network.frames
        runs, sounds, match = [], [], []
        for item in range(count):
            source = self.val[int(rng.integers(len(self.val)))]
            firsts = np.arange(source.clip.frames - length + 1)
            first = heard = int(rng.choice(firsts))
            if item % 2:
                far = firsts[np.abs(firsts - first) >= self.config.nearest_frames]
                heard = int(rng.choice(far))
            runs.append(source.face[first : first + length].float())
            middle = heard + (length - 1) / 2
            sounds.append(source.window(middle, self.config.network.mel_steps)[0])
            match.append(item % 2 == 0)
        return {
            "latents": torch.stack(runs), "mel": torch.stack(sounds),
            "match": torch.tensor(match, dtype=torch.float32),
        }

    def _sounds(
        self, rng: np.random.Generator, source: LatentClip, middles: np.ndarray[Any, Any]
    ) -> Tensor:
        """(R, bins, steps), all heard in the same way: loudness, colour, a little noise."""
        steps = self.config.network.mel_steps
        windows = torch.cat([source.window(float(m), steps) for m in middles])
        reach = self.config.stretch
        loudness = 1 + float(rng.uniform(-1, 1)) * reach
        ramp = np.linspace(-1, 1, windows.shape[1]) * rng.uniform(-4, 4) * reach
        noise = rng.standard_normal(windows.shape) * reach
        shaken = (ramp[None, :, None] + noise).astype(np.float32)
        return ((windows + 4) * loudness - 4 + torch.from_numpy(shaken)).clamp(-4, 4)

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Choose among the runs of a clip; and say yes or no to each pair."""
        similarity = self.learned["sync_expert"](self._show(batch["latents"]), batch["mel"])
        similarity = similarity.float()
        choice = contrast_loss(similarity)
        own = torch.eye(similarity.shape[1], device=similarity.device).expand_as(similarity)
        right, wrong = similarity[own > 0], similarity[own == 0]
        pairs = 0.5 * (
            sync_loss(right, torch.ones_like(right)) + sync_loss(wrong, torch.zeros_like(wrong))
        )
        loss = choice + self.config.pair_weight * pairs
        trainer.update("sync_expert", loss)
        accuracy = 0.5 * ((right > 0).float().mean() + (wrong <= 0).float().mean())
        return {"loss": loss, "choice": choice, "pairs": pairs, "accuracy": accuracy}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Loss and accuracy on balanced pairs of people kept out."""
        assert isinstance(network, SyncExpert)
        device = next(network.parameters()).device
        rng = np.random.default_rng(self.loop.seed)
        losses, right = [], []
        decodes = self.config.network.sees == "pixels"  # costs more than all the rest
        for _ in range(4 if decodes else 16):
            pairs = {k: v.to(device) for k, v in self._pairs(rng, 32).items()}
            similarity = network(self._show(pairs["latents"]), pairs["mel"]).float()
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
        mouths = network.embed_mouths(self._show(runs.to(device)))
        cosines = (mouths @ network.embed_sound(windows.to(device)).t()).float()
        return cosines[None, None, None].expand(1, 1, 3, *cosines.shape)

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}
