"""One writer a format, and what runs its files for the check."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from lipcore.runtime.graphs import Graph
from lipcore.runtime.interface import Runner
from lipcore.runtime.with_onnxruntime import OnnxRunner
from lipcore.runtime.with_openvino import OpenVinoRunner, convert
from lipcore.types import FloatArray
from lipcore.weights import WeightsSet

from .onnx_graph import EXTERNAL_BYTES, typed, write_onnx
from .parity import Precision
from .precision import DTYPES, quantize

Format = Literal["onnx", "tensorrt", "openvino", "torchscript"]
FORMATS: tuple[Format, ...] = ("onnx", "tensorrt", "openvino", "torchscript")
SUFFIXES: dict[Format, str] = {
    "onnx": ".onnx", "tensorrt": ".onnx", "openvino": ".xml", "torchscript": ".pt",
}
"""Of what is checked; TensorRT's engines are built from an ONNX file that is kept beside."""


def write_graph(
    graph: Graph, folder: Path, target: Format, precision: Precision, weights: WeightsSet,
    *, external_bytes: int = EXTERNAL_BYTES,
) -> Path:
    """Write a graph into a folder.

    Args:
        graph: What to write.
        folder: Where, under the graph's name.
        target: The format.
        precision: Of the arithmetic; inputs and outputs are float32 throughout.
        weights: Where the graph came from; calibration needs them.
        external_bytes: See ``write_onnx``.

    Returns:
        The file that a runtime opens; weights may lie beside it.
    """
    path = folder / f"{graph.name}{SUFFIXES[target]}"
    if target == "torchscript":
        _write_torchscript(graph, path, precision)
    elif target == "openvino":
        _write_openvino(graph, path, precision, weights)
    elif precision == "int8":
        source = folder / f"float-{graph.name}.onnx"
        write_onnx(graph, source)
        quantize(source, path, graph, weights)
        source.unlink()
    else:
        write_onnx(graph, path, dtype=DTYPES[precision], external_bytes=external_bytes)
    return path


def open_written(path: Path, target: Format, precision: Precision) -> tuple[Runner, str]:
    """What runs a written file on this machine, and its name."""
    if target == "torchscript":
        return _ScriptRunner(path), f"torch {torch.__version__}"
    if target == "openvino" or precision == "bf16":
        # ONNX Runtime has no bfloat16 on processors; OpenVINO reads the same file.
        import openvino

        hint = "bf16" if target == "openvino" and precision == "bf16" else "f32"
        model: Any = openvino.Core().read_model(path)
        version = openvino.__version__.partition("-")[0]
        return OpenVinoRunner(model, "openvino", hint), f"openvino {version}"
    import onnxruntime

    return OnnxRunner(path, "onnxruntime"), f"onnxruntime {onnxruntime.__version__}"


def _example(graph: Graph) -> tuple[torch.Tensor, ...]:
    sides = {"batch": 2, **graph.usual}
    return tuple(torch.zeros(spec.sized(**sides)) for spec in graph.inputs)


def _write_torchscript(graph: Graph, path: Path, precision: Precision) -> None:
    module = typed(graph.module, DTYPES[precision])
    trace(module, _example(graph)).save(str(path))


def _write_openvino(graph: Graph, path: Path, precision: Precision, weights: WeightsSet) -> None:
    import openvino

    if precision == "int8":
        quantized = write_graph(graph, path.parent, "onnx", "int8", weights)
        model = openvino.Core().read_model(quantized)
        quantized.unlink()
    else:
        model = convert(graph, _example(graph))
    # bfloat16 is chosen when a file is opened (INFERENCE_PRECISION_HINT), not in the file.
    openvino.save_model(model, path, compress_to_fp16=precision == "fp16")


def trace(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.jit.ScriptModule:
    """A module as TorchScript, by running it once."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Traces are compared at other sizes by the parity check, which torch's own cannot.
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            module, inputs, check_trace=False
        )
    return traced


def open_script(path: Path) -> torch.jit.ScriptModule:
    """A TorchScript file that this process wrote."""
    loaded: torch.jit.ScriptModule = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return loaded


class _ScriptRunner:
    """See ``Runner``."""

    backend = "torchscript"

    def __init__(self, path: Path) -> None:
        self._module = open_script(path)

    def run(self, *inputs: FloatArray) -> tuple[FloatArray, ...]:
        """See ``Runner``."""
        with torch.no_grad():
            made = self._module(*(torch.from_numpy(x) for x in inputs))
        values = made if isinstance(made, tuple) else (made,)
        return tuple(np.asarray(x.numpy(), np.float32) for x in values)
