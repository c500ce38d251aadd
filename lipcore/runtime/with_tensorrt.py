"""TensorRT-RTX or TensorRT, on engines that ``lipcore.export.engine`` builds.

Written after the libraries' documentation; it was not run on a GPU yet. What can be known
without one (parsing, profiles, the build itself) is tested with ``lipcore export``.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path
from typing import Any

import torch

from lipcore import __version__
from lipcore.cache import Cache, make_key
from lipcore.errors import DependencyError
from lipcore.runtime.graphs import Graph
from lipcore.types import FloatArray


def missing(backend: str, device: str) -> str:
    """Why this backend cannot run here; empty where it can."""
    if reason := missing_gpu():
        return reason
    return "" if device.startswith("cuda") else f"it runs on cuda, and --device is {device}"


def missing_gpu() -> str:
    """What this machine lacks to run an engine; empty where it lacks nothing."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"this machine has no NVIDIA driver ({library} is not found)"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no GPU; a CUDA build of torch is needed"
    return ""


def open_graph(graph: Graph, backend: str, device: str, cache: Cache) -> TensorRtRunner:
    """See ``backends.open_graph``; the engine is kept in the cache."""
    from lipcore.export.engine import build_engine, find_library

    from .with_onnxruntime import cached_onnx

    library = find_library()
    gpu = torch.cuda.get_device_name(device)
    key = make_key(__version__, graph.name, graph.key, library.label, gpu)

    def build(folder: Path) -> None:
        build_engine(cached_onnx(graph, cache), folder / "graph.engine", graph)

    folder, _ = cache.entry("engine", key, build)
    return TensorRtRunner(folder / "graph.engine", graph, backend, device)


class TensorRtRunner:
    """See ``Runner``; one context, used by one thread at a time."""

    def __init__(self, file: Path, graph: Graph, backend: str, device: str) -> None:
        from lipcore.export.engine import find_library

        self.backend = backend
        self._graph = graph
        self._device = torch.device(device)
        self._lock = threading.Lock()
        trt = find_library().module
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine: Any = self._runtime.deserialize_cuda_engine(file.read_bytes())
        if self._engine is None:
            raise DependencyError(
                f"the engine of {graph.name} does not load on this GPU",
                hint="Engines fit one version of TensorRT and the GPUs they were built for; "
                "clear the cache folder or build it again here.",
            )
        self._context = self._engine.create_execution_context()

    def run(self, *inputs: FloatArray) -> tuple[FloatArray, ...]:
        """See ``Runner``."""
        with self._lock, torch.cuda.device(self._device):
            held = []
            for spec, value in zip(self._graph.inputs, inputs, strict=True):
                tensor = torch.from_numpy(value).to(self._device).contiguous()
                held.append(tensor)
                self._context.set_input_shape(spec.name, tuple(tensor.shape))
                self._context.set_tensor_address(spec.name, tensor.data_ptr())
            made = []
            for spec in self._graph.outputs:
                shape = tuple(self._context.get_tensor_shape(spec.name))
                made.append(torch.empty(shape, device=self._device))
                self._context.set_tensor_address(spec.name, made[-1].data_ptr())
            stream = torch.cuda.current_stream()
            if not self._context.execute_async_v3(stream.cuda_stream):
                raise DependencyError(
                    f"TensorRT could not run {self._graph.name}",
                    hint="Free GPU memory, or choose another --backend.",
                )
            stream.synchronize()
            return tuple(x.cpu().numpy() for x in made)
