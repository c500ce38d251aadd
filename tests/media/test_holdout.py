"""Mattes that hold out hands and microphones: what they let through, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so
import pytest

from lipcore import FrameRange, RenderConfig, Shot, render_shot
from lipcore.errors import FrameSizeError, MissingFrameError
from lipcore.media.holdout import HoldOut, hold_out
from lipcore.types import Patch, Window

DISPLAY = Window(0, 0, 640, 480)


def write(path: Path, pixels: np.ndarray, names: tuple[str, ...], kind: str = "half") -> None:
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, kind)
    spec.channelnames = names
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec)
    assert out.write_image(np.ascontiguousarray(pixels, np.float32))
    out.close()


def read(path: Path) -> np.ndarray:
    source = oiio.ImageInput.open(str(path))
    pixels = source.read_image(oiio.FLOAT)
    source.close()
    assert isinstance(pixels, np.ndarray)
    return pixels


@pytest.fixture
def ramp() -> np.ndarray:
    return np.tile(np.linspace(0, 1, 640, dtype=np.float32), (480, 1))


def test_alpha_is_taken_where_it_speaks(tmp_path: Path, ramp: np.ndarray) -> None:
    pixels = np.dstack([np.zeros_like(ramp)] * 3 + [ramp])
    write(tmp_path / "roto.1001.exr", pixels, ("R", "G", "B", "A"))
    with HoldOut(tmp_path / "roto.####.exr", DISPLAY) as matte:
        assert np.allclose(matte.read(1001), ramp, atol=1e-3)


def test_red_is_taken_where_alpha_is_opaque(tmp_path: Path, ramp: np.ndarray) -> None:
    pixels = np.dstack([ramp] * 3 + [np.ones_like(ramp)])
    write(tmp_path / "roto.png", pixels, ("R", "G", "B", "A"), "uint8")
    with HoldOut(tmp_path / "roto.png", DISPLAY) as matte:
        assert np.allclose(matte.read(7), ramp, atol=0.5 / 255 + 1e-6)  # a still: any frame


def test_a_matte_of_alpha_alone(tmp_path: Path, ramp: np.ndarray) -> None:
    for number in (1, 2):
        write(tmp_path / f"roto.{number:04d}.exr", ramp[..., None] / number, ("A",))
    with HoldOut(tmp_path / "roto.####.exr", DISPLAY) as matte:
        assert np.allclose(matte.read(2), ramp / 2, atol=1e-3)
        with pytest.raises(MissingFrameError, match="no frame 3"):
            matte.read(3)


def test_another_size_is_refused(tmp_path: Path, ramp: np.ndarray) -> None:
    write(tmp_path / "roto.exr", ramp[:100, :, None], ("A",))
    with pytest.raises(FrameSizeError, match="640x100, the plate 640x480"):
        HoldOut(tmp_path / "roto.exr", DISPLAY)


def test_a_patch_that_reaches_outside_the_display_keeps_its_rest() -> None:
    ones = np.ones((4, 4), np.float32)
    patch = Patch(Window(-2, -2, 4, 4), np.dstack([ones] * 3), ones, ones)
    held = hold_out(patch, np.full((10, 10), 0.75, np.float32))
    assert held.alpha[:2].min() == held.alpha[:, :2].min() == 1
    assert np.all(held.alpha[2:, 2:] == 0.25) and np.all(held.rgb[2:, 2:] == 0.25)
    assert np.all(held.hard[2:, 2:] == 0)


@pytest.mark.slow
def test_a_render_keeps_the_plate_under_the_matte(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    """Half of the picture held out: there it is the plate, elsewhere the plain render."""
    frames = FrameRange(1001, 1003)
    config = RenderConfig(cache=tmp_path / "cache")
    render_shot(Shot(portrait_plate, spoken_line, frames=frames), config, tmp_path / "plain")
    plain = read(tmp_path / "plain" / "plate.1002.exr")
    plate = read(portrait_plate.with_name("plate.1002.exr"))
    changed = np.argwhere((plain[..., :3] != plate[..., :3]).any(-1))
    middle = int(changed[:, 1].mean())
    matte = np.zeros((480, 640, 1), np.float32)
    matte[:, :middle] = 1
    write(tmp_path / "matte.exr", matte, ("A",))
    shot = Shot(portrait_plate, spoken_line, frames=frames, holdout=tmp_path / "matte.exr")
    render_shot(shot, config, tmp_path / "held")
    held = read(tmp_path / "held" / "plate.1002.exr")
    assert np.array_equal(held[:, :middle, :3], plate[:, :middle, :3])
    assert np.array_equal(held[:, middle:, :3], plain[:, middle:, :3])
    assert (plain[:, :middle, :3] != plate[:, :middle, :3]).any()
    again = render_shot(shot, config, tmp_path / "held")
    assert again.kept == 3
    write(tmp_path / "matte.exr", matte * 0.5, ("A",))
    from lipcore.errors import OutputExistsError

    with pytest.raises(OutputExistsError):  # another matte makes other frames
        render_shot(shot, config, tmp_path / "held")
