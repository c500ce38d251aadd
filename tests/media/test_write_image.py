"""DPX, TIFF and PNG out."""

from __future__ import annotations

import numpy as np
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name
import pytest

from lipcore.errors import OutputExistsError
from lipcore.media.plate import open_plate
from lipcore.media.writers import open_writer
from lipcore.types import FrameRange, Window


def codes(path):
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), config)
    spec = source.spec()
    pixels = source.read_image(0, 0, 0, spec.nchannels, spec.format)
    source.close()
    return pixels, spec


@pytest.mark.parametrize(
    ("suffix", "dtype", "channels", "bits"),
    [
        (".dpx", "uint16", 3, 10),
        (".dpx", "uint16", 3, 16),
        (".tif", "uint16", 4, 16),
        (".tif", "uint8", 3, 8),
        (".png", "uint8", 4, 8),
        (".png", "uint16", 3, 16),
        (".tif", "float32", 3, 0),
    ],
)
def test_code_values_outside_the_matte_stay(tmp_path, make_patch, suffix, dtype, channels, bits):
    rng = np.random.default_rng(0)
    top = (1 << bits) - 1
    values = rng.integers(0, top + 1, (60, 80, channels))
    if bits == 10:
        values = values << 6 | values >> 4
    pixels = (values if bits else rng.normal(size=(60, 80, channels))).astype(dtype)
    spec = oiio.ImageSpec(80, 60, channels, pixels.dtype.name)
    spec.attribute("oiio:BitsPerSample", bits)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("ImageDescription", "scan 12")
    source = tmp_path / f"scan.0001{suffix}"
    target = oiio.ImageOutput.create(str(source))
    assert target.open(str(source), spec) and target.write_image(pixels)
    target.close()
    before, old_spec = codes(source)
    patch = make_patch(Window(20, 10, 40, 30))
    with open_plate(source) as plate:
        frame = plate.read(1)
        for name, mouth in (("with", patch), ("without", None)):
            options = {"frames": FrameRange(1, 1), "parameter_hash": "abc"}
            with open_writer(tmp_path / name, plate.info, **options) as writer:
                writer.write(frame, mouth)
            after, new_spec = codes(writer.outputs[0])
            assert after.dtype == before.dtype
            same = (after == before).all(axis=2)
            if mouth is None:
                assert same.all()
            else:
                matte = np.zeros((60, 80), bool)
                matte[10:40, 20:60] = patch.alpha > 0
                assert same[~matte].all()
                assert not same[matte].all()
                if channels == 4:
                    assert np.array_equal(after[..., 3], before[..., 3])
            assert new_spec.get_int_attribute("oiio:BitsPerSample") == old_spec.get_int_attribute(
                "oiio:BitsPerSample"
            )
            if suffix != ".png" or bits == 8:
                assert new_spec["ImageDescription"] == "scan 12"


def test_resume_knows_damage_and_other_parameters(tmp_path):
    spec = oiio.ImageSpec(40, 30, 3, "uint8")
    for number in (1, 2):
        target = oiio.ImageOutput.create(str(tmp_path / f"p.{number:04d}.png"))
        target.open(str(tmp_path / f"p.{number:04d}.png"), spec)
        target.write_image(np.full((30, 40, 3), number * 20, np.uint8))
        target.close()
    options = {"frames": FrameRange(1, 2)}
    with open_plate(tmp_path) as plate:
        with open_writer(tmp_path / "o", plate.info, parameter_hash="a", **options) as writer:
            for frame in plate.stream(plate.info.frames):
                writer.write(frame, None)
        with open_writer(tmp_path / "o", plate.info, parameter_hash="a", **options) as writer:
            assert writer.finished(1) and writer.finished(2)
        path = writer.outputs[1]
        path.write_bytes(path.read_bytes()[:-20])
        with open_writer(tmp_path / "o", plate.info, parameter_hash="a", **options) as writer:
            assert writer.finished(1) and not writer.finished(2)
        with pytest.raises(OutputExistsError):
            open_writer(tmp_path / "o", plate.info, parameter_hash="b", **options)
