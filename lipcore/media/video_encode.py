"""Codecs of finished videos: which pixels each takes, and how frames become theirs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from lipcore.composite import merge
from lipcore.errors import ConfigError
from lipcore.media.color import ColorTransform, is_display_referred
from lipcore.media.planar_frame import ColorTags, VideoNative
from lipcore.media.write_image import on_display
from lipcore.media.yuv import Plane, YuvLayout, merge_planes, rgb_to_planes
from lipcore.types import Frame, Patch, PlateInfo, Window

DEFAULT_CODECS = {
    ".mov": "prores4444", ".mp4": "h264", ".m4v": "h264", ".mkv": "ffv1",
}  # fmt: skip

_SRGB_TAGS = ColorTags(primaries=1, transfer=13, matrix=1)
_TRANSFER_TAGS = {"rec709": 1, "rec601": 6, "srgb": 13, "pq": 16, "hlg": 18}
_MATRIX_TAGS = {"bt709": 1, "bt601": 6, "bt2020": 9, "rgb": 0}
_HD_PIXELS = 1920 * 1080
_MOST_THREADS = 4
_NO_ROOM = {
    ".mp4": ("prores4444", "prores422hq", "dnxhr_hqx"),
    ".m4v": ("prores4444", "prores422hq", "dnxhr_hqx", "ffv1"),
    ".mov": ("ffv1",),
    ".mkv": (),
}


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """How the frames of one output are encoded."""

    encoder: str
    layout: YuvLayout
    tags: ColorTags
    options: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def planar_name(self) -> str:
        """The planar pixel format of ``layout``."""
        suffix = "" if self.layout.bits == 8 else f"{self.layout.bits}le"
        if self.layout.matrix in ("rgb", "gray"):
            return ("gbrp" if self.layout.matrix == "rgb" else "gray") + suffix
        sampling = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440"}
        return f"yuv{sampling[self.layout.x_shift, self.layout.y_shift]}p{suffix}"

    @property
    def encoder_name(self) -> str:
        """The pixel format that the encoder takes; FFV1 wants 8-bit RGB interleaved."""
        return "bgr0" if self.planar_name == "gbrp" else self.planar_name


def check_codec(path: Path, codec: str | None, crf: int) -> None:
    """Check what can be checked before there is a frame.

    Raises:
        ConfigError: The container cannot hold the codec, or ``crf`` is out of range.
    """
    suffix = path.suffix.lower()
    codec = codec or DEFAULT_CODECS[suffix]
    if codec in _NO_ROOM[suffix]:
        raise ConfigError(
            f"{codec} does not go into {suffix} files",
            hint="Give --out a name that ends in .mov or .mkv, or choose another codec.",
        )
    if not 0 <= crf <= 51:
        raise ConfigError(f"a crf of {crf} is outside 0-51", hint="Around 16 looks like the plate.")


def choose_format(
    path: Path, info: PlateInfo, first: Frame, *, codec: str | None, crf: int
) -> VideoFormat:
    """The format of a video made from this plate; ``first`` is any frame of it."""
    codec = codec or DEFAULT_CODECS[path.suffix.lower()]
    native = first.native if isinstance(first.native, VideoNative) else None
    layout, tags = _source(info, native)
    eight = layout.bits == 8
    matrix = "bt709" if layout.matrix in ("rgb", "gray") else layout.matrix
    yuv_tags = ColorTags(tags.primaries, tags.transfer, _MATRIX_TAGS[matrix])
    odd = info.display.width % 2 or info.display.height % 2
    if codec == "ffv1":
        exact = YuvLayout(
            layout.matrix, layout.bits, layout.full_range, layout.x_shift, layout.y_shift
        )
        if (layout.x_shift, layout.y_shift) not in ((0, 0), (1, 0), (1, 1), (0, 1)) or (
            layout.matrix == "gray"
        ):
            exact = YuvLayout(matrix, layout.bits, layout.full_range)
        full = ColorTags(
            tags.primaries, tags.transfer, _MATRIX_TAGS[exact.matrix], exact.full_range
        )
        return VideoFormat("ffv1", exact, full, {"level": "3", "g": "1", "slicecrc": "1"})
    if codec == "h264":
        depth = 8 if eight or info.kind == "sequence" else 10
        shift = 0 if odd else 1
        target = YuvLayout(
            matrix, depth, layout.full_range and layout.matrix == matrix, shift, shift
        )
        notes: tuple[str, ...] = (
            () if depth == 8 else ("H.264 is written with 10 bits, as the plate has more than 8",)
        )
        if odd:
            notes += ("H.264 is written with full chroma, as the size is odd",)
        yuv_tags = ColorTags(
            yuv_tags.primaries, yuv_tags.transfer, yuv_tags.matrix, target.full_range
        )
        options = {
            "crf": str(crf), "preset": "medium", "rc-lookahead": _lookahead(info.display),
            # Each thread holds frames of its own; two to four keep up with what is drawn.
            "threads": str(min(_MOST_THREADS, os.cpu_count() or 1)),
        }  # fmt: skip
        return VideoFormat("libx264", target, yuv_tags, options, notes)
    if codec == "prores4444":
        options = {"profile": "4444", "vendor": "apl0", "alpha_bits": "0"}
        return VideoFormat("prores_ks", YuvLayout(matrix, 10, False), yuv_tags, options)
    target = YuvLayout(matrix, 10, False, 1, 0)
    if codec == "prores422hq":
        return VideoFormat("prores_ks", target, yuv_tags, {"profile": "hq", "vendor": "apl0"})
    if matrix == "bt601":  # DNxHR knows BT.709 and BT.2020 only
        target, yuv_tags = replace(target, matrix="bt709"), replace(yuv_tags, matrix=1)
    return VideoFormat("dnxhd", target, yuv_tags, {"profile": "dnxhr_hqx"})


def _lookahead(display: Window) -> str:
    """Frames that x264 holds to plan ahead: its 40 up to HD, fewer where they would be a
    gigabyte."""
    share = _HD_PIXELS / (display.width * display.height)
    return str(40 if share >= 1 else max(5, round(24 * share)))


def finished_planes(
    frame: Frame, patch: Patch | None, info: PlateInfo, form: VideoFormat
) -> tuple[Plane, ...]:
    """The code values of a finished frame; the plate's own wherever formats agree."""
    native = frame.native if isinstance(frame.native, VideoNative) else None
    if native is not None and native.layout == form.layout:
        if patch is None:
            return native.planes
        area = patch.window.intersect(frame.window)
        inside = area.slices_in(patch.window)
        local = Patch(area, patch.rgb[inside], patch.alpha[inside], patch.hard[inside])
        merged = merge(frame.part(area), area, local, np.float32)
        return merge_planes(native.planes, native.layout, area, merged, local.alpha)
    rgb = frame.rgb if patch is None else merge(frame.rgb, frame.window, patch, np.float32)
    rgb = on_display(rgb, frame, info)
    if not is_display_referred(info.colorspace):
        rgb = ColorTransform.for_plate(info.colorspace).to_display(rgb)
    return rgb_to_planes(rgb, form.layout)


