"""Sizes that belong together, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lipcore.models.generator import GeneratorConfig
from lipcore.models.refiner import RefinerConfig
from lipcore.models.sync_expert import SyncExpertConfig
from lipcore.models.vqgan import VQGANConfig

PresetName = Literal["paper", "paper-256", "base", "tiny"]


@dataclass(frozen=True, slots=True)
class Preset:
    """The networks of the latent path, sized to fit each other."""

    vqgan_face: VQGANConfig
    vqgan_pose: VQGANConfig
    sync_expert: SyncExpertConfig
    generator: GeneratorConfig
    refiner: RefinerConfig


_PAPER = VQGANConfig(crop_px=768, space_to_depth=3)
_PAPER_256 = VQGANConfig()
_PAPER_GENERATOR = GeneratorConfig(speech_size=256)
"""256 features: what the speech encoder of the base weights gives."""
_TINY = VQGANConfig(
    crop_px=32, space_to_depth=2, channels=(8, 16), encoder_blocks=1, decoder_blocks=1,
    attention_grids=(8,), codes=32, latent_channels=8,
)

PRESETS: dict[PresetName, Preset] = {
    # The paper's latent grid, codebook and depth, met by a true 768 px crop.
    "paper": Preset(_PAPER, _PAPER, SyncExpertConfig(), _PAPER_GENERATOR, RefinerConfig()),
    # The same at 256 px, as the paper trains its V_f.
    "paper-256": Preset(
        _PAPER_256, _PAPER_256, SyncExpertConfig(), _PAPER_GENERATOR,
        RefinerConfig(crop_px=256, channels=(64, 128, 256, 512, 512, 512)),
    ),
    # What ships: f=8 at 256 px, sized for two cores.
    "base": Preset(
        VQGANConfig(
            space_to_depth=4, channels=(96, 192), encoder_blocks=1, decoder_blocks=2,
            attention_grids=(), latent_channels=64,
        ),
        VQGANConfig(
            space_to_depth=4, channels=(64, 128), encoder_blocks=1, decoder_blocks=1,
            attention_grids=(), latent_channels=32,
        ),
        SyncExpertConfig(
            frames=25, mel_steps=100, latent_grid=32, latent_channels=64, channels=(32, 48, 64),
            mel_channels=(8, 16, 32, 48), temporal=96, embedding=128,
        ),
        GeneratorConfig(
            latent_grid=32, latent_channels=64, pose_channels=32, channels=(96, 160, 224),
            blocks=1, attention_grids=(8,), speech_size=0, condition=128,
        ),
        RefinerConfig(crop_px=256, channels=(16, 32, 64, 128, 192), style=128, mapping_layers=2),
    ),
    # Seconds to train: for tests.
    "tiny": Preset(
        _TINY, _TINY,
        SyncExpertConfig(
            frames=5, latent_grid=8, latent_channels=8, channels=(16, 16),
            mel_channels=(8, 8, 16), temporal=16, embedding=16,
        ),
        GeneratorConfig(
            latent_grid=8, latent_channels=8, pose_channels=8, channels=(16, 16), blocks=1,
            attention_grids=(4,), speech_size=0, condition=16,
        ),
        RefinerConfig(crop_px=32, channels=(8, 16, 16), style=16, mapping_layers=1),
    ),
}
