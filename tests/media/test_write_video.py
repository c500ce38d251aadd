"""Video files out: picture, sound, tags, resuming."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from lipcore.errors import ConfigError, OutputError, OutputExistsError, OutputLockedError
from lipcore.media.audio import read_sound
from lipcore.media.plate import open_plate
from lipcore.media.writers import open_writer, plan_output
from lipcore.types import FrameRange, Window


def write_all(plate, out, patch=None, *, frames=None, **options):
    frames = frames or plate.info.frames
    options = {"parameter_hash": "abc", **options}
    with open_writer(out, plate.info, frames=frames, **options) as writer:
        for frame in plate.stream(frames):
            if not writer.finished(frame.number):
                writer.write(frame, patch)
    return writer.outputs[0]


@pytest.mark.parametrize(
    ("name", "codec", "written", "pix_fmt"),
    [
        ("a.mov", None, "prores", "yuv444p10le"),
        ("b.mov", "prores422hq", "prores", "yuv422p10le"),
        ("c.mov", "dnxhr_hqx", "dnxhd", "yuv422p10le"),
        ("d.mp4", None, "h264", "yuv420p"),
        ("e.mkv", None, "ffv1", "yuv420p"),
        ("f.mkv", "h264", "h264", "yuv420p"),
    ],
)
def test_rate_count_tags_timecode_and_sound(tmp_path, make_video, name, codec, written, pix_fmt):
    rate = Fraction(24000, 1001)
    clip = make_video(
        tmp_path / "plate.mov", size=(256, 128), count=60, rate=rate, timecode="01:00:00:00"
    )
    seconds = 60 / rate
    sound = (np.sin(np.arange(96000) * 0.05)[None].repeat(2, 0).astype(np.float32) * 0.5, 48000)
    with open_plate(clip) as plate:
        out = write_all(plate, tmp_path / "out dir é#" / name, codec=codec, sound=sound)
        with open_plate(out) as made:
            assert made.info.rate == rate
            assert made.info.frames == FrameRange(1, 60)
            # Matroska and MP4 keep the timecode, too.
            assert made.info.timecode == "01:00:00:00"
            pairs = zip(plate.stream(plate.info.frames), made.stream(made.info.frames), strict=True)
            worst = max(np.abs(a.rgb - b.rgb).mean() for a, b in pairs)
    assert worst < (0 if codec is None and name.endswith("mkv") else 0.012) + 1e-9
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.codec_context.pix_fmt) == (written, pix_fmt)
        assert stream.codec_context.color_range == 1
        assert stream.codec_context.colorspace == (1 if written == "dnxhd" else 6)
    heard, heard_rate = read_sound(out)
    assert heard_rate == 48000
    length = Fraction(heard.shape[1], 48000)
    assert abs(length - seconds) < Fraction(1, 20)
    assert np.abs(heard[0, 1000:90000] - sound[0][0, 1000:90000]).max() < 0.03
    assert not [path for path in out.parent.iterdir() if path != out]


def test_lossless_video_changes_nothing_outside_the_matte(tmp_path, make_video, make_patch):
    clip = make_video(tmp_path / "plate.mkv", codec="ffv1", count=50)
    window = Window(20, 10, 40, 30)
    patch = make_patch(window)
    with open_plate(clip) as plate:
        out = write_all(plate, tmp_path / "o.mkv", patch)
        matte = np.zeros((64, 96), bool)
        matte[10:40, 20:60] = patch.alpha > 0
        with open_plate(out) as made:
            pairs = zip(plate.stream(plate.info.frames), made.stream(made.info.frames), strict=True)
            for before, after in pairs:
                assert after.native.layout == before.native.layout
                old, new = before.native.planes[0], after.native.planes[0]
                assert np.array_equal(old[~matte], new[~matte])
                assert not np.array_equal(old[matte], new[matte])


def test_a_killed_render_resumes_and_gives_the_same_pictures(tmp_path, make_video):
    clip = make_video(tmp_path / "plate.mkv", codec="ffv1", count=120)
    with open_plate(clip) as plate:
        options = {"frames": plate.info.frames, "parameter_hash": "abc"}
        with (
            pytest.raises(RuntimeError),
            open_writer(tmp_path / "o.mov", plate.info, **options) as writer,
        ):
            for frame in plate.stream(plate.info.frames):
                writer.write(frame, None)
                if frame.number == 70:
                    raise RuntimeError("killed")
        assert not (tmp_path / "o.mov").exists()
        again = open_writer(tmp_path / "o.mov", plate.info, **options)
        done = [number for number in plate.info.frames if again.finished(number)]
        again.abandon()
        assert done == list(range(1, 49))
        resumed = write_all(plate, tmp_path / "o.mov")
        whole = write_all(plate, tmp_path / "whole.mov")
        with open_plate(resumed) as one, open_plate(whole) as two:
            pairs = zip(one.stream(one.info.frames), two.stream(two.info.frames), strict=True)
            assert all(np.array_equal(a.rgb, b.rgb) for a, b in pairs)


def test_what_was_damaged_since_is_made_again(tmp_path, make_video):
    clip = make_video(tmp_path / "plate.mkv", codec="ffv1", count=60)
    out = tmp_path / "o.mov"
    with open_plate(clip) as plate:
        options = {"frames": plate.info.frames, "parameter_hash": "abc"}
        with pytest.raises(RuntimeError), open_writer(out, plate.info, **options) as writer:
            for frame in plate.stream(plate.info.frames):
                writer.write(frame, None)
                if frame.number == 55:
                    raise RuntimeError("killed")
        (segment,) = (tmp_path / ".o.mov.segments").glob("1.mov")
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 1  # as many packets, of one other picture
        segment.write_bytes(content)
        again = open_writer(out, plate.info, **options)
        assert not again.finished(1)
        again.abandon()
        whole = write_all(plate, out).read_bytes()
        with open_writer(out, plate.info, **options) as writer:
            assert writer.finished(60)
        out.write_bytes(whole[: len(whole) * 2 // 3])
        torn = open_writer(out, plate.info, **options)
        assert not torn.finished(1)
        torn.abandon()
        assert write_all(plate, out).read_bytes() == whole
    assert not list(tmp_path.glob(".o*"))


def test_rotation_is_baked_in(tmp_path, make_video):
    clip = make_video(tmp_path / "plate.mov", rotation=90, count=5)
    with open_plate(clip) as plate:
        out = write_all(plate, tmp_path / "o.mkv")
        with open_plate(out) as made, av.open(str(out)) as container:
            assert made.info.display == plate.info.display
            assert container.streams.video[0].width == 64
            assert np.array_equal(made.read(3).rgb, plate.read(3).rgb)


def test_a_linear_sequence_becomes_a_video(tmp_path, make_exr):
    for number in range(1001, 1006):
        make_exr(tmp_path / f"p.{number}.exr", seed=number)
    with open_plate(tmp_path) as plate:
        out = write_all(plate, tmp_path / "o", deliver="video")
        assert out.suffix == ".mp4"
        with open_plate(out) as made:
            assert made.info.rate == Fraction(24000, 1001)
            assert len(made.info.frames) == 5
            assert made.info.timecode == "01:02:13:10"
            assert made.info.colorspace == "srgb"


def test_a_range_moves_the_timecode(tmp_path, make_video):
    clip = make_video(tmp_path / "plate.mov", timecode="01:00:00:20")
    with open_plate(clip) as plate:
        out = write_all(plate, tmp_path / "o.mov", frames=FrameRange(11, 20))
    with open_plate(out) as made:
        assert made.info.timecode == "01:00:01:05"
        assert len(made.info.frames) == 10


def test_existing_locked_and_unfinished_outputs(tmp_path, make_video):
    clip = make_video(tmp_path / "plate.mov")
    with open_plate(clip) as plate:
        frames = plate.info.frames
        out = write_all(plate, tmp_path / "o.mkv")
        with open_writer(out, plate.info, frames=frames, parameter_hash="abc") as writer:
            assert writer.finished(30)
        with pytest.raises(OutputExistsError):
            open_writer(out, plate.info, frames=frames, parameter_hash="other")
        with pytest.raises(OutputExistsError, match="is the plate"):
            open_writer(clip, plate.info, frames=frames, parameter_hash="abc", overwrite=True)
        new = tmp_path / "new.mkv"
        holder = open_writer(new, plate.info, frames=frames, parameter_hash="abc")
        with pytest.raises(OutputLockedError):
            open_writer(new, plate.info, frames=frames, parameter_hash="abc")
        holder.write(plate.read(1), None)
        with pytest.raises(OutputError, match="frame 2 was not written"):
            holder.close()


def test_names_of_outputs(tmp_path, make_video):
    with open_plate(make_video(tmp_path / "my plate.mp4")) as plate:
        info = plate.info
    folder = tmp_path / "out"
    assert plan_output(folder, info, deliver="full") == folder / "my plate_lipsync.mp4"
    assert plan_output(folder, info, deliver="patch") == folder / "my plate_mouth.####.exr"
    assert plan_output(folder, info, deliver="full", codec="ffv1").suffix == ".mkv"
    assert plan_output(folder / "x.%05d.png", info, deliver="full").name == "x.#####.png"
    assert plan_output(folder / "a@b.@@@@@.png", info, deliver="full").name == "a@b.#####.png"
    for bad, deliver, codec in (
        ("x.mxf", "full", None), ("x.mov", "patch", None), ("x.exr", "video", None),
        ("x.mov", "full", "nonsense"),
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            plan_output(folder / bad, info, deliver=deliver, codec=codec)
    with pytest.raises(ConfigError):
        open_writer(folder / "x.mp4", info, frames=info.frames, parameter_hash="a",
                    codec="prores4444")  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
@pytest.mark.parametrize("name", ["o.mov", "o.mkv", "o/p.####.png"])
def test_a_full_disk_is_said(tmp_path, make_video, name):
    clip = make_video(tmp_path / "plate.mkv", codec="ffv1", size=(640, 360), count=20)
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from lipcore.errors import DiskFullError\n"
        "from lipcore.media.plate import open_plate\n"
        "from lipcore.media.writers import open_writer\n"
        "from lipcore.types import Patch\n"
        "plate = open_plate(sys.argv[1])\n"
        "frames = list(plate.stream(plate.info.frames))\n"
        "rng = np.random.default_rng(0)\n"
        "noise = rng.uniform(0, 1, frames[0].rgb.shape).astype(np.float32)\n"
        "ones = np.ones(noise.shape[:2], np.float32)\n"
        "patch = Patch(plate.info.display, noise, ones, ones)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        "try:\n"
        "    with open_writer(sys.argv[2], plate.info, frames=plate.info.frames,"
        " parameter_hash='a') as writer:\n"
        "        for frame in frames:\n            writer.write(frame, patch)\n"
        "except DiskFullError as error:\n    print('FULL', error)\n"
    )
    out = tmp_path / name
    done = subprocess.run(
        [sys.executable, "-c", script, str(clip), str(out)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("FULL no space is left"), done.stderr
    assert not out.exists()
