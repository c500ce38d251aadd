"""Exports are what torch computes, or they do not come to be."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from torch import nn

from lipcore.errors import (
    ConfigError,
    DependencyError,
    ExportError,
    LipcoreError,
    ParityError,
)
from lipcore.models.checkpoint import hash_file
from lipcore.runtime.graphs import Graph, build_graph
from lipcore.runtime.with_onnxruntime import OnnxRunner
from lipcore.runtime.with_tensorrt import missing_gpu
from lipcore.weights import WeightsSet, find_weights

pytest.importorskip("onnxscript")

from lipcore.export import run as export_run
from lipcore.export.onnx_graph import write_onnx
from lipcore.export.parity import check_parity
from lipcore.export.run import ExportOptions, check_export, export_weights


@pytest.fixture(scope="module")
def weights(tiny_networks: Path) -> WeightsSet:
    return find_weights(tiny_networks)


@pytest.fixture(scope="module")
def decoder(weights: WeightsSet) -> Graph:
    return build_graph("face_decoder", weights)


@pytest.fixture(scope="module")
def decoder_file(decoder: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "face_decoder.onnx"
    write_onnx(decoder, path)
    return path


@pytest.fixture(scope="module")
def exported(tiny_networks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoder and inner mouth, their weights in files of their own."""
    out = tmp_path_factory.mktemp("exported") / "where it lies, é"
    options = ExportOptions("onnx", graphs=("face_decoder", "inner_mouth"), external_bytes=1000)
    export_weights(str(tiny_networks), out, options)
    return out


def flip_a_weight(path: Path, seed: int) -> None:
    """The sign of one weight of a convolution, none of the smallest."""
    model = onnx.load(path)
    rng = np.random.default_rng(seed)
    kernels = [t for t in model.graph.initializer if len(t.dims) == 4]
    kernel = kernels[rng.integers(len(kernels))]
    values = onnx.numpy_helper.to_array(kernel).copy()
    large = np.argwhere(np.abs(values) >= np.median(np.abs(values)))
    place = tuple(large[rng.integers(len(large))])
    values[place] = -values[place]
    kernel.CopyFrom(onnx.numpy_helper.from_array(values, kernel.name))
    onnx.save(model, path)


def check(graph: Graph, path: Path, weights: WeightsSet) -> None:
    check_parity(graph, OnnxRunner(path, "onnxruntime"), weights, "fp32", runtime="test")


def test_one_flipped_weight_is_found(
    decoder: Graph, decoder_file: Path, weights: WeightsSet, tmp_path: Path
) -> None:
    check(decoder, decoder_file, weights)
    for seed in range(6):
        flipped = tmp_path / f"{seed}.onnx"
        shutil.copy(decoder_file, flipped)
        flip_a_weight(flipped, seed)
        with pytest.raises(ParityError, match="face_decoder in fp32 is not what torch computes"):
            check(decoder, flipped, weights)


def test_a_wrong_shape_is_found(decoder: Graph, weights: WeightsSet, tmp_path: Path) -> None:
    half = dataclasses.replace(decoder, module=nn.Sequential(decoder.module, nn.AvgPool2d(2)))
    write_onnx(half, tmp_path / "half.onnx")
    with pytest.raises(ExportError, match="where torch gives"):
        check(decoder, tmp_path / "half.onnx", weights)


