"""Video files as plates."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from lipcore.errors import MediaUnreadableError
from lipcore.media.plate import open_plate
from lipcore.media.timecode import advance_timecode
from lipcore.media.video_index import read_index
from lipcore.media.yuv import YuvLayout, merge_planes, planes_to_rgb, rgb_to_planes
from lipcore.types import FrameRange, Window


def levels(plate):
    """The luma code of each frame's right half."""
    return [
        round(float(frame.native.planes[0][8:-8, -16:-8].mean()))
        for frame in plate.stream(plate.info.frames)
    ]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "pixel_type", "tolerance"),
    [
        ("a.mp4", "libx264", "yuv420p", "uint8", 2),
        ("b.mkv", "libx265", "yuv420p10le", "uint10", 8),
        ("c.mov", "prores_ks", "yuv422p10le", "uint10", 6),
        ("d.mkv", "ffv1", "yuv444p12le", "uint12", 0),
        ("e.mkv", "mpeg2video", "yuv420p", "uint8", 4),
        ("f.mpg", "mpeg1video", "yuv420p", "uint8", 4),
        ("g h#1é.mov", "dnxhd", "yuv422p10le", "uint10", 6),
    ],
)
def test_every_frame_in_order_and_at_random(
    tmp_path, make_video, name, codec, pix_fmt, pixel_type, tolerance
):
    options = {"profile": "dnxhr_hqx"} if codec == "dnxhd" else {}
    size = (256, 128) if codec == "dnxhd" else (96, 64)
    path = make_video(tmp_path / name, codec=codec, pix_fmt=pix_fmt, size=size, options=options)
    with open_plate(path) as plate:
        info = plate.info
        assert (info.frames, info.rate) == (FrameRange(1, 30), 25)
        assert info.pixel_type == pixel_type
        scale = 1 << int(pixel_type[4:]) - 8
        expected = (16 + 6 * np.arange(30)) * scale
        assert np.abs(np.array(levels(plate)) - expected).max() <= tolerance * max(1, scale // 4)
        streamed = {f.number: f.rgb for f in plate.stream(FrameRange(3, 25))}
        for number in (20, 3, 25, 4, 5, 24):
            assert np.array_equal(plate.read(number).rgb, streamed[number])


def test_white_and_black_are_one_and_nought(tmp_path, make_video):
    path = make_video(tmp_path / "a.mkv", codec="ffv1", count=2)
    with open_plate(path) as plate:
        rgb = plate.read(1).rgb
    assert np.allclose(rgb[:, :40], 1, atol=0.005)
    assert np.allclose(rgb[:, -40:], 0, atol=0.005)


@pytest.mark.parametrize(("rotation", "white"), [(90, "top"), (180, "right"), (270, "bottom")])
def test_rotation_flags_turn_the_picture(tmp_path, make_video, rotation, white):
    path = make_video(tmp_path / "a.mov", rotation=rotation)
    with open_plate(path) as plate:
        display, rgb = plate.info.display, plate.read(1).rgb.mean(axis=2)
    with av.open(str(path)) as container:
        told = next(container.decode(video=0)).rotation
    assert (display.width, display.height) == ((96, 64) if rotation == 180 else (64, 96))
    halves = {
        "top": rgb[:32].mean(), "bottom": rgb[-32:].mean(),
        "left": rgb[:, :30].mean(), "right": rgb[:, -30:].mean(),
    }  # fmt: skip
    # PyAV tells the counter-clockwise turn that shows the picture upright.
    expected = {90: "bottom", -90: "top", 180: "right", -180: "right"}[told]
    assert max(halves, key=halves.get) == expected


def test_variable_rate_lands_on_a_constant_grid(tmp_path, make_video):
    times, at = [], 0
    for index in range(30):
        times.append(at)
        at += 40 if index % 3 else 120
    path = make_video(tmp_path / "a.mkv", codec="ffv1", times=times)
    index = read_index(path, rate=Fraction(25))
    assert index.variable
    assert len(index.shown) == round((times[-1] + 40) * 25 / 1000)
    with open_plate(path, rate=Fraction(25)) as plate:
        shown = [(level - 16) // 6 for level in levels(plate)]
    expected = [max(i for i, t in enumerate(times) if t <= k * 40 + 20) for k in range(len(shown))]
    assert shown == expected


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60)])
def test_exact_rates(tmp_path, make_video, rate):
    for name in ("a.mp4", "b.mkv"):
        with open_plate(make_video(tmp_path / name, rate=rate, count=20)) as plate:
            assert plate.info.rate == rate
            assert len(plate.info.frames) == 20


