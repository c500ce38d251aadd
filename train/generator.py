"""The generator: the latents of a frame from its pose, another frame, and its mouth shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import ConfigError, TrainingError
from lipcore.models.blocks import channels_last
from lipcore.models.checkpoint import load_network
from lipcore.models.generator import Generator, GeneratorConfig
from lipcore.models.latent_path import Latents
from lipcore.models.speech_encoder import SpeechEncoder
from lipcore.models.sync_expert import SyncExpert
from lipcore.models.vqgan import VQGAN
from lipcore.shapes.basis import ShapeBasis

from .data import AugmentConfig, first_frames, load_both, mouth_region, mouth_weight
from .latents import LatentClip, encode_clips
from .loop import Batch, LoopConfig, Recipe, Trainer
from .losses import gradient_loss, mouth_psnr, sync_loss, weighted_l1
from .references import Reference, draw_reference, pick_references


@dataclass(frozen=True, slots=True)
class GeneratorRecipeConfig:
    """Settings of the recipe."""

    vqgan_face: Path
    """Weights of the trained V_f."""
    vqgan_pose: Path
    """Weights of the trained V_p."""
    shape_basis: Path
    """The basis of mouth shapes."""
    speech: Path | None = None
    """Weights of the speech encoder; needed where ``network.speech_size`` is above 0."""
    sync_expert: Path | None = None
    """Weights of the expert; needed where ``sync_weight`` is above 0. It judges latents or
    decoded pixels, whichever its own ``sees`` says."""
    refiner: Path | None = None
    """Weights of a refiner, stage 2: pictures and scores go through it. It teaches nothing."""
    network: GeneratorConfig = field(default_factory=GeneratorConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    lights: int = 2
    """Times that each clip is encoded, every time in another light."""
    clip_frames: int = 0
    """Frames of a clip that are encoded, its first ones; 0 for all."""
    run_frames: int = 1
    """Successive frames an item, T, folded into the batch; the expert's where it is used."""
    latents: Latents = "continuous"
    """Whether what is made passes V_f's codebook before it is decoded and judged."""
    reference: Reference = "closed"
    """Which frame shows the person."""
    apart_frames: int = 5
    """Least distance of the reference from the frame that is made."""
    closed_share: float = 0.7
    """Share of references taken from the fifth of the frames whose mouths are most closed."""
    silent_share: float = 0.3
    """Share of steps that hear no speech, so that shapes alone can drive the mouth."""
    shapeless_share: float = 0.0
    """Share of the other steps that see no mouth shape, so that speech alone drives it; 1, with
    a ``silent_share`` of 0, is the paper's own way."""
    shape_noise: float = 0.1
    """Noise on the shapes, in their spreads: landmarks are not exact."""
    mouth_gain: float = 6.0
    """What a latent of the mouth weighs on top of any other."""
    pixel_weight: float = 1.0
    """Weight of the decoded lower half against the crop, once it counts."""
    latent_weight: float = 1.0
    """Weight of the latents against those of the crop."""
    pixel_from: float = 0.5
    """Share of the run after which pixels count; decoding costs more than generating."""
    sync_weight: float = 0.0
    """Weight of the expert's loss; 0.03 to 0.05 with an expert worth hearing."""
    sync_from: float = 0.5

    def __post_init__(self) -> None:
        if self.sync_weight and self.sync_expert is None:
            raise ConfigError(
                "sync_weight is set but no sync_expert is given",
                hint="Give the expert's weights, or set sync_weight to 0.",
            )
        if bool(self.network.speech_size) != (self.speech is not None):
            raise ConfigError(
                "speech and network.speech_size belong together",
                hint="Give the speech encoder's weights and the number of its features, or "
                "leave speech out and set network.speech_size to 0.",
            )
        if self.shapeless_share and self.speech is None:
            raise ConfigError(
                "shapeless_share leaves nothing to drive the mouth",
                hint="Give the speech encoder's weights, or set it to 0.",
            )
        if self.run_frames < 1 or self.lights < 1 or self.apart_frames < 0:
            raise ConfigError("run_frames and lights are counts", hint="Give 1 or more.")


