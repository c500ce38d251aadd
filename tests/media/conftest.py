"""Real media, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name
import pytest

from lipcore.types import Patch, Window


def _exr(path: Path, *, seed: int = 0, display: tuple[int, int] = (96, 64), **extra: Any) -> Path:
    """An EXR with overscan, mixed half and float channels, timecode and custom attributes."""
    rng = np.random.default_rng(seed)
    width, height = display
    names = ("R", "G", "B", "A", "Z", "N.x", "N.y", "N.z", "id.float", "crypto.r")
    spec = oiio.ImageSpec(width + 10, height + 6, len(names), "float")
    spec.channelnames = names
    spec.channelformats = tuple("float" if name in ("Z", "id.float") else "half" for name in names)
    spec.x, spec.y = extra.get("origin", (-5, -3))
    spec.full_x = spec.full_y = 0
    spec.full_width, spec.full_height = display
    spec.attribute("compression", extra.get("compression", "zip"))
    spec.attribute("PixelAspectRatio", extra.get("aspect", 1.0))
    spec.attribute("shot", "sc010_0040")
    spec.attribute("grade", oiio.TypeDesc("float[3]"), (0.5, 1.0, 1.5))
    spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), (0x01021310, 0))
    spec.attribute("framesPerSecond", oiio.TypeDesc("rational"), (24000, 1001))
    if "tile" in extra:
        spec.tile_width = spec.tile_height = extra["tile"]
    pixels = rng.normal(0.3, 1.0, (height + 6, width + 10, len(names))).astype(np.float32)
    pixels[0, 0, :3] = (np.inf, -np.inf, 60000)
    pixels = pixels.astype(np.float16).astype(np.float32) * np.float32(1)
    pixels[..., 4] = rng.normal(100, 30, pixels.shape[:2])  # depth needs all of its 32 bits
    path.parent.mkdir(parents=True, exist_ok=True)
    target = oiio.ImageOutput.create(str(path))
    assert target.open(str(path), spec), target.geterror()
    assert target.write_image(pixels), target.geterror()
    target.close()
    return path


def _channels(path: Path) -> list[dict[str, np.ndarray]]:
    """Every channel of every part, as OpenImageIO reads it."""
    source = oiio.ImageInput.open(str(path))
    assert source is not None, oiio.geterror()
    parts = []
    while source.seek_subimage(len(parts), 0):
        spec = source.spec()
        parts.append(
            {
                name: source.read_image(len(parts), 0, at, at + 1, spec.channelformat(at))[..., 0]
                for at, name in enumerate(spec.channelnames)
            }
        )
    source.close()
    return parts


def _patch(window: Window, seed: int = 1) -> Patch:
    rng = np.random.default_rng(seed)
    alpha = np.zeros(window.shape, np.float32)
    alpha[2:-2, 2:-2] = rng.uniform(0, 1, (window.height - 4, window.width - 4))
    alpha[4:6, 4:-4] = 1
    alpha[8:10] = 0
    rgb = rng.uniform(0, 1, (*window.shape, 3)).astype(np.float32) * alpha[..., None]
    return Patch(window, rgb, alpha, (alpha > 0.5).astype(np.float32))


def _video(
    path: Path,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (96, 64),
    count: int = 30,
    rate: Fraction = Fraction(25),
    times: list[int] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    timecode: str | None = None,
    sound_lead_s: float | None = None,
) -> Path:
    """A video whose frame ``i`` has the luma ``16 + 6 i % 220``, and white in its left half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        time_base = Fraction(1, 1000) if times else 1 / rate
        stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        if timecode:
            stream.metadata["timecode"] = timecode
        sound = None
        if sound_lead_s is not None:
            sound = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        for index in range(count):
            frame = av.VideoFrame(*size, pix_fmt)
            shift = max(component.bits for component in frame.format.components) - 8
            dtype = np.uint16 if shift else np.uint8
            for place, plane in enumerate(frame.planes):
                row = plane.line_size // np.dtype(dtype).itemsize
                codes = np.frombuffer(plane, dtype).reshape(-1, row)
                codes[...] = (128 if place else 16 + 6 * index % 220) << shift
                if place == 0:
                    codes[:, : size[0] // 2] = 235 << shift
            frame.pts = times[index] if times else index
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            tone = (np.sin(np.arange(48000) * 0.05) * 12000).astype(np.int16)[None]
            block = av.AudioFrame.from_ndarray(tone, "s16", "mono")
            block.sample_rate = 48000
            block.pts = round(sound_lead_s * 48000)
            block.time_base = Fraction(1, 48000)
            container.mux(sound.encode(block))
            container.mux(sound.encode(None))
    return path


@pytest.fixture
def make_exr() -> Callable[..., Path]:
    return _exr


@pytest.fixture
def read_channels() -> Callable[[Path], list[dict[str, np.ndarray]]]:
    return _channels


@pytest.fixture
def make_patch() -> Callable[..., Patch]:
    return _patch


@pytest.fixture
def make_video() -> Callable[..., Path]:
    return _video
