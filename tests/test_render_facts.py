"""The hash that frames carry: all that they depend on is in it, and nothing else."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipcore.media.holdout import HoldOut
from lipcore.media.plate import Plate, open_plate
from lipcore.render_facts import parameter_key, sidecar_settings
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange
from lipcore.weights import WeightsSet

FRAMES = FrameRange(1, 2)
COUNTS: dict[str, object] = {
    "deliver": "patch", "codec": "h264", "synthesis": "latent", "detail": "none",
    "strength": 0.5, "offset_frames": 1.0, "no_face": "error", "audio_short": "error",
    "audio_long": "error", "missing_frame": "hold", "feather": 0.2, "backend": "torch-compile",
    "seed": 1, "exclude_frames": 3, "watermark": "abcd", "extra": {"a": "b"},
}
"""Settings and another value for each, by which frames become others."""
SAME: dict[str, object] = {
    "overwrite": True, "workers": 5, "cache": Path("elsewhere"), "device": "cuda",
    "chunk": FrameRange(1, 1), "provenance": True, "consent": "on file",
    "watermark_method": "blocks",  # of no watermark
    "weights": "elsewhere",  # what lies there counts
}
"""Likewise, by which they do not."""


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    folder = tmp_path / "plate"
    folder.mkdir()
    for number in FRAMES:
        cv2.imwrite(str(folder / f"p.{number:04d}.png"), np.full((8, 8, 3), 90, np.uint8))
    line = tmp_path / "line.wav"
    line.write_bytes(b"a line")
    return Shot(folder, line)


@pytest.fixture
def plate(shot: Shot) -> Iterator[Plate]:
    with open_plate(shot.plate) as opened:
        yield opened


@pytest.fixture
def weights(tmp_path: Path) -> WeightsSet:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "speech.safetensors").write_bytes(b"a network")
    return WeightsSet("weights", folder)


def test_every_setting_is_known_to_count_or_not(
    shot: Shot, plate: Plate, weights: WeightsSet
) -> None:
    names = {field.name for field in dataclasses.fields(RenderConfig)}
    apart = {"strength_curve", "certificate", "private_key", "refine"}
    assert names == set(COUNTS) | set(SAME) | apart, "a new setting: does it change frames?"
    plain = parameter_key(shot, RenderConfig(), plate, FRAMES, weights, None)
    for name, value in COUNTS.items():
        config = dataclasses.replace(RenderConfig(), **{name: value})
        assert parameter_key(shot, config, plate, FRAMES, weights, None) != plain, name
    for name, value in SAME.items():
        config = dataclasses.replace(RenderConfig(), **{name: value})
        assert parameter_key(shot, config, plate, FRAMES, weights, None) == plain, name
    signed = RenderConfig(certificate=Path("a.pem"), private_key=Path("b.pem"))
    assert parameter_key(shot, signed, plate, FRAMES, weights, None) == plain
    drawn = RenderConfig(synthesis="latent")
    shares = {
        parameter_key(shot, dataclasses.replace(drawn, refine=r), plate, FRAMES, weights, None)
        for r in (0.0, 0.5, 1.0)
    }
    assert len(shares) == 3
    part = parameter_key(shot, RenderConfig(), plate, FrameRange(1, 1), weights, None)
    assert part != plain


def test_files_count_by_what_they_hold(
    shot: Shot, plate: Plate, weights: WeightsSet, tmp_path: Path
) -> None:
    """Machines of a farm may see the same files at other paths."""
    curve = tmp_path / "curve.txt"
    curve.write_text("1 0.5\n")

    def key(curve: Path, weights: WeightsSet, shot: Shot = shot) -> str:
        return parameter_key(
            shot, RenderConfig(strength_curve=curve), plate, FRAMES, weights, None
        )

    first = key(curve, weights)
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (curve, shot.dialogue, weights.folder / "speech.safetensors"):
        assert path is not None
        shutil.copy(path, moved)
    there = WeightsSet("moved", moved)
    again = dataclasses.replace(shot, dialogue=moved / "line.wav")
    assert key(moved / "curve.txt", there, again) == first
    (moved / "curve.txt").write_text("1 0.6\n")
    assert key(moved / "curve.txt", weights) != first
    (moved / "speech.safetensors").write_bytes(b"another")
    assert key(curve, there) != first
    (moved / "line.wav").write_bytes(b"another")
    assert key(curve, weights, again) != first
    with HoldOut(shot.plate, plate.info.display) as matte:
        config = RenderConfig(strength_curve=curve)
        assert parameter_key(shot, config, plate, FRAMES, weights, matte) != first


def test_sidecars_name_what_a_render_learnt_of_its_shot_but_no_key(
    shot: Shot, weights: WeightsSet, tmp_path: Path
) -> None:
    learnt = tmp_path / "shot.safetensors"
    learnt.write_bytes(b"learnt")
    config = RenderConfig(certificate=Path("a.pem"), private_key=Path("secret.pem"))
    said = sidecar_settings(
        shot, config, "adapted", dataclasses.replace(weights, adaptation=learnt), "key"
    )
    assert set(said["weights_sha256"]) == {"speech", "adaptation"}
    assert "secret.pem" not in str(said)
