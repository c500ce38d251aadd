"""Which backend a render uses: the one asked for, or the fastest that draws the same."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lipcore import __version__
from lipcore.cache import Cache, make_key
from lipcore.runtime.backends import BACKENDS, find_backend, open_graph
from lipcore.runtime.graphs import Graph, build_graph, has_graph
from lipcore.runtime.interface import Runner
from lipcore.runtime.probes import probe
from lipcore.shot import BY_NETWORK, RenderConfig
from lipcore.types import FloatArray
from lipcore.weights import WeightsSet

MOST_STEPS = 2.0
"""8-bit steps from torch in float32 that ``auto`` accepts at the worst pixel."""
_RUNS = 5
_FILE = "measured.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """A backend on this machine."""

    backend: str
    ms: float | None
    """A frame's network; None where it did not run."""
    steps: float | None
    """Largest difference from torch in float32, 8-bit steps."""
    reason: str = ""
    """Why it is out of the question."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A backend that is about to be measured."""

    name: str
    runner: Runner | None
    made: tuple[FloatArray, ...]
    failed: str = ""


def settle_backend(
    config: RenderConfig, weights: WeightsSet, log: Callable[[str], None]
) -> RenderConfig:
    """The settings with ``auto`` replaced by a backend, so that hashes and sidecars name it.

    Args:
        config: Of the render.
        weights: The networks that it will run.
        log: Told what was chosen and why.

    Raises:
        ConfigError: No backend has the name.
        DependencyError: The backend that was asked for cannot run here.
    """
    if config.backend != "auto":
        found = find_backend(config.backend, config.device)
        log(f"backend: {found.name} ({found.version()}), as --backend says")
        return config
    names = ["draw"] if config.synthesis in BY_NETWORK else ["inner_mouth"]
    if config.refine:
        names.append("refiner")
    absent = [name for name in names if not has_graph(name, weights)]
    if absent:
        log(f"backend: torch, as the weights hold no network for {absent[0]}")
        return dataclasses.replace(config, backend="torch")
    measured, known = sum_measured([
        measure_backends(
            build_graph(name, weights), weights, device=config.device, cache=Cache(config.cache)
        )
        for name in names
    ])
    chosen = pick(measured)
    log(explain(measured, chosen, known=known))
    return dataclasses.replace(config, backend=chosen.backend)


def sum_measured(parts: list[tuple[list[Measured], bool]]) -> tuple[list[Measured], bool]:
    """Figures of several networks that a frame runs one after another, as of one.

    Args:
        parts: Of ``measure_backends``, a network each.
    """
    total = {m.backend: m for m in parts[0][0]}
    for figures, _ in parts[1:]:
        for more in figures:
            first = total[more.backend]
            total[more.backend] = Measured(
                more.backend,
                None if first.ms is None or more.ms is None else first.ms + more.ms,
                None if first.steps is None or more.steps is None
                else max(first.steps, more.steps),
                first.reason or more.reason,
            )
    return list(total.values()), all(known for _, known in parts)


def pick(measured: list[Measured]) -> Measured:
    """The fastest that is not out of the question; torch is always among them."""
    return min((m for m in measured if m.ms is not None and not m.reason),
               key=lambda m: m.ms or 0.0)  # fmt: skip


def explain(measured: list[Measured], chosen: Measured, *, known: bool) -> str:
    """A line for the log: what was chosen, and why the others were not."""
    others = [
        f"{m.backend}: {m.reason}" if m.reason else f"{m.backend} {m.ms:.0f} ms"
        for m in measured if m.backend != chosen.backend
    ]
    when = "measured before on this machine" if known else "measured now"
    return (
        f"backend: {chosen.backend}, {chosen.ms:.0f} ms a frame's network and "
        f"{chosen.steps:.2g} of 255 from torch at worst, {when} ({'; '.join(others)})"
    )


def measure_backends(
    graph: Graph, weights: WeightsSet, *, device: str, cache: Cache
) -> tuple[list[Measured], bool]:
    """Time every backend that could run a graph here, once; the cache remembers.

    Args:
        graph: The network that takes the time.
        weights: Where it came from.
        device: As in the render.
        cache: Where the figures are kept, by machine, versions and weights.

    Returns:
        (the figures, whether they were remembered).
    """
    reasons = {b.name: b.missing(device) for b in BACKENDS.values() if b.picked}
    there = [BACKENDS[name] for name, reason in reasons.items() if not reason]
    key = make_key(
        __version__, graph.name, graph.key, _hardware(device), sorted(reasons.items()),
        [backend.version() for backend in there],
    )

    def build(folder: Path) -> None:
        figures = [Measured(n, None, None, reason) for n, reason in reasons.items() if reason]
        inputs = tuple(x.numpy() for x in probe(graph, weights))
        expected = [x.numpy() for x in graph.run(*map(torch.from_numpy, inputs))]
        opened = [_open(graph, backend.name, device, cache, inputs) for backend in there]
        figures += _measure(graph, opened, inputs, expected)
        (folder / _FILE).write_text(json.dumps([dataclasses.asdict(f) for f in figures]))

    folder, known = cache.entry("backend", key, build)
    return [Measured(**f) for f in json.loads((folder / _FILE).read_text())], known


def _open(
    graph: Graph, name: str, device: str, cache: Cache, inputs: tuple[FloatArray, ...]
) -> _Opened:
    try:
        runner = open_graph(graph, name, device=device, cache=cache)
        return _Opened(name, runner, runner.run(*inputs))
    except Exception as error:  # each runtime raises its own
        return _Opened(name, None, (), _said(error))


def _measure(
    graph: Graph, opened: list[_Opened], inputs: tuple[FloatArray, ...],
    expected: list[FloatArray],
) -> list[Measured]:
    """Backends take turns: whatever else the machine does shall not pick among them."""
    times: dict[str, list[float]] = {one.name: [] for one in opened}
    failed = {one.name: one.failed for one in opened}
    for _ in range(_RUNS):
        for one in opened:
            if one.runner is None or failed[one.name]:
                continue
            start = time.perf_counter()
            try:
                one.runner.run(*inputs)
            except Exception as error:  # as above
                failed[one.name] = _said(error)
            times[one.name].append(time.perf_counter() - start)
    figures = []
    for one in opened:
        if failed[one.name]:
            figures.append(Measured(one.name, None, None, f"it failed ({failed[one.name]})"))
            continue
        steps = max(
            float(np.abs(a - b).max()) * (spec.steps_a_unit or 255.0)
            for a, b, spec in zip(one.made, expected, graph.outputs, strict=True)
        )
        reason = "" if steps <= MOST_STEPS else f"{steps:.2g} of 255 from torch, too far"
        figures.append(Measured(one.name, 1000 * min(times[one.name]), steps, reason))
    return figures


def _said(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _hardware(device: str) -> list[object]:
    """What speed depends on."""
    found: list[object] = [platform.machine(), _processor(), os.cpu_count(),
                           torch.get_num_threads(), device]  # fmt: skip
    if device.startswith("cuda"):
        found.append(torch.cuda.get_device_name(device))
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
