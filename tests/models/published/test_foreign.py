"""Weights as Keras and MATLAB store them: real files, random values, sums done by hand."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.io import savemat
from torch import Tensor, nn

from lipcore.errors import DependencyError, WeightsUnreadableError, WeightsVersionError
from lipcore.models.published import foreign_files
from lipcore.models.published.foreign_files import (
    MatLayer,
    MatNet,
    read_keras,
    read_matconvnet,
)
from lipcore.models.published.importing import build_published, import_weights, load_published
from lipcore.models.published.lipgan import LipGAN, LipGANConfig, from_keras
from lipcore.models.published.registry import PUBLISHED
from lipcore.models.published.wav2lip import Wav2Lip, Wav2LipConfig
from lipcore.models.published.yousaidthat import YouSaidThat, from_matconvnet

h5py = pytest.importorskip("h5py")

Layers = dict[str, dict[str, np.ndarray]]


def lipgan_convolutions() -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Kernels of Keras (height, width, in, out), and transposed (height, width, out, in), written
    down from ``generator.py`` and not from our network."""
    plain: list[tuple[int, ...]] = [(7, 7, 6, 32)]

    def level(size: int, c: int, out: int, residuals: int) -> None:
        plain.append((size, size, c, out))
        plain.extend([(3, 3, out, out)] * 2 * residuals)

    level(5, 32, 64, 2)
    level(3, 64, 128, 3)
    level(3, 128, 256, 2)
    level(3, 256, 512, 2)
    level(3, 512, 512, 0)
    plain.extend([(3, 3, 512, 512), (1, 1, 512, 512)])
    level(3, 1, 32, 2)
    level(3, 32, 64, 2)
    level(3, 64, 128, 2)
    level(3, 128, 256, 2)
    plain.extend([(3, 3, 256, 512), (1, 1, 512, 512)])
    for width in (512, 256, 128, 64):
        plain.extend([(3, 3, width, width)] * 4)
    plain.extend([(3, 3, 64, 16), (3, 3, 16, 16), (1, 1, 16, 3)])
    grows = [(3, 3, 512, 1024), (3, 3, 512, 1024), (3, 3, 256, 1024), (3, 3, 128, 512),
             (3, 3, 64, 256), (3, 3, 32, 128)]  # fmt: skip
    return plain, grows


def norm_channels() -> list[int]:
    """Channels of the norms in the order of their making: after each layer but the last."""
    plain, grows = lipgan_convolutions()
    outs = [k[3] for k in plain]
    before, tail = outs[:48], outs[48:-1]
    found = list(before)
    for i, kernel in enumerate(grows):
        found.append(kernel[2])
        if 1 <= i <= 4:
            found += tail[4 * (i - 1) : 4 * i]
    return [*found, *tail[16:]]


def lipgan_layers(first: int = 1, *, random: bool = True) -> Layers:
    """Random layers, or zeros, under the names that a session of Keras gives them."""
    rng = np.random.default_rng(0)
    plain, grows = lipgan_convolutions()
    layers: Layers = {}

    def drawn(*shape: int) -> np.ndarray:
        if not random:
            return np.zeros(shape, np.float32)
        spread = float(np.prod(shape[:-1])) ** -0.5 if len(shape) > 1 else 1.0
        return rng.standard_normal(shape, np.float32) * np.float32(spread)

    for i, kernel in enumerate(plain):
        layers[f"conv2d_{first + i}"] = {"kernel": drawn(*kernel), "bias": drawn(kernel[3])}
    for i, kernel in enumerate(grows):
        layers[f"conv2d_transpose_{first + i}"] = {
            "kernel": drawn(*kernel), "bias": drawn(kernel[2]),
        }
    for i, channels in enumerate(norm_channels()):
        layers[f"batch_normalization_{first + i}"] = {
            "gamma": drawn(channels), "beta": drawn(channels), "moving_mean": drawn(channels),
            "moving_variance": rng.uniform(0.5, 2, channels).astype(np.float32),
        }
    return layers


