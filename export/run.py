"""``lipcore export``: a set of weights to files, checked before they get their names."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lipcore.errors import (
    ConfigError,
    DependencyError,
    ExportError,
    LipcoreError,
    OutputNotWritableError,
)
from lipcore.runtime.graphs import GRAPHS, Graph, build_graph, build_graphs
from lipcore.weights import WeightsSet, find_weights

from .formats import Format, open_written, write_graph
from .manifest import GraphEntry, Manifest, check_files, describe, list_files, read_manifest
from .onnx_graph import EXTERNAL_BYTES
from .parity import Parity, Precision, check_parity
from .precision import kept_float

Log = Callable[[str], None]
_NEEDS: dict[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript"), "tensorrt": ("onnx", "onnxscript"),
    "openvino": ("openvino",), "torchscript": (),
}


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to write."""

    target: Format
    precision: Precision = "fp32"
    graphs: tuple[str, ...] = ()
    """Names; empty for all that the weights have."""
    gpus: tuple[str, ...] = ()
    """Kinds of GPU to build engines for, as ``SM89``; empty for the one in this machine."""
    external_bytes: int = EXTERNAL_BYTES
    """Graphs with more weights than this keep them in a file of their own."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.graphs if name not in GRAPHS]
        if unknown:
            raise ConfigError(
                f"no graph is called {unknown[0]!r}", hint=f"Choose from: {', '.join(GRAPHS)}."
            )
        if self.precision == "int8" and self.target in ("torchscript", "tensorrt"):
            raise ConfigError(
                f"int8 is not made for {self.target}",
                hint="Our calibration gives unsigned activations, as onnx and openvino run them; "
                "fp16 is what holds here.",
            )
        if self.gpus and self.target != "tensorrt":
            raise ConfigError("a kind of GPU belongs to tensorrt", hint="Leave --gpu out.")


def export_weights(
    weights: str, out: Path, options: ExportOptions, *, log: Log = lambda _: None
) -> Manifest:
    """Export graphs of a set of weights, each checked against torch.

    Args:
        weights: As ``find_weights`` takes it.
        out: Folder for the files and ``manifest.json``; made where absent. Files of the same
            names are replaced, all at the end, and only where every check held.
        options: What to write.
        log: Told what is done, a line a graph.

    Raises:
        WeightsError: The weights cannot be used.
        DependencyError: A package or a GPU that the target needs is absent.
        ExportError: A graph cannot be exported, or is not what torch computes.
    """
    found = find_weights(weights)
    _check_packages(options)
    if options.target == "tensorrt":
        from .engine import check_machine

        check_machine(options.gpus)
    graphs = (
        [build_graph(name, found) for name in options.graphs]
        if options.graphs else build_graphs(found)
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".export-", dir=out))
    except OSError as error:
        raise OutputNotWritableError(
            f"{out} does not accept files ({error.strerror or error})",
            hint="Give --out a folder that you may write to.", path=str(out),
        ) from error
    try:
        entries = []
        for graph in graphs:
            entry = _export_graph(graph, making, options, found)
            entries.append(entry)
            log(_line(entry))
        manifest = describe(found, options.target, options.precision, entries)
        for file in sorted(making.iterdir()):
            file.replace(out / file.name)
        manifest.write(out)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return manifest


def check_export(weights: str, out: Path, *, log: Log = lambda _: None) -> Manifest:
    """Compare an export that lies in a folder with its weights, again.

    Raises:
        ExportError: A file changed since it was written, was made from other weights, or does
            not compute what torch computes.
    """
    found = find_weights(weights)
    manifest = read_manifest(out)
    check_files(out, manifest, found)
    for entry in manifest.graphs:
        graph = build_graph(entry.name, found)
        parity = _check(graph, out / entry.checked, manifest.target, entry.precision, found)
        log(_line(dataclasses.replace(entry, parity=parity)))
    return manifest


def _export_graph(
    graph: Graph, folder: Path, options: ExportOptions, weights: WeightsSet
) -> GraphEntry:
    reason = kept_float(graph, options.target, options.precision)
    precision: Precision = "fp32" if reason else options.precision
    before = set(folder.iterdir())
    try:
        path = write_graph(
            graph, folder, options.target, precision, weights,
            external_bytes=options.external_bytes,
        )
    except (RuntimeError, ValueError) as error:  # of exporters, which raise many kinds
        if isinstance(error, LipcoreError):
            raise
        raise ExportError(
            f"{graph.name} cannot be exported to {options.target} ({str(error).splitlines()[0]})",
            hint="Run with --debug for the exporter's own report.", graph=graph.name,
        ) from error
    parity = _check(graph, path, options.target, precision, weights)
    engine = None
    if options.target == "tensorrt":
        from .engine import build_named

        # Beside the export: the next one starts from what this one measured.
        engine = build_named(path, graph, options.gpus, folder.parent / "timing.cache")
    files = [file for file in sorted(folder.iterdir()) if file not in before]
    return GraphEntry.of(
        graph, weights, path.name, list_files(files), precision, reason, parity, engine
    )


def _check(
    graph: Graph, path: Path, target: Format, precision: Precision, weights: WeightsSet
) -> Parity:
    runner, runtime = open_written(path, target, precision)
    return check_parity(graph, runner, weights, precision, runtime=runtime)


def _check_packages(options: ExportOptions) -> None:
    needed = list(_NEEDS[options.target])
    if options.precision == "bf16" and options.target != "torchscript":
        needed.append("openvino")  # to compare by: ONNX Runtime has no bfloat16 on processors
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    if absent:
        extra = "openvino" if absent[0] == "openvino" else "export"
        raise DependencyError(
            f"exporting to {options.target} in {options.precision} needs the package {absent[0]}",
            hint=f"Install it with: pip install 'lipcore[{extra}]'", package=absent[0],
        )


def _line(entry: GraphEntry) -> str:
    parity = entry.parity
    drawn = (
        "no picture to judge by" if parity.max_steps is None
        else f"{parity.max_steps:.3g} of 255 at worst, {parity.mean_steps:.2g} in the mean"
    )
    kept = f" (float32: {entry.reason})" if entry.reason else ""
    return f"{entry.name}: {entry.precision}{kept}, {drawn}, by {parity.runtime}"

