"""The refiner learns on what a render draws: its recipe with a whole set of weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from lipcore.train.discriminator import DiscriminatorConfig
from lipcore.train.loop import LoopConfig
from lipcore.train.losses import sharpness
from lipcore.train.refiner import RefinerRecipe, RefinerRecipeConfig

from lipcore.errors import ConfigError
from lipcore.models.checkpoint import save_network
from lipcore.models.generator import Generator
from lipcore.models.presets import PRESETS
from lipcore.models.refiner import RefinerConfig
from lipcore.runtime.graphs import load_latents
from lipcore.weights import find_weights

TINY = PRESETS["tiny"]
JUDGE = DiscriminatorConfig(channels=8, levels=1)


@pytest.fixture
def whole_set(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny V_f and V_p, and a generator whose layers all have a say."""
    monkeypatch.setenv("LIPCORE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    shutil.copytree(tiny_weights, folder)
    torch.manual_seed(0)
    generator = Generator(TINY.generator)
    for value in generator.parameters():
        value.data += 0.05 * torch.randn_like(value)
    save_network(folder / "generator.safetensors", generator, kind="generator", record={})
    return folder


def recipe_of(
    whole_set: Path, prepared: Path, drawn: float, network: RefinerConfig = TINY.refiner
) -> RefinerRecipe:
    config = RefinerRecipeConfig(
        network=network, discriminator=JUDGE, loop=LoopConfig(batch_size=4),
        weights=str(whole_set), drawn=drawn, clip_frames=8,
    )
    return RefinerRecipe(config, [prepared])


@torch.no_grad()
def test_it_mends_what_a_render_draws(whole_set: Path, prepared: Path) -> None:
    """All drawn: the generator's crops. None: V_f's, its latents not rounded to codes."""
    path = load_latents(find_weights(whole_set))
    recipe = recipe_of(whole_set, prepared, 1.0)
    batch = recipe.draw(np.random.default_rng(0), 0.5)
    assert batch["drawn"].all()
    made = recipe._stage_one(batch)
    expected = path.decode(path.generate(batch["pose"], batch["reference"], batch["shape"]))
    assert torch.allclose(made, expected, atol=1e-4)
    shown = [clip.crop(i) for clip in recipe.clips[0] for i in range(8)]
    for crop in batch["crops"]:  # frames as they are, not recolored
        assert min(float((crop - s).abs().max()) for s in shown) == 0

    recipe = recipe_of(whole_set, prepared, 0.0)
    batch = recipe.draw(np.random.default_rng(0), 0.5)
    expected = path.decode(path.encode(batch["crops"]))
    assert torch.allclose(recipe._stage_one(batch), expected, atol=1e-4)


@torch.no_grad()
def test_people_kept_out_judge_it_by_what_the_generator_draws(
    whole_set: Path, prepared: Path
) -> None:
    recipe = recipe_of(whole_set, prepared, 0.5)
    refiner = recipe.learned["refiner"]
    scores = recipe.validate(refiner)
    # It begins as the identity.
    assert scores["mouth_psnr"] == pytest.approx(scores["mouth_psnr_before"], abs=1e-3)
    assert scores["mouth_sharpness"] == pytest.approx(scores["mouth_sharpness_before"], abs=1e-3)
    assert all(bool(batch["drawn"].all()) for batch in recipe.val)
    assert recipe.sample(refiner).shape[:2] == (3, min(6, len(recipe.val)))


def test_it_learns_on_one_thing_or_the_other(tiny_weights: Path) -> None:
    for given in ({}, {"vqgan_face": tiny_weights / "vqgan_face.safetensors", "weights": "base"}):
        with pytest.raises(ConfigError, match="vqgan_face or of weights"):
            RefinerRecipeConfig(**given)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="share"):
        RefinerRecipeConfig(weights="base", drawn=1.5)


def test_crops_of_several_sizes_are_told_beforehand(whole_set: Path, prepared: Path) -> None:
    with pytest.raises(ConfigError, match=r"refiner takes .*256 px") as caught:
        recipe_of(whole_set, prepared, 0.5, RefinerConfig(256, (4, 8)))
    assert "network.crop_px" in caught.value.hint


def test_sharpness_is_gradient_energy_inside_the_region() -> None:
    torch.manual_seed(0)
    target = torch.rand(2, 3, 32, 32)
    region = torch.zeros(2, 1, 32, 32)
    region[..., 8:24, 8:24] = 1
    assert torch.allclose(sharpness(target, target, region), torch.ones(2))
    assert torch.allclose(sharpness(target / 2, target, region), torch.full((2,), 0.25))
    outside = torch.where(region > 0, target, 0)
    assert sharpness(outside, target, region)[0] == pytest.approx(1, abs=0.25)