def write_h5(path: Path, layers: Layers, *, whole: bool) -> Path:
    """As Keras' ``save`` (whole) or ``save_weights`` stores layers."""
    with h5py.File(path, "w") as held:
        root = held.create_group("model_weights") if whole else held
        names = sorted(layers, key=lambda n: n[::-1])  # any order: it is not what counts
        root.attrs["layer_names"] = [n.encode() for n in names]
        if whole:
            held.attrs["model_config"] = b'{"class_name": "Lambda", "code": "os.system(1)"}'
            held.create_group("optimizer_weights").create_dataset("t:0", data=np.zeros(3))
            root.create_group("concatenate_1")
        for name in names:
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{p}:0".encode() for p in layers[name]]
            for part, values in layers[name].items():
                group.create_dataset(f"{name}/{part}:0", data=values)
    return path


@pytest.mark.parametrize(("whole", "first"), [(True, 1), (False, 94)])
def test_lipgan_comes_from_a_file_of_keras(whole: bool, first: int, tmp_path: Path) -> None:
    layers = lipgan_layers(first, random=whole)
    assert len(layers) == 145  # as Keras counts them in github.com/Rudrabha/LipGAN/issues/23
    file = write_h5(tmp_path / "poids d'été.h5", layers, whole=whole)
    path, record = import_weights("lipgan", file, tmp_path / "kept.safetensors")
    assert record["as_published"] is None and len(record["sha256"]) == 64
    network, _ = load_published("lipgan", path)
    assert isinstance(network, LipGAN)
    kept = network.state_dict()
    kernel = layers[f"conv2d_{first + 48}"]["kernel"]  # the first residual of the growth
    there = kept["growth.1.1.first.conv.weight"].numpy()
    assert np.array_equal(there[5, 7], kernel[:, :, 7, 5])
    last = layers[f"batch_normalization_{first + 71}"]["beta"]
    assert np.array_equal(kept["fine.1.norm.bias"].numpy(), last)
    with torch.no_grad():
        out = network(torch.randn(2, 1, 80, 27), torch.rand(2, 6, 96, 96))
    assert out.shape == (2, 3, 96, 96) and torch.isfinite(out).all()


def test_a_unit_of_keras_by_hand() -> None:
    """Convolution of step 2: TensorFlow pads an even side at its end alone; epsilon is 0.001."""
    layers = lipgan_layers()
    network = LipGAN().eval()
    network.load_state_dict(from_keras(layers, network), strict=False)
    unit = network.get_submodule("face.2.0")  # conv2d_7: 64 -> 128, step 2
    rng = np.random.default_rng(1)
    seen = rng.standard_normal((48, 48, 64)).astype(np.float32)
    with torch.no_grad():
        made = unit(torch.from_numpy(seen).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert made.shape == (24, 24, 128)
    kernel, bias = (layers["conv2d_7"][k].astype(np.float64) for k in ("kernel", "bias"))
    norm = {k: v.astype(np.float64) for k, v in layers["batch_normalization_7"].items()}
    padded = np.pad(seen, ((0, 1), (0, 1), (0, 0)))
    for y, x in ((0, 0), (11, 3), (23, 23)):
        summed = np.einsum("yxc,yxco->o", padded[2 * y : 2 * y + 3, 2 * x : 2 * x + 3], kernel)
        steady = (summed + bias - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-3)
        expected = np.maximum(0, steady * norm["gamma"] + norm["beta"])
        assert np.allclose(made[y, x], expected, atol=2e-4)


def test_a_transposed_unit_of_keras_by_hand() -> None:
    """Each pixel spreads over three; what would lie beyond twice the side is cut off."""
    unit = LipGAN(LipGANConfig(divide=16)).eval().get_submodule("growth.2.0")
    conv = unit.get_submodule("conv")
    assert isinstance(conv, nn.ConvTranspose2d)
    seen = torch.randn(1, conv.in_channels, 6, 6)
    summed = np.zeros((conv.out_channels, 13, 13))
    kernel = conv.weight.detach().numpy()
    for y in range(6):
        for x in range(6):
            summed[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3] += np.einsum(
                "c,coyx->oyx", seen[0, :, y, x].numpy(), kernel
            )
    expected = summed[:, :12, :12] + conv.bias.detach().numpy()[:, None, None]
    with torch.no_grad():
        made = unit(seen)[0].numpy()
    assert np.allclose(made, np.maximum(0, expected / np.sqrt(1 + 1e-3)), atol=1e-4)


def _rename(layers: Layers, old: str, new: str) -> None:
    layers[new] = layers.pop(old)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held.pop("conv2d_9"), "66 layers conv2d, LipGAN has 67"),
        (lambda held: _rename(held, "conv2d_9", "lambda_1"), "'lambda_1' does not belong"),
        (lambda held: held["conv2d_1"].update(more=np.zeros(3)), "'more' of shape"),
        (lambda held: held["conv2d_1"].update(bias=np.zeros((3, 1))), "'bias' of shape"),
    ],
)
def test_other_layers_of_keras_are_refused(change: Callable[[Layers], object], said: str) -> None:
    layers = lipgan_layers(random=False)
    change(layers)
    with pytest.raises(WeightsVersionError, match=said) as caught:
        from_keras(layers, build_published(PUBLISHED["lipgan"]))
    assert "lipgan_residual_mel.h5" in caught.value.hint


