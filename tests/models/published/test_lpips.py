"""LPIPS: known answers by arithmetic of its own, and the authors' own heads where they lie."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from lipcore.models.published.importing import build_published, import_weights, load_published
from lipcore.models.published.lpips import AlexNet, LPIPSHeads
from lipcore.models.published.registry import PUBLISHED

Array = np.ndarray[Any, np.dtype[np.float64]]


def convolved(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    size = weight.shape[-1]
    windows = sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.asarray(np.einsum("chwij,ocij->ohw", windows, weight) + bias[:, None, None])


def pooled(x: Array) -> Array:
    return np.asarray(sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2].max((-1, -2)))


def alexnet_of(x: Array, w: dict[str, Array]) -> list[Array]:
    """The five features after their ReLUs, by the shapes that the paper gives."""
    plan = ((0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False))
    out = []
    for place, stride, padding, shrinks in plan:
        x = pooled(x) if shrinks else x
        weight, bias = w[f"features.{place}.weight"], w[f"features.{place}.bias"]
        x = np.maximum(convolved(x, weight, bias, stride, padding), 0)
        out.append(x)
    return out


def lpips_of(one: Array, other: Array, trunk: dict[str, Array], heads: dict[str, Array]) -> float:
    shift = np.array([-0.030, -0.088, -0.188])[:, None, None]
    scale = np.array([0.458, 0.448, 0.450])[:, None, None]
    total = 0.0
    features = [alexnet_of((x - shift) / scale, trunk) for x in (one, other)]
    for i, (a, b) in enumerate(zip(*features, strict=True)):
        a, b = (f / (np.sqrt((f**2).sum(0)) + 1e-10) for f in (a, b))
        total += float(np.einsum("chw,c->hw", (a - b) ** 2, heads[f"lin{i}.model.1.weight"][0, :, 0,
                                                                                       0]).mean())
    return total


def filled(kind: str, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {
        name: torch.rand(like.shape) if kind.startswith("lpips") else
        torch.randn(like.shape) * (2 / max(1, like[0].numel())) ** 0.5
        for name, like in build_published(PUBLISHED[kind]).state_dict().items()
    }  # fmt: skip


def test_distances_are_those_of_an_independent_calculation(tmp_path: Path) -> None:
    weights = {kind: filled(kind, 5) for kind in ("alexnet", "lpips-alex")}
    networks = []
    for kind, values in weights.items():
        torch.save(values, tmp_path / f"{kind}.pth")
        path, _ = import_weights(kind, tmp_path / f"{kind}.pth", tmp_path / f"{kind}.safetensors")
        networks.append(load_published(kind, path)[0])
    trunk, heads = networks
    pictures = torch.rand(2, 3, 67, 83) * 2 - 1
    with torch.no_grad():
        found = heads(trunk(pictures[:1]), trunk(pictures[1:]))
        same = heads(trunk(pictures), trunk(pictures))
    assert found.shape == (1,) and same.tolist() == [0, 0]
    as_numbers = [
        {k: v.double().numpy() for k, v in weights[kind].items()}
        for kind in ("alexnet", "lpips-alex")
    ]
    known = lpips_of(*pictures.double().numpy(), *as_numbers)  # type: ignore[arg-type]
    assert known > 0.1 and float(found) == pytest.approx(known, rel=1e-5)


def test_the_authors_heads_load_strictly(tmp_path: Path) -> None:
    """torchmetrics carries copies of the authors' files; their trunks it fetches elsewhere."""
    spec = importlib.util.find_spec("torchmetrics")
    if spec is None or spec.origin is None:
        pytest.skip("torchmetrics, which carries the authors' heads, is not installed")
    folder = Path(spec.origin).parent / "functional" / "image" / "lpips_models"
    for kind, name in (("lpips-alex", "alex.pth"), ("lpips-vgg", "vgg.pth")):
        path, record = import_weights(kind, folder / name, tmp_path / f"{kind}.safetensors")
        network, _ = load_published(kind, path)
        assert isinstance(network, LPIPSHeads) and record["as_published"] is None
        # The authors keep their weights from going below 0.
        assert all(bool((v >= 0).all()) for v in network.state_dict().values())


def test_what_is_alike_is_near() -> None:
    """Random features order a change of one place below that of all, as any of them must."""
    torch.manual_seed(0)
    trunk, heads = AlexNet().eval(), LPIPSHeads((64, 192, 384, 256, 256)).eval()
    heads.load_state_dict(filled("lpips-alex", 1))
    plain = torch.rand(1, 3, 96, 96) * 2 - 1
    little, much = plain.clone(), torch.rand(1, 3, 96, 96) * 2 - 1
    little[..., 40:56, 40:56] = 0
    with torch.no_grad():
        near, far = (float(heads(trunk(plain), trunk(x))) for x in (little, much))
    assert 0 < near < far
