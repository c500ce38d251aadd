"""The baselines learn, and what they learnt draws a shot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lipcore.train import baseline_faces
from lipcore.train.baseline import (
    LipExpertRecipe,
    LipExpertRecipeConfig,
    LipGANRecipe,
    LipGANRecipeConfig,
    Wav2LipRecipe,
    Wav2LipRecipeConfig,
    YouSaidThatRecipe,
    YouSaidThatRecipeConfig,
)
from lipcore.train.baseline_faces import FaceRecipe, cut_faces
from lipcore.train.data import load_clips
from lipcore.train.loop import LoopConfig, Trainer

from lipcore.analysis import cover, find_tracks
from lipcore.cache import Cache
from lipcore.errors import ConfigError, WeightsNotFoundError
from lipcore.evaluate.baseline import render_baseline
from lipcore.evaluate.baselines import find_baselines
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.models.checkpoint import load_header, load_network, save_network
from lipcore.models.published.lipgan import LipGANConfig
from lipcore.models.published.wav2lip import LipExpert, LipExpertConfig, Wav2LipConfig
from lipcore.models.published.yousaidthat import YouSaidThatConfig
from lipcore.types import FrameRange

LOOP = LoopConfig(
    batch_size=2, max_steps=25, learning_rate=3e-3, warmup_steps=1, log_steps=5, sample_steps=100,
    validate_steps=100, precision="32", threads=1, ema_decay=0.8, seed=3, betas=(0.9, 0.999),
)


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An expert that learnt nothing."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("expert") / "lip_expert.safetensors"
    save_network(path, LipExpert(LipExpertConfig(divide=16)), kind="lip_expert", record={})
    return path


def make(kind: str, data: Path, expert: Path, **loop: Any) -> tuple[FaceRecipe, Any]:
    """A tiny recipe, and its config."""
    steps = replace(LOOP, **loop)
    if kind == "wav2lip":
        c1 = Wav2LipRecipeConfig(Wav2LipConfig(divide=16), steps, expert, sync_from=0.6)
        return Wav2LipRecipe(c1, [data]), c1
    if kind == "lip_expert":
        c2 = LipExpertRecipeConfig(LipExpertConfig(divide=16), replace(steps, batch_size=8))
        return LipExpertRecipe(c2, [data]), c2
    if kind == "lipgan":
        steps = replace(steps, learning_rate=1e-2, max_steps=30)
        c3 = LipGANRecipeConfig(LipGANConfig(divide=16), steps)
        return LipGANRecipe(c3, [data]), c3
    steps = replace(steps, learning_rate=1e-2, max_steps=40)
    c4 = YouSaidThatRecipeConfig(YouSaidThatConfig(divide=16), steps)
    return YouSaidThatRecipe(c4, [data]), c4


class _Onlooker:
    """In the trainer's place: nothing changes."""

    progress = 0.0

    def update(self, name: str, loss: torch.Tensor) -> None:
        """Leave the network as it is."""


@torch.no_grad()
def _loss(recipe: FaceRecipe) -> float:
    """Mean loss on the same batches, with the norms of each batch."""
    batches = [recipe.draw(np.random.default_rng([9, i]), 1.0) for i in range(4)]
    losses = []
    for batch in batches:
        step = recipe.run_step(batch, _Onlooker())  # type: ignore[arg-type]
        losses.append(float(step.get("l1", step["loss"])))
    return float(np.mean(losses))


@pytest.mark.parametrize("kind", ["wav2lip", "lip_expert", "lipgan", "yousaidthat"])
def test_a_baseline_lowers_its_loss(
    kind: str, prepared: Path, expert: Path, tmp_path: Path
) -> None:
    recipe, config = make(kind, prepared, expert)
    before = _loss(recipe)
    scores = Trainer(recipe, config, tmp_path / "run").run()
    after = _loss(recipe)
    assert after < {"lip_expert": 0.95}.get(kind, 0.85) * before, (before, after)
    assert scores and all(np.isfinite(v) for v in scores.values())
    path = tmp_path / "run" / f"{kind}.safetensors"
    network = load_network(path, kind=kind)
    assert network.config == config.network  # type: ignore[attr-defined]
    assert load_header(path)["record"]["val_clips"] == ["d"]
    assert all(v.dtype == torch.float32 for k, v in network.state_dict().items() if "var" in k)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    if kind == "wav2lip":  # the expert joins after 15 of 25 steps
        assert '"sync"' not in lines[0] and any('"sync"' in line for line in lines)
        assert "val_sync" in scores


