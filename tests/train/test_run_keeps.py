"""What a run does beside its steps: means of weights, clipping, bf16, logs, pictures, a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lipcore.train import loop
from lipcore.train.loop import Trainer, unwrap
from lipcore.train.runfolder import code_fingerprint, data_fingerprint

from lipcore import __version__
from lipcore.config import to_mapping
from lipcore.models.checkpoint import load_header, load_tensors

from .test_recipes import make


def _pose_run(prepared: Path, weights: Path, out: Path, **loop_settings: object) -> Trainer:
    recipe, config = make("vqgan_pose", prepared, weights, **loop_settings)
    return Trainer(recipe, config, out)


def test_what_ships_is_the_running_mean_of_the_weights(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    trainer = _pose_run(prepared, tiny_weights, tmp_path / "run", max_steps=4, ema_decay=0.5)
    network = unwrap(trainer.recipe.learned["vqgan_pose"])
    wanted = {k: v.detach().clone() for k, v in network.named_parameters()}
    update = trainer.update

    def followed(name: str, loss: torch.Tensor, *, last: bool = True) -> None:
        update(name, loss, last=last)
        decay = min(0.5, (1 + trainer.step) / (10 + trainer.step))
        for key, value in network.named_parameters():
            wanted[key] = decay * wanted[key] + (1 - decay) * value.detach()

    trainer.update = followed  # type: ignore[method-assign]
    trainer.run()
    shipped, _ = load_tensors(tmp_path / "run" / "vqgan_pose.safetensors", kind="vqgan_pose")
    now = {k: v.detach() for k, v in network.named_parameters()}
    for key, mean in trainer.average.named_parameters():
        assert torch.allclose(mean, wanted[key], atol=1e-6)
        assert torch.equal(shipped[key], mean.half().float())
    assert max(float((wanted[k] - now[k]).abs().max()) for k in now) > 1e-4


@pytest.mark.parametrize("limit", [0.01, 0.0])
def test_gradients_are_clipped_where_a_limit_is_set(
    limit: float, prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    trainer = _pose_run(
        prepared, tiny_weights, tmp_path / "run", max_steps=2, gradient_clip=limit
    )
    norms: list[float] = []
    optimizer: Any = trainer.optimizers["vqgan_pose"]

    def note(stepping: torch.optim.Optimizer, *_: object) -> None:
        grads = [p.grad for g in stepping.param_groups for p in g["params"] if p.grad is not None]
        norms.append(float(torch.stack([g.norm() for g in grads]).norm()))

    optimizer.optimizer.register_step_pre_hook(note)
    trainer.run()
    assert len(norms) == 2
    assert max(norms) <= limit * 1.01 if limit else min(norms) > 0.01


def test_bf16_is_the_arithmetic_and_not_the_weights(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    trainer = _pose_run(prepared, tiny_weights, tmp_path / "run", max_steps=2, precision="bf16")
    network = unwrap(trainer.recipe.learned["vqgan_pose"])
    seen = set()
    network.encoder.conv_in.register_forward_hook(lambda *a: seen.add(a[2].dtype))  # type: ignore[union-attr]
    trainer.run()
    assert seen == {torch.bfloat16}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    record = load_header(tmp_path / "run" / "vqgan_pose.safetensors")["record"]
    assert record["precision"] == "bf16"


def test_scalars_and_pictures_go_to_tensorboard_the_first_picture_early(
    prepared: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(loop, "_FIRST_PICTURE_S", 0.0)
    run = tmp_path / "run"
    _pose_run(prepared, tiny_weights, run, max_steps=5, sample_steps=1000).run()
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["000001.png", "000005.png"]
    board = EventAccumulator(str(run), size_guidance={"images": 0})
    board.Reload()
    assert {"train/loss", "train/codes_alive", "val/psnr"} <= set(board.Tags()["scalars"])
    assert [e.step for e in board.Images("samples")] == [1, 5]
    lines = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    told = [line["loss"] for line in lines if line["part"] == "train"]
    assert [e.value for e in board.Scalars("train/loss")] == pytest.approx(told)


def test_weights_say_how_they_came_about(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    trainer = _pose_run(prepared, tiny_weights, tmp_path / "run", max_steps=2)
    trainer.run()
    header = load_header(tmp_path / "run" / "vqgan_pose.safetensors")
    clips = [clip for side in trainer.recipe.clips for clip in side]
    assert header["record"]["settings"] == json.loads(json.dumps(to_mapping(trainer.config)))
    assert header["record"]["history"] == [{
        "step": 0, "version": __version__, "code": code_fingerprint(),
        "data": data_fingerprint(clips), "processes": 1,
    }]  # fmt: skip
