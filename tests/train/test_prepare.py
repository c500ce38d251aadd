"""Preparing real clips, and clips that cannot be used."""

from __future__ import annotations

import json
import re
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from lipcore.train.data import load_clips
from lipcore.train.prepare import (
    ClipFacts,
    PrepareConfig,
    _keys,
    _sound_of,
    _split,
    _stretches,
    prepare,
)

from lipcore.errors import ConfigError, TrainingError
from lipcore.types import FaceTrack, FrameRange


@pytest.mark.slow
def test_a_real_clip_becomes_crops_landmarks_and_sound(shared_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "clips"
    source.mkdir()
    shutil.copy(shared_data / "clips" / "radio10.mp4", source / "one.mp4")
    shutil.copy(shared_data / "clips" / "radio10.mp4", source / "secret.mp4")
    (source / "broken.mp4").write_bytes(b"not a video")
    facts = {
        "one.mp4": {"identity": "him", "offset_frames": 2, "rights": "public", "use": "val"},
        "secret.mp4": {"use": "test"},
    }
    (source / "manifest.json").write_text(json.dumps(facts))
    said: list[str] = []
    config = PrepareConfig(crop_px=64, margin_px=4)
    prepare(source, tmp_path / "out", config, tell=said.append)
    assert [line.split(":")[0] for line in said] == ["broken.mp4", "one.mp4", "secret.mp4"]
    assert "left out" in said[0] and "kept for tests" in said[2]
    (clip,) = load_clips([tmp_path / "out"], "val")
    assert clip.identity == "him" and clip.rate == Fraction(30000, 1001)
    assert len(clip.crops) == clip.frames and clip.crops[-1].shape == (72, 72, 3)
    assert clip.landmarks.shape == (clip.frames, 478, 2)
    # The mouth lies in the lower middle of the canonical crop, and the sound is as long.
    assert (abs(clip.mouths[:, 0] - 0.5) < 0.1).all()
    assert ((clip.mouths[:, 1] > 0.55) & (clip.mouths[:, 1] < 0.85)).all()
    assert abs(len(clip.sound) / 16_000 - clip.frames / float(clip.rate)) < 0.2
    rejected = json.loads((tmp_path / "out" / "rejected.json").read_text())
    assert [r["source"] for r in rejected] == ["broken.mp4", "secret.mp4"]
    stamp = (tmp_path / "out" / "one.tar").stat().st_mtime_ns
    prepare(source, tmp_path / "out", config)
    assert (tmp_path / "out" / "one.tar").stat().st_mtime_ns == stamp
    prepare(source, tmp_path / "out", PrepareConfig(crop_px=48, margin_px=4))
    assert load_clips([tmp_path / "out"], "val")[0].crops[0].shape == (56, 56, 3)


def test_any_file_name_gives_a_key_of_its_own() -> None:
    files = [Path(n) for n in ("a.mp4", "a.mov", "plain-1.mp4", "été à la mer.mp4", "x.y.mp4")]
    keys = _keys(files)
    assert len(set(keys)) == 5 and keys[2] == "plain-1" and keys[3].startswith("ete_a_la_mer-")
    assert all(re.fullmatch(r"[0-9A-Za-z_-]+", key) for key in keys)
    assert keys == _keys(files)


def test_sound_that_lags_is_moved_earlier() -> None:
    sound = np.arange(48_000, dtype=np.float32)
    frames = FrameRange(0, 49)
    late = _sound_of(sound, frames, frames, Fraction(25), 3)
    assert late[0] == 3 * 640
    early = _sound_of(sound, frames, frames, Fraction(25), -2)
    assert early[: 2 * 640].max() == 0 and early[2 * 640 + 5] == 5
    later_stretch = _sound_of(sound, frames, FrameRange(10, 19), Fraction(25), 0)
    assert later_stretch[0] == 6400 and len(later_stretch) == 6400


def test_one_person_never_stands_on_both_sides() -> None:
    config = PrepareConfig(val_share=0.5, hold_out=("eve",))
    sides = {name: _split(name, ClipFacts(), config) for name in map(str, range(200))}
    assert 60 < list(sides.values()).count("val") < 140
    assert sides == {name: _split(name, ClipFacts(), config) for name in sides}
    assert _split("eve", ClipFacts(use="train"), config) == "val"


def test_a_face_that_goes_away_makes_several_clips() -> None:
    present = np.ones(30, bool)
    present[10:12] = False
    track = FaceTrack(
        1, FrameRange(1, 30), np.zeros((30, 478, 3), np.float32), present.astype(np.float32),
        present, np.zeros((30, 2, 3), np.float32), cuts=(20,),
    )
    runs = [str(r) for r in _stretches(track, 8)]
    assert runs == ["1-10", "20-30"]  # 13-19 is too short


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no video files"):
        prepare(tmp_path, tmp_path / "out")


def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        prepare(tmp_path, tmp_path / "out")


def _remux(picture: Path, sound: Path, delay_s: float, path: Path) -> None:
    """The picture of one clip with the sound of another, moved; nothing is encoded again."""
    with av.open(str(picture)) as a, av.open(str(sound)) as b, av.open(str(path), "w") as made:
        streams = a.streams.video[0], b.streams.audio[0]
        outs = [made.add_stream_from_template(s) for s in streams]
        for source, stream, out in zip((a, b), streams, outs, strict=True):
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                if stream.type == "audio":
                    assert packet.time_base is not None and packet.pts is not None
                    moved = round(delay_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
                packet.stream = out
                made.mux(packet)


@pytest.mark.slow
def test_an_offset_is_measured_and_taken_out_and_foreign_sound_is_refused(
    shared_data: Path, tmp_path: Path
) -> None:
    clips = shared_data / "clips"
    source = tmp_path / "clips"
    source.mkdir()
    one, other = clips / "mcguinness.mp4", clips / "markey.mp4"
    _remux(one, one, 0.0, source / "as_it_is.mkv")
    _remux(one, one, 0.24, source / "late.mkv")
    _remux(one, other, 0.0, source / "foreign.mkv")
    manifest = prepare(source, tmp_path / "out", PrepareConfig(crop_px=128, margin_px=8))
    facts = manifest["clips"]
    assert sorted(facts) == ["as_it_is", "late"]
    assert facts["late"]["offset_frames"] - facts["as_it_is"]["offset_frames"] == pytest.approx(6)
    assert facts["late"]["sync_confidence"] > 0.3
    (rejected,) = json.loads((tmp_path / "out" / "rejected.json").read_text())
    assert rejected["source"] == "foreign.mkv" and "not this mouth's" in rejected["reason"]
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.tar")}
    prepare(source, tmp_path / "out", PrepareConfig(crop_px=128, margin_px=8))
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
