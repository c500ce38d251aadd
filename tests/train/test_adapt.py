"""Adaptation: better on held-back frames, or nothing; small; and the base stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from lipcore.train.adapt import Adaptation, AdaptConfig, adapt
from lipcore.train.data import load_clips

from lipcore.errors import TrainingError, WeightsVersionError
from lipcore.models.generator import Generator
from lipcore.models.latent_path import LatentPath, apply_delta, load_delta
from lipcore.models.presets import PRESETS
from lipcore.models.vqgan import VQGAN

TINY = PRESETS["tiny"]


def _path(latents: str = "continuous") -> LatentPath:
    torch.manual_seed(0)
    return LatentPath(
        VQGAN(TINY.vqgan_face).eval(), VQGAN(TINY.vqgan_pose).eval(),
        Generator(TINY.generator).eval(), latents,  # type: ignore[arg-type]
    )


def _run(prepared: Path, networks: LatentPath, **options: object) -> Adaptation:
    clip = load_clips([prepared], "val")[0]
    inner = slice(clip.margin_px, clip.margin_px + clip.crop_px)
    shapes = np.zeros((clip.frames, 8), np.float32)
    shapes[:, 0] = clip.mouths[:, 3] - clip.mouths[:, 3].mean()
    values: dict[str, object] = {
        "crops": np.stack([crop[inner, inner] for crop in clip.crops]), "shapes": shapes,
        "mouths": clip.mouths, "boxes": clip.faces, "reference": 0, "budget_s": 600.0,
        "config": AdaptConfig(learning_rate=2e-3, max_steps=120), **options,
    }
    return adapt(networks=networks, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("latents", ["continuous", "quantized"])
def test_a_shot_teaches_its_own_face(prepared: Path, tmp_path: Path, latents: str) -> None:
    networks = _path(latents)
    before = {k: {n: t.clone() for n, t in net.state_dict().items()}
              for k, net in networks.networks().items()}
    told: list[float] = []
    made = _run(prepared, networks, progress=lambda share, line: told.append(share))
    assert made.psnr > made.base_psnr + 1
    assert told == sorted(told) and told[-1] <= 1 and made.steps == len(told)
    for kind, net in networks.networks().items():
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[kind][name]), name
            assert not value.requires_grad
    made.save(tmp_path / "shot.safetensors")
    delta = load_delta(tmp_path / "shot.safetensors")
    assert set(delta) == set(made.delta) and len(delta) > 0
    assert not any("encoder" in n or "quantizer" in n or "pose" in n for n in delta)
    apply_delta(networks, delta)
    # Rendering with the delta gives the score that was promised.
    again = _run(prepared, networks, budget_s=1e-9)
    assert again.base_psnr == pytest.approx(made.psnr, abs=1e-3)


def test_what_does_not_help_is_not_kept(prepared: Path) -> None:
    made = _run(prepared, _path(), config=AdaptConfig(learning_rate=30.0, max_steps=8))
    assert made.psnr >= made.base_psnr
    made = _run(prepared, _path(), budget_s=1e-9)
    assert made.steps == 0 and made.delta == {} and made.psnr == made.base_psnr


def test_the_base_presets_delta_stays_small() -> None:
    from lipcore.train.adapt import _learned

    preset = PRESETS["base"]
    path = LatentPath(
        VQGAN(preset.vqgan_face), VQGAN(preset.vqgan_pose), Generator(preset.generator)
    )
    assert 2 * sum(p.numel() for p in _learned(path).values()) < 20e6


def test_too_few_frames_are_refused(prepared: Path) -> None:
    few = np.zeros((5, 32, 32, 3), np.uint8)
    with pytest.raises(TrainingError, match="too few"):
        _run(prepared, _path(), crops=few)


def test_a_weights_file_is_no_adaptation(tiny_weights: Path) -> None:
    with pytest.raises(WeightsVersionError, match="adaptation is needed"):
        load_delta(tiny_weights / "vqgan_face.safetensors")