def video_frame(planes: tuple[Plane, ...], display: Window, form: VideoFormat) -> Any:
    """A PyAV frame of these planes, tagged."""
    frame = av.VideoFrame(display.width, display.height, form.planar_name)
    for plane, values in zip(frame.planes, planes, strict=True):
        row = plane.line_size // values.dtype.itemsize
        buffer: Any = plane
        items = np.frombuffer(buffer, values.dtype).reshape(-1, row)
        items[: values.shape[0], : values.shape[1]] = values
    if form.encoder_name != form.planar_name:
        frame = frame.reformat(format=form.encoder_name)
    frame.color_primaries = form.tags.primaries
    frame.color_trc = form.tags.transfer
    frame.colorspace = form.tags.matrix
    frame.color_range = 2 if form.tags.full_range or form.layout.matrix == "rgb" else 1
    return frame


def tag_stream(context: Any, form: VideoFormat) -> None:
    """Put the colour description on an encoder."""
    context.color_primaries = form.tags.primaries
    context.color_trc = form.tags.transfer
    context.colorspace = form.tags.matrix
    context.color_range = 2 if form.tags.full_range or form.layout.matrix == "rgb" else 1


def _source(info: PlateInfo, native: VideoNative | None) -> tuple[YuvLayout, ColorTags]:
    if native is not None:
        tags = native.tags
        primaries = tags.primaries
        transfer = tags.transfer
        if primaries == 2 and native.layout.matrix == "bt709":
            primaries, transfer = 1, 1 if transfer == 2 else transfer
        return native.layout, ColorTags(primaries, transfer, tags.matrix, tags.full_range)
    bits = 8 if info.pixel_type == "uint8" else 16
    transfer = _TRANSFER_TAGS.get(info.colorspace, _SRGB_TAGS.transfer)
    return YuvLayout("rgb", bits, True), ColorTags(_SRGB_TAGS.primaries, transfer, 1)
