"""OpenVINO on the processor, in float32 or bfloat16."""

from __future__ import annotations

import functools
import threading
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lipcore.cache import Cache
from lipcore.runtime.fold import fold_upsampling
from lipcore.runtime.graphs import MASKED_GRAPHS, Graph, PoseEncoder
from lipcore.runtime.interface import Runner
from lipcore.types import FloatArray

_Sides = tuple[tuple[int, ...], ...]
"""The shapes of all inputs."""


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
        # It must live until the model is converted; the model has its own copy of the weights,
        # as those of the folded network go with it.
        decoder = TorchScriptPythonDecoder(
            fold_upsampling(graph.module), example_input=inputs, shared_memory=False
        )
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


def open_graph(graph: Graph, backend: str, device: str, cache: Cache) -> Runner:
    """See ``backends.open_graph``."""
    short = backend == "openvino-bf16"
    if short and isinstance(graph.module, PoseEncoder):
        return _MaskedRunner(graph, graph.module, backend)
    return _open(graph, backend, "bf16" if short and graph.name not in MASKED_GRAPHS else "f32")


def _open(graph: Graph, backend: str, precision: str) -> OpenVinoRunner:
    sides = {"batch": 2, **graph.usual}
    example = tuple(torch.zeros(spec.sized(**sides)) for spec in graph.inputs)
    return OpenVinoRunner(convert(graph, example), backend, precision)


class _MaskedRunner:
    """The pose encoder in bfloat16, behind a mask in float32."""

    def __init__(self, graph: Graph, module: PoseEncoder, backend: str) -> None:
        self.backend = backend
        self._hide = module.hide
        behind = replace(graph, module=module.encoder, inputs=graph.inputs[:1])
        self._encoder = _open(behind, backend, "bf16")

    def run(self, *inputs: FloatArray) -> tuple[FloatArray, ...]:
        """See ``Runner``."""
        return self._encoder.run(self._hide(*map(torch.from_numpy, inputs)).numpy())


class OpenVinoRunner:
    """See ``Runner``; each thread has requests of its own.

    In bfloat16, each of the first ``OWN_SIZES`` sizes that are met gets a network compiled for
    it, which runs faster; all others share one that takes any size. In float32 they all share
    it: with fixed sides, OpenVINO 2026.4 crashes on a group normalisation before a FiLM.
    """

    OWN_SIZES = 4

    def __init__(self, model: Any, backend: str, precision: str) -> None:
        self.backend = backend
        self._model = model
        self._precision = precision
        self._compiled: dict[_Sides | None, Any] = {}
        self._compiling = threading.Lock()
        self._of_thread = threading.local()

    def run(self, *inputs: FloatArray) -> tuple[FloatArray, ...]:
        """See ``Runner``."""
        request = self._request(tuple(x.shape for x in inputs))
        given = [np.ascontiguousarray(x) for x in inputs]
        # Shared outputs are the request's own memory, which its next run writes over.
        made = request.infer(given, share_inputs=True, share_outputs=True)
        return tuple(np.array(value, np.float32) for value in made.to_tuple())

    def _request(self, sides: _Sides) -> Any:
        with self._compiling:
            room = self._precision == "bf16" and len(self._compiled) < self.OWN_SIZES
            key = sides if room or sides in self._compiled else None
            if key not in self._compiled:
                self._compiled[key] = self._compile(key)
        if not hasattr(self._of_thread, "requests"):
            self._of_thread.requests = {}
        requests: dict[_Sides | None, Any] = self._of_thread.requests
        if key not in requests:
            requests[key] = self._compiled[key].create_infer_request()
        return requests[key]

    def _compile(self, sides: _Sides | None) -> Any:
        model = self._model
        if sides is not None:
            model = model.clone()
            model.reshape(dict(zip(model.inputs, map(list, sides), strict=True)))
        return _core().compile_model(
            model, "CPU",
            {"INFERENCE_PRECISION_HINT": self._precision, "PERFORMANCE_HINT": "LATENCY"},
        )
