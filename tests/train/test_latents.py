"""Latents are encoded once, and again when a network or a shard is another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from lipcore.train.data import AugmentConfig, load_clips
from lipcore.train.latents import encode_clips

from lipcore.models.checkpoint import load_network
from lipcore.models.vqgan import VQGAN


class Counted:
    """How many crops a network has encoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.crops = 0
        encode = VQGAN.encode

        def counted(network: VQGAN, crops: torch.Tensor) -> torch.Tensor:
            self.crops += len(crops)
            return encode(network, crops)

        monkeypatch.setattr(VQGAN, "encode", counted)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counted:
    monkeypatch.setenv("LIPCORE_CACHE", str(tmp_path / "cache"))
    return Counted(monkeypatch)


@pytest.fixture
def face(tiny_weights: Path) -> VQGAN:
    network = load_network(tiny_weights / "vqgan_face.safetensors", kind="vqgan_face")
    assert isinstance(network, VQGAN)
    return network


def test_a_second_run_reads_what_the_first_encoded(
    prepared: Path, face: VQGAN, counted: Counted
) -> None:
    clips = load_clips([prepared], "train")
    first = encode_clips(clips, face, face, None, lights=2, augment=AugmentConfig())
    assert counted.crops == 4 * sum(c.frames for c in clips)
    again = encode_clips(clips, face, face, None, lights=2, augment=AugmentConfig())
    assert counted.crops == 4 * sum(c.frames for c in clips)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.face, other.face) and torch.equal(one.pose, other.pose)
    assert not torch.equal(first[0].face, first[1].face), "another light gives other latents"


def test_latents_are_those_of_the_network(prepared: Path, face: VQGAN, counted: Counted) -> None:
    clip = load_clips([prepared], "val")[0]
    (encoded,) = encode_clips([clip], face, None, None)
    with torch.no_grad():
        wanted = face.encode(clip.crop(7)[None])[0]
    assert torch.allclose(encoded.face[7].float(), wanted, atol=0.05)
    assert encoded.pose.numel() == 0


def test_another_network_or_shard_is_encoded_anew(
    prepared: Path, face: VQGAN, counted: Counted, tmp_path: Path
) -> None:
    clips = load_clips([prepared], "val")
    before = encode_clips(clips, face, None, None)[0].face.clone()
    with torch.no_grad():
        next(face.parameters()).mul_(1.5)
    assert not torch.equal(encode_clips(clips, face, None, None)[0].face, before)
    assert counted.crops == 2 * clips[0].frames
    shutil.copytree(prepared, tmp_path / "moved")
    encode_clips(load_clips([tmp_path / "moved"], "val"), face, None, None)
    assert counted.crops == 3 * clips[0].frames


def test_what_reads_latents_cannot_change_the_cache(
    prepared: Path, face: VQGAN, counted: Counted
) -> None:
    clips = load_clips([prepared], "val")
    first = encode_clips(clips, face, None, None)[0].face
    kept = first.clone()
    first.zero_()
    assert torch.equal(encode_clips(clips, face, None, None)[0].face, kept)