def test_timecode_of_a_quicktime_file(tmp_path, make_video):
    path = make_video(tmp_path / "a.mov", timecode="01:02:03:04")
    with open_plate(path) as plate:
        assert plate.info.timecode == "01:02:03:04"


def test_a_tag_that_is_no_timecode_is_none(tmp_path, make_video):
    path = make_video(tmp_path / "a.mkv", timecode="one o'clock")
    with open_plate(path) as plate:
        assert plate.info.timecode is None


def test_truncated_files_give_what_is_there_or_say_so(tmp_path, make_video):
    path = make_video(tmp_path / "a.mkv", codec="ffv1", options={"g": "1"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with open_plate(path) as plate:
        count = len(plate.info.frames)
        assert 5 < count < 30
        got = list(plate.stream(plate.info.frames))
        assert len(got) == count
    torn = make_video(tmp_path / "b.mp4")
    torn.write_bytes(torn.read_bytes()[:500])
    for bad in (torn, tmp_path / "text.mp4", tmp_path / "zero.mov"):
        if bad.name == "text.mp4":
            bad.write_text("words " * 100)
        elif bad.name == "zero.mov":
            bad.touch()
        with pytest.raises(MediaUnreadableError, match=bad.name):
            open_plate(bad)


def test_sound_files_are_no_plates(tmp_path, shared_data):
    with pytest.raises(MediaUnreadableError, match="no video stream"):
        open_plate(shared_data / "speech" / "jfk_en.wav")


def test_real_clips_have_all_their_frames(shared_data):
    with open_plate(shared_data / "clips" / "grid_bbaf2n.mpg") as plate:
        assert plate.info.frames == FrameRange(1, 75)
        last = list(plate.stream(FrameRange(70, 75)))[-1]
        assert np.array_equal(plate.read(75).rgb, last.rgb)
        assert plate.info.has_audio


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020", "rgb"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_code_values_survive_rgb(matrix, bits):
    rng = np.random.default_rng(0)
    layout = YuvLayout(matrix, bits, matrix == "rgb")
    planes = tuple(
        rng.integers(64 << bits - 8, 160 << bits - 8, (12, 16)).astype(layout.dtype)
        for _ in range(3)
    )
    for old, new in zip(planes, rgb_to_planes(planes_to_rgb(planes, layout), layout), strict=True):
        assert np.array_equal(old, new)


def test_merging_leaves_code_values_outside_alone():
    rng = np.random.default_rng(0)
    layout = YuvLayout("bt709", 8, False, 1, 1)
    planes = tuple(
        rng.integers(16, 235, s).astype(np.uint8) for s in ((33, 41), (17, 21), (17, 21))
    )
    window = Window(7, 5, 20, 16)
    alpha = np.zeros(window.shape, np.float32)
    alpha[3:13, 3:15] = 1
    red = np.zeros((*window.shape, 3), np.float32)
    red[..., 0] = 0.5
    out = merge_planes(planes, layout, window, red, alpha)
    touched = np.zeros((33, 41), bool)
    touched[8:18, 10:22] = True
    assert np.array_equal(out[0][~touched], planes[0][~touched])
    chroma = np.zeros((17, 21), bool)
    chroma[4:9, 5:11] = True
    for index in (1, 2):
        assert np.array_equal(out[index][~chroma], planes[index][~chroma])
    middle = planes_to_rgb(out, layout)[10:16, 13:19]
    assert np.allclose(middle, [0.5, 0, 0], atol=0.02)


@pytest.mark.parametrize(
    ("start", "frames", "rate", "expected"),
    [
        ("01:00:00:00", 24, Fraction(24), "01:00:01:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:59:29", 1, Fraction(30000, 1001), "00:01:00:00"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("01:00:00:00", -1, Fraction(25), "00:59:59:24"),
        ("00:00:59.29", 1, Fraction(30000, 1001), "00:01:00;02"),
    ],
)
def test_timecode_arithmetic(start, frames, rate, expected):
    assert advance_timecode(start, frames, rate) == expected
