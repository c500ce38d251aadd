"""Inputs as a render has them: what backends are measured by, and exports checked with.

Random numbers are no faces: they hide what rounding does to skin, and mislead calibration.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lipcore.models.inner_mouth import BOX_HEIGHT, BOX_WIDTH
from lipcore.runtime.graphs import Graph, load_latents
from lipcore.types import FloatArray
from lipcore.weights import WeightsSet

_FACE = (28, 228, 124, 324)
"""Rows and columns of the portrait that a canonical crop of its face would cover."""
_MOUTH = (145, 181, 200, 248)
_BOX = (0.5, 0.55, 0.32, 0.0)
"""Where its lower face lies in that crop."""


def portraits(count: int, size: int, *, seed: int = 0) -> Tensor:
    """Crops of the public-domain portrait, each moved, mirrored and lit a little otherwise.

    Args:
        count: B; the first is the portrait as it is.
        size: S.
        seed: Of the changes.

    Returns:
        (B, 3, S, S) in [-1, 1].
    """
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        dy, dx = (0, 0) if i == 0 else rng.integers(-8, 9, 2)
        y0, y1, x0, x1 = _FACE
        cut = _portrait()[y0 + dy : y1 + dy, x0 + dx : x1 + dx]
        light = 1.0 if i == 0 else rng.uniform(0.5, 1.3)
        if i and rng.random() < 0.5:
            cut = cut[:, ::-1]
        made.append(torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 0, 1)) * light))
    stack = torch.stack(made).float().clamp(0, 1)
    return F.interpolate(
        stack, size=(size, size), mode="bilinear", align_corners=False, antialias=True
    ) * 2 - 1


def probe(graph: Graph, weights: WeightsSet, *, batch: int = 1, seed: int = 0,
          **sides: int) -> tuple[Tensor, ...]:
    """Inputs of a graph as a render would give them.

    Args:
        graph: Which.
        weights: Where it came from: latents are made by its own encoders.
        batch: B.
        seed: Another seed gives other faces, shapes and sounds.
        sides: Varying sides other than the usual ones.

    Returns:
        The inputs in order, float32.
    """
    sides = {**graph.usual, **sides, "batch": batch}
    rng = torch.Generator().manual_seed(seed)
    if graph.name == "mel":
        return (_sounds(graph.inputs[0].sized(**sides), rng),)
    if graph.name == "speech":
        return (torch.randn(graph.inputs[0].sized(**sides), generator=rng).clamp(-4, 4),)
    if graph.name == "inner_mouth":
        return _mouths(batch, seed)
    if graph.name == "refiner":
        return (portraits(batch, graph.inputs[0].sized(**sides)[-1], seed=seed),)
    return _latent_inputs(graph, weights, sides, seed, rng)


def _latent_inputs(
    graph: Graph, weights: WeightsSet, sides: dict[str, int], seed: int, rng: torch.Generator
) -> tuple[Tensor, ...]:
    path = load_latents(weights)
    batch = sides["batch"]
    specs = {spec.name: spec.sized(**sides) for spec in graph.inputs}
    grid = next((s[-1] for n, s in specs.items() if n not in ("crops", "boxes", "shape")), 0)
    size = specs["crops"][-1] if "crops" in specs else grid * path.face.config.factor
    crops = portraits(batch, size, seed=seed)
    boxes = torch.tensor([_BOX]).expand(batch, -1).contiguous()
    std = path.generator.condition.shape_std
    made: dict[str, Tensor] = {
        "crops": crops, "boxes": boxes,
        "shape": torch.randn(batch, len(std), generator=rng) * std,
    }
    if {"latents", "reference"} & specs.keys():
        made["latents"] = made["reference"] = path.encode(crops)
    if "pose" in specs:
        made["pose"] = path.encode_pose(crops, boxes)
    if "speech" in specs:
        made["speech"] = torch.randn(specs["speech"], generator=rng)
    return tuple(made[spec.name].contiguous() for spec in graph.inputs)


def _portrait() -> FloatArray:
    from skimage import data

    picture: npt.NDArray[np.uint8] = data.astronaut()  # type: ignore[no-untyped-call]
    return picture.astype(np.float32) / 255


def _mouths(batch: int, seed: int) -> tuple[Tensor, ...]:
    """The portrait's mouth, asked to open in half an ellipse; its own inside is known."""
    rng = np.random.default_rng(seed)
    y0, y1, x0, x1 = _MOUTH
    cut = torch.from_numpy(_portrait()[y0:y1, x0:x1].transpose(2, 0, 1).copy())[None]
    box = F.interpolate(cut, size=(BOX_HEIGHT, BOX_WIDTH), mode="bilinear", align_corners=False)
    y, x = np.meshgrid(np.linspace(-1, 1, BOX_HEIGHT), np.linspace(-1, 1, BOX_WIDTH),
                       indexing="ij")  # fmt: skip

    def opened() -> Tensor:
        high, wide = rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.6)
        edge = 1 - (y / high) ** 2 - (x / wide) ** 2
        return torch.from_numpy(np.clip(edge * 8, 0, 1).astype(np.float32))[None]

    inside = torch.stack([opened() for _ in range(batch)])
    known_inside = torch.stack([opened() for _ in range(batch)])
    light = torch.from_numpy(rng.uniform(0.6, 1.2, (batch, 1, 1, 1)).astype(np.float32))
    lips = (box * light).clamp(0, 1)
    return lips, inside, lips.flip(3).contiguous(), known_inside


def _sounds(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Voiced bursts with noise, and silence between."""
    at = torch.arange(shape[1]) / 16_000
    tones = torch.stack([torch.sin(2 * torch.pi * 120 * k * at) / k for k in range(1, 20)]).sum(0)
    gate = (torch.sin(2 * torch.pi * 1.5 * at) > 0).float()
    noise = 0.02 * torch.randn(shape, generator=rng)
    return ((0.2 * tones)[None] * gate + noise * gate).clamp(-1, 1).contiguous()
