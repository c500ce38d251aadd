"""The loop: interrupted runs go on exactly; folders and files are safe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lipcore.train.loop import Recipe, Trainer
from torch import Tensor

from lipcore.errors import OutputNotWritableError, TrainingError
from lipcore.models.checkpoint import load_tensors

from .test_recipes import make


class _KilledError(Exception):
    pass


def _kill_at(recipe: Recipe, last: int) -> None:
    """Let a recipe save after ``last`` steps, make one more, and die."""
    step = recipe.run_step

    def mortal(batch: dict[str, Tensor], trainer: Trainer) -> dict[str, Tensor]:
        if trainer.step == last:
            trainer.save({})
        if trainer.step == last + 1:
            raise _KilledError
        return step(batch, trainer)

    recipe.run_step = mortal  # type: ignore[method-assign]


def _losses(run: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["part"] == "train"}


@pytest.mark.parametrize("kind", ["vqgan_face", "sync_expert"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    kind: str, prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe, config = make(kind, prepared, tiny_weights, max_steps=10)
    Trainer(recipe, config, tmp_path / "whole").run()
    recipe, _ = make(kind, prepared, tiny_weights, max_steps=10)
    _kill_at(recipe, 5)
    with pytest.raises(_KilledError):
        Trainer(recipe, config, tmp_path / "killed").run()
    recipe, _ = make(kind, prepared, tiny_weights, max_steps=10)
    resumed = Trainer(recipe, config, tmp_path / "killed", resume=True)
    assert resumed.step == 5
    resumed.run()
    whole, killed = _losses(tmp_path / "whole"), _losses(tmp_path / "killed")
    assert whole.keys() == killed.keys() == set(range(1, 11))
    assert whole == killed
    name = f"{kind}.safetensors"
    a, _ = load_tensors(tmp_path / "whole" / name, kind=kind)
    b, _ = load_tensors(tmp_path / "killed" / name, kind=kind)
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_batches_differ_from_step_to_step_and_by_seed(prepared: Path, tiny_weights: Path) -> None:
    import numpy as np

    recipe, _ = make("vqgan_face", prepared, tiny_weights)
    draws = [recipe.draw(np.random.default_rng(s), 1.0)["crops"] for s in ([0, 0, 1], [0, 0, 2])]
    again = recipe.draw(np.random.default_rng([0, 0, 1]), 1.0)["crops"]
    assert torch.equal(draws[0], again) and not torch.equal(draws[0], draws[1])


def test_a_run_in_the_way_is_not_overwritten(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe, config = make("vqgan_pose", prepared, tiny_weights, max_steps=1)
    Trainer(recipe, config, tmp_path / "run").run()
    with pytest.raises(TrainingError, match="holds a run already") as caught:
        Trainer(recipe, config, tmp_path / "run")
    assert "--resume" in caught.value.hint


def test_nothing_to_go_on_with_is_said(prepared: Path, tiny_weights: Path, tmp_path: Path) -> None:
    recipe, config = make("vqgan_pose", prepared, tiny_weights)
    with pytest.raises(TrainingError, match="no run to go on with"):
        Trainer(recipe, config, tmp_path / "run", resume=True)


def test_a_damaged_checkpoint_is_said(prepared: Path, tiny_weights: Path, tmp_path: Path) -> None:
    recipe, config = make("vqgan_pose", prepared, tiny_weights, max_steps=1)
    Trainer(recipe, config, tmp_path / "run").run()
    checkpoint = tmp_path / "run" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    recipe, _ = make("vqgan_pose", prepared, tiny_weights, max_steps=1)
    with pytest.raises(TrainingError, match="damaged"):
        Trainer(recipe, config, tmp_path / "run", resume=True)


def test_a_folder_that_cannot_be_made_is_said(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    recipe, config = make("vqgan_pose", prepared, tiny_weights)
    with pytest.raises(OutputNotWritableError, match="cannot be made"):
        Trainer(recipe, config, tmp_path / "file" / "run")


def test_a_loss_that_is_not_a_number_stops_the_run(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe, config = make("vqgan_pose", prepared, tiny_weights)
    step = recipe.run_step

    def broken(batch: dict[str, Tensor], trainer: Trainer) -> dict[str, Tensor]:
        return {**step(batch, trainer), "loss": torch.tensor(float("nan"))}

    recipe.run_step = broken  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="not a number"):
        Trainer(recipe, config, tmp_path / "run").run()
    assert not (tmp_path / "run" / "last.ckpt").exists()
