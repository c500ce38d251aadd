"""A prepared folder of drawn faces: small, and with a mouth that the sound follows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from lipcore.train.shards import Segment, ShardWriter, write_manifest

from lipcore.models.checkpoint import save_network
from lipcore.models.presets import PRESETS
from lipcore.models.vqgan import VQGAN
from lipcore.shapes.basis import ShapeBasis
from lipcore.tracking.head import (
    LIPS_INNER_LOWER,
    apply_similarity,
    canonical_head,
    crop_transform,
    lower_face,
)

CROP, MARGIN, FRAMES = 32, 4, 30


def draw_clip(name: str, seed: int, person: str, split: str) -> Segment:
    """One clip: a disc for a face, a dark mouth that opens with the loudness of a tone."""
    rng = np.random.default_rng(seed)
    head = canonical_head()
    opening = 0.15 * (0.5 + 0.5 * np.sin(np.arange(FRAMES) * 0.9 + seed))
    landmarks = np.stack([head * 60 + [80, 60, 0]] * FRAMES).astype(np.float32)
    low = [*LIPS_INNER_LOWER[1:-1], 17, 84, 314, 152]
    landmarks[:, low, 1] += (opening * 60).astype(np.float32)[:, None]
    transforms = np.stack([crop_transform(m) for m in landmarks])
    at = (np.arange(CROP + 2 * MARGIN) + 0.5 - MARGIN) / CROP
    y, x = np.meshgrid(at, at, indexing="ij")
    skin, wall = rng.uniform(90, 220, 3), rng.uniform(0, 90, 3)
    crops = np.empty((FRAMES, *x.shape, 3), np.uint8)
    for i, (points, transform) in enumerate(zip(landmarks, transforms, strict=True)):
        inner = apply_similarity(transform, points[[13, 14], :2])
        middle, half = inner.mean(0), abs(inner[1, 1] - inner[0, 1]) / 2 + 0.01
        picture = np.where(((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.2)[..., None], skin, wall)
        mouth = ((x - middle[0]) / 0.12) ** 2 + ((y - middle[1]) / half) ** 2 < 1
        crops[i] = np.where(mouth[..., None], 20, picture)
    at_s = np.arange(FRAMES * 640) / 16_000
    loud = np.interp(at_s * 25 - 0.5, np.arange(FRAMES), opening / 0.15)
    tone = np.sin(2 * np.pi * (200 + 40 * seed) * at_s) + 0.2 * rng.standard_normal(len(at_s))
    return Segment(
        key=name, rate=Fraction(25), crops=crops, landmarks=landmarks, transforms=transforms,
        sound=(0.3 * loud * tone).astype(np.float32),
        facts={"identity": person, "split": split, "offset_frames": 0, "source": f"{name}.mp4"},
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder: three clips of two people to learn from, one person kept out."""
    folder = tmp_path_factory.mktemp("prepared")
    people = [("a", "ann", "train"), ("b", "ann", "train"), ("c", "bob", "train"),
              ("d", "cy", "val")]
    with ShardWriter(folder, "drawn") as writer:
        for seed, (name, person, split) in enumerate(people):
            writer.add(draw_clip(name, seed, person, split))
    write_manifest(folder, writer.clips, crop_px=CROP, margin_px=MARGIN)
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained V_f and V_p of the tiny preset, and a basis of eight random shapes."""
    folder = tmp_path_factory.mktemp("weights")
    preset = PRESETS["tiny"]
    with torch.random.fork_rng():  # the same networks, whichever test asks first
        torch.manual_seed(0)
        for kind, config in (("vqgan_face", preset.vqgan_face), ("vqgan_pose", preset.vqgan_pose)):
            save_network(folder / f"{kind}.safetensors", VQGAN(config), kind=kind, record={})
    rng = np.random.default_rng(0)
    points = len(lower_face())
    weights = np.full((points, 3), 1 / (3 * points), np.float32)
    random, _ = np.linalg.qr(rng.standard_normal((points * 3, 8)))
    components = (random.T * (3 * points) ** 0.5).reshape(8, points, 3).astype(np.float32)
    ShapeBasis(
        names=tuple(f"shape_{i}" for i in range(8)), components=components,
        mean_shape=canonical_head()[list(lower_face())], std=np.full(8, 0.01, np.float32),
        weights=weights, indices=lower_face(),
    ).write(folder / "shape_basis.safetensors", {})
    return folder