def test_what_does_not_fit_is_named_with_its_file(tmp_path: Path) -> None:
    layers = lipgan_layers(random=False)
    layers["conv2d_1"] = {"kernel": np.zeros((7, 7, 6, 31), np.float32)}
    said = r"x.h5 .*face.0.0.conv.bias is missing; .* is \(31, 6, 7, 7\), not \(32, 6, 7, 7\)"
    with pytest.raises(WeightsVersionError, match=said):
        import_weights(
            "lipgan", write_h5(tmp_path / "x.h5", layers, whole=True), tmp_path / "y.safetensors"
        )
    with h5py.File(tmp_path / "z.h5", "w") as held:
        held.create_group("conv2d_1").create_dataset("kernel:0", data=np.zeros(3, np.float32))
    with pytest.raises(WeightsVersionError, match=r"z\.h5 does not have the layout of lipgan: the"):
        import_weights("lipgan", tmp_path / "z.h5", tmp_path / "y.safetensors")
    assert not (tmp_path / "y.safetensors").exists()


def test_files_of_keras_that_reach_out_or_mislead_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as held:
        held.create_dataset("k", data=np.zeros(3, np.float32))

    def outward(held: Any) -> None:
        held["conv2d_1"] = h5py.ExternalLink(str(secret), "/k")

    def soft(held: Any) -> None:
        held["conv2d_1"] = h5py.SoftLink("/elsewhere")

    def around(held: Any) -> None:
        held.create_group("conv2d_1")["again"] = held

    def stored_outside(held: Any) -> None:
        raw = tmp_path / "raw"
        raw.write_bytes(bytes(12))
        held.create_group("conv2d_1").create_dataset(
            "kernel:0", (3,), np.float32, external=[(str(raw), 0, 12)]
        )

    def words(held: Any) -> None:
        held.create_group("conv2d_1").create_dataset("kernel:0", data=b"words")

    def enormous(held: Any) -> None:
        held.create_group("conv2d_1").create_dataset(
            "kernel:0", (1 << 20, 1 << 20), np.float32, chunks=(64, 64), compression="gzip"
        )

    for i, make in enumerate((outward, soft, around, stored_outside, words, enormous)):
        file = tmp_path / f"{i}.h5"
        with h5py.File(file, "w") as held:
            make(held)
        with pytest.raises(WeightsUnreadableError, match="cannot be read"):
            read_keras(file)
    for content in (b"", b"words", b"\x89HDF\r\n\x1a\n" + bytes(100)):
        file = tmp_path / "none.h5"
        file.write_bytes(content)
        with pytest.raises(WeightsUnreadableError):
            import_weights("lipgan", file, tmp_path / "y.safetensors")


def test_without_h5py_the_hint_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DependencyError, match="h5py") as caught:
        read_keras(tmp_path / "x.h5")
    assert "lipcore[baselines]" in caught.value.hint