class GeneratorRecipe(Recipe):
    """Trains the generator between frozen V_f and V_p. Source: section 3.2 of the paper.

    Any two frames of one person teach it, with no sound at all: the shape is measured on the
    frame that is to be made.
    """

    kind = "generator"

    def __init__(self, config: GeneratorRecipeConfig, data: Sequence[Path]) -> None:
        self.config, self.loop = config, config.loop
        face = load_network(config.vqgan_face, kind="vqgan_face")
        pose = load_network(config.vqgan_pose, kind="vqgan_pose")
        assert isinstance(face, VQGAN) and isinstance(pose, VQGAN)
        self.face = face
        self.expert: SyncExpert | None = None
        if config.sync_weight and config.sync_expert is not None:
            self.expert = self._load_expert(config.sync_expert)
        self.refiner: nn.Module | None = None
        if config.refiner is not None:
            self.refiner = load_network(config.refiner, kind="refiner")
        basis = ShapeBasis.read(config.shape_basis)

        def measure(landmarks: np.ndarray[Any, np.dtype[np.float32]]) -> Any:
            return basis.measure(landmarks)[0]

        speech = self._load_speech(config)
        train, val = load_both(data, face.config.crop_px)
        self.clips = train, val
        least = config.apart_frames + config.run_frames + 1
        taught = first_frames([c for c in train if c.frames >= least], config.clip_frames)
        self.train = encode_clips(
            taught, face, pose, measure, speech=speech, lights=config.lights,
            augment=config.augment,
        )
        judged = first_frames([c for c in val if c.frames >= least], config.clip_frames)
        self.val = encode_clips(judged, face, pose, measure, speech=speech)
        if speech is not None:
            self.train = [c for c in self.train if len(c.speech)]
        if not self.train or not self.val:
            raise TrainingError(
                "the data has no clips that are long enough", hint=f"They need {least} frames."
            )
        people: dict[str, int] = {}
        for c in self.train:
            people[c.clip.identity] = people.get(c.clip.identity, 0) + c.clip.frames
        share = np.array([c.clip.frames / people[c.clip.identity] ** 0.5 for c in self.train])
        self.share = share / share.sum()
        torch.manual_seed(config.loop.seed)
        network = Generator(config.network)
        self.shape_std = torch.from_numpy(np.array(basis.std, np.float32))
        network.condition.shape_std.copy_(self.shape_std)
        some = torch.cat([c.face[:: max(1, len(c.face) // 8)].float() for c in self.train])
        self.spread = some.std((0, 2, 3)).clamp_min(1e-4)[None, :, None, None]
        self.learned = {"generator": channels_last(network)}
        self.frozen = tuple(n for n in (face, self.expert, self.refiner) if n is not None)

    def _load_expert(self, path: Path) -> SyncExpert:
        expert = load_network(path, kind="sync_expert")
        assert isinstance(expert, SyncExpert)
        c, face = expert.config, self.face.config
        if c.frames != self.config.run_frames:
            raise ConfigError(
                f"the expert judges runs of {c.frames} frames, run_frames is "
                f"{self.config.run_frames}",
                hint=f"Set run_frames to {c.frames}, or give another expert.",
            )
        pixels = c.sees == "pixels"
        wanted = (face.crop_px, 3) if pixels else (face.latent_grid, face.latent_channels)
        if (c.latent_grid, c.latent_channels) != wanted:
            raise ConfigError(
                f"the expert was trained on another V_f: it sees {c.latent_channels} channels on "
                f"a grid of {c.latent_grid}",
                hint="Give the expert that belongs to vqgan_face.",
            )
        return expert

    @staticmethod
    def _load_speech(config: GeneratorRecipeConfig) -> SpeechEncoder | None:
        if config.speech is None:
            return None
        speech = load_network(config.speech, kind="speech")
        assert isinstance(speech, SpeechEncoder)
        features = speech.config.members * speech.config.channels
        if features != config.network.speech_size:
            raise ConfigError(
                f"the speech encoder has {features} features, network.speech_size is "
                f"{config.network.speech_size}",
                hint=f"Set network.speech_size to {features}.",
            )
        return speech

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """Runs of frames with their references; T frames an item, folded into the batch."""
        c, items = self.config, []
        for _ in range(self.loop.batch_size):
            source = self.train[rng.choice(len(self.train), p=self.share)]
            first = int(rng.integers(source.clip.frames - c.run_frames + 1))
            frames = list(range(first, first + c.run_frames))
            references = draw_reference(
                rng, source, frames, c.reference, apart=c.apart_frames,
                closed_share=c.closed_share,
            )
            noise = torch.from_numpy(rng.standard_normal(len(self.shape_std)).astype(np.float32))
            items.append(
                {
                    "pose": source.pose[frames].float(),
                    "face": source.face[frames].float(),
                    "reference": source.face[references].float(),
                    "shape": source.shapes[frames] + noise * self.shape_std * c.shape_noise,
                    "mouths": torch.from_numpy(source.clip.mouths[frames]),
                    "speech": source.speech[frames] if len(source.speech) else torch.zeros(1, 0),
                    "mel": self._mel(source, frames),
                }
            )
        return {k: torch.cat([i[k] for i in items]) for k in items[0]}

    def _mel(self, source: LatentClip, frames: list[int]) -> Tensor:
        if self.expert is None:
            return torch.zeros(1, 0)
        middle = (frames[0] + frames[-1]) / 2
        return source.window(middle, self.expert.config.mel_steps)

    def run_step(self, batch: Batch, trainer: Trainer) -> dict[str, Tensor]:
        """Predict latents; later also pixels of the lower half, and the expert's judgement."""
        c, target = self.config, batch["face"]
        hears = bool(c.network.speech_size) and bool(torch.rand(()) >= c.silent_share)
        shape = batch["shape"]
        if hears and torch.rand(()) < c.shapeless_share:
            shape = torch.zeros_like(shape)
        made = self.learned["generator"](
            batch["pose"], batch["reference"], shape, batch["speech"] if hears else None
        ).float()
        grid = target.shape[-1]
        weight = mouth_weight(batch["mouths"] * grid, grid, c.mouth_gain)
        spread = self.spread.to(target.device)
        latent = weighted_l1(made / spread, target / spread, weight)
        loss, logged = c.latent_weight * latent, {"latent": latent}
        made = self._through_codes(made)
        if trainer.progress >= c.pixel_from and c.pixel_weight:
            pixel = self._pixel_loss(made, target, batch["mouths"])
            loss, logged = loss + c.pixel_weight * pixel, logged | {"pixel": pixel}
        if self.expert is not None and trainer.progress >= c.sync_from:
            pixels = self.expert.config.sees == "pixels"
            seen = self.face.decode(made).float() if pixels else made
            runs = seen.view(-1, c.run_frames, *seen.shape[1:])
            similarity = self.expert(runs, batch["mel"]).float()
            sync = sync_loss(similarity, torch.ones_like(similarity))
            loss, logged = loss + c.sync_weight * sync, logged | {"sync": sync}
        trainer.update("generator", loss)
        return {"loss": loss, **logged}

    def _through_codes(self, latents: Tensor) -> Tensor:
        """Latents as the decoder gets them; codes let the gradient through as it comes."""
        if self.config.latents == "continuous":
            return latents
        return latents + (self.face.quantize(latents).latents - latents).detach()

    def _pixel_loss(self, made: Tensor, target: Tensor, mouths: Tensor) -> Tensor:
        """Decoded lower halves of both, compared; the decoder is convolutional enough."""
        half = target.shape[-2] // 2
        with torch.no_grad():
            wanted = self.face.decode(target[..., half:, :]).float()
        drawn = self.face.decode(made[..., half:, :]).float()
        size = wanted.shape[-1]
        weight = mouth_weight(mouths * size, size, self.config.mouth_gain)[..., size // 2 :, :]
        return weighted_l1(drawn, wanted, weight) + gradient_loss(drawn, wanted, weight)

    @torch.no_grad()
    def draw_faces(
        self, network: Generator, seen: LatentClip, frames: list[int], heard: LatentClip
    ) -> Tensor:
        """Crops of a clip that says what another, or itself, says in the same frames.

        Args:
            network: The generator.
            seen: Whose face it is.
            frames: Which frames, of both.
            heard: Whose shapes and speech drive the mouth.

        Returns:
            (B, 3, S, S) in [-1, 1], by way of the codebook and the refiner where the config
            has them.
        """
        device = next(network.parameters()).device
        shapes = heard.shapes[frames].to(device)
        if self.config.shapeless_share == 1:
            shapes = torch.zeros_like(shapes)
        latents = network(
            seen.pose[frames].float().to(device),
            seen.face[pick_references(seen, frames, self.config.reference)].float().to(device),
            shapes,
            heard.speech[frames].to(device) if len(heard.speech) else None,
        )
        crops = self.face.decode(self._through_codes(latents.float())).float()
        if self.refiner is not None:
            crops = self.refiner(crops.clamp(-1, 1)).float()
        return crops.clamp(-1, 1)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR of mouths of people kept out, drawn from their true shapes."""
        assert isinstance(network, Generator)
        scores: dict[str, list[float]] = {}
        for source in self.val:
            frames = list(range(0, source.clip.frames, 25))
            made = self.draw_faces(network, source, frames, source)
            crops = torch.stack([source.clip.crop(i) for i in frames]).to(made.device)
            mouths = torch.from_numpy(source.clip.mouths[frames]) * crops.shape[-1]
            region = mouth_region(mouths.to(made.device), crops.shape[-1])
            values = mouth_psnr(made, crops, region).tolist()
            scores.setdefault("mouth_psnr", []).extend(values)
            scores.setdefault(f"mouth_psnr_{source.clip.name}", []).extend(values)
        return {k: float(np.mean(v)) for k, v in sorted(scores.items())}

    def sample(self, network: nn.Module) -> Tensor:
        """Two rows a person kept out: frames, and what the generator makes of their shapes."""
        assert isinstance(network, Generator)
        rows = []
        for source in self.val[:4]:
            frames = np.linspace(0, source.clip.frames - 1, 7).astype(int).tolist()
            made = self.draw_faces(network, source, frames, source)
            rows += [torch.stack([source.clip.crop(i) for i in frames]).to(made.device), made]
        small = F.interpolate(torch.cat(rows), scale_factor=0.5, mode="area")
        return small.view(len(rows), -1, *small.shape[1:])

    def record(self) -> dict[str, Any]:
        """Which clips taught it, and which were kept out."""
        return {f"{c[0].split}_clips": [x.name for x in c] for c in self.clips}