def test_the_expert_teaches_through_faces_of_any_size(prepared: Path, expert: Path) -> None:
    config = Wav2LipRecipeConfig(Wav2LipConfig(192, 16), LOOP, expert, sync_weight=0.9, sync_from=0)
    recipe = Wav2LipRecipe(config, [prepared])
    batch = recipe.draw(np.random.default_rng(0), 0.0)
    assert batch["faces"].shape == (2, 5, 3, 192, 192) and batch["mel"].shape == (2, 5, 80, 16)
    losses: list[torch.Tensor] = []

    class Keeper(_Onlooker):
        def update(self, name: str, loss: torch.Tensor) -> None:
            losses.append(loss)

    told = recipe.run_step(batch, Keeper())  # type: ignore[arg-type]
    sync, pixel = float(told["sync"].detach()), float(told["l1"].detach())
    assert float(told["loss"].detach()) == pytest.approx(0.9 * sync + 0.1 * pixel)
    told["sync"].backward()
    first = recipe.learned["wav2lip"].get_parameter("face_encoder_blocks.0.0.conv_block.0.weight")
    assert first.grad is not None and first.grad.abs().sum() > 0
    assert recipe.expert is not None


def test_faces_are_cut_at_their_mesh(prepared: Path) -> None:
    (clip, *_) = load_clips([prepared], "train")
    faces = cut_faces(clip, [3, 4], 24)
    assert faces.shape == (2, 3, 24, 24) and faces.min() >= 0 and faces.max() <= 1
    points = clip.landmarks[[3, 4]][:, :468] * clip.crop_px + clip.margin_px
    whole = clip.crop_px + 2 * clip.margin_px
    low, high = points.min(1).mean(0).clip(0, whole), points.max(1).mean(0).clip(0, whole)
    assert faces.mean((0, 2, 3)).numpy() == pytest.approx(
        clip.crops[3][int(low[1]) : int(high[1]), int(low[0]) : int(high[0]), ::-1].mean((0, 1))
        / 255, abs=0.05,
    )  # fmt: skip


def test_without_an_expert_the_hint_imports_one(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path))
    config = Wav2LipRecipeConfig(Wav2LipConfig(divide=16), LOOP)
    with pytest.raises(WeightsNotFoundError) as caught:
        Wav2LipRecipe(config, [prepared])
    assert "lipsync_expert.pth" in caught.value.hint
    assert Wav2LipRecipe(replace(config, sync_weight=0.0), [prepared]).expert is None
    with pytest.raises(ConfigError, match="another item"):
        LipGANRecipeConfig(loop=replace(LOOP, batch_size=1))
    with pytest.raises(ConfigError, match="do not suit"):
        Wav2LipConfig(size=100)
    with pytest.raises(ConfigError, match="cannot be divided"):
        LipGANConfig(divide=3)


@pytest.fixture
def no_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "published"))
    yield


@pytest.mark.usefixtures("no_imports")
def test_what_was_trained_draws_a_row_of_the_tables(
    prepared: Path, portrait_plate: Path, spoken_line: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Wav2Lip at 768 pixels: a step, then its weights named as a manifest names them."""
    monkeypatch.setattr(baseline_faces, "_HELD_ITEMS", 1)
    config = Wav2LipRecipeConfig(
        Wav2LipConfig(768, 16), replace(LOOP, max_steps=1, batch_size=1), sync_weight=0.0
    )
    Trainer(Wav2LipRecipe(config, [prepared]), config, tmp_path / "run").run()
    weights = tmp_path / "run" / "wav2lip.safetensors"
    ready, absent = find_baselines({"wav2lip_768": weights})
    (row,) = ready
    assert row.title == "Wav2Lip 768, trained here"
    assert list(row.weights) == ["wav2lip_768 (wav2lip.safetensors)"]
    assert [one.name for one in absent] == [
        "yousaidthat", "lipgan", "wav2lip", "wav2lip_tecogan", "wav2lip_gpen",
    ]
    with open_plate(portrait_plate) as plate:
        frames = FrameRange(1001, 1002)
        tracks, _, _ = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate), cache=Cache(tmp_path / "cache"),
            progress=lambda *_: None,
        )
        track = cover(tracks[0], frames)
        sound = fit_dialogue(load_dialogue(spoken_line), Fraction(2, 24))
        render_baseline(plate, track, sound, tmp_path / "o.mkv", row.method, key="k")
    with open_plate(tmp_path / "o.mkv") as made:
        assert len(made.info.frames) == 2
    with pytest.raises(ConfigError, match="draws faces of 768 pixels, not 96"):
        find_baselines({"wav2lip": weights})
    with pytest.raises(ConfigError, match="no baseline 'tecogan'"):
        find_baselines({"tecogan": weights})
    with pytest.raises(WeightsNotFoundError):
        find_baselines({"lipgan": tmp_path / "none.safetensors"})
