"""Presets of V_f side by side, trained for the same time, judged on people kept out.

    python tests/benchmarks/vqgan_presets.py SHARDS... --out RUNS [--minutes 5] [--steps N]
        [--only NAME...]

Each preset is `vqgan_face_base` with what its name says changed, on one thread: a few steps of it
are timed by the processor's clock, and it gets as many steps as fill `--minutes`. On a busy
machine the same step takes more of that time, too: `--steps` gives all presets as many. A preset
that was finished in RUNS is not trained again. Prints a table in Markdown and draws
`presets.png`: crops of people kept out (top), then a row for each preset.

- mouth, dB: PSNR in the mouth region, through the codebook, mean over people.
- detail: gradient energy of the mouth region over the crop's own.
- ms: one crop through the decoder on one thread, median of 9.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from lipcore.train.catalog import FOLDER, make_recipe
from lipcore.train.data import load_clips, mouth_region, whole_crops
from lipcore.train.loop import Trainer
from lipcore.train.losses import mouth_psnr
from torch import Tensor

from lipcore.models.checkpoint import load_network
from lipcore.models.vqgan import VQGAN

_NARROW = {"channels": [64, 128]}
PRESETS: dict[str, dict[str, Any]] = {
    "base: f=8, unshuffle 4, 96-192": {},
    "unshuffle 2: 48-96-192": {"network": {"space_to_depth": 2, "channels": [48, 96, 192]}},
    "narrow: 64-128": {"network": _NARROW},
    "narrow, unshuffle 1: 16-32-64-128": {
        "network": {"space_to_depth": 1, "channels": [16, 32, 64, 128]}
    },
    "narrow, f=16: 64-128-128": {"network": {"channels": [64, 128, 128]}},
    "narrow, mouth weighs 11 times": {"network": _NARROW, "mouth_gain": 10.0},
    "narrow, mouth weighs as all": {"network": _NARROW, "mouth_gain": 0.0},
    "narrow, no gradient loss": {"network": _NARROW, "gradient_weight": 0.0},
    "narrow, adversary in the last third": {"network": _NARROW, "adversarial_from": 0.66},
    "narrow, adversary and features": {
        "network": _NARROW, "adversarial_from": 0.66, "feature_weight": 1.0
    },
}
"""What differs from the recipe; a small network shows what a loss does in less time."""
_TIMED_STEPS = 6
"""The sample and the check that end a run are in that time, too; for all presets alike."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=list(PRESETS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    val = list(whole_crops(load_clips(args.shards, "val"), every=10))
    print("| preset | steps | parameters, M | mouth, dB | detail | ms |\n|---|---|---|---|---|---|")
    grid = [_strip([crop for _, _, crop, _ in _picks(val)])]
    for name in args.only:
        folder = args.out / name.split(":")[0].replace(" ", "_").replace(",", "").replace("=", "")
        weights = folder / "vqgan_face.safetensors"
        if not (folder / "done.json").exists():
            settings = _merged(yaml.safe_load((FOLDER / "vqgan_face_base.yaml").read_text()),
                               PRESETS[name])  # fmt: skip
            steps = args.steps or _steps_in(
                args.minutes * 60, settings, args.shards, args.out / "timing"
            )
            _train(settings, steps, args.shards, folder)
            (folder / "done.json").write_text(json.dumps({"steps": steps}))
        network = load_network(weights, kind="vqgan_face")
        assert isinstance(network, VQGAN)
        steps = json.loads((folder / "done.json").read_text())["steps"]
        size = sum(p.numel() for p in network.parameters()) / 1e6
        psnr, detail = _judge(network, val)
        print(f"| {name} | {steps} | {size:.1f} | {psnr:.2f} | {detail:.2f} | "
              f"{_decoder_ms(network, val[0][2]):.0f} |", flush=True)  # fmt: skip
        grid.append(_strip([_through(network, crop[None])[0] for _, _, crop, _ in _picks(val)]))
    cv2.imwrite(str(args.out / "presets.png"), np.concatenate(grid)[..., ::-1])


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for key, value in changes.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    return merged


def _train(settings: Mapping[str, Any], steps: int, shards: list[Path], out: Path) -> float:
    """Train, and give the processor seconds of a step."""
    loop = {
        **settings["loop"], "max_steps": steps, "max_minutes": 0.0, "threads": 1,
        "sample_steps": 10 * steps, "validate_steps": 10 * steps, "log_steps": 10,
        "ema_decay": 0.99, "warmup_steps": min(100, steps),
    }  # fmt: skip
    recipe = make_recipe("vqgan_face", {**settings, "loop": loop}, where="preset")
    made = recipe.recipe_class(recipe.config, shards)
    made.val = made.val[:1]  # the judging is done here, on all
    start = time.process_time()
    Trainer(made, recipe.config, out, resume=(out / "recipe.yaml").exists()).run()
    return (time.process_time() - start) / steps


def _steps_in(
    seconds: float, settings: Mapping[str, Any], shards: list[Path], scratch: Path
) -> int:
    """Steps that fill the time: some from each part of the run, as it differs in cost."""
    import shutil

    cost = 0.0
    shares = sorted({0.0, settings["patch_until"], settings["adversarial_from"], 1.0})
    for low, high in itertools.pairwise(shares):
        if low >= 1:
            break
        shutil.rmtree(scratch, ignore_errors=True)
        part = {
            **settings, "patch_until": 1.0 if low < settings["patch_until"] else 0.0,
            "adversarial_from": 0.0 if low >= settings["adversarial_from"] else 1.0,
        }  # fmt: skip
        cost += (min(high, 1.0) - low) * _train(part, _TIMED_STEPS, shards, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return max(20, round(seconds / cost))


@torch.inference_mode()
def _through(network: VQGAN, crops: Tensor) -> Tensor:
    return network.decode(network.quantize(network.encode(crops)).latents).float().clamp(-1, 1)


def _judge(network: VQGAN, val: list[Any]) -> tuple[float, float]:
    psnr: dict[str, list[float]] = defaultdict(list)
    detail: dict[str, list[float]] = defaultdict(list)
    for clip, _, crop, mouth in val:
        made = _through(network, crop[None])
        region = mouth_region(mouth[None], crop.shape[-1])
        psnr[clip.identity].append(float(mouth_psnr(made, crop[None], region)))
        detail[clip.identity].append(_energy(made, region) / _energy(crop[None], region))
    people = sorted(psnr)
    return (
        float(np.mean([np.mean(psnr[p]) for p in people])),
        float(np.mean([np.mean(detail[p]) for p in people])),
    )


def _energy(crops: Tensor, region: Tensor) -> float:
    grey = crops.mean(1, keepdim=True)
    across, down = grey.diff(dim=-1)[..., 1:, :], grey.diff(dim=-2)[..., 1:]
    return float(((across.square() + down.square()) * region[..., 1:, 1:]).sum())


@torch.inference_mode()
def _decoder_ms(network: VQGAN, crop: Tensor) -> float:
    latents = network.encode(crop[None])
    taken = []
    for _ in range(9):
        start = time.process_time()
        network.decode(latents)
        taken.append(1000 * (time.process_time() - start))
    return statistics.median(taken)


def _picks(val: list[Any]) -> list[Any]:
    return val[:: max(1, len(val) // 7)][:7]


def _strip(crops: list[Tensor]) -> np.ndarray[Any, Any]:
    rows = [((c.permute(1, 2, 0) + 1) * 127.5).byte().numpy() for c in crops]
    return np.concatenate(rows, axis=1)


if __name__ == "__main__":
    main()
