"""What an EXR render keeps of the plate, and how it resumes."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lipcore.errors import (
    DiskFullError,
    OutputExistsError,
    OutputLockedError,
    OutputNotWritableError,
)
from lipcore.media.exr_digest import BLANK, DIGEST, holds_its_digest, seal
from lipcore.media.exr_encode import CopiedPart, FreshPart, new_part, write_exr
from lipcore.media.exr_format import MULTIPART, Attribute, Channel, read_header
from lipcore.media.plate import open_plate
from lipcore.media.write_exr import HARD_CHANNEL, PATCH_CHANNELS
from lipcore.media.writers import PARAMETERS, open_writer
from lipcore.types import FrameRange, Window

LAYOUT = {"channels", "compression", "chunkCount", "dataWindow", "tiles"}


def bits(plane):
    return np.ascontiguousarray(plane).view(np.dtype(f"u{plane.dtype.itemsize}"))


def render(plate_path, out, patch, *, number=1001, deliver="full", **options):
    with open_plate(plate_path) as plate:
        frame = plate.read(number)
        with open_writer(
            out, plate.info, frames=FrameRange(number, number), deliver=deliver,
            **{"parameter_hash": "abc", **options},
        ) as writer:  # fmt: skip
            writer.write(frame, patch, attributes={"lipcore:seed": "7"})
        return writer.outputs[0], writer.notes, frame


def check_untouched(before, after, matte):
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        for name, plane in old.items():
            assert new[name].dtype == plane.dtype
            same = bits(new[name]) == bits(plane)
            assert same[~matte].all() if plane.shape == matte.shape else same.all(), name


@pytest.mark.parametrize("compression", ["none", "rle", "zips", "zip", "piz"])
def test_every_pixel_outside_the_matte_and_every_attribute_stays(
    tmp_path, make_exr, read_channels, make_patch, compression
):
    plate = make_exr(tmp_path / "plate.1001.exr", compression=compression)
    path, notes, _ = render(plate, tmp_path / "out", make_patch(Window(20, 10, 40, 30)))
    before, after = read_channels(plate), read_channels(path)
    alpha = after[0]["lipsync.alpha"].astype(np.float32)
    assert 0 < (alpha > 0).mean() < 0.3
    check_untouched(before, after, alpha > 0)
    assert not np.array_equal(before[0]["R"], after[0]["R"])
    assert not np.array_equal(before[0]["G"], after[0]["G"])
    assert notes == ()
    old, new = read_header(plate).parts[0], read_header(path).parts[0]
    for attribute in old.attributes:
        if attribute.name not in LAYOUT - {"compression", "dataWindow"}:
            assert new.by_name[attribute.name] == attribute
    assert new.text("lipcore:seed") == "7"
    assert new.text(PARAMETERS) == "abc"


def test_full_is_plate_times_one_minus_alpha_plus_patch(
    tmp_path, make_exr, read_channels, make_patch
):
    plate = make_exr(tmp_path / "plate.1001.exr")
    path, _, _ = render(plate, tmp_path / "out", make_patch(Window(20, 10, 40, 30)))
    old, new = read_channels(plate)[0], read_channels(path)[0]
    alpha = new["lipsync.alpha"].astype(np.float32)
    for name, layer in zip("RGB", PATCH_CHANNELS, strict=False):
        patch = new[layer].astype(np.float32)
        expected = old[name].astype(np.float32) * (1 - alpha) + patch
        assert np.array_equal(new[name][alpha > 0], expected.astype(np.float16)[alpha > 0])
    assert set(np.unique(new[HARD_CHANNEL])) == {0, 1}


def test_no_patch_and_an_empty_patch_give_the_plate_bit_for_bit(
    tmp_path, make_exr, read_channels, make_patch
):
    plate = make_exr(tmp_path / "plate.1001.exr", compression="piz")
    nothing = make_patch(Window(20, 10, 40, 30))
    nothing.alpha[...] = 0
    nothing.rgb[...] = 0
    before = read_channels(plate)
    for name, patch in (("none", None), ("empty", nothing)):
        path, _, _ = render(plate, tmp_path / name, patch)
        after = read_channels(path)
        check_untouched(before, after, np.zeros(before[0]["R"].shape, bool))


def test_tiled_plates_stay_tiled(tmp_path, make_exr, read_channels, make_patch):
    plate = make_exr(tmp_path / "plate.1001.exr", tile=32)
    path, _, _ = render(plate, tmp_path / "out", make_patch(Window(20, 10, 40, 30)))
    assert read_header(path).parts[0].tile == (32, 32, 0)
    after = read_channels(path)
    check_untouched(read_channels(plate), after, after[0]["lipsync.alpha"] > 0)


def test_lossy_compression_becomes_lossless_and_says_so(
    tmp_path, make_exr, read_channels, make_patch
):
    plate = make_exr(tmp_path / "plate.1001.exr", compression="dwaa")
    path, notes, _ = render(plate, tmp_path / "out", make_patch(Window(20, 10, 40, 30)))
    after = read_channels(path)
    check_untouched(read_channels(plate), after, after[0]["lipsync.alpha"] > 0)
    assert "dwaa" in notes[0]


def test_other_parts_are_copied_as_they_are(tmp_path, make_exr, read_channels, make_patch):
    """A DWA part beside the picture is not packed again, whole numbers and odd attributes stay."""
    lossy = make_exr(tmp_path / "lossy" / "x.exr", compression="dwaa", origin=(0, 0))
    rng = np.random.default_rng(5)
    window, display = Window(3, 4, 50, 40), Window(0, 0, 96, 64)
    planes = {
        "R": rng.normal(size=(40, 50)).astype(np.float16),
        "G": rng.normal(size=(40, 50)).astype(np.float16),
        "B": rng.normal(size=(40, 50)).astype(np.float32),
        "object.id": rng.integers(0, 2**32, (40, 50), np.uint32),
    }
    kinds = {"R": 1, "G": 1, "B": 2, "object.id": 0}
    odd = Attribute("weird", "ourOwnType", b"\0\1\2\3")
    part = new_part([Channel(n, k) for n, k in kinds.items()], window, display, attributes=[odd])

    def named(part, name, kind):
        count = -(-part.data.height // (256 if part.compression > 8 else 16))
        count = -(-part.data.height // 32) if part.compression == 8 else count
        more = (
            Attribute("name", "string", name),
            Attribute("type", "string", kind),
            Attribute("chunkCount", "int", struct.pack("<i", count)),
        )
        return type(part)(
            (*part.attributes, *more), part.channels, part.data, part.display,
            part.compression, part.kind, part.tile,
        )  # fmt: skip

    source = read_header(lossy)
    first = named(source.parts[0], b"aov", b"scanlineimage")
    aov = CopiedPart(type(source)(source.path, source.version, (first,), source.tables_at,
                                  source.file_bytes), 0)  # fmt: skip
    plate = tmp_path / "plate.1001.exr"
    write_exr(plate, [FreshPart(named(part, b"rgb", b"scanlineimage"), planes), aov],
              version=2 | 0x1000)  # fmt: skip
    path, _, _ = render(plate, tmp_path / "out", make_patch(Window(10, 10, 30, 20)))
    before, after = read_channels(plate), read_channels(path)
    assert len(before) == 2
    check_untouched(before, after, after[0]["lipsync.alpha"] > 0)
    assert np.array_equal(after[0]["object.id"], planes["object.id"])
    assert read_header(path).parts[0].by_name["weird"] == odd
    assert read_header(path).parts[1] == read_header(plate).parts[1]


def test_patch_files_hold_the_mouth_alone(tmp_path, make_exr, read_channels, make_patch):
    plate = make_exr(tmp_path / "plate.1001.exr")
    patch = make_patch(Window(20, 10, 40, 30))
    path, _, _ = render(plate, tmp_path / "out", patch, deliver="patch")
    part = read_header(path).parts[0]
    assert part.data == Window(20, 10, 40, 30)
    assert part.display == Window(0, 0, 96, 64)
    assert part.text("shot") == "sc010_0040"
    stored = read_channels(path)[0]
    assert np.array_equal(stored["A"], patch.alpha.astype(np.float16))
    assert np.array_equal(stored["R"], patch.rgb[..., 0].astype(np.float16))


def test_half_values_of_every_kind_survive(tmp_path, shared_data, read_channels):
    """All 65,536 half floats, NaN bits included, through PIZ."""
    plate = shared_data / "exr" / "TestImages" / "AllHalfValues.exr"
    path, _, _ = render(plate, tmp_path / "out" / "a.####.exr", None, number=1)
    for name, plane in read_channels(plate)[0].items():
        assert np.array_equal(bits(plane), bits(read_channels(path)[0][name]))


def test_finished_frames_are_known_and_damaged_ones_are_not(tmp_path, make_exr, make_patch):
    plate = make_exr(tmp_path / "plate.1001.exr")
    path, _, _ = render(plate, tmp_path / "out", make_patch(Window(20, 10, 40, 30)))
    frames = FrameRange(1001, 1001)
    info = open_plate(plate).info
    with open_writer(tmp_path / "out", info, frames=frames, parameter_hash="abc") as writer:
        assert writer.finished(1001)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with open_writer(tmp_path / "out", info, frames=frames, parameter_hash="abc") as writer:
        assert not writer.finished(1001)


@pytest.mark.parametrize("compression", ["none", "zip"])
def test_one_changed_bit_is_noticed_anywhere(tmp_path, make_exr, make_patch, compression):
    plate = make_exr(tmp_path / "plate.1001.exr", compression=compression)
    path, _, _ = render(plate, tmp_path / "out", make_patch(Window(20, 10, 40, 30)))
    whole = path.read_bytes()
    assert holds_its_digest(path)
    for at in np.random.default_rng(0).integers(0, len(whole), 200):
        changed = bytearray(whole)
        changed[at] ^= 1 << (at % 8)
        path.write_bytes(changed)
        assert not holds_its_digest(path), f"bit {at % 8} of byte {at}"
    for other in (whole[:-1], whole + b"\0"):
        path.write_bytes(other)
        assert not holds_its_digest(path)


def test_a_digest_that_came_with_another_part_stays(tmp_path):
    def part(name, digest):
        window = Window(0, 0, 4, 4)
        texts = {"name": name, "type": "scanlineimage", DIGEST: digest}
        named = [Attribute(key, "string", text.encode()) for key, text in texts.items()]
        count = Attribute("chunkCount", "int", struct.pack("<i", 1))
        made = new_part([Channel("Z", 2)], window, window)
        return replace(made, attributes=(*made.attributes, *named, count))

    path, zeros = tmp_path / "a.exr", {"Z": np.zeros((4, 4), np.float32)}
    parts = [FreshPart(part("old", "f" * 32), zeros), FreshPart(part("new", BLANK), zeros)]
    write_exr(path, parts, version=2 | MULTIPART)
    assert not holds_its_digest(path)
    seal(path)
    assert holds_its_digest(path)
    old, new = (part.text(DIGEST) for part in read_header(path).parts)
    assert old == "f" * 32 and new not in (old, BLANK)


def test_output_of_other_parameters_is_an_error_unless_overwritten(tmp_path, make_exr):
    plate = make_exr(tmp_path / "plate.1001.exr")
    render(plate, tmp_path / "out", None)
    with pytest.raises(OutputExistsError):
        render(plate, tmp_path / "out", None, parameter_hash="other")
    render(plate, tmp_path / "out", None, parameter_hash="other", overwrite=True)


def test_the_plate_is_never_replaced(tmp_path, make_exr):
    (tmp_path / "scan").mkdir()
    (tmp_path / "shot").mkdir()
    plate = make_exr(tmp_path / "scan" / "plate.1001.exr")
    (tmp_path / "linked").symlink_to(plate.parent)
    link = tmp_path / "shot" / plate.name
    link.symlink_to(plate)
    before = plate.read_bytes()
    for source, folder in (
        (plate, "scan"), (plate, "shot/../scan"), (plate, "linked"), (link, "scan"), (link, "shot"),
    ):  # fmt: skip
        with pytest.raises(OutputExistsError, match="frame of the plate"):
            render(source, tmp_path / folder / "plate.####.exr", None, overwrite=True)
    assert plate.read_bytes() == before
    assert link.is_symlink()


def test_two_writers_of_the_same_frames_exclude_each_other(tmp_path, make_exr):
    plate = make_exr(tmp_path / "plate.1001.exr")
    make_exr(tmp_path / "plate.1010.exr")
    info = open_plate(plate).info
    options = {"parameter_hash": "abc"}
    with open_writer(tmp_path / "out", info, frames=FrameRange(1001, 1005), **options):
        with pytest.raises(OutputLockedError):
            open_writer(tmp_path / "out", info, frames=FrameRange(1005, 1009), **options)
        # Chunks of a farm write beside each other.
        open_writer(tmp_path / "out", info, frames=FrameRange(1006, 1010), **options).close()
    open_writer(tmp_path / "out", info, frames=FrameRange(1001, 1010), **options).close()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_dead_process_leaves_no_lock(tmp_path, make_exr):
    plate = make_exr(tmp_path / "plate.1001.exr")
    script = (
        "import os, sys\n"
        "from lipcore.media.plate import open_plate\n"
        "from lipcore.media.writers import open_writer\n"
        "from lipcore.types import FrameRange\n"
        "info = open_plate(sys.argv[1]).info\n"
        "w = open_writer(sys.argv[2], info, frames=FrameRange(1001, 1001), parameter_hash='a')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", script, str(plate), str(out)], check=False)
    assert done.returncode != 0
    assert list(out.iterdir())
    render(plate, out, None)


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path, make_exr):
    plate = make_exr(tmp_path / "plate.1001.exr", display=(512, 512))
    script = (
        "import resource, sys\n"
        "from lipcore.errors import DiskFullError\n"
        "from lipcore.media.plate import open_plate\n"
        "from lipcore.media.writers import open_writer\n"
        "plate = open_plate(sys.argv[1]); frame = plate.read(1001)\n"
        "from lipcore.types import FrameRange\n"
        "w = open_writer(sys.argv[2], plate.info, frames=FrameRange(1001, 1001),"
        " parameter_hash='a')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try:\n    w.write(frame, None)\n"
        "except DiskFullError as error:\n    print('FULL', error)\n"
        "w.close()\n"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", script, str(plate), str(out)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("FULL no space is left")
    assert list(out.iterdir()) == []


def test_no_space_in_errno_becomes_disk_full(tmp_path):
    from lipcore.media.output_files import appearing

    with pytest.raises(DiskFullError), appearing(tmp_path / "x.exr"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_that_cannot_be_made_is_said(tmp_path, make_exr):
    plate = make_exr(tmp_path / "plate.1001.exr")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputNotWritableError):
        render(plate, tmp_path / "file" / "out", None)
