"""Shards: written whole or not at all, read a frame at a time, and readable by others."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import webdataset
from lipcore.train.data import load_clips
from lipcore.train.shards import Sample, Segment, ShardWriter, facts_of, write_manifest

from lipcore.errors import OutputNotWritableError, TrainingError

FACTS = {"identity": "ann", "split": "train", "source": "a.mp4"}


def segment(key: str, frames: int = 6, side: int = 48, seed: int = 0) -> Segment:
    """Smooth random pictures, so that JPEG keeps them, and a chirp."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 235, (frames, 4, 4, 3))
    at = np.linspace(0, 3, side)
    low = np.minimum(at.astype(int), 2)
    share = (at - low)[:, None, None]
    rows = [c[low] * (1 - share) + c[low + 1] * share for c in coarse]
    turned = [r.transpose(1, 0, 2) for r in rows]
    crops = [(c[low] * (1 - share) + c[low + 1] * share).transpose(1, 0, 2) for c in turned]
    return Segment(
        key=key, rate=Fraction(25), crops=[c.round().astype(np.uint8) for c in crops],
        landmarks=rng.normal(0, 50, (frames, 478, 3)).astype(np.float32),
        transforms=rng.normal(0, 1, (frames, 2, 3)).astype(np.float32),
        sound=np.sin(np.arange(frames * 640) ** 1.5 / 90).astype(np.float32), facts=FACTS,
        truth={"opening": np.arange(frames, dtype=np.float32)},
    )


def write(folder: Path, *segments: Segment, limit_bytes: int = 1 << 30) -> Path:
    with ShardWriter(folder, "source", limit_bytes=limit_bytes) as writer:
        for one in segments:
            writer.add(one)
    write_manifest(folder, writer.clips, crop_px=40, margin_px=4)
    return folder


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    one, two = segment("one"), segment("two", frames=9, seed=1)
    clips = load_clips([write(tmp_path, one, two)], "train")
    assert [c.name for c in clips] == ["one", "two"] and [c.frames for c in clips] == [6, 9]
    for clip, written in zip(clips, (one, two), strict=True):
        assert (clip.plate_landmarks == written.landmarks).all()
        assert np.abs(clip.sound - written.sound).max() < 1e-4
        assert clip.truth is not None and (clip.truth["opening"] == np.arange(clip.frames)).all()
        pictures = list(written.crops)
        for frame in reversed(range(clip.frames)):
            error = clip.crops[frame].astype(int) - pictures[frame]
            assert np.abs(error).mean() < 1.5
    assert clips[0].crop(0).shape == (3, 40, 40)


def test_other_readers_can_read_a_shard(tmp_path: Path) -> None:
    shard = write(tmp_path, segment("one"), segment("two", seed=1)) / "source.tar"
    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False))
    assert [s["__key__"] for s in samples] == ["one", "two"]
    assert json.loads(samples[1]["json"])["identity"] == "ann"
    with av.open(io.BytesIO(samples[0]["crops.avi"])) as container:
        assert container.streams.video[0].average_rate == 25
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    ours = Sample(shard, "one").video()
    assert len(frames) == len(ours) == 6
    assert np.abs(frames[3].astype(int) - ours[3]).max() <= 4


def test_the_same_clip_makes_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a", segment("one")) / "source.tar"
    again = write(tmp_path / "b", segment("one")) / "source.tar"
    assert first.read_bytes() == again.read_bytes()


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing():
        yield np.zeros((48, 48, 3), np.uint8)
        raise ValueError("the plate ended")

    with pytest.raises(ValueError, match="the plate ended"), ShardWriter(tmp_path, "s") as writer:
        writer.add(segment("one"))
        writer.add(replace(segment("two"), crops=failing()))
    assert list(tmp_path.iterdir()) == []


def test_a_large_source_takes_several_tars(tmp_path: Path) -> None:
    folder = write(tmp_path, *(segment(f"k{i}", seed=i) for i in range(4)), limit_bytes=1)
    assert len(list(folder.glob("*.tar"))) == 4
    assert set(facts_of(folder / "source.tar")) == {"k0", "k1", "k2", "k3"}
    assert len(load_clips([folder], "train")) == 4


def test_folders_are_joined_and_must_agree(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", segment("one")), write(tmp_path / "b", segment("one", seed=1))
    assert [c.name for c in load_clips([a, b], "train")] == ["a/one", "b/one"]
    manifest = json.loads((b / "manifest.json").read_text())
    manifest["clips"]["one"]["split"] = "val"
    (b / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TrainingError, match="ann is to learn from in one clip"):
        load_clips([a, b], "train")
    manifest["crop_px"] = 32
    (b / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TrainingError, match="several sizes"):
        load_clips([a, b], "train")


@pytest.mark.parametrize(("side", "margin"), [(20, 2), (15, 0), (30, 3)])
def test_crops_are_made_as_small_as_a_network_takes_them(
    side: int, margin: int, tmp_path: Path
) -> None:
    folder = write(tmp_path, segment("one"))
    (whole,), (small,) = (load_clips([folder], "train", crop_px=px) for px in (40, side))
    assert (small.crop_px, small.margin_px) == (side, margin)
    assert small.crops[2].shape == (side + 2 * margin, side + 2 * margin, 3)
    assert len(small.crops) == len(list(small.crops)) == 6
    assert small.crop(2).shape == (3, side, side)
    # What is seen stays where it was: the mean over a quarter of the crop is the same.
    for rows in (slice(0, 1), slice(1, 2)):
        parts = [
            c.crop(2).reshape(3, 2, c.crop_px // 2, -1)[:, rows, :, :].mean((1, 2, 3))
            for c in (whole, small) if c.crop_px % 2 == 0
        ]
        assert all(np.allclose(parts[0], part, atol=0.02) for part in parts)


def test_crops_are_never_made_larger(tmp_path: Path) -> None:
    folder = write(tmp_path, segment("one"))
    with pytest.raises(TrainingError, match="crops of 40 px, and the network takes") as caught:
        load_clips([folder], "train", crop_px=64)
    assert "--crop-px 64" in caught.value.hint


def test_damage_is_said(tmp_path: Path) -> None:
    shard = write(tmp_path, segment("one")) / "source.tar"
    data = bytearray(shard.read_bytes())
    start = data.index(b"\xff\xd8\xff")
    data[start : start + 400] = bytes(400)
    shard.write_bytes(data)
    with pytest.raises(TrainingError, match="frame 0 of one"):
        load_clips([tmp_path], "train")[0].crops[0]
    other = tmp_path / "other"
    other.mkdir()
    (other / "source.tar").write_bytes(b"not a tar at all" * 64)
    assert facts_of(other / "source.tar") == {}


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritableError, match="cannot be written"):
        ShardWriter(tmp_path / "file" / "out", "s")
