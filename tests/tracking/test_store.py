"""Tracks on disk: they come back as they were; damaged files say so."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipcore.errors import MediaUnreadableError, OutputNotWritableError
from lipcore.tracking.store import load_tracks, save_tracks, write_tracks_json
from lipcore.types import FaceTrack, FrameRange, PlateInfo, Window


@pytest.fixture
def tracks() -> list[FaceTrack]:
    random = np.random.default_rng(0)
    out = []
    for number in (1, 2):
        present = np.array([True, False, True])
        marks = random.uniform(0, 500, (3, 478, 3)).astype(np.float32)
        transforms = random.normal(0, 1, (3, 2, 3)).astype(np.float32)
        marks[1] = transforms[1] = np.nan
        confidence = np.array([1, 0, 0.5], np.float32)
        out.append(
            FaceTrack(number, FrameRange(-1, 1), marks, confidence, present, transforms, (0,), 2.0)
        )
    return out


def test_tracks_come_back_as_they_were(tracks: list[FaceTrack], tmp_path: Path) -> None:
    path = tmp_path / "shot.tracks"
    save_tracks(path, tracks)
    assert [p.name for p in tmp_path.iterdir()] == ["shot.tracks"]
    for old, new in zip(tracks, load_tracks(path), strict=True):
        assert (new.track_id, new.frames, new.cuts, new.pixel_aspect) == (
            old.track_id,
            old.frames,
            old.cuts,
            old.pixel_aspect,
        )
        for name in ("landmarks", "transforms", "confidence", "present"):
            np.testing.assert_array_equal(getattr(new, name), getattr(old, name))
            assert getattr(new, name).dtype == getattr(old, name).dtype


def test_no_tracks_are_tracks_too(tmp_path: Path) -> None:
    save_tracks(tmp_path / "t", [])
    assert load_tracks(tmp_path / "t") == []


@pytest.mark.parametrize("damage", ["absent", "empty", "short", "other"])
def test_a_damaged_file_says_so(tracks: list[FaceTrack], tmp_path: Path, damage: str) -> None:
    path = tmp_path / "t"
    save_tracks(path, tracks)
    data = path.read_bytes()
    if damage == "absent":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "short":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(data.replace(b"lipcore-tracks-1", b"lipcore-tracks-0"))
    with pytest.raises(MediaUnreadableError, match="not a readable file of tracks") as caught:
        load_tracks(path)
    assert caught.value.hint


def test_an_absent_folder_is_an_error_in_words(tracks: list[FaceTrack], tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritableError, match="cannot be written"):
        save_tracks(tmp_path / "none" / "t", tracks)


def test_json_lists_the_frames_where_the_face_is(tracks: list[FaceTrack], tmp_path: Path) -> None:
    info = PlateInfo(
        Path("/p.mov"),
        "video",
        FrameRange(-1, 1),
        Fraction(24000, 1001),
        Window(0, 0, 500, 500),
        "srgb",
        "uint8",
        2.0,
    )
    write_tracks_json(tmp_path / "t.json", tracks, info)
    read = json.loads((tmp_path / "t.json").read_text())
    assert read["rate"] == "24000/1001" and read["cuts"] == [0] and len(read["tracks"]) == 2
    frames = read["tracks"][1]["frames"]
    assert [f["frame"] for f in frames] == [-1, 1]
    np.testing.assert_allclose(frames[0]["landmarks"], tracks[1].landmarks[0], atol=0.006)
    np.testing.assert_allclose(frames[0]["transform"], tracks[1].transforms[0], rtol=1e-6)