# You said that?, layers and kernels as yousaidthat-tf states them.
CONVS: dict[str, tuple[int, int, int, int]] = {
    "conv1_audio": (3, 3, 1, 64), "conv2_audio": (3, 3, 64, 128), "conv3_audio": (3, 3, 128, 256),
    "conv4_audio": (3, 3, 256, 256), "conv5_audio": (3, 3, 256, 256),
    "fc6_audio": (5, 8, 256, 512), "fc7_audio": (1, 1, 512, 256), "conv1_face": (7, 7, 15, 96),
    "conv2_face": (5, 5, 96, 256), "conv3_face": (3, 3, 256, 512), "conv4_face": (3, 3, 512, 512),
    "conv5_face": (3, 3, 512, 512), "conv6_face": (6, 6, 512, 512),
    "conv7_face": (1, 1, 512, 256), "conv8": (1, 1, 512, 128), "conv1_1": (3, 3, 128, 128),
    "conv1_2": (3, 3, 128, 256), "conv1_3": (3, 3, 256, 512), "conv2": (3, 3, 512, 256),
    "conv3_1": (3, 3, 512, 256), "conv3_2": (5, 5, 256, 96), "conv4": (3, 3, 192, 96),
    "conv5_1": (3, 3, 192, 64), "conv5_2": (3, 3, 64, 32), "conv5_3": (3, 3, 32, 3),
    "conv1_face_lip_1": (7, 7, 3, 96),
}  # fmt: skip
JOINS = {"concat8": ("relu7_audio", "relu7_face"), "concatSkip2": ("relu2_face", "relu2"),
         "concatSkip3": ("pool1_face", "relu3_2"), "concatSkip4": ("relu1_face", "relu4")}
Net = dict[str, list[dict[str, Any]]]


def cells(texts: tuple[str, ...]) -> np.ndarray:
    held = np.empty((1, len(texts)), object)
    for i, text in enumerate(texts):
        held[0, i] = text
    return held


def yousaidthat_net(*, swapped: tuple[str, ...] = (), random: bool = True) -> Net:
    """A DagNN with random values, or zeros; the parts of some joins in the other order."""
    rng = np.random.default_rng(2)
    net: Net = {"layers": [], "params": []}

    def layer(name: str, kind: str, inputs: tuple[str, ...], values: dict[str, np.ndarray]) -> None:
        for part, value in values.items():
            net["params"].append({"name": f"{name}.{part}", "value": value})
        net["layers"].append({
            "name": name, "type": kind, "inputs": cells(inputs), "outputs": cells((f"v_{name}",)),
            "params": cells(tuple(f"{name}.{part}" for part in values)), "block": {"size": 1},
        })  # fmt: skip

    for name, kernel in CONVS.items():
        spread = float(np.prod(kernel[:3])) ** -0.5
        filters = (
            rng.standard_normal(kernel, np.float32) * np.float32(spread) if random
            else np.zeros(kernel, np.float32)
        )  # fmt: skip
        layer(name, "dagnn.Conv", ("x",), {
            "f": filters,
            "b": rng.standard_normal((1, kernel[3])).astype(np.float32) * 0.1,
        })  # fmt: skip
        stem, _, side = name.partition("_")
        if side in ("audio", "face"):
            number, channels = stem[-1], kernel[3]
            layer(f"bn{number}_{side}", "dagnn.BatchNorm", ("x",), {
                "m": rng.uniform(0.5, 1, (channels, 1)).astype(np.float32),
                "b": rng.standard_normal((channels, 1)).astype(np.float32) * 0.1,
                "x": rng.uniform(0.5, 2, (channels, 2)).astype(np.float32),
            })  # fmt: skip
    for join, makers in JOINS.items():
        for maker in makers:
            layer(maker, "dagnn.ReLU", ("x",), {})
        ordered = makers[::-1] if join in swapped else makers
        layer(join, "dagnn.Concat", tuple(f"v_{m}" for m in ordered), {})
    return net


def write_mat(path: Path, net: Net, *, compressed: bool = True) -> Path:
    """``save(file, 'net')`` of what DagNN's ``saveobj`` gives."""
    held: dict[str, Any] = {"vars": {"name": "x"}, "meta": {"n": 1.0}}
    for part, rows in net.items():
        array = np.zeros((1, len(rows)), [(key, object) for key in rows[0]])
        for i, row in enumerate(rows):
            for key, value in row.items():
                array[0, i][key] = value
        held[part] = array
    savemat(path, {"net": held, "stats": np.zeros(3)}, do_compression=compressed)
    return path


