"""Every recipe loads; every recipe learns."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lipcore.train.catalog import load_recipe, recipe_names
from lipcore.train.data import AugmentConfig
from lipcore.train.discriminator import DiscriminatorConfig
from lipcore.train.generator import GeneratorRecipe, GeneratorRecipeConfig
from lipcore.train.loop import LoopConfig, Recipe, Trainer
from lipcore.train.refiner import RefinerRecipe, RefinerRecipeConfig
from lipcore.train.sync_expert import SyncExpertRecipe, SyncExpertRecipeConfig
from lipcore.train.vqgan_face import VQGANFace, VQGANFaceConfig
from lipcore.train.vqgan_pose import VQGANPose, VQGANPoseConfig

from lipcore.config import from_mapping, load_config, save_config, to_mapping
from lipcore.errors import ConfigError, TrainingError
from lipcore.models.checkpoint import load_header, load_network
from lipcore.models.presets import PRESETS
from lipcore.models.sync_expert import SyncExpert
from lipcore.weights import find_weights

TINY = PRESETS["tiny"]
LOOP = LoopConfig(
    batch_size=12, max_steps=30, learning_rate=3e-3, warmup_steps=1, log_steps=1,
    sample_steps=100, validate_steps=100, precision="32", threads=1, ema_decay=0.9, seed=3,
)
STILL = AugmentConfig(shift_px=2, rotate_deg=2, gamma=0.1, exposure=0.05, tint=0.02, blur=0)
SMALL = DiscriminatorConfig(channels=8, levels=2)


def make(kind: str, folder: Path, weights: Path, **loop: object) -> tuple[Recipe, object]:
    """A tiny recipe of a kind, and its config."""
    data = [folder]
    steps = replace(LOOP, **loop)  # type: ignore[arg-type]
    face, pose = weights / "vqgan_face.safetensors", weights / "vqgan_pose.safetensors"
    if kind == "vqgan_face":
        c1 = VQGANFaceConfig(
            TINY.vqgan_face, SMALL, STILL, steps, patch_px=16, patch_until=0.3,
            adversarial_from=0.7, feature_weight=0.1,
        )
        return VQGANFace(c1, data), c1
    if kind == "vqgan_pose":
        c2 = VQGANPoseConfig(TINY.vqgan_pose, STILL, steps)
        return VQGANPose(c2, data), c2
    if kind == "sync_expert":
        c3 = SyncExpertRecipeConfig(
            face, TINY.sync_expert, STILL, replace(steps, batch_size=8), stretch=0.0
        )
        return SyncExpertRecipe(c3, data), c3
    if kind == "generator":
        c4 = GeneratorRecipeConfig(
            face, pose, weights / "shape_basis.safetensors", network=TINY.generator,
            augment=STILL, loop=steps, lights=1, pixel_from=2.0,
        )
        return GeneratorRecipe(c4, data), c4
    c5 = RefinerRecipeConfig(face, TINY.refiner, SMALL, STILL, steps, adversarial_from=0.7)
    return RefinerRecipe(c5, data), c5


KINDS = ["vqgan_face", "vqgan_pose", "sync_expert", "generator", "refiner"]


class _Onlooker:
    """In the trainer's place: losses are told, and nothing changes."""

    progress = 0.0

    def update(self, name: str, loss: torch.Tensor) -> None:
        """Leave the network as it is."""

    def chance(self, count: int) -> torch.Tensor:
        return torch.ones(count)

    def noise(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.zeros(shape)


@torch.no_grad()
def _loss_on(recipe: Recipe, batches: list[dict[str, torch.Tensor]]) -> float:
    """Mean loss of a recipe's networks, as they are, on given batches."""
    for network in recipe.learned.values():
        network.eval()
    torch.manual_seed(0)
    steps = [recipe.run_step(batch, _Onlooker()) for batch in batches]  # type: ignore[arg-type]
    for network in recipe.learned.values():
        network.train()
    return float(np.mean([float(s.get("l1", s["loss"])) for s in steps]))


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_load(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    path = tmp_path / f"{name}.yaml"
    save_config(recipe.config, path)
    assert load_config(type(recipe.config), path) == recipe.config
    assert recipe.recipe_class.kind in name


@pytest.mark.parametrize("name", recipe_names())
def test_weights_of_shipped_recipes_are_found_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_recipe(name).config
    values = [getattr(config, field.name) for field in fields(config)]
    for path in (value for value in values if isinstance(value, Path)):
        assert path.is_file() or path.parts[0] == "runs", path  # runs: what the user trains first


@pytest.mark.parametrize("kind", KINDS)
def test_base_recipes_train_the_base_preset(kind: str) -> None:
    assert load_recipe(f"{kind}_base").config.network == getattr(PRESETS["base"], kind)


@pytest.mark.parametrize("size", [load_recipe("generator_paper").config.network.speech_size,
                                  PRESETS["paper"].generator.speech_size])  # fmt: skip
def test_the_paper_generator_hears_the_shipped_speech_encoder(size: int) -> None:
    encoder = load_header(find_weights("base").file("speech"))["config"]
    assert size == encoder["members"] * encoder["channels"]


def test_an_unknown_recipe_is_named_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="no recipe") as caught:
        load_recipe("vqgan_fave")
    assert "vqgan_face_base" in caught.value.hint


def test_a_misspelt_setting_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    values = to_mapping(load_recipe("vqgan_face_base").config)
    values["loop"]["learning_rat"] = values["loop"].pop("learning_rate")
    with pytest.raises(ConfigError, match="learning_rat") as caught:
        from_mapping(VQGANFaceConfig, values)
    assert "'learning_rate'" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_lowers_its_loss(
    kind: str, prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe, config = make(kind, prepared, tiny_weights)
    batches = [recipe.draw(np.random.default_rng([9, i]), 1.0) for i in range(4)]
    before = _loss_on(recipe, batches)
    scores = Trainer(recipe, config, tmp_path / "run").run()
    after = _loss_on(recipe, batches)
    # The refiner starts as the identity, and has the least to gain.
    assert after < {"sync_expert": 0.97, "refiner": 0.98}.get(kind, 0.85) * before, (before, after)
    assert scores and all(np.isfinite(v) for v in scores.values())
    path = tmp_path / "run" / f"{kind}.safetensors"
    network = load_network(path, kind=kind)
    assert network.config == config.network  # type: ignore[attr-defined]
    record = load_header(path)["record"]
    assert record["steps"] == 30 and record["val_clips"] == ["d"] and record["scores"] == scores
    assert (tmp_path / "run" / "samples" / "000030.png").stat().st_size > 100


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("kind", ["vqgan_face", "refiner"])
def test_the_adversary_takes_part_when_its_time_comes(
    kind: str, precision: str, prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe, config = make(kind, prepared, tiny_weights, max_steps=10, precision=precision)
    before = [p.detach().clone() for p in recipe.learned["discriminator"].parameters()]
    trainer = Trainer(recipe, config, tmp_path / "run")
    trainer.run()
    after = list(recipe.learned["discriminator"].parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert "judged" not in lines[0]
    assert any("judged" in line and "features" in line for line in lines)


def test_the_generator_may_hear_an_expert(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    expert, config = make("sync_expert", prepared, tiny_weights, max_steps=2)
    Trainer(expert, config, tmp_path / "expert").run()
    _, plain = make("generator", prepared, tiny_weights, max_steps=2)
    assert isinstance(plain, GeneratorRecipeConfig)
    heard = replace(
        plain, sync_expert=tmp_path / "expert" / "sync_expert.safetensors", sync_weight=0.05,
        sync_from=0.0, pixel_from=0.0, run_frames=TINY.sync_expert.frames,
    )
    Trainer(GeneratorRecipe(heard, [prepared]), heard, tmp_path / "run").run()
    lines = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert '"sync"' in lines and '"pixel"' in lines


def test_a_sync_weight_without_an_expert_is_refused(tiny_weights: Path) -> None:
    with pytest.raises(ConfigError, match="no sync_expert"):
        GeneratorRecipeConfig(tiny_weights, tiny_weights, tiny_weights, sync_weight=0.1,
                              network=TINY.generator)


def test_a_folder_that_was_not_prepared_is_refused(tmp_path: Path, tiny_weights: Path) -> None:
    with pytest.raises(TrainingError, match="not a prepared folder"):
        make("vqgan_face", tmp_path, tiny_weights)


def test_the_generator_may_hear_speech(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    from lipcore.models.checkpoint import save_network
    from lipcore.models.generator import Generator
    from lipcore.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig

    encoder = SpeechEncoder(SpeechEncoderConfig(channels=6, dilations=(1, 2), members=2))
    save_network(tmp_path / "speech.safetensors", encoder, kind="speech", record={})
    _, plain = make("generator", prepared, tiny_weights, max_steps=4)
    assert isinstance(plain, GeneratorRecipeConfig)
    heard = replace(
        plain, speech=tmp_path / "speech.safetensors", silent_share=0.5,
        network=replace(plain.network, speech_size=12),
    )
    recipe = GeneratorRecipe(heard, [prepared])
    assert recipe.train[0].speech.shape == (30, 12)
    network = recipe.learned["generator"]
    assert isinstance(network, Generator) and network.condition.of_speech is not None
    before = network.condition.of_speech.weight.detach().clone()
    Trainer(recipe, heard, tmp_path / "run").run()
    assert not torch.equal(before, network.condition.of_speech.weight)
    with pytest.raises(ConfigError, match="has 12 features"):
        GeneratorRecipe(replace(heard, network=replace(plain.network, speech_size=9)), [prepared])
    with pytest.raises(ConfigError, match="belong together"):
        replace(plain, network=replace(plain.network, speech_size=12))


def test_runs_of_a_stretch_are_compared_as_each_pair_alone_would_be() -> None:
    torch.manual_seed(0)
    expert = SyncExpert(TINY.sync_expert)
    length, steps = TINY.sync_expert.frames, TINY.sync_expert.mel_steps
    stretch, sounds = torch.randn(2, length + 4, 8, 8, 8), torch.randn(2, 3, 80, steps)
    table = expert(stretch, sounds)
    assert table.shape == (2, 3, 3) and table.abs().max() <= 1 + 1e-5
    for run in range(3):
        for sound in range(3):
            alone = expert(stretch[:, 2 * run : 2 * run + length], sounds[:, sound])
            assert torch.allclose(table[:, run, sound], alone, atol=1e-5)


def test_the_expert_leaves_the_loss_of_a_guess(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe, config = make("sync_expert", prepared, tiny_weights, max_steps=60)
    Trainer(recipe, config, tmp_path / "run").run()
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    pairs = [line["pairs"] for line in lines if line["part"] == "train"]
    choices = [line["choice"] for line in lines if line["part"] == "train"]
    assert np.mean(pairs[-10:]) < 0.6 < np.log(2)
    assert np.mean(choices[-10:]) < 0.8 * np.log(8)
