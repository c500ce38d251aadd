"""ONNX Runtime, with the provider that the backend's name says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lipcore import __version__
from lipcore.cache import Cache, make_key
from lipcore.errors import DependencyError
from lipcore.runtime.graphs import Graph
from lipcore.types import FloatArray

PROVIDERS = {
    "onnxruntime": "CPUExecutionProvider",
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
    "onnxruntime-coreml": "CoreMLExecutionProvider",
    "onnxruntime-directml": "DmlExecutionProvider",
}


def missing(backend: str, device: str) -> str:
    """Why a backend of this module cannot run here; empty where it can."""
    import onnxruntime

    provider = PROVIDERS[backend]
    if provider not in onnxruntime.get_available_providers():
        return f"a build of ONNX Runtime with {provider} is not installed"
    if backend == "onnxruntime" and device != "cpu":
        return f"it runs on the processor, and --device is {device}"
    return ""


def open_graph(graph: Graph, backend: str, device: str, cache: Cache) -> OnnxRunner:
    """See ``backends.open_graph``; the ONNX file is kept in the cache."""
    return OnnxRunner(cached_onnx(graph, cache), backend)


def cached_onnx(graph: Graph, cache: Cache) -> Path:
    """The ONNX file of a graph, written where the cache does not have it."""
    import onnx
    import onnxscript
    import torch

    from lipcore.export.onnx_graph import write_onnx

    key = make_key(
        __version__, graph.name, graph.key, torch.__version__, onnx.__version__,
        onnxscript.__version__,
    )
    folder, _ = cache.entry("onnx", key, lambda made: write_onnx(graph, made / "graph.onnx"))
    return folder / "graph.onnx"


class OnnxRunner:
    """See ``Runner``."""

    def __init__(self, file: Path, backend: str, options: dict[str, Any] | None = None) -> None:
        import onnxruntime

        self.backend = backend
        provider = PROVIDERS[backend]
        if backend == "onnxruntime-tensorrt" and options is None:
            options = {
                "trt_engine_cache_enable": True, "trt_timing_cache_enable": True,
                "trt_engine_cache_path": str(file.parent),
                "trt_timing_cache_path": str(file.parent),
            }
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), providers=[(provider, options or {})]
            )
        except Exception as error:  # the library raises its own and plain ones alike
            raise DependencyError(
                f"ONNX Runtime cannot open {file.name} with {provider} "
                f"({str(error).splitlines()[0]})",
                hint="Check the graph with `lipcore export --check`, and the provider's drivers.",
            ) from error
        # Providers that are listed may still be absent; only the session knows.
        if self._session.get_providers()[0] != provider:
            raise DependencyError(
                f"ONNX Runtime has no {provider} here, only {self._session.get_providers()}",
                hint="Install the driver and the libraries that the provider needs.",
            )
        self._names = [port.name for port in self._session.get_inputs()]

    def run(self, *inputs: FloatArray) -> tuple[FloatArray, ...]:
        """See ``Runner``."""
        given = dict(zip(self._names, inputs, strict=True))
        return tuple(np.asarray(x, np.float32) for x in self._session.run(None, given))
