"""Weights files: what goes in comes out, and what is wrong is said."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lipcore.errors import (
    WeightsNotFoundError,
    WeightsUnreadableError,
    WeightsVersionError,
)
from lipcore.models.checkpoint import (
    build_network,
    hash_file,
    load_header,
    load_network,
    load_tensors,
    save_network,
)
from lipcore.models.presets import PRESETS
from lipcore.models.sync_expert import SyncExpert

CONFIG = PRESETS["tiny"].sync_expert


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "deep" / "sync_expert.safetensors"
    save_network(path, SyncExpert(CONFIG), kind="sync_expert", record={"steps": 3})
    return path


def _write(path: Path, **changed: str) -> Path:
    header = {
        "lipcore.format": "1", "lipcore.kind": "sync_expert",
        "lipcore.config": json.dumps(asdict(CONFIG)), "lipcore.record": "{}", **changed,
    }
    save_file({"x": torch.zeros(2)}, path, metadata=header)
    return path


def test_the_header_says_what_the_file_is(weights: Path) -> None:
    header = load_header(weights)
    assert header["kind"] == "sync_expert" and header["record"] == {"steps": 3}
    assert header["config"]["channels"] == list(CONFIG.channels)
    assert list(weights.parent.iterdir()) == [weights]  # no temporary file stays
    assert weights.stat().st_mode & 0o444 == 0o444  # everyone may read it


def test_half_precision_halves_the_file(tmp_path: Path, weights: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    save_network(whole, SyncExpert(CONFIG), kind="sync_expert", record={}, half=False)
    assert weights.stat().st_size < 0.65 * whole.stat().st_size
    assert all(
        t.dtype == torch.float32
        for t in load_tensors(weights, kind="sync_expert")[0].values() if t.is_floating_point()
    )


def test_the_hash_follows_the_bytes(weights: Path) -> None:
    first = hash_file(weights)
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert hash_file(weights) != first and len(first) == 64


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="no weights at"):
        load_network(tmp_path / "x.safetensors", kind="sync_expert")


@pytest.mark.parametrize("keep", [0, 4, 100, -50])
def test_a_truncated_file(weights: Path, keep: int) -> None:
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(WeightsUnreadableError) as caught:
        load_network(weights, kind="sync_expert")
    assert str(weights) in str(caught.value) and caught.value.hint


def test_a_file_that_is_no_weights_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\x80\x02}q\x00." * 400)  # what a pickle looks like
    with pytest.raises(WeightsUnreadableError):
        load_header(path)


def test_another_version(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.safetensors", **{"lipcore.format": "99"})
    with pytest.raises(WeightsVersionError, match="format 99"):
        load_network(path, kind="sync_expert")


def test_a_file_of_no_version(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(WeightsVersionError, match="format unknown"):
        load_header(path)


def test_another_network(weights: Path) -> None:
    with pytest.raises(WeightsVersionError, match="holds a sync_expert network, a generator"):
        load_network(weights, kind="generator")


def test_a_damaged_header(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.safetensors", **{"lipcore.config": "{broken"})
    with pytest.raises(WeightsUnreadableError, match="damaged lipcore header"):
        load_header(path)


def test_tensors_that_do_not_fit(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.safetensors")
    with pytest.raises(WeightsVersionError, match="does not fit"):
        load_network(path, kind="sync_expert")


def test_a_setting_of_the_future(tmp_path: Path) -> None:
    config = json.dumps({**asdict(CONFIG), "wings": 2})
    path = _write(tmp_path / "x.safetensors", **{"lipcore.config": config})
    with pytest.raises(WeightsVersionError, match="wings"):
        load_network(path, kind="sync_expert")


def test_an_unknown_kind() -> None:
    with pytest.raises(WeightsVersionError, match="unknown kind"):
        build_network("oracle", {})
