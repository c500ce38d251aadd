"""Media whose pictures carry their own frame number, and timelines as MLT plays them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

import av
import cv2
import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name
import opentimelineio as otio
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


@pytest.fixture(scope="session")
def to_mlt() -> Callable[..., str]:
    """A timeline, its folder and the pictures' size to a script for ``melt``."""
    return _mlt


def _mlt(timeline: Any, base: Path, size: int) -> str:
    """A timeline as MLT XML: a playlist a track, nests as tractors, dissolves as mixes.

    Plain clips are entries with the engine's own in and out; of a retimed clip each record
    frame is an entry of its own, since MLT counts speeds in another way.
    """
    writer = _MltWriter(base)
    top = writer.stack(timeline.tracks)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<mlt>'
        f'<profile width="{size}" height="{size}" progressive="1" frame_rate_num="24" '
        'frame_rate_den="1" sample_aspect_num="1" sample_aspect_den="1" '
        'display_aspect_num="1" display_aspect_den="1" colorspace="601"/>\n'
        + "\n".join(writer.parts)
        + f'\n<tractor id="main"><track producer="{top}"/></tractor></mlt>'
    )


class _MltWriter:
    def __init__(self, base: Path) -> None:
        self._base = base
        self.parts: list[str] = []

    def _add(self, text: str) -> str:
        name = f"n{len(self.parts)}"
        self.parts.append(text.replace("ID", name, 1))
        return name

    def stack(self, stack: Any) -> str:
        length = max(int(track.duration().rescaled_to(24).value + 0.5) for track in stack)
        back = self._add(
            f'<producer id="ID" in="0" out="{length - 1}"><property name="mlt_service">color'
            '</property><property name="resource">0x000000ff</property></producer>'
        )
        tracks = [back, *(self.track(t) for t in stack)]
        mixes = "".join(
            f'<transition><property name="mlt_service">composite</property><property '
            f'name="a_track">0</property><property name="b_track">{i}</property></transition>'
            for i in range(1, len(tracks))
        )
        inside = "".join(f'<track producer="{name}"/>' for name in tracks)
        return self._add(f'<tractor id="ID">{inside}{mixes}</tractor>')

    def track(self, track: Any) -> str:
        entries, children = [], list(track)
        for i, child in enumerate(children):
            before = children[i - 1] if i else None
            after = children[i + 1] if i + 1 < len(children) else None
            if isinstance(child, otio.schema.Transition):
                entries.append(self._dissolve(children[i - 1], children[i + 1], child))
                continue
            first, last = 0, round(child.duration().rescaled_to(24).value)
            if isinstance(before, otio.schema.Transition):
                first = int(before.out_offset.value)
            if isinstance(after, otio.schema.Transition):
                last -= int(after.in_offset.value)
            entries.append(self._entry(child, range(first, last)))
        return self._add(f'<playlist id="ID">{"".join(entries)}</playlist>')

    def _dissolve(self, left: Any, right: Any, transition: Any) -> str:
        """A tractor in which the ends of two clips are mixed."""
        head, tail = int(transition.in_offset.value), int(transition.out_offset.value)
        last = round(left.duration().rescaled_to(24).value)
        a = self._add(f'<playlist id="ID">{self._entry(left, range(last - head, last + tail))}'
                      "</playlist>")  # fmt: skip
        b = self._add(f'<playlist id="ID">{self._entry(right, range(-head, tail))}</playlist>')
        out = head + tail - 1
        name = self._add(
            f'<tractor id="ID" in="0" out="{out}"><track producer="{a}"/><track producer="{b}"/>'
            f'<transition in="0" out="{out}"><property name="mlt_service">luma</property>'
            '<property name="a_track">0</property><property name="b_track">1</property>'
            "</transition></tractor>"
        )
        return f'<entry producer="{name}" in="0" out="{out}"/>'

    def _entry(self, item: Any, frames: range) -> str:
        """Entries for frames of an item, counted from its first record frame."""
        if isinstance(item, otio.schema.Gap) or not item.enabled:
            return f'<blank length="{len(frames)}"/>'
        producer, first = "", self._start(item)
        effect = item.effects[0] if item.effects else None
        plain = isinstance(item, otio.schema.Stack) or self._is_whole(item.media_reference)
        if plain:
            producer = self.stack(item) if isinstance(item, otio.schema.Stack) else (
                self._whole(item.media_reference))  # fmt: skip
        if plain and effect is None:
            low = round(first + frames[0])
            return f'<entry producer="{producer}" in="{low}" out="{low + len(frames) - 1}"/>'
        k = 1
        if effect is not None:
            freeze = isinstance(effect, otio.schema.FreezeFrame)
            k = 0 if freeze else int(effect.time_scalar)
        count = round(item.duration().rescaled_to(24).value)
        shown = [round(first + (n * k if k >= 0 else (count - 1 - n) * -k)) for n in frames]
        if plain:
            return "".join(f'<entry producer="{producer}" in="{n}" out="{n}"/>' for n in shown)
        files = [self._one(item.media_reference, n) for n in shown]
        return "".join(f'<entry producer="{name}" in="0" out="0"/>' for name in files)

    def _start(self, item: Any) -> float:
        """Where an item's first frame lies in its media, or in a stack."""
        start = float(item.source_range.start_time.value)
        if isinstance(item, otio.schema.Clip):
            start -= item.media_reference.available_range.start_time.value
        return start

    def _is_whole(self, media: Any) -> bool:
        """Whether the engine reads the media as one clip: it sorts files by name, no EXR."""
        if isinstance(media, otio.schema.ExternalReference):
            return True
        return media.frame_step == 1 and media.name_suffix != ".exr"

    def _whole(self, media: Any) -> str:
        if isinstance(media, otio.schema.ExternalReference):
            return self._media("avformat", _bare(media.target_url))
        folder = self._base / _bare(media.target_url_base)
        return self._media("pixbuf", f"{folder}/.all{media.name_suffix}",
                           '<property name="ttl">1</property>')  # fmt: skip

    def _one(self, media: Any, frame: int) -> str:
        """One file of a sequence."""
        url = media.target_url_for_image_number(frame // media.frame_step)
        return self._media("pixbuf" if url.endswith(".png") else "avformat",
                           str(self._base / _bare(url)))  # fmt: skip

    def _media(self, service: str, resource: str, extra: str = "") -> str:
        return self._add(
            f'<producer id="ID"><property name="mlt_service">{service}</property><property '
            f'name="resource">{escape(resource)}</property>{extra}</producer>'
        )


def _bare(url: str) -> str:
    return unquote(url.removeprefix("file://")) if url.startswith("file:") else url
