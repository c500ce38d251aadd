"""Published layouts load strictly and compute; what has another layout, or holds code, does not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lipcore.errors import (
    ConfigError,
    WeightsNotFoundError,
    WeightsUnreadableError,
    WeightsVersionError,
)
from lipcore.models.published.gpen import GPEN
from lipcore.models.published.importing import (
    build_published,
    import_weights,
    list_imported,
    load_published,
)
from lipcore.models.published.registry import PUBLISHED
from lipcore.models.published.s3fd import SYNCNET_NAMES

FACES: dict[str, tuple[tuple[int, ...], ...]] = {
    # shapes of the inputs
    "syncnet": ((2, 3, 5, 224, 224), (2, 1, 13, 20)),
    "s3fd": ((1, 3, 64, 96),),
    "s3fd-syncnet": ((1, 3, 64, 96),),
    "inception": ((2, 3, 64, 64),),
    "i3d": ((1, 3, 9, 224, 224),),
    "wav2lip": ((2, 1, 80, 16), (2, 6, 96, 96)),
    "alexnet": ((2, 3, 64, 96),), "vgg16": ((2, 3, 32, 48),),
    "lip-expert": ((2, 1, 80, 16), (2, 5, 3, 96, 96)),
    "taming": ((1, 3, 32, 48),),
    "tecogan": ((1, 2, 3, 12, 16),),
    "gpen": ((2, 3, 64, 64),),
}
OUT = {
    "syncnet": [(2, 1024), (2, 1024)],
    "alexnet": [(2, 64, 15, 23), (2, 192, 7, 11), *[(2, c, 3, 5) for c in (384, 256, 256)]],
    "vgg16": [(2, c, 32 >> i, 48 >> i) for i, c in enumerate((64, 128, 256, 512, 512))],
    "inception": [(2, 2048)], "i3d": [(1, 400)], "wav2lip": [(2, 3, 96, 96)],
    "lip-expert": [(2,)],
    "taming": [(1, 3, 32, 48)], "tecogan": [(1, 2, 3, 48, 64)], "gpen": [(2, 3, 64, 64)],
}  # fmt: skip
# Some names and shapes as the sources state them, and how many tensors there are.
STATED: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {
    "syncnet": (102, {"netcnnaud.18.weight": (512, 256, 5, 4), "netcnnaud.19.running_var": (512,),
                     "netcnnlip.0.weight": (96, 3, 5, 7, 7), "netcnnlip.18.weight":
                     (512, 256, 1, 6, 6), "netfclip.3.weight": (1024, 512)}),
    "s3fd": (65, {"fc6.weight": (1024, 512, 3, 3), "conv3_3_norm_mbox_conf.weight":
                  (4, 256, 3, 3), "conv5_3_norm.weight": (512,), "conv7_2.bias": (256,)}),
    "inception": (566, {"Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), "fc.weight": (1008, 2048),
                        "Mixed_6d.branch7x7dbl_4.conv.weight": (160, 160, 7, 1),
                        "Mixed_7c.branch3x3dbl_3b.bn.bias": (384,)}),
    "i3d": (344, {"Conv3d_1a_7x7.conv3d.weight": (64, 3, 7, 7, 7), "logits.conv3d.bias": (400,),
                  "Mixed_5c.b2b.conv3d.weight": (128, 48, 3, 3, 3)}),
    "wav2lip": (352, {"face_encoder_blocks.6.1.conv_block.0.weight": (512, 512, 1, 1),
                      "audio_encoder.9.conv_block.0.weight": (256, 128, 3, 3),
                      "face_decoder_blocks.6.0.conv_block.0.weight": (160, 64, 3, 3),
                      "output_block.1.weight": (3, 32, 1, 1)}),
    "alexnet": (10, {"features.0.weight": (64, 3, 11, 11), "features.8.weight": (256, 384, 3, 3),
                     "features.10.bias": (256,)}),
    "vgg16": (26, {"features.0.weight": (64, 3, 3, 3), "features.14.weight": (256, 256, 3, 3),
                   "features.28.weight": (512, 512, 3, 3)}),
    "lpips-alex": (5, {"lin0.model.1.weight": (1, 64, 1, 1), "lin2.model.1.weight": (1, 384, 1, 1),
                       "lin4.model.1.weight": (1, 256, 1, 1)}),
    "lpips-vgg": (5, {"lin2.model.1.weight": (1, 256, 1, 1), "lin4.model.1.weight":
                      (1, 512, 1, 1)}),
    "lip-expert": (217, {"face_encoder.0.conv_block.0.weight": (32, 15, 7, 7),
                         "face_encoder.1.conv_block.0.weight": (64, 32, 5, 5),
                         "face_encoder.16.conv_block.0.weight": (512, 512, 1, 1),
                         "audio_encoder.12.conv_block.0.weight": (512, 256, 3, 3)}),
    "taming": (343, {"encoder.down.4.attn.1.proj_out.weight": (512, 512, 1, 1),
                     "decoder.up.4.attn.2.q.bias": (512,), "quantize.embedding.weight": (1024, 256),
                     "encoder.down.2.block.0.nin_shortcut.weight": (256, 128, 1, 1),
                     "decoder.up.1.upsample.conv.weight": (128, 128, 3, 3)}),
    "tecogan": (102, {"srnet.conv_in.0.weight": (64, 51, 3, 3), "upsample_func.kernels": (4, 4),
                      "srnet.resblocks.15.conv.2.bias": (64,),
                      "fnet.flow.2.weight": (2, 32, 3, 3)}),
    "gpen": (163, {"generator.convs.13.activate.bias": (128,), "ecd7.0.0.kernel": (4, 4),
                   "generator.style.8.weight": (512, 512), "final_linear.0.weight": (512, 8192),
                   "generator.to_rgbs.6.conv.weight": (1, 3, 128, 1, 1)}),
}  # fmt: skip


def random_weights(kind: str) -> dict[str, Tensor]:
    """Values under the names of the published file, of sizes that keep sums finite."""
    torch.manual_seed(3)
    names = {v: k for k, v in SYNCNET_NAMES.items()} if kind == "s3fd-syncnet" else {}
    made = {}
    for name, like in build_published(PUBLISHED[kind]).state_dict().items():
        stem, _, leaf = name.rpartition(".")
        key = f"{names.get(stem, stem)}.{leaf}"
        if not like.is_floating_point():
            made[key] = torch.zeros(like.shape, dtype=like.dtype)
        else:
            many = like.dim() > 1
            made[key] = (
                torch.randn(like.shape) * like[0].numel() ** -0.5 if many
                else torch.rand(like.shape) + 0.5
            )  # fmt: skip
    return made


def publish(kind: str, weights: dict[str, Tensor]) -> Any:
    """As the file wraps them."""
    if kind == "wav2lip":
        return {"state_dict": {f"module.{k}": v for k, v in weights.items()}, "global_step": 9}
    if kind == "taming":
        return {"state_dict": {**weights, "loss.discriminator.main.0.weight": torch.ones(2)}}
    if kind in ("alexnet", "vgg16"):
        return {**weights, "classifier.1.weight": torch.ones(2), "classifier.1.bias": torch.ones(2)}
    if kind == "syncnet":  # older than the counters
        return {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    return weights


@pytest.mark.parametrize("kind", STATED)
def test_the_layout_is_the_stated_one(kind: str) -> None:
    count, stated = STATED[kind]
    made = build_published(PUBLISHED[kind]).state_dict()
    for name, shape in stated.items():
        assert tuple(made[name].shape) == shape, name
    assert len(made) == count


# Heads take features, not pictures: see test_lpips.py.
@pytest.mark.parametrize("kind", [
    k for k, p in PUBLISHED.items() if p.format == "torch" and not k.startswith("lpips-")
])
def test_random_weights_are_imported_and_compute(kind: str, tmp_path: Path) -> None:
    weights = random_weights(kind)
    file = tmp_path / "poids d'été.pth"
    torch.save(publish(kind, weights), file)
    path, record = import_weights(kind, file, tmp_path / "out" / "kept.safetensors")
    expected = False if PUBLISHED[kind].sha256 else None
    assert record["as_published"] is expected and len(record["sha256"]) == 64
    file.unlink()
    network, again = load_published(kind, path)
    assert again == record
    kept = network.state_dict()
    if kind != "s3fd-syncnet":
        assert all(torch.equal(kept[name], value) for name, value in weights.items())
    if kind == "gpen":  # the same, on a grid that a processor fills quickly
        network = GPEN(64)
    with torch.no_grad():
        out = network(*(torch.rand(shape) for shape in FACES[kind]))
    if kind.startswith("s3fd"):
        assert [tuple(b.shape[1:]) for _, b in out] == [
            (4, 16, 24), (4, 8, 12), (4, 4, 6), *([(4, 2, 3)] if kind != "s3fd" else [(4, 6, 7)]),
            *([(4, 1, 2), (4, 1, 1)] if kind != "s3fd" else [(4, 3, 4), (4, 2, 2)]),
        ]  # fmt: skip
        assert all(s.shape == (1, 2, *b.shape[2:]) for s, b in out)
        return
    parts = out if isinstance(out, tuple) else (out,)
    assert [tuple(p.shape) for p in parts] == OUT[kind]
    assert all(torch.isfinite(p).all() for p in parts)


def changed(change: Callable[[dict[str, Tensor]], object]) -> dict[str, Tensor]:
    weights = random_weights("wav2lip")
    change(weights)
    return weights


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("output_block.1.bias"), "output_block.1.bias is missing"),
        (lambda w: w.update(surplus=torch.ones(1)), "surplus is unknown"),
        (lambda w: w.update({"output_block.1.bias": torch.ones(4)}), r"\(4,\), not \(3,\)"),
    ],
)
def test_another_layout_is_refused(
    change: Callable[[dict[str, Tensor]], object], said: str, tmp_path: Path
) -> None:
    torch.save(changed(change), tmp_path / "x.pth")
    with pytest.raises(WeightsVersionError, match=said):
        import_weights("wav2lip", tmp_path / "x.pth", tmp_path / "y.safetensors")
    assert not (tmp_path / "y.safetensors").exists()


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


@pytest.mark.parametrize("held", [{"state_dict": _Bomb()}, nn.Linear(2, 2)])
@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_and_not_run(
    held: object, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(held, "x.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsUnreadableError, match="nothing of it was run") as caught:
        import_weights("syncnet", Path("x.pth"), Path("y.safetensors"))
    assert "state_dict" in caught.value.hint
    assert not Path("ran").exists()


def test_files_that_are_none(tmp_path: Path) -> None:
    empty, text, keras = (tmp_path / n for n in ("a.pth", "b.safetensors", "c.h5"))
    for file, content in ((empty, b""), (text, b"words"), (keras, b"\x89HDF")):
        file.write_bytes(content)
        with pytest.raises(WeightsUnreadableError):
            import_weights("i3d", file, tmp_path / "y.safetensors")
    torch.save(torch.ones(3), tmp_path / "d.pth")
    with pytest.raises(WeightsUnreadableError, match="it holds a Tensor"):
        import_weights("i3d", tmp_path / "d.pth", tmp_path / "y.safetensors")
    with pytest.raises(WeightsNotFoundError):
        import_weights("i3d", tmp_path / "none.pth")
    with pytest.raises(ConfigError, match="no kind"):
        import_weights("vgg", tmp_path / "d.pth")


def test_faces_are_found_where_the_scores_say_so() -> None:
    """All weights 0 but one: a bias of the second grid's score, and of its boxes' width."""
    published = PUBLISHED["s3fd"]
    network = build_published(published).to_empty(device="cpu")
    network.load_state_dict({k: torch.zeros_like(v) for k, v in network.state_dict().items()})
    with torch.no_grad():
        network.conv4_3_norm_mbox_conf.bias[1] = 3.0
        network.conv4_3_norm_mbox_loc.bias[2] = 1.0
    (found,) = network.detect(torch.rand(1, 3, 32, 32), least=0.6)
    # cells of 8 pixels, faces of 32: at (4, 4), (12, 4) ...; wider by exp(0.2)
    assert found.shape[1] == 5 and len(found) >= 1
    x0, y0, x1, y1, score = found[0].tolist()
    assert (y1 - y0, x1 - x0) == pytest.approx((32, 32 * 2.718281828**0.2), abs=1e-3)
    assert (x0 + x1) / 2 in (4, 12, 20, 28) and (y0 + y1) / 2 in (4, 12, 20, 28)
    assert score == pytest.approx(1 / (1 + 2.718281828**-3), abs=1e-4)


def test_the_command_imports_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "kept"))
    torch.save(random_weights("tecogan"), tmp_path / "t.pth")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lipcore", "weights", *words], capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    ended = run("import", "tecogan", str(tmp_path / "t.pth"))
    assert ended.returncode == 0 and "no hash to compare" in ended.stdout, ended.stderr
    listed = json.loads(run("list", "--json").stdout)
    assert listed["kinds"]["tecogan"]["source"] == "t.pth" and listed["kinds"]["i3d"] is None
    assert list_imported()["tecogan"] is not None
    assert "generator" in listed["sets"]["base"] and "refiner" not in listed["sets"]["base"]
    table = run("list").stdout
    assert "no refiner (`lipcore train refiner_base`)" in table
    assert "tecogan            imported" in table and "FVD; from rgb_imagenet.pt" in table
    assert "nothing here asks" not in table and "for scripts, through load_published" in table
    refused = run("import", "gpen", str(tmp_path / "t.pth"))
    assert refused.returncode == 8 and "GPEN-BFR-512.pth" in refused.stderr
