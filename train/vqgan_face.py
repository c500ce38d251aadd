"""V_f: whole crops, the mouth weighing most, an adversary towards the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.blocks import channels_last
from lipcore.models.vqgan import VQGAN, VQGANConfig

from .data import AugmentConfig, CropSampler, load_both, mouth_region, mouth_weight, whole_crops
from .discriminator import DiscriminatorConfig, PatchDiscriminator
from .loop import Batch, LoopConfig, Recipe, Trainer, unwrap
from .losses import (
    balance,
    discriminator_hinge,
    feature_loss,
    generator_hinge,
    gradient_loss,
    mouth_psnr,
    weighted_l1,
)


@dataclass(frozen=True, slots=True)
class VQGANFaceConfig:
    """Settings of the recipe."""

    network: VQGANConfig = field(default_factory=VQGANConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    patch_px: int = 0
    """Side of the patches that the first part of the run learns from; 0 for whole crops."""
    patch_until: float = 0.0
    """Share of the run that learns from patches."""
    patch_batch: int = 8
    """Patches a step; the processes of a run share them equally."""
    mouth_gain: float = 4.0
    """What a pixel of the mouth weighs on top of any other."""
    gradient_weight: float = 1.0
    codebook_weight: float = 1.0
    continuous: float = 0.25
    """Share of crops that skip the codebook, so that the decoder serves both switches."""
    adversarial_from: float = 0.7
    """Share of the run after which the adversary counts; 1 or more for never."""
    adversarial_weight: float = 0.1
    feature_weight: float = 0.0
    """Weight of the difference in what the adversary's levels see, counted with it."""

    def __post_init__(self) -> None:
        if self.patch_px % self.network.factor:
            raise ConfigError(
                f"patches of {self.patch_px} px do not divide by {self.network.factor}",
                hint="Take a multiple of the network's factor.",
            )


class VQGANFace(Recipe):
    """Trains V_f. Source: section 3.1 of the paper; without its perceptual network."""

    kind = "vqgan_face"

    def __init__(self, config: VQGANFaceConfig, data: Sequence[Path]) -> None:
        self.config, self.loop = config, config.loop
        train, val = load_both(data, config.network.crop_px)
        self.sampler = CropSampler(train, config.augment)
        self.val = list(whole_crops(val, every=25))
        self.clips = train, val
        torch.manual_seed(config.loop.seed)
        self.learned = {
            "vqgan_face": channels_last(VQGAN(config.network)),
            "discriminator": PatchDiscriminator(config.discriminator),
        }

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """Augmented crops, or patches of them in the first part of the run."""
        if progress < self.config.patch_until:
            return self.sampler.draw(rng, self.config.patch_batch, self.config.patch_px)
        return self.sampler.draw(rng, self.loop.batch_size)

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Reconstruct; the codebook follows; towards the end, fool the adversary."""
        c, network = self.config, self.learned["vqgan_face"]
        crops = batch["crops"].contiguous(memory_format=torch.channels_last)
        weight = mouth_weight(batch["mouths"], crops.shape[-1], c.mouth_gain)
        skip = trainer.chance(len(crops)) < c.continuous
        made, quantized = network(crops, skip)
        made = made.float()
        pixel = weighted_l1(made, crops, weight)
        edges = gradient_loss(made, crops, weight)
        reconstruction = pixel + c.gradient_weight * edges
        loss = reconstruction + c.codebook_weight * quantized.loss
        logged = {"l1": pixel, "gradient": edges, "codebook": quantized.loss}
        used = unwrap(network)
        assert isinstance(used, VQGAN)
        if trainer.progress >= c.adversarial_from:
            judge = self.learned["discriminator"]
            judge.requires_grad_(False)
            answer, seen = judge(made)
            fooled = generator_hinge(answer.float())
            pull = balance(reconstruction, fooled, used.decoder.last_layer)
            loss = loss + c.adversarial_weight * pull * fooled
            if c.feature_weight:
                with torch.no_grad():
                    _, wanted = judge(crops)
                unlike = feature_loss(seen, wanted)
                loss = loss + c.feature_weight * unlike
                logged |= {"features": unlike}
            judge.requires_grad_(True)
            trainer.update("vqgan_face", loss)
            judged = discriminator_hinge(judge(crops)[0].float(), judge(made.detach())[0].float())
            trainer.update("discriminator", judged)
            logged |= {"fooled": fooled, "judged": judged, "pull": pull}
        else:
            trainer.update("vqgan_face", loss)
        alive = (used.quantizer.usage > 0.1 * used.quantizer.usage.mean()).float().mean()
        return {"loss": loss, **logged, "codes_alive": alive}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR of crops of people kept out: whole, and in the mouth region."""
        assert isinstance(network, VQGAN)
        scores: dict[str, list[float]] = {}
        for clip, _, crop, mouth in self.val:
            crops = crop[None].to(next(network.parameters()).device)
            region = mouth_region(mouth[None].to(crops.device), crops.shape[-1])
            latents = network.encode(crops)
            for name, z in (("", network.quantize(latents).latents), ("_continuous", latents)):
                made = network.decode(z).float()
                value = float(mouth_psnr(made, crops, region))
                scores.setdefault(f"mouth_psnr{name}", []).append(value)
                if not name:
                    scores.setdefault(f"mouth_psnr_{clip.name}", []).append(value)
                    whole = float(mouth_psnr(made, crops, torch.ones_like(region)))
                    scores.setdefault("psnr", []).append(whole)
        return {k: float(np.mean(v)) for k, v in sorted(scores.items())}

    def sample(self, network: nn.Module) -> Tensor:
        """Rows: crop, quantised, continuous. Columns: people kept out."""
        assert isinstance(network, VQGAN)
        picks = self.val[:: max(1, len(self.val) // 7)][:7]
        crops = torch.stack([p[2] for p in picks]).to(next(network.parameters()).device)
        latents = network.encode(crops)
        made = network.decode(network.quantize(latents).latents)
        return torch.stack([crops, made.float(), network.decode(latents).float()])

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}
