"""OpenVINO on the processor, in float32 or bfloat16."""

from __future__ import annotations

import functools
import threading
import warnings
from typing import Any

import numpy as np
import torch

from lipcore.cache import Cache
from lipcore.runtime.graphs import Graph
from lipcore.types import FloatArray


def missing(backend: str, device: str) -> str:
    """Why a backend of this module cannot run here; empty where it can."""
    if device != "cpu":
        return f"it runs on the processor, and --device is {device}"
    if backend == "openvino-bf16":
        able = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in able:
            return "the processor has no bfloat16 arithmetic"
    return ""


@functools.cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def convert(graph: Graph, inputs: tuple[torch.Tensor, ...]) -> Any:
    """The graph as an OpenVINO model, its sides as ``graph`` states them.

    ``openvino.convert_model`` does the same, but reports each use to its maker.

    Args:
        graph: What to convert.
        inputs: An example of each input; it is run once.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    front = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, on what parity checks settle
        # It must live until the model is converted.
        decoder = TorchScriptPythonDecoder(graph.module, example_input=inputs)
    model = front.convert(front.load(decoder))
    shapes = {}
    for port, spec in zip(model.inputs, graph.inputs, strict=True):
        port.get_tensor().set_names({spec.name})
        shapes[spec.name] = openvino.PartialShape(
            [side if isinstance(side, int) else -1 for side in spec.shape]
        )
    for port, spec in zip(model.outputs, graph.outputs, strict=True):
        port.get_tensor().set_names({spec.name})
    model.reshape(shapes)
    return model


def open_graph(graph: Graph, backend: str, device: str, cache: Cache) -> OpenVinoRunner:
    """See ``backends.open_graph``."""
    sides = {"batch": 2, **graph.usual}
    example = tuple(torch.zeros(spec.sized(**sides)) for spec in graph.inputs)
    precision = "bf16" if backend == "openvino-bf16" else "f32"
    return OpenVinoRunner(convert(graph, example), backend, precision)


class OpenVinoRunner:
    """See ``Runner``; each thread has a request of its own."""

    def __init__(self, model: Any, backend: str, precision: str) -> None:
        self.backend = backend
        self._compiled = _core().compile_model(
            model, "CPU",
            {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"},
        )
        self._of_thread = threading.local()

    def run(self, *inputs: FloatArray) -> tuple[FloatArray, ...]:
        """See ``Runner``."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        made = self._of_thread.request.infer([np.ascontiguousarray(x) for x in inputs])
        return tuple(np.array(value, np.float32) for value in made.to_tuple())
