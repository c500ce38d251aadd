"""Does an exported graph compute what torch computes? Judged in the final picture.

Latents, shapes and mel steps mean nothing to an eye: torch finishes the path from them, once
from its own values and once from the graph's, and the two pictures are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lipcore.errors import ExportError, ParityError
from lipcore.models.latent_path import LatentPath
from lipcore.models.speech_encoder import normalize_mel
from lipcore.runtime.graphs import Graph, build_graph, has_graph, load_latents
from lipcore.runtime.interface import Runner
from lipcore.runtime.probes import probe
from lipcore.weights import WeightsSet

Precision = Literal["fp32", "fp16", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True, slots=True)
class Bound:
    """How far an export may be from torch in float32."""

    max_steps: float
    """Largest difference of a pixel, 8-bit steps."""
    mean_steps: float
    """Mean difference of all pixels, 8-bit steps."""
    relative: float
    """Largest difference of the graph's own outputs, over their largest value."""


BOUNDS: dict[Precision, Bound] = {
    # The order of sums differs, nothing else: one wrong weight shows.
    "fp32": Bound(0.02, 0.002, 1e-4),
    "fp16": Bound(1.0, 0.1, 0.02),
    "bf16": Bound(6.0, 0.8, 0.1),
    "int8": Bound(24.0, 2.0, 0.5),
}


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison found."""

    graph: str
    max_steps: float | None
    """8-bit steps in the final picture; None where the weights cannot draw one."""
    mean_steps: float | None
    relative: float
    sides: tuple[dict[str, int], ...]
    """Sizes that were run."""
    runtime: str
    """What ran the exported graph."""


def check_parity(
    graph: Graph, runner: Runner, weights: WeightsSet, precision: Precision, *, runtime: str
) -> Parity:
    """Run a graph by torch and as exported, at several sizes, and compare.

    Args:
        graph: The network.
        runner: What was exported from it.
        weights: Where it came from.
        precision: Sets the bound.
        runtime: Named in the report.

    Raises:
        ExportError: A shape differs.
        ParityError: A value differs beyond the bound.
    """
    bound = BOUNDS[precision]
    worst, mean, relative = 0.0, 0.0, 0.0
    pictured = False
    tried = _sides(graph)
    for seed, sides in enumerate(tried):
        inputs = probe(graph, weights, seed=seed, **sides)
        expected = graph.run(*inputs)
        try:
            got = runner.run(*(x.numpy() for x in inputs))
        except Exception as error:  # runtimes raise each their own
            raise ExportError(
                f"{graph.name} does not run at {sides} ({str(error).splitlines()[0]})",
                hint="Export it again; if it stays so, report it with the manifest.",
                graph=graph.name,
            ) from error
        _check_shapes(graph, expected, got)
        for a, b in zip(expected, got, strict=True):
            spread = max(float(a.abs().max()), 1e-6)
            relative = max(relative, _largest(a.numpy(), b) / spread)
        pictures = [
            _picture(graph, inputs, values, weights)
            for values in (expected, tuple(torch.from_numpy(np.array(x)) for x in got))
        ]
        if pictures[0] is not None and pictures[1] is not None:
            pictured = True
            steps = (pictures[0] - pictures[1]).abs() * 255
            steps = steps.nan_to_num(nan=np.inf)
            worst, mean = max(worst, float(steps.max())), max(mean, float(steps.mean()))
    if worst > bound.max_steps or mean > bound.mean_steps or relative > bound.relative:
        raise ParityError(
            f"{graph.name} in {precision} is not what torch computes: {worst:.3g} of 255 at "
            f"worst and {mean:.3g} in the mean, {relative:.2g} of its outputs' range",
            hint=f"The bound is {bound.max_steps:g}, {bound.mean_steps:g} and {bound.relative:g}; "
            "choose a finer --precision, or leave the graph out with --graphs.",
            graph=graph.name, max_steps=worst, mean_steps=mean, relative=relative,
        )
    return Parity(
        graph.name, worst if pictured else None, mean if pictured else None, relative,
        tuple(tried), runtime,
    )


def _sides(graph: Graph) -> list[dict[str, int]]:
    """Sizes to try: as in use, two at once, and another size where it may vary."""
    sizes: list[dict[str, int]] = [{"batch": 1}, {"batch": 2}]
    other = {name: max(1, side // 2) for name, side in graph.usual.items()}
    if other:
        sizes.append({"batch": 1, **other})
    return sizes


def _largest(a: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
             b: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    worst = np.abs(a - b).max()
    return float(worst) if np.isfinite(worst) else float("inf")


def _check_shapes(
    graph: Graph, expected: tuple[Tensor, ...],
    got: tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], ...],
) -> None:
    wanted, found = [tuple(x.shape) for x in expected], [x.shape for x in got]
    if wanted != found:
        raise ExportError(
            f"{graph.name} gives {found} where torch gives {wanted}",
            hint="The exported file is not this graph; export it again.",
            graph=graph.name, expected=wanted, got=found,
        )


def _picture(
    graph: Graph, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], weights: WeightsSet
) -> Tensor | None:
    """The picture, 0-1, that torch makes of a graph's outputs; None where it cannot."""
    steps = graph.outputs[0].steps_a_unit
    if steps is not None:
        return outputs[0] * (steps / 255)
    if not has_graph("draw", weights):
        return None
    path = load_latents(weights)
    if graph.name in ("face_encoder", "generator"):
        return path.decode(outputs[0]) / 2
    draw = build_graph("draw", weights)
    if graph.name == "pose_encoder":
        _, reference, shape = probe(
            draw, weights, batch=len(outputs[0]), tiles=_tiles(draw, outputs[0])
        )
        return draw.run(outputs[0], reference, shape)[0] / 2
    shapes = outputs[0]
    if graph.name == "mel":
        shapes = build_graph("speech", weights).run(normalize_mel(shapes))[0]
    return _spoken(draw, path, shapes, weights)


def _tiles(draw: Graph, pose: Tensor) -> int:
    times = int(str(draw.inputs[0].shape[-1]).partition("*")[0])
    return int(pose.shape[-1]) // times


def _spoken(draw: Graph, path: LatentPath, shapes: Tensor, weights: WeightsSet) -> Tensor:
    """Faces that say a few moments of ``(B, T, C)`` standardised shapes."""
    std = path.generator.condition.shape_std
    moments = shapes[0, torch.linspace(0, shapes.shape[1] - 1, 4).long(), : len(std)]
    pose, reference, _ = probe(draw, weights, batch=4)
    return draw.run(pose, reference, moments * std)[0] / 2
