"""V_p: crops whose lower face is hidden, so that pose and light are all it can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipcore.models.blocks import channels_last
from lipcore.models.pose_mask import MARGIN, hide_lower_face
from lipcore.models.vqgan import VQGAN, VQGANConfig

from .data import AugmentConfig, CropSampler, load_both, whole_crops
from .loop import Batch, LoopConfig, Recipe, Trainer, unwrap
from .losses import gradient_loss, weighted_l1


@dataclass(frozen=True, slots=True)
class VQGANPoseConfig:
    """Settings of the recipe."""

    network: VQGANConfig = field(default_factory=VQGANConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    margin: float = 0.06
    """Largest growth of the mask, as a share of the crop's side."""
    gradient_weight: float = 0.5
    codebook_weight: float = 1.0


class VQGANPose(Recipe):
    """Trains V_p on what its mask leaves. Source: section 3.1 of the paper."""

    kind = "vqgan_pose"

    def __init__(self, config: VQGANPoseConfig, data: Sequence[Path]) -> None:
        self.config, self.loop = config, config.loop
        train, val = load_both(data, config.network.crop_px)
        self.sampler = CropSampler(train, config.augment)
        self.val = [(c.faces[i] * c.crop_px, crop) for c, i, crop, _ in whole_crops(val, every=50)]
        self.clips = train, val
        torch.manual_seed(config.loop.seed)
        self.learned = {"vqgan_pose": channels_last(VQGAN(config.network))}

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """Augmented crops, each with its own margin."""
        batch = self.sampler.draw(rng, self.loop.batch_size)
        size = batch["crops"].shape[-1]
        margin = rng.uniform(0, self.config.margin, self.loop.batch_size) * size
        crops = hide_lower_face(
            batch["crops"], batch["faces"], torch.from_numpy(margin.astype(np.float32)),
            self.config.network.mask,
        )
        return {"crops": crops}

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Reconstruct the masked crop; the codebook follows."""
        c = self.config
        crops = batch["crops"].contiguous(memory_format=torch.channels_last)
        made, quantized = self.learned["vqgan_pose"](crops)
        made = made.float()
        weight = torch.ones_like(crops[:, :1])
        pixel = weighted_l1(made, crops, weight)
        edges = gradient_loss(made, crops, weight)
        loss = pixel + c.gradient_weight * edges + c.codebook_weight * quantized.loss
        trainer.update("vqgan_pose", loss)
        used = unwrap(self.learned["vqgan_pose"])
        assert isinstance(used, VQGAN)
        alive = (used.quantizer.usage > 0.1 * used.quantizer.usage.mean()).float().mean()
        return {
            "loss": loss, "l1": pixel, "gradient": edges, "codebook": quantized.loss,
            "codes_alive": alive,
        }

    def _masked(self, network: nn.Module) -> Tensor:
        crops = torch.stack([crop for _, crop in self.val])
        boxes = torch.from_numpy(np.stack([box for box, _ in self.val]))
        masked = hide_lower_face(
            crops, boxes, MARGIN * crops.shape[-1], self.config.network.mask
        )
        return masked.to(next(network.parameters()).device)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR of masked crops of people kept out."""
        assert isinstance(network, VQGAN)
        scores = []
        for crop in torch.split(self._masked(network), 1):
            made = network(crop)[0].float().clamp(-1, 1)
            scores.append(float(-10 * ((made - crop) / 2).square().mean().log10()))
        return {"psnr": float(np.mean(scores))}

    def sample(self, network: nn.Module) -> Tensor:
        """Rows: masked crop, reconstruction."""
        assert isinstance(network, VQGAN)
        masked = self._masked(network)
        masked = masked[:: max(1, len(masked) // 6)][:6]
        return torch.stack([masked, network(masked)[0].float()])

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}
