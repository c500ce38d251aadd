"""The refiner (stage 2): from the crops that V_f makes to the crops of the plate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.models.checkpoint import load_network
from lipcore.models.refiner import Refiner, RefinerConfig
from lipcore.models.vqgan import VQGAN

from .data import AugmentConfig, CropSampler, load_clips, mouth_region, mouth_weight, whole_crops
from .discriminator import DiscriminatorConfig, PatchDiscriminator
from .loop import Batch, LoopConfig, Recipe, Trainer
from .losses import (
    discriminator_hinge,
    feature_loss,
    generator_hinge,
    gradient_loss,
    mouth_psnr,
    weighted_l1,
)


@dataclass(frozen=True, slots=True)
class RefinerRecipeConfig:
    """Settings of the recipe."""

    vqgan_face: Path
    """Weights of the trained V_f, whose faults the refiner learns to mend."""
    network: RefinerConfig = field(default_factory=RefinerConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    soften: float = 0.5
    """Share of crops that are also halved and doubled in size, and given noise."""
    mouth_gain: float = 4.0
    adversarial_from: float = 0.3
    adversarial_weight: float = 0.02
    feature_weight: float = 0.02
    """Weight of the difference in what the adversary's levels see, counted with it."""


class RefinerRecipe(Recipe):
    """Trains the refiner on our own stage-1 crops. Source: section 3.4 of the paper; Yang et
    al., 2021, without their identity network."""

    kind = "refiner"

    def __init__(self, config: RefinerRecipeConfig, data: Sequence[Path]) -> None:
        self.config, self.loop = config, config.loop
        face = load_network(config.vqgan_face, kind="vqgan_face")
        assert isinstance(face, VQGAN)
        self.face = face
        self.frozen = (face,)
        train, val = load_clips(data, "train"), load_clips(data, "val")
        self.clips = train, val
        self.sampler = CropSampler(train, config.augment)
        self.val = [(crop, mouth) for _, _, crop, mouth in whole_crops(val, every=50)]
        torch.manual_seed(config.loop.seed)
        self.learned = {
            "refiner": Refiner(config.network),
            "discriminator": PatchDiscriminator(config.discriminator),
        }

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """Crops, and which of them are softened further, by how much noise."""
        batch = self.sampler.draw(rng, self.loop.batch_size)
        soft = rng.random(self.loop.batch_size) < self.config.soften
        batch["noise"] = torch.from_numpy(
            (soft * rng.uniform(0, 0.08, self.loop.batch_size)).astype(np.float32)
        )
        batch["soft"] = torch.from_numpy(soft.astype(np.float32))
        return batch

    @torch.no_grad()
    def _stage_one(self, crops: Tensor) -> Tensor:
        codes = self.face.quantize(self.face.encode(crops))
        return self.face.decode(codes.latents).float().clamp(-1, 1)

    def _degrade(self, crops: Tensor, batch: Batch, trainer: Trainer) -> Tensor:
        small = F.interpolate(crops, scale_factor=0.5, mode="area")
        softer = F.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
        softer = softer + trainer.noise(softer.shape) * batch["noise"][:, None, None, None]
        return torch.where(batch["soft"][:, None, None, None] > 0, softer, crops)

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Mend stage-1 crops; after a while, fool the adversary."""
        c, crops = self.config, batch["crops"]
        soft = self._degrade(self._stage_one(crops), batch, trainer)
        made = self.learned["refiner"](soft).float()
        weight = mouth_weight(batch["mouths"], crops.shape[-1], c.mouth_gain)
        pixel = weighted_l1(made, crops, weight)
        edges = gradient_loss(made, crops, weight)
        loss = pixel + edges
        logged = {"l1": pixel, "gradient": edges}
        if trainer.progress >= c.adversarial_from:
            judge = self.learned["discriminator"]
            judge.requires_grad_(False)
            answer, seen = judge(made)
            with torch.no_grad():
                _, wanted = judge(crops)
            judge.requires_grad_(True)
            fooled, unlike = generator_hinge(answer.float()), feature_loss(seen, wanted)
            loss = loss + c.adversarial_weight * fooled + c.feature_weight * unlike
            trainer.update("refiner", loss)
            judged = discriminator_hinge(judge(crops)[0].float(), judge(made.detach())[0].float())
            trainer.update("discriminator", judged)
            logged |= {"fooled": fooled, "features": unlike, "judged": judged}
        else:
            trainer.update("refiner", loss)
        return {"loss": loss, **logged}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR of mouths of people kept out, before and after."""
        assert isinstance(network, Refiner)
        before, after = [], []
        for crop, mouth in self.val:
            crops = crop[None].to(next(network.parameters()).device)
            region = mouth_region(mouth[None].to(crops.device), crops.shape[-1])
            first = self._stage_one(crops)
            before.append(float(mouth_psnr(first, crops, region)))
            after.append(float(mouth_psnr(network(first).float(), crops, region)))
        return {
            "mouth_psnr_before": float(np.mean(before)), "mouth_psnr": float(np.mean(after)),
        }

    def sample(self, network: nn.Module) -> Tensor:
        """Rows: plate, stage 1, refined."""
        assert isinstance(network, Refiner)
        picks = torch.stack([crop for crop, _ in self.val[:: max(1, len(self.val) // 6)][:6]])
        crops = picks.to(next(network.parameters()).device)
        first = self._stage_one(crops)
        return torch.stack([crops, first, network(first).float()])

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}
