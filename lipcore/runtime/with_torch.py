"""Torch: eager or compiled, in float32 or in bfloat16."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lipcore.cache import Cache
from lipcore.models.blocks import channels_last
from lipcore.runtime.fold import fold_upsampling
from lipcore.runtime.graphs import Graph
from lipcore.types import FloatArray


def missing(backend: str, device: str) -> str:
    """Why a backend of this module cannot run here; empty where it can."""
    if backend.endswith("bf16") and not _has_bf16(device):
        return "the processor has no bfloat16 arithmetic"
    if "compile" in backend and not _compiler():
        return "torch.compile needs a C++ compiler (g++ or clang++), and none is on PATH"
    return ""


def _has_bf16(device: str) -> bool:
    if device.startswith("cuda"):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    if device != "cpu":
        return False
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)


def _compiler() -> str | None:
    names = ("cl",) if sys.platform == "win32" else ("g++", "clang++", "c++")
    return next((found for name in names if (found := shutil.which(name))), None)


def open_graph(graph: Graph, backend: str, device: str, cache: Cache) -> TorchRunner:
    """See ``backends.open_graph``."""
    return TorchRunner(graph, backend, device)


def _hold_in_bf16(network: nn.Module) -> None:
    """Round the weights once, in place: autocast would round them alike at each run."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.to(torch.bfloat16)


class TorchRunner:
    """See ``Runner``."""

    def __init__(self, graph: Graph, backend: str, device: str) -> None:
        self.backend = backend
        self._device = torch.device(device)
        self._bf16 = backend.endswith("bf16")
        # ``torch`` runs the network as it was trained: the others are held to it.
        network = graph.module if backend == "torch" else fold_upsampling(graph.module)
        network = channels_last(network).to(self._device)
        if self._bf16:
            _hold_in_bf16(network)
        self._network: Callable[..., Any] = network
        if "compile" in backend:
            # Frozen, the weights are laid out and rounded once, not at every frame.
            network.eval().requires_grad_(False)
            self._network = torch.compile(network, dynamic=False, options={"freezing": True})

    def run(self, *inputs: FloatArray) -> tuple[FloatArray, ...]:
        """See ``Runner``."""
        tensors = [torch.from_numpy(x).to(self._device) for x in inputs]
        with torch.inference_mode(), torch.autocast(
            self._device.type, torch.bfloat16, enabled=self._bf16
        ):
            made = self._network(*tensors)
        outputs = made if isinstance(made, tuple) else (made,)
        return tuple(x.float().cpu().numpy() for x in outputs)
