"""The demo's plate: what is written can be read back as a plate of the field."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipcore.demo.portrait import FACE, CameraMove, draw_frame, write_plate
from lipcore.errors import OutputNotWritableError
from lipcore.media.plate import open_plate
from lipcore.types import FrameRange, Window

SMALL = Window(0, 0, 192, 108)


def _move(count: int) -> CameraMove:
    return CameraMove(FrameRange(1001, 1000 + count), display=SMALL)


def test_the_plate_says_what_it_is(tmp_path: Path) -> None:
    pattern = write_plate(tmp_path, _move(3))
    with open_plate(pattern) as plate:
        info = plate.info
        assert info.frames == FrameRange(1001, 1003)
        assert info.rate == Fraction(24)
        assert info.rate_source == "file"
        assert info.timecode == "01:00:00:00"
        assert info.colorspace == "lin_rec709_scene"
        assert info.pixel_type == "half"
        assert info.display == SMALL
        drawn = draw_frame(_move(3), 1002)
        assert np.array_equal(plate.read(1002).rgb, drawn.astype(np.float16).astype(np.float32))


def test_timecode_runs(tmp_path: Path) -> None:
    write_plate(tmp_path, _move(26))
    with open_plate(tmp_path / "plate.1026.exr") as plate:
        assert plate.info.timecode == "01:00:00:00"  # of the sequence's first frame
    lone = tmp_path / "lone.exr"
    (tmp_path / "plate.1026.exr").rename(lone)
    with open_plate(lone) as plate:
        assert plate.info.timecode == "01:00:01:01"


def test_it_is_scene_linear() -> None:
    """The portrait's mean in linear light, not in code values."""
    rgb = draw_frame(_move(2), 1001)
    assert rgb.dtype == np.float32
    assert rgb.min() >= 0 and rgb.max() <= 1
    assert 0.15 < float(rgb.mean()) < 0.35


def test_the_camera_moves_less_than_a_pixel_a_frame() -> None:
    move = CameraMove(FrameRange(1001, 1096))
    places = np.array([move.place(FACE, number) for number in move.frames])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert np.linalg.norm(places[-1] - places[0]) > 40
    assert steps.max() < 1.5
    assert steps[0] < 0.1 and steps[-1] < 0.1  # eased at both ends


def test_the_picture_follows_the_move() -> None:
    """A frame, moved back, is the frame before: the move and the picture agree below a pixel."""
    import cv2

    move = CameraMove(FrameRange(1001, 1012), display=Window(0, 0, 960, 540))
    first, last = draw_frame(move, 1001), draw_frame(move, 1012)
    there = np.vstack([move.matrix(1012), [0, 0, 1]]) @ np.linalg.inv(
        np.vstack([move.matrix(1001), [0, 0, 1]])
    )
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    index = np.linalg.inv(half) @ there @ half  # OpenCV counts from pixel centers
    moved = cv2.warpAffine(first, index[:2], (960, 540), flags=cv2.INTER_CUBIC)
    inside = np.s_[60:-60, 60:-60]
    off = np.abs(moved[inside] - last[inside]).mean()
    half_pixel = np.abs(np.roll(last, 1, axis=1)[inside] - last[inside]).mean() / 2
    assert off < 0.5 * half_pixel


def test_what_is_there_is_kept_and_what_is_too_much_goes(tmp_path: Path) -> None:
    write_plate(tmp_path, _move(4))
    foreign = tmp_path / "plate.2000.exr"
    foreign.write_bytes(b"not ours")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("plate.10*.exr")}
    write_plate(tmp_path, _move(4))
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.glob("plate.10*.exr")}
    (tmp_path / "plate.1002.exr").write_bytes(b"torn")
    write_plate(tmp_path, _move(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "plate.1001.exr", "plate.1002.exr", "plate.1003.exr", "plate.2000.exr",
    ]  # fmt: skip
    assert (tmp_path / "plate.1002.exr").stat().st_size > 10_000


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputNotWritableError) as caught:
        write_plate(tmp_path / "file" / "plate", _move(2))
    assert caught.value.hint
