"""Graphs to ONNX, by torch's exporter, simplified, with every side that may vary left open."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from lipcore.runtime.graphs import Graph, TensorSpec

OPSET = 20
EXTERNAL_BYTES = 256 * 2**20
"""Larger graphs keep their weights in a file beside them, ``NAME.onnx.data``."""
_MOST_BATCH, _MOST_SIDE = 4096, 1 << 20


class _Typed(nn.Module):
    """A module that computes in another type behind float32 inputs and outputs."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).to(dtype)
        self.dtype = dtype

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        made = self.module(*(x.to(self.dtype) for x in inputs))
        return tuple(x.float() for x in made) if isinstance(made, tuple) else made.float()


def typed(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module, computing in a type; itself for float32."""
    return module if dtype == torch.float32 else _Typed(module, dtype).eval()


def write_onnx(
    graph: Graph, path: Path, *, dtype: torch.dtype = torch.float32,
    external_bytes: int = EXTERNAL_BYTES,
) -> None:
    """Write a graph as ONNX of opset ``OPSET``.

    Args:
        graph: What to write.
        path: The file; its folder is there.
        dtype: Of weights and arithmetic; inputs and outputs stay float32.
        external_bytes: Weights larger than this go into ``NAME.onnx.data``.
    """
    sides = {"batch": 2, **graph.usual}
    example = tuple(torch.zeros(spec.sized(**sides)) for spec in graph.inputs)
    module = typed(graph.module, dtype)
    symbols: dict[str, torch.export.Dim] = {}
    shapes: tuple[object, ...] = tuple(_dynamic(spec, symbols) for spec in graph.inputs)
    if isinstance(module, _Typed):
        shapes = (shapes,)  # of one variadic argument
    size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    with _quiet():
        program = torch.onnx.export(
            module, example, dynamo=True, opset_version=OPSET, optimize=True, verbose=False,
            dynamic_shapes=shapes, input_names=[spec.name for spec in graph.inputs],
            output_names=[spec.name for spec in graph.outputs],
        )
        assert program is not None
        program.save(path, external_data=size > external_bytes)


def _dynamic(spec: TensorSpec, symbols: dict[str, torch.export.Dim]) -> dict[int, object]:
    open_sides: dict[int, object] = {}
    for place, side in enumerate(spec.shape):
        if isinstance(side, int):
            continue
        times, _, name = side.rpartition("*")
        if name not in symbols:
            most = _MOST_BATCH if name == "batch" else _MOST_SIDE
            symbols[name] = torch.export.Dim(name, min=1, max=most)
        symbol = symbols[name]
        open_sides[place] = int(times) * symbol if times else symbol
    return open_sides


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that it could use and does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
