"""Image sequences as plates."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name
import pytest

from lipcore.errors import (
    ConfigError,
    FrameSizeError,
    MediaNotFoundError,
    MediaUnreadableError,
    MissingFrameError,
)
from lipcore.media.decoder import IsolatedDecoder
from lipcore.media.locate import frame_path, locate_sequence
from lipcore.media.plate import open_plate
from lipcore.types import FrameRange, Window


def write_image(path, pixels, **attributes):
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], pixels.dtype.name)
    for name, value in attributes.items():
        spec.attribute(name.replace("__", ":"), value)
    path.parent.mkdir(parents=True, exist_ok=True)
    target = oiio.ImageOutput.create(str(path))
    assert target.open(str(path), spec) and target.write_image(pixels)
    target.close()
    return path


def test_exr_window_rate_timecode_and_values(tmp_path, make_exr, read_channels):
    path = make_exr(tmp_path / "plate.1001.exr", aspect=2.0)
    with open_plate(path) as plate:
        info, frame = plate.info, plate.read(1001)
    assert info.display == Window(0, 0, 96, 64)
    assert frame.window == Window(-5, -3, 106, 70)
    assert info.rate == Fraction(24000, 1001)
    assert info.rate_source == "file"
    assert info.timecode == "01:02:13:10"
    assert info.pixel_aspect == 2.0
    assert info.pixel_type == "half"
    assert info.colorspace == "lin_rec709_scene"
    stored = read_channels(path)[0]
    for index, name in enumerate("RGB"):
        assert np.array_equal(frame.rgb[..., index], stored[name].astype(np.float32))
    assert np.isposinf(frame.rgb[0, 0, 0])
    assert frame.rgb.min() < 0


@pytest.mark.parametrize(
    "name", ["take 2/été_{}.exr", "a#b/p#1.{}.exr", "50%/x%20y.{}.exr", "plain/plate-{}.exr",
             "a@b/c@d.{}.exr"]
)
def test_names_with_spaces_accents_and_signs(tmp_path, make_exr, name):
    for number in (8, 9, 10):
        make_exr(tmp_path / name.format(f"{number:04d}"), seed=number)
    one = tmp_path / name.format("0009")
    pattern = tmp_path / name.format("####")
    others = [tmp_path / name.format(mark) for mark in ("%04d", "@@@@")]
    for given in (one, one.parent, pattern, *others):
        with open_plate(given) as plate:
            assert plate.info.frames == FrameRange(8, 10)
            assert plate.read(10).number == 10


def test_negative_and_mixed_padding_numbers(tmp_path, make_exr):
    names = ("p.-0002.exr", "p.0001.exr", "p.10000.exr", "p.-1.exr")
    for name in names:
        make_exr(tmp_path / name)
    found = locate_sequence(tmp_path / "p.####.exr")
    assert list(found.files) == [-2, -1, 1, 10000]
    assert frame_path(tmp_path / "p.####.exr", -2).name == "p.-0002.exr"


def test_a_folder_of_two_sequences_lists_them(tmp_path, make_exr):
    make_exr(tmp_path / "a.0001.exr")
    make_exr(tmp_path / "b.0001.exr")
    with pytest.raises(ConfigError, match=r"a\.####\.exr, b\.####\.exr"):
        open_plate(tmp_path)


def test_missing_frames_by_policy(tmp_path, make_exr):
    for number in (1, 2, 5):
        make_exr(tmp_path / f"p.{number:04d}.exr", seed=number)
    with open_plate(tmp_path) as plate:
        assert plate.info.missing == (3, 4)
        with pytest.raises(MissingFrameError, match="frame 3"):
            plate.read(3)
        with pytest.raises(MissingFrameError):
            plate.read(6)
    with open_plate(tmp_path, missing="hold") as plate:
        held, second = plate.read(4), plate.read(2)
        assert np.array_equal(held.rgb, second.rgb)
        assert held.policy == "hold" and second.policy is None
    with open_plate(tmp_path, missing="black") as plate:
        numbers = [(f.number, f.policy, float(np.abs(f.rgb).max())) for f in plate.stream(
            FrameRange(2, 5))]  # fmt: skip
    assert [entry[:2] for entry in numbers] == [(2, None), (3, "black"), (4, "black"), (5, None)]
    assert numbers[1][2] == 0


def test_a_file_with_a_number_far_off_is_no_plate_of_a_billion_frames(tmp_path, make_exr):
    for number in (1, 2, 999_999_999_999_999_999_999):
        make_exr(tmp_path / f"p.{number}.exr")
    with pytest.raises(MissingFrameError, match=r"3 files for the frames 1-9{21}") as raised:
        open_plate(tmp_path)
    assert raised.value.hint


def test_frames_of_another_size_are_named(tmp_path, make_exr):
    make_exr(tmp_path / "p.0001.exr")
    make_exr(tmp_path / "p.0002.exr", display=(98, 64))
    with (
        open_plate(tmp_path) as plate,
        pytest.raises(FrameSizeError, match=r"p\.0002\.exr is 98x64"),
    ):
        list(plate.stream(plate.info.frames))


def test_a_data_window_that_changes_is_fine(tmp_path, make_exr):
    make_exr(tmp_path / "p.0001.exr")
    make_exr(tmp_path / "p.0002.exr", origin=(4, 7))
    with open_plate(tmp_path) as plate:
        windows = [frame.window for frame in plate.stream(plate.info.frames)]
    assert windows == [Window(-5, -3, 106, 70), Window(4, 7, 106, 70)]


@pytest.mark.parametrize(
    ("suffix", "dtype", "attributes", "pixel_type"),
    [
        (".dpx", "uint16", {"oiio__BitsPerSample": 10}, "uint10"),
        (".tif", "uint16", {}, "uint16"),
        (".png", "uint8", {}, "uint8"),
        (".png", "uint16", {}, "uint16"),
    ],
)
def test_whole_number_formats(tmp_path, suffix, dtype, attributes, pixel_type):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1024, (20, 30, 3))
    pixels = (codes * 65535 // 1023).astype(np.uint16) if dtype == "uint16" else (codes // 4)
    write_image(tmp_path / f"p.0001{suffix}", pixels.astype(dtype), **attributes)
    with open_plate(tmp_path) as plate:
        frame = plate.read(1)
        assert plate.info.pixel_type == pixel_type
    assert np.allclose(frame.rgb, pixels / np.iinfo(dtype).max, atol=1 / 60000)


def test_nothing_and_empty_and_not_an_image(tmp_path):
    with pytest.raises(MediaNotFoundError):
        open_plate(tmp_path / "absent.####.exr")
    with pytest.raises(MediaNotFoundError):
        open_plate(tmp_path)
    for name, data in (("a.exr", b""), ("b.exr", b"no image"), ("c.png", b"\x89PNG\r\n\x1a\n00")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MediaUnreadableError, match=name):
            open_plate(tmp_path / name)


def test_damaged_files_of_the_openexr_project_give_errors_or_pictures(shared_data):
    files = sorted((shared_data / "exr" / "Damaged").iterdir())
    assert len(files) > 50
    refused = 0
    for path in files:
        try:
            with open_plate(path) as plate:
                plate.read(plate.info.frames.first)
        except MediaUnreadableError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 50


def test_a_header_that_lies_about_its_size_allocates_nothing(tmp_path, make_exr):
    path = make_exr(tmp_path / "x.exr")
    data = bytearray(path.read_bytes())
    at = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    data[at + 8 : at + 16] = (60000).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(MediaUnreadableError, match=r"claims 60006x60004 pixels"):
        open_plate(path)


def test_truncated_pixels_are_an_error_and_the_plate_lives_on(tmp_path, make_exr):
    for number in (1, 2, 3):
        make_exr(tmp_path / f"p.{number:04d}.exr")
    torn = tmp_path / "p.0002.exr"
    torn.write_bytes(torn.read_bytes()[:-20000])
    with open_plate(tmp_path) as plate:
        with pytest.raises(MediaUnreadableError, match=r"p\.0002\.exr"):
            plate.read(2)
        assert plate.read(3).number == 3


def test_a_decoder_that_dies_is_replaced(tmp_path, make_exr):
    path = make_exr(tmp_path / "p.0001.exr")
    decoder = IsolatedDecoder()
    decoder.decode(path)
    decoder._process.kill()
    decoder._process.wait()
    assert decoder.decode(path).names[:3] == ["R", "G", "B"]
    decoder.close()


def test_a_decoder_that_hangs_is_given_up(tmp_path, make_exr, monkeypatch):
    stuck = tmp_path / "stuck.py"
    stuck.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr("lipcore.media.decoder._WORKER", stuck)
    decoder = IsolatedDecoder(timeout_s=0.5)
    with pytest.raises(MediaUnreadableError, match="stalled"):
        decoder.decode(make_exr(tmp_path / "p.0001.exr"))


def test_a_stream_that_is_left_early_ends_its_thread(tmp_path, make_exr):
    import threading

    for number in range(1, 9):
        make_exr(tmp_path / f"p.{number:04d}.exr")
    with open_plate(tmp_path) as plate:
        stream = plate.stream(plate.info.frames)
        next(stream)
        stream.close()
    assert not [t for t in threading.enumerate() if t.name == "lipcore-prefetch"]


def test_content_key_is_of_the_content(tmp_path, make_exr):
    import shutil

    make_exr(tmp_path / "a" / "p.0001.exr")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    make_exr(tmp_path / "c" / "p.0001.exr", seed=9)
    keys = [open_plate(tmp_path / name).content_key() for name in "abc"]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("name", ["Rec709_YC.exr", "XYZ_YC.exr"])
def test_luminance_chroma_files_show_the_picture_of_their_twin(shared_data, name):
    folder = shared_data / "exr" / "Chromaticities"
    with open_plate(folder / name) as plate, open_plate(folder / name.replace("_YC", "")) as twin:
        ours = plate.read(plate.info.frames.first).rgb
        theirs = twin.read(twin.info.frames.first).rgb
    assert np.abs(ours - theirs).mean() < 0.02
