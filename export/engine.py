"""TensorRT engines from ONNX: TensorRT-RTX where it is installed, else TensorRT.

TensorRT-RTX builds for kinds of GPU that are named, on any machine; the engine is finished on
the GPU when it is first run. TensorRT itself measures on the GPU, and builds only there.
Neither is told of precisions: the types of the ONNX file are the engine's.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipcore.errors import ConfigError, DependencyError, ExportError
from lipcore.runtime.graphs import Graph
from lipcore.runtime.with_tensorrt import missing_gpu

MOST_BATCH = 16
_INSTALL = "Install it with: pip install 'lipcore[tensorrt]'"


@dataclass(frozen=True, slots=True)
class Library:
    """The TensorRT at hand."""

    module: Any
    name: str
    version: str

    @property
    def label(self) -> str:
        """As engine files are named after it: an engine fits no other version."""
        return f"{self.name}-{self.version}"

    @property
    def is_rtx(self) -> bool:
        """Whether engines can be built without the GPU that they are for."""
        return self.name == "tensorrt_rtx"


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """What a library makes of an ONNX file, before anything is built."""

    layers: int
    kinds: dict[str, int]
    """Layers by type."""
    profile: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
    """Smallest, usual and largest shape of each input."""


def find_library() -> Library:
    """TensorRT-RTX, or TensorRT.

    Raises:
        DependencyError: Neither is installed.
    """
    for name in ("tensorrt_rtx", "tensorrt"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return Library(module, name, str(module.__version__))
    raise DependencyError(
        "neither TensorRT-RTX nor TensorRT is installed", hint=_INSTALL, package="tensorrt_rtx"
    )


def shape_range(graph: Graph) -> dict[str, tuple[tuple[int, ...], ...]]:
    """The profile of a graph: one at a time, as in use, and up to 16 of twice the side."""
    usual = {"batch": 1, **graph.usual}
    low = {"batch": 1, **{name: max(1, side // 2) for name, side in graph.usual.items()}}
    high = {"batch": MOST_BATCH, **{name: 2 * side for name, side in graph.usual.items()}}
    return {
        spec.name: (spec.sized(**low), spec.sized(**usual), spec.sized(**high))
        for spec in graph.inputs
    }


def kinds_of_gpu(library: Library) -> tuple[str, ...]:
    """GPUs that engines can be built for on any machine, as ``SM89``."""
    if not library.is_rtx:
        return ()
    return tuple(sorted(
        (n for n in dir(library.module.ComputeCapability) if n.startswith("SM")),
        key=lambda name: int(name[2:]),
    ))  # fmt: skip


def build_engine(
    onnx: Path, path: Path, graph: Graph, *, gpus: tuple[str, ...] = (),
    timing_cache: Path | None = None,
) -> EnginePlan:
    """Build an engine file.

    Args:
        onnx: The graph as ONNX.
        path: The file to write.
        graph: What it is.
        gpus: Kinds of GPU, as ``SM89`` (TensorRT-RTX only); none means the one in this machine.
        timing_cache: File of what TensorRT measured before, read and written (TensorRT-RTX
            measures nothing when it builds, and keeps none).

    Raises:
        DependencyError: No TensorRT, or what it needs of the machine, is here.
        ConfigError: A kind of GPU is unknown.
        ExportError: The graph cannot be parsed or built.
    """
    library = check_machine(gpus)
    trt = library.module
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network, _parser = _parse(trt, builder, logger, onnx, graph)
    config = builder.create_builder_config()
    plan = _plan(network, graph)
    profile = builder.create_optimization_profile()
    for name, shapes in plan.profile.items():
        profile.set_shape(name, *shapes)
    if not profile or config.add_optimization_profile(profile) < 0:
        raise ExportError(
            f"TensorRT does not take the sizes of {graph.name}",
            hint="Report it with the manifest; other formats are not concerned.",
            graph=graph.name,
        )
    if gpus:
        config.num_compute_capabilities = len(gpus)
        for place, gpu in enumerate(gpus):
            config.set_compute_capability(getattr(trt.ComputeCapability, gpu), place)
    if timing_cache is not None and not library.is_rtx:
        known = timing_cache.read_bytes() if timing_cache.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(known), False)
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise ExportError(
            f"{library.label} could not build {graph.name}",
            hint="Its own messages are above.", graph=graph.name,
        )
    path.write_bytes(bytes(built))
    if timing_cache is not None and not library.is_rtx:
        timing_cache.write_bytes(bytes(config.get_timing_cache().serialize()))
    return plan


def build_named(
    onnx: Path, graph: Graph, gpus: tuple[str, ...], timing_cache: Path
) -> dict[str, Any]:
    """Build an engine beside its ONNX file; the name and the answer say what it fits.

    Raises:
        LipcoreError: As ``build_engine``.
    """
    library = find_library()
    fits = "_".join(gpus) or "here"
    path = onnx.with_name(f"{graph.name}.{library.label}.{fits}.engine")
    plan = build_engine(onnx, path, graph, gpus=gpus, timing_cache=timing_cache)
    return {
        "file": path.name, "library": library.name, "version": library.version,
        "gpus": list(gpus), "layers": plan.layers, "layer_kinds": plan.kinds,
        "profile": {name: [list(s) for s in shapes] for name, shapes in plan.profile.items()},
        "run": "built, not run: an engine runs on its GPU only"
        if missing_gpu() else "built on this machine",
    }


def check_machine(gpus: tuple[str, ...]) -> Library:
    """The library, where it can build for these kinds of GPU on this machine.

    Raises:
        DependencyError: No TensorRT, or what it needs of the machine, is here.
        ConfigError: A kind of GPU is unknown.
    """
    library = find_library()
    known = kinds_of_gpu(library)
    unknown = [gpu for gpu in gpus if gpu not in known]
    if unknown:
        raise ConfigError(
            f"{library.label} does not build for {', '.join(unknown)} on another machine",
            hint=f"Choose from: {', '.join(known)}." if known
            else "TensorRT builds only on the GPU that it is for; leave --gpu out.",
        )
    if not gpus and (reason := missing_gpu()):
        raise DependencyError(
            f"building for the GPU of this machine is not possible: {reason}",
            hint="Name the kind of GPU with --gpu, as SM89." if known
            else "Run the export on the machine that has the GPU.",
        )
    return library


def _parse(trt: Any, builder: Any, logger: Any, onnx: Path, graph: Graph) -> tuple[Any, Any]:
    """(network, parser): the parser must live as long as the network."""
    network = builder.create_network()
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        said = "; ".join(str(parser.get_error(i).desc()) for i in range(parser.num_errors))
        raise ExportError(
            f"TensorRT cannot parse {graph.name} ({said})",
            hint="Report it with the manifest; other formats are not concerned.",
            graph=graph.name,
        )
    return network, parser


def _plan(network: Any, graph: Graph) -> EnginePlan:
    kinds: dict[str, int] = {}
    for i in range(network.num_layers):
        kind = network.get_layer(i).type.name
        kinds[kind] = kinds.get(kind, 0) + 1
    found = {network.get_input(i).name for i in range(network.num_inputs)}
    profile = {name: (a, b, c) for name, (a, b, c) in shape_range(graph).items()}
    if found != set(profile):
        raise ExportError(
            f"TensorRT sees the inputs {sorted(found)} of {graph.name}, not {sorted(profile)}",
            hint="The ONNX file is not this graph; export it again.", graph=graph.name,
        )
    return EnginePlan(network.num_layers, kinds, profile)
