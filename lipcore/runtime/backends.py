"""The backends: records of what each needs, and the one place that opens them.

Nothing falls back: a backend that was asked for and cannot run here is an error with the line
that installs it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipcore.cache import Cache
from lipcore.errors import ConfigError, DependencyError

if TYPE_CHECKING:
    from lipcore.runtime.graphs import Graph
    from lipcore.runtime.interface import Runner


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to run graphs."""

    name: str
    packages: tuple[tuple[str, str], ...]
    """(module to import, distribution that usually brings it), all of them needed."""
    install: str
    """The line that installs what is needed; empty for what lipcore always has."""
    module: str
    """Where ``open_graph(graph, backend, device, cache)`` and ``missing(backend, device)`` are."""
    picked: bool = True
    """Whether ``auto`` may take it."""

    def missing(self, device: str) -> str:
        """Why it cannot run here, in words; empty where it can."""
        for name, distribution in self.packages:
            try:
                importlib.import_module(name)
            except ImportError:
                return f"the package {distribution} is not installed"
        reason: str = importlib.import_module(self.module).missing(self.name, device)
        return reason

    def version(self) -> str:
        """Versions of what computes, for hashes and manifests."""
        return " ".join(f"{name}-{_version_of(module, name)}" for module, name in self.packages)


def _version_of(module: str, distribution: str) -> str:
    """Builds for other devices are other distributions of the same module."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return str(importlib.import_module(module).__version__)


_ONNX = (("onnxruntime", "onnxruntime"), ("onnx", "onnx"), ("onnxscript", "onnxscript"))
_EXPORT = "pip install 'lipcore[export]'"
_TORCH = (("torch", "torch"),)
_HERE = "lipcore.runtime"

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend("torch", _TORCH, "", f"{_HERE}.with_torch"),
        Backend("torch-bf16", _TORCH, "", f"{_HERE}.with_torch"),
        # They compile anew in every process: never worth it unasked.
        Backend("torch-compile", _TORCH, "", f"{_HERE}.with_torch", picked=False),
        Backend("torch-compile-bf16", _TORCH, "", f"{_HERE}.with_torch", picked=False),
        Backend("onnxruntime", _ONNX, _EXPORT, f"{_HERE}.with_onnxruntime"),
        *(
            Backend(f"onnxruntime-{provider}", _ONNX, install, f"{_HERE}.with_onnxruntime",
                    picked=False)
            for provider, install in (
                ("cuda", "pip uninstall onnxruntime && pip install onnxruntime-gpu"),
                ("tensorrt", "pip uninstall onnxruntime && pip install onnxruntime-gpu"),
                ("directml", "pip uninstall onnxruntime && pip install onnxruntime-directml"),
                ("coreml", "pip install onnxruntime (on macOS)"),
            )
        ),
        Backend("openvino", (("openvino", "openvino"),), "pip install 'lipcore[openvino]'",
                f"{_HERE}.with_openvino"),
        Backend("openvino-bf16", (("openvino", "openvino"),), "pip install 'lipcore[openvino]'",
                f"{_HERE}.with_openvino"),
        Backend("tensorrt", (("tensorrt_rtx", "tensorrt_rtx_cu13"), *_ONNX[1:]),
                "pip install 'lipcore[tensorrt]'", f"{_HERE}.with_tensorrt"),
    )
}  # fmt: skip


def open_graph(
    graph: Graph, backend: str, *, device: str = "cpu", cache: Cache | None = None
) -> Runner:
    """Make a graph ready to run.

    Args:
        graph: What to run.
        backend: A name of ``BACKENDS``.
        device: Where torch backends run.
        cache: Keeps what is slow to make (ONNX files, engines); None takes the user's.

    Raises:
        ConfigError: No backend has this name.
        DependencyError: It cannot run here; the hint is the line that installs it.
    """
    found = find_backend(backend, device)
    opened: Callable[..., Runner] = importlib.import_module(found.module).open_graph
    return opened(graph, backend, device, cache or Cache())


def find_backend(name: str, device: str) -> Backend:
    """A backend that can run here.

    Raises:
        ConfigError: No backend has this name.
        DependencyError: It cannot run here.
    """
    if name == "auto":
        raise ConfigError(
            "auto is settled by a render, and this is none",
            hint=f"Name a backend: {', '.join(BACKENDS)}.",
        )
    if name not in BACKENDS:
        raise ConfigError(
            f"no backend is called {name!r}", hint=f"Choose from: auto, {', '.join(BACKENDS)}."
        )
    backend = BACKENDS[name]
    reason = backend.missing(device)
    if reason:
        raise DependencyError(
            f"the backend {name} cannot run here: {reason}",
            hint=f"Install it with: {backend.install}" if "not installed" in reason
            else "Choose another --backend, or auto.",
            backend=name,
        )
    return backend