def test_a_failed_export_leaves_nothing(
    tiny_networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = export_run.write_graph

    def write_flipped(graph: Graph, folder: Path, *args: object, **more: object) -> Path:
        path: Path = write(graph, folder, *args, **more)  # type: ignore[arg-type]
        flip_a_weight(path, 0)
        return path

    monkeypatch.setattr(export_run, "write_graph", write_flipped)
    with pytest.raises(ParityError):
        export_weights(
            str(tiny_networks), tmp_path, ExportOptions("onnx", graphs=("face_decoder",))
        )
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_says_what_lies_there(exported: Path, weights: WeightsSet) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["opset"] == 20 and manifest["tools"]["torch"]
    assert manifest["weights_sha256"]["inner_mouth"] == hash_file(weights.file("inner_mouth"))
    listed = {f["name"]: f for g in manifest["graphs"] for f in g["files"]}
    assert set(listed) == {p.name for p in exported.iterdir()} - {"manifest.json"}
    assert "face_decoder.onnx.data" in listed, "large weights did not get a file of their own"
    for name, entry in listed.items():
        assert hash_file(exported / name) == entry["sha256"]
    decoder = manifest["graphs"][0]
    assert decoder["inputs"][0]["shape"] == ["batch", 8, "tiles", "tiles"]
    assert decoder["parity"]["max_steps"] < 0.02
    assert decoder["config"]["vqgan_face"]["latent_channels"] == 8
    session = OnnxRunner(exported / "face_decoder.onnx", "onnxruntime")
    (made,) = session.run(np.zeros((3, 8, 5, 5), np.float32))
    assert made.shape == (3, 3, 20, 20)


def test_an_export_can_be_checked_again(
    exported: Path, tiny_networks: Path, tmp_path: Path
) -> None:
    check_export(str(tiny_networks), exported)
    with pytest.raises(ExportError, match="other weights"):
        check_export("base", exported)
    damaged = tmp_path / "damaged"
    shutil.copytree(exported, damaged)
    data = bytearray((damaged / "face_decoder.onnx.data").read_bytes())
    data[len(data) // 2] ^= 1
    (damaged / "face_decoder.onnx.data").write_bytes(data)
    with pytest.raises(ExportError, match="not the file that was exported"):
        check_export(str(tiny_networks), damaged)
    (damaged / "manifest.json").write_text('{"graphs": [{"files": [{"name": "../x"}]}]}')
    with pytest.raises(ExportError, match="no manifest"):
        check_export(str(tiny_networks), damaged)


@pytest.mark.parametrize(
    ("target", "precision", "graph"),
    [
        ("onnx", "fp16", "inner_mouth"), ("onnx", "bf16", "generator"),
        ("onnx", "bf16", "inner_mouth"), ("onnx", "bf16", "frame"),
        ("onnx", "int8", "inner_mouth"), ("openvino", "fp32", "pose_encoder"),
        ("openvino", "fp16", "refiner"), ("torchscript", "fp32", "frame"),
        ("torchscript", "bf16", "inner_mouth"), ("onnx", "fp32", "speech"),
        ("onnx", "fp16", "mel"),
    ],
)
def test_formats_and_precisions(
    target: str, precision: str, graph: str, tiny_networks: Path, tmp_path: Path
) -> None:
    if target == "openvino" or precision == "bf16":
        pytest.importorskip("openvino")
    options = ExportOptions(target, precision, (graph,))  # type: ignore[arg-type]
    (entry,) = export_weights(str(tiny_networks), tmp_path, options).graphs
    assert all((tmp_path / f.name).stat().st_size == f.bytes for f in entry.files)
    # What does not hold in a shorter precision stays float32, and the manifest says so.
    kept = graph == "mel" or ((target, precision) == ("onnx", "bf16") and graph != "generator")
    assert (entry.precision, bool(entry.reason)) == (
        ("fp32", True) if kept else (precision, False)
    )


def test_tensorrt_parses_and_builds_without_a_gpu(tiny_networks: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    options = ExportOptions("tensorrt", "fp16", ("inner_mouth",), gpus=("SM89",))
    (entry,) = export_weights(str(tiny_networks), tmp_path, options).graphs
    assert entry.engine is not None
    assert entry.engine["layers"] > 20 and entry.engine["layer_kinds"]["CONVOLUTION"] >= 7
    assert entry.engine["profile"]["lips"] == [[1, 3, 96, 128], [1, 3, 96, 128], [16, 3, 96, 128]]
    engine = tmp_path / entry.engine["file"]
    assert entry.engine["version"] in engine.name and "SM89" in engine.name
    assert engine.stat().st_size > 10_000


def test_tensorrt_says_what_is_missing(tiny_networks: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    if not missing_gpu():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DependencyError, match=r"libcuda|nvcuda|CUDA build") as caught:
        export_weights(str(tiny_networks), tmp_path, ExportOptions("tensorrt"))
    assert "--gpu" in caught.value.hint
    with pytest.raises(ConfigError, match="SM12345"):
        export_weights(
            str(tiny_networks), tmp_path, ExportOptions("tensorrt", gpus=("SM12345",))
        )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["base", "--to", "onnx", "--graphs", "face"], 2, "no graph is called 'face'"),
        (["base", "--to", "torchscript", "--precision", "int8"], 2, "int8 is not made for"),
        (["base", "--to", "onnx", "--gpu", "SM89"], 2, "belongs to tensorrt"),
        (["base", "--to", "cat"], 2, "made for one shot"),
        (["base", "--to", "onnx", "--check"], 13, "no manifest"),
    ],
)
def test_what_the_command_refuses(
    arguments: list[str], code: int, said: str, tmp_path: Path
) -> None:
    from lipcore.cli.export import command

    with pytest.raises(LipcoreError, match=said) as caught:
        command.main([*arguments, "--out", str(tmp_path / "new")], standalone_mode=False)
    assert caught.value.exit_code == code and caught.value.hint


def test_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pickles").mkdir()
    (tmp_path / "pickles" / "generator.pth").write_bytes(b"\x80\x04}q\x00.")
    ended = subprocess.run(
        [sys.executable, "-m", "lipcore", "export", "pickles", "--to", "onnx", "--out", "new"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )
    assert ended.returncode == 8, ended.stderr
    assert "no weights named pickles" in ended.stderr and "hint:" in ended.stderr
    assert not (tmp_path / "new").exists()
