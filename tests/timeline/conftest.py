"""Media whose pictures carry their own frame number: a bar code in a corner, and digits."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name
import pytest
from skimage.io import imsave

from lipcore.types import FloatArray

BITS, BLOCK = 12, 6
"""Of the bar code: the take in the upper four bits, the frame in the others."""


def _burn(picture: FloatArray, take: int, frame: int) -> npt.NDArray[np.uint8]:
    """A picture 0-1 as 8 bits, with take and frame in its upper left corner, and as digits."""
    eight = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    code = take << 8 | frame
    for bit in range(BITS):
        eight[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (code >> bit & 1)
    text = f"{take}/{frame}"
    cv2.putText(eight, text, (2, 3 * BLOCK), cv2.FONT_HERSHEY_PLAIN, 0.8, (255, 255, 255), 1)
    return eight


def _burnt(picture: npt.NDArray[Any]) -> tuple[int, int] | None:
    """Take and frame of a picture; None where its corner is black. Floats 0-1 or 8 bits."""
    limit = 127 if picture.dtype == np.uint8 else 0.5
    half = BLOCK // 2
    code = sum(
        int(picture[half, bit * BLOCK + half, 1] > limit) << bit for bit in range(BITS)
    )
    return (code >> 8, code & 255) if code else None


def _write_pngs(pictures: Sequence[npt.NDArray[np.uint8]], pattern: str, first: int = 0) -> None:
    """``pattern`` holds ``{n}`` or ``{n:04d}``."""
    for n, picture in enumerate(pictures, first):
        path = Path(pattern.format(n=n))
        path.parent.mkdir(parents=True, exist_ok=True)
        imsave(path, picture, check_contrast=False)


def _write_exrs(
    pictures: Sequence[npt.NDArray[np.uint8]], pattern: str, first: int, hour: int | None = None
) -> None:
    """Half floats, scene-linear; with ``hour``, the first frame's timecode is that hour's."""
    for n, picture in enumerate(pictures):
        path = Path(pattern.format(n=first + n))
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = picture.shape[:2]
        spec = oiio.ImageSpec(width, height, 3, "half")
        spec.attribute("framesPerSecond", oiio.TypeDesc("rational"), (24, 1))
        if hour is not None:
            code = (hour // 10 << 4 | hour % 10) << 24 | (n // 24) << 8 | n % 24 // 10 << 4
            spec.attribute(
                "smpte:TimeCode", oiio.TypeDesc("timecode"), (code | n % 24 % 10, 0)
            )
        target = oiio.ImageOutput.create(str(path))
        assert target.open(str(path), spec), target.geterror()
        assert target.write_image((picture / np.float32(255)) ** np.float32(2.2))
        target.close()


def _write_video(
    pictures: Sequence[npt.NDArray[np.uint8]], path: Path, rate: Fraction,
    sound: FloatArray | None = None,
) -> None:  # fmt: skip
    """FFV1 in Matroska or MOV: lossless; ``sound`` is mono at 48 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "bgr0"
        speech = container.add_stream("pcm_s16le", rate=48_000, layout="mono") if (
            sound is not None) else None  # fmt: skip
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if speech is not None and sound is not None:
            block = av.AudioFrame.from_ndarray(
                np.round(sound * 32767).astype(np.int16)[None], "s16", "mono"
            )
            block.sample_rate = 48_000
            container.mux(speech.encode(block))
            container.mux(speech.encode())


@pytest.fixture(scope="session")
def numbered() -> SimpleNamespace:
    """``burn``, ``burnt``, ``write_pngs``, ``write_exrs``, ``write_video``: see there."""
    return SimpleNamespace(
        burn=_burn, burnt=_burnt, write_pngs=_write_pngs, write_exrs=_write_exrs,
        write_video=_write_video,
    )  # fmt: skip