def test_yousaidthat_comes_from_a_file_of_matlab(tmp_path: Path) -> None:
    net = yousaidthat_net()
    file = write_mat(tmp_path / "v201 é.mat", net, compressed=False)
    path, _ = import_weights("yousaidthat", file, tmp_path / "kept.safetensors")
    network, _ = load_published("yousaidthat", path)
    assert isinstance(network, YouSaidThat)
    values = {p["name"]: p["value"] for p in net["params"]}
    kept = network.state_dict()
    assert np.array_equal(
        kept["fc6_audio.weight"][3, 5].numpy(), values["fc6_audio.f"][:, :, 5, 3]
    )
    with torch.no_grad():
        out = network(torch.randn(2, 1, 12, 35), torch.rand(2, 15, 112, 112) * 255)
    assert out.shape == (2, 3, 109, 109) and torch.isfinite(out).all()

    # The first layers by hand: MatConvNet divides by the deviation as it is kept.
    faces = np.random.default_rng(3).uniform(0, 255, (112, 112, 15)).astype(np.float32)
    seen = torch.from_numpy(faces).permute(2, 0, 1)[None]
    with torch.no_grad():
        made = torch.relu(network.bn1_face(network.conv1_face(seen)))[0].permute(1, 2, 0).numpy()
    moments = values["bn1_face.x"].astype(np.float64)
    for y, x in ((0, 0), (52, 17)):
        window = faces[2 * y : 2 * y + 7, 2 * x : 2 * x + 7].astype(np.float64)
        summed = np.einsum("yxc,yxco->o", window, values["conv1_face.f"].astype(np.float64))
        steady = (summed + values["conv1_face.b"][0] - moments[:, 0]) / moments[:, 1]
        expected = steady * values["bn1_face.m"][:, 0] + values["bn1_face.b"][:, 0]
        assert np.allclose(made[y, x], np.maximum(0, expected), rtol=1e-3, atol=2e-2)


def in_memory(net: Net) -> MatNet:
    """What ``read_matconvnet`` makes of the file."""

    def told(held: np.ndarray) -> tuple[str, ...]:
        return tuple(str(text) for text in held[0])

    layers = tuple(
        MatLayer(row["name"], row["type"], told(row["inputs"]), told(row["outputs"]),
                 told(row["params"])) for row in net["layers"]
    )  # fmt: skip
    return MatNet(layers, {p["name"]: p["value"] for p in net["params"]})


def test_the_order_of_what_is_joined_comes_from_the_file() -> None:
    """Joined the other way round in the file, the halves of what takes it change places."""
    network = build_published(PUBLISHED["yousaidthat"])
    plain, turned = (
        from_matconvnet(in_memory(yousaidthat_net(swapped=swapped)), network)
        for swapped in ((), ("concat8", "concatSkip3"))
    )
    changed = {k for k in plain if not torch.equal(plain[k], turned[k])}
    assert changed == {"conv8.weight", "conv4.weight"}
    assert torch.equal(plain["conv8.weight"][:, :256], turned["conv8.weight"][:, 256:])
    assert torch.equal(plain["conv4.weight"][:, 96:], turned["conv4.weight"][:, :96])


