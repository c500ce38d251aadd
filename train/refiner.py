"""The refiner (stage 2): from the crops that stage 1 makes to the crops of the plate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError
from lipcore.models.checkpoint import load_network
from lipcore.models.latent_path import LatentPath
from lipcore.models.refiner import Refiner, RefinerConfig
from lipcore.models.vqgan import VQGAN
from lipcore.runtime.graphs import load_latents
from lipcore.shapes.basis import ShapeBasis
from lipcore.weights import find_weights

from .data import (
    AugmentConfig,
    Clip,
    CropSampler,
    first_frames,
    load_both,
    mouth_region,
    mouth_weight,
    whole_crops,
)
from .discriminator import DiscriminatorConfig, PatchDiscriminator
from .latents import LatentClip, encode_clips
from .loop import Batch, LoopConfig, Recipe, Trainer
from .losses import (
    discriminator_hinge,
    feature_loss,
    generator_hinge,
    gradient_loss,
    mouth_psnr,
    sharpness,
    weighted_l1,
)
from .references import draw_reference, pick_references

_APART, _CLOSED_SHARE = 5, 0.7
"""Of references in training, as the generator's own recipe has them."""
_JUDGE_EVERY = 50
"""Frames of people kept out, one of so many."""


@dataclass(frozen=True, slots=True)
class RefinerRecipeConfig:
    """Settings of the recipe."""

    vqgan_face: Path | None = None
    """Weights of the trained V_f, whose faults the refiner learns to mend, codebook and all."""
    network: RefinerConfig = field(default_factory=RefinerConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    weights: str = ""
    """In place of ``vqgan_face``: a set, as ``render --weights`` takes it, whose V_f, V_p and
    generator make the crops that are mended, as a render makes them."""
    drawn: float = 0.5
    """With ``weights``: share of crops that the generator draws, by the frame's own mouth shape
    and from another frame; the others pass V_f alone."""
    clip_frames: int = 0
    """With ``weights``: frames of a clip that are drawn, its first ones; 0 for all."""
    soften: float = 0.5
    """Share of crops that are also halved and doubled in size, and given noise."""
    mouth_gain: float = 4.0
    adversarial_from: float = 0.3
    adversarial_weight: float = 0.02
    feature_weight: float = 0.02
    """Weight of the difference in what the adversary's levels see, counted with it."""

    def __post_init__(self) -> None:
        if (self.vqgan_face is None) == (not self.weights):
            raise ConfigError(
                "a refiner learns on the crops of vqgan_face or of weights",
                hint="Give one of the two.",
            )
        if not 0 <= self.drawn <= 1 or self.clip_frames < 0:
            raise ConfigError("drawn is a share, clip_frames a count", hint="Give 0.5, and 0.")


class RefinerRecipe(Recipe):
    """Trains the refiner on our own stage-1 crops. Source: section 3.4 of the paper; Yang et
    al., 2021, without their identity network."""

    kind = "refiner"

    def __init__(self, config: RefinerRecipeConfig, data: Sequence[Path]) -> None:
        self.config, self.loop = config, config.loop
        self.path: LatentPath | None = None
        if config.vqgan_face is not None:
            face = load_network(config.vqgan_face, kind="vqgan_face")
            assert isinstance(face, VQGAN)
            self.face = face
            self.frozen = (face,)
        else:
            self.path = load_latents(find_weights(config.weights))
            self.face = self.path.face
            self.frozen = (self.face, self.path.generator)
        train, val = load_both(data, self.face.config.crop_px)
        self.clips = train, val
        if config.network.crop_px != self.face.config.crop_px:
            raise ConfigError(
                f"the refiner takes crops of {config.network.crop_px} px, and stage 1 draws "
                f"{self.face.config.crop_px} px",
                hint=f"Set network.crop_px to {self.face.config.crop_px}.",
            )
        self.sampler = CropSampler(train, config.augment)
        self.sources = self._encode(train)
        self.val = list(self._judges(val))
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
        if self.path is not None:
            self._draw_some(rng, batch)
        return batch

    def _encode(self, clips: Sequence[Clip]) -> list[LatentClip]:
        """What the generator draws from; nothing where there is none."""
        if self.path is None:
            return []
        basis = ShapeBasis.load(find_weights(self.config.weights))
        return encode_clips(
            first_frames(clips, self.config.clip_frames), self.path.face, self.path.pose,
            lambda landmarks: basis.measure(landmarks)[0],
        )

    def _draw_some(self, rng: np.random.Generator, batch: Batch) -> None:
        """Put frames that the generator is to draw in the place of some crops."""
        chosen = rng.random(self.loop.batch_size) < self.config.drawn
        rows: list[Batch] = []
        for i in range(self.loop.batch_size):
            source = self.sources[rng.choice(len(self.sources), p=self.sampler.share)]
            frame = int(rng.integers(source.clip.frames))
            (reference,) = draw_reference(
                rng, source, [frame], "closed", apart=_APART, closed_share=_CLOSED_SHARE
            )
            row = _drawn(source, frame, reference)
            if chosen[i]:
                batch["crops"][i], batch["mouths"][i] = row["crops"][0], row["mouths"][0]
            rows.append(row)
        for name in ("pose", "reference", "shape"):
            batch[name] = torch.cat([row[name] for row in rows])
        batch["drawn"] = torch.from_numpy(chosen.astype(np.float32))

    def _judges(self, val: Sequence[Clip]) -> Iterator[Batch]:
        """Frames of people kept out, one a batch; the generator draws them, where there is one."""
        if self.path is None:
            for _, _, crop, mouth in whole_crops(val, every=_JUDGE_EVERY):
                yield {"crops": crop[None], "mouths": mouth[None]}
        for source in self._encode(val):
            for frame in range(0, source.clip.frames, _JUDGE_EVERY):
                (reference,) = pick_references(source, [frame], "closed")
                yield _drawn(source, frame, reference)

    @torch.no_grad()
    def _stage_one(self, batch: Batch) -> Tensor:
        latents = self.face.encode(batch["crops"])
        if self.path is None:
            latents = self.face.quantize(latents).latents
        elif (drawn := batch["drawn"] > 0).any():
            made = self.path.generator(
                batch["pose"][drawn], batch["reference"][drawn], batch["shape"][drawn]
            )
            latents[drawn] = made.to(latents.dtype)
        return self.face.decode(latents).float().clamp(-1, 1)

    def _degrade(self, crops: Tensor, batch: Batch, trainer: Trainer) -> Tensor:
        small = F.interpolate(crops, scale_factor=0.5, mode="area")
        softer = F.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
        softer = softer + trainer.noise(softer.shape) * batch["noise"][:, None, None, None]
        return torch.where(batch["soft"][:, None, None, None] > 0, softer, crops)

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Mend stage-1 crops; after a while, fool the adversary."""
        c, crops = self.config, batch["crops"]
        soft = self._degrade(self._stage_one(batch), batch, trainer)
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
        """Mouths of people kept out, before and after: PSNR, and gradient energy as a share of
        the plate's."""
        assert isinstance(network, Refiner)
        scores: dict[str, list[float]] = {}
        device = next(network.parameters()).device
        for judged in self.val:
            batch = {name: value.to(device) for name, value in judged.items()}
            crops = batch["crops"]
            region = mouth_region(batch["mouths"], crops.shape[-1])
            first = self._stage_one(batch)
            for made, when in ((first, "_before"), (network(first).float(), "")):
                scores.setdefault(f"mouth_psnr{when}", []).append(
                    float(mouth_psnr(made, crops, region))
                )
                scores.setdefault(f"mouth_sharpness{when}", []).append(
                    float(sharpness(made, crops, region))
                )
        return {name: float(np.mean(values)) for name, values in scores.items()}

    def sample(self, network: nn.Module) -> Tensor:
        """Rows: plate, stage 1, refined."""
        assert isinstance(network, Refiner)
        picks = self.val[:: max(1, len(self.val) // 6)][:6]
        device = next(network.parameters()).device
        batch = {name: torch.cat([p[name] for p in picks]).to(device) for name in picks[0]}
        first = self._stage_one(batch)
        return torch.stack([batch["crops"], first, network(first).float()])

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}


def _drawn(source: LatentClip, frame: int, reference: int) -> Batch:
    """A frame as the generator draws it from another one: a batch of one."""
    clip = source.clip
    return {
        "crops": clip.crop(frame)[None],
        "mouths": torch.from_numpy(clip.mouths[frame] * clip.crop_px)[None],
        "pose": source.pose[[frame]].float(), "reference": source.face[[reference]].float(),
        "shape": source.shapes[[frame]], "drawn": torch.ones(1),
    }
