"""``manifest.json``: what lies in a folder of exported graphs, and what it was made from."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipcore import __version__
from lipcore.config import from_mapping
from lipcore.errors import ExportError, LipcoreError
from lipcore.media.output_files import appearing
from lipcore.models.checkpoint import hash_file, load_header
from lipcore.runtime.graphs import Graph, TensorSpec
from lipcore.weights import WeightsSet

from .formats import Format
from .onnx_graph import OPSET
from .parity import BOUNDS, Parity, Precision

NAME = "manifest.json"
FORMAT = 1
_TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "openvino", "tensorrt_rtx_cu13",
          "tensorrt")  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the folder."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """A graph of the folder."""

    name: str
    checked: str
    """The file that the parity was measured on."""
    files: tuple[FileEntry, ...]
    precision: Precision
    reason: str
    """Why it stayed float32, where another precision was asked."""
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    config: dict[str, Any]
    """Settings of each network in it."""
    parity: Parity
    engine: dict[str, Any] | None

    @classmethod
    def of(
        cls, graph: Graph, weights: WeightsSet, checked: str, files: tuple[FileEntry, ...],
        precision: Precision, reason: str, parity: Parity, engine: dict[str, Any] | None,
    ) -> GraphEntry:
        """Describe a graph that was exported."""
        config = {kind: load_header(weights.file(kind))["config"] for kind in graph.kinds}
        return cls(
            graph.name, checked, files, precision, reason,
            tuple(map(_describe_tensor, graph.inputs)),
            tuple(map(_describe_tensor, graph.outputs)), config, parity, engine,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """A folder of exported graphs."""

    target: Format
    precision: Precision
    weights: str
    weights_sha256: dict[str, str]
    """Of the files that the graphs were made from, by kind."""
    graphs: tuple[GraphEntry, ...]
    tools: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write it as ``manifest.json``."""
        values = {
            "format": FORMAT,
            "lipcore": __version__,
            **dataclasses.asdict(self),
            "opset": OPSET if self.target in ("onnx", "tensorrt") else None,
            "latents": "continuous",
            "bound": dataclasses.asdict(BOUNDS[self.precision]),
        }
        with appearing(folder / NAME) as temporary:
            temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _describe_tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "type": "float32", "shape": list(spec.shape),
            "range": [spec.low, spec.high]}  # fmt: skip


def describe(
    weights: WeightsSet, target: Format, precision: Precision, graphs: Sequence[GraphEntry]
) -> Manifest:
    """The manifest of what was written."""
    tools = {}
    for name in _TOOLS:
        try:
            tools[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    kinds = sorted({kind for entry in graphs for kind in entry.config})
    return Manifest(
        target, precision, weights.name, _hashes(weights, kinds), tuple(graphs), tools
    )


def _hashes(weights: WeightsSet, kinds: Sequence[str]) -> dict[str, str]:
    hashes = {kind: hash_file(weights.file(kind)) for kind in kinds}
    if weights.adaptation is not None:
        hashes["adaptation"] = hash_file(weights.adaptation)
    return hashes


def list_files(files: Sequence[Path]) -> tuple[FileEntry, ...]:
    """Names, sizes and hashes of files."""
    return tuple(FileEntry(f.name, f.stat().st_size, hash_file(f)) for f in files)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        ExportError: There is none, or it is damaged.
    """
    path = folder / NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {f.name for f in dataclasses.fields(Manifest)}
        kept = {k: v for k, v in values.items() if k in known}
        graphs = tuple(_graph(g) for g in kept.pop("graphs"))
        return Manifest(**kept, graphs=graphs)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, LipcoreError) as error:
        raise ExportError(
            f"{path} is no manifest of an export ({error})",
            hint="Give the folder that `lipcore export` wrote with --out.", path=str(path),
        ) from error


def _graph(values: dict[str, Any]) -> GraphEntry:
    files = tuple(from_mapping(FileEntry, f) for f in values["files"])
    names = [*(f.name for f in files), values["checked"]]
    if any(Path(name).name != name for name in names) or values["checked"] not in names[:-1]:
        raise ValueError("a file lies elsewhere")
    parity = dict(values["parity"])
    parity["sides"] = tuple(parity["sides"])
    return GraphEntry(**{
        **values, "files": files, "parity": Parity(**parity),
        "inputs": tuple(values["inputs"]), "outputs": tuple(values["outputs"]),
    })


def check_files(folder: Path, manifest: Manifest, weights: WeightsSet) -> None:
    """Are the files those that were written, and the weights those they were made from?

    Raises:
        ExportError: One is not.
    """
    kinds = [kind for kind in manifest.weights_sha256 if kind != "adaptation"]
    if _hashes(weights, kinds) != manifest.weights_sha256:
        raise ExportError(
            f"{folder} was exported from other weights than {weights.name}",
            hint=f"It was made from {manifest.weights}; export these weights anew.",
            path=str(folder),
        )
    for entry in manifest.graphs:
        for file in entry.files:
            path = folder / file.name
            if not path.is_file() or hash_file(path) != file.sha256:
                raise ExportError(
                    f"{path} is not the file that was exported",
                    hint="Export again.", path=str(path), graph=entry.name,
                )