def test_the_second_network_adds_what_is_missing(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    net: Net = {"layers": [], "params": []}
    for i in range(10):
        kernel = (3, 3, 3 if i == 0 else 64, 3 if i == 9 else 64)
        net["params"] += [
            {"name": f"supr{i}_f", "value": rng.standard_normal(kernel).astype(np.float32) * 0.05},
            {"name": f"supr{i}_b", "value": np.zeros((kernel[3], 1), np.float32)},
        ]
        net["layers"].append({
            "name": f"supr{i}", "type": "dagnn.Conv", "inputs": cells(("x",)),
            "outputs": cells(("y",)), "params": cells((f"supr{i}_f", f"supr{i}_b")), "block": 1,
        })  # fmt: skip
    file = write_mat(tmp_path / "v114.mat", net, compressed=True)
    path, _ = import_weights("yousaidthat-deblur", file, tmp_path / "kept.safetensors")
    network, _ = load_published("yousaidthat-deblur", path)
    faces = torch.rand(1, 3, 20, 20)
    values: Tensor = faces
    for i in range(10):
        kernel = torch.from_numpy(net["params"][2 * i]["value"]).permute(3, 2, 0, 1)
        values = F.conv2d(values, kernel, padding=1)
        values = values.clamp_min(0) if i < 9 else values
    with torch.no_grad():
        assert torch.allclose(network(faces), faces + values, atol=1e-5)


def _drop(net: Net, name: str) -> None:
    net["layers"] = [row for row in net["layers"] if row["name"] != name]


def _set(net: Net, layer: str, **values: Any) -> None:
    next(row for row in net["layers"] if row["name"] == layer).update(values)


def _value(net: Net, name: str, value: np.ndarray) -> None:
    next(row for row in net["params"] if row["name"] == name)["value"] = value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda net: _drop(net, "conv5_2"), "no layer 'conv5_2' of dagnn.Conv"),
        (lambda net: _set(net, "conv5_2", type="dagnn.Pooling"), "no layer 'conv5_2'"),
        (lambda net: _set(net, "conv5_2", name="conv5_9"), "'conv5_9' with weights is unknown"),
        (lambda net: _set(net, "conv5_2", params=cells(("a", "b"))), "names 'a', which is not"),
        (lambda net: _set(net, "concat8", inputs=cells(("x", "y"))), "what 'concat8' joins"),
        (lambda net: _value(net, "bn1_face.x", np.zeros((96, 2), np.float32)), "arrays of shapes"),
        (lambda net: _value(net, "conv8.f", np.zeros((1,) * 5, np.float32)), "arrays of shapes"),
    ],
)
def test_other_networks_of_matconvnet_are_refused(change: Callable[[Net], None], said: str) -> None:
    net = yousaidthat_net(random=False)
    change(net)
    with pytest.raises(WeightsVersionError, match=said):
        from_matconvnet(in_memory(net), build_published(PUBLISHED["yousaidthat"]))


def test_a_file_of_matlab_with_another_shape_is_refused(tmp_path: Path) -> None:
    net = yousaidthat_net(random=False)
    _value(net, "conv8.f", np.zeros((1, 1, 512, 127), np.float32))
    with pytest.raises(WeightsVersionError, match=r"x.mat .*conv8.weight is \(127, 512, 1, 1\)"):
        import_weights(
            "yousaidthat", write_mat(tmp_path / "x.mat", net), tmp_path / "y.safetensors"
        )


def test_files_that_are_none_of_matlab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_files, "_MOST_BYTES", 100 << 20)
    file = tmp_path / "x.mat"
    whole = io.BytesIO()
    savemat(whole, {"net": np.zeros(3)})
    header = whole.getvalue()[:128]
    bomb = zlib.compress(bytes(64 << 20), 9)
    many = ((15).to_bytes(4, "little") + len(bomb).to_bytes(4, "little") + bomb) * 2
    other = io.BytesIO()
    savemat(other, {"weights": np.zeros(3)})
    for content, said in (
        (b"", "does not begin"), (b"words" * 60, "does not begin"),
        (b"MATLAB 7.3 MAT-file" + bytes(200), "7.3"), (header + many, "more than 2 GiB"),
        (other.getvalue(), "no variable net"), (whole.getvalue(), "cannot be read"),
        (whole.getvalue()[:150], "cannot be read"),
    ):  # fmt: skip
        file.write_bytes(content)
        with pytest.raises(WeightsUnreadableError, match=said):
            read_matconvnet(file)


@pytest.mark.parametrize("size", [96, 192])
@pytest.mark.parametrize("kind", [Wav2Lip, LipGAN])
def test_larger_faces_keep_the_published_network_below(kind: type[nn.Module], size: int) -> None:
    config = {Wav2Lip: Wav2LipConfig, LipGAN: LipGANConfig}[kind](size=size, divide=16)
    network = kind(config).eval()
    steps = 16 if kind is Wav2Lip else 27
    with torch.no_grad():
        out = network(torch.randn(1, 1, 80, steps), torch.rand(1, 6, size, size))
    assert out.shape == (1, 3, size, size)
    if size == 96:
        published = build_published(PUBLISHED[kind.__name__.lower()])
        assert network.state_dict().keys() == published.state_dict().keys()


def test_the_command_says_what_to_install_or_why_not(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(b"words")
    ended = subprocess.run(
        [sys.executable, "-m", "lipcore", "weights", "import", "lipgan", str(tmp_path / "x.h5")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 8 and "cannot be read" in ended.stderr
