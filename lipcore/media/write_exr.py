"""EXR sequences: the whole plate with the new mouth in it, or the mouth alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lipcore.composite import merge, quantise, stored_patch
from lipcore.media.decoder import IsolatedDecoder
from lipcore.media.exr_digest import BLANK, DIGEST, holds_its_digest, seal
from lipcore.media.exr_encode import (
    CopiedPart,
    FreshPart,
    edit_part,
    lossless_compression,
    new_part,
    write_exr,
)
from lipcore.media.exr_format import (
    COMPRESSIONS,
    MULTIPART,
    Attribute,
    Channel,
    ExrHeader,
    Part,
    pick_rgb,
    read_header,
)
from lipcore.media.output_files import appearing
from lipcore.media.sequence import SequenceNative
from lipcore.media.write_sequence import SequenceWriter
from lipcore.media.writers import PARAMETERS
from lipcore.types import FloatArray, Frame, FrameRange, Patch, PlateInfo, Window

PATCH_CHANNELS = ("lipsync.red", "lipsync.green", "lipsync.blue", "lipsync.alpha")
"""The premultiplied patch and its soft matte."""
HARD_CHANNEL = "lipsync_mask.alpha"
"""The hard region."""

_HALF, _FLOAT = 1, 2
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_PLAIN_VERSION = 2


class ExrWriter(SequenceWriter):
    """EXR files, one a frame.

    In full files every part, channel, attribute and pixel of the plate stays bit for bit where
    the matte is 0; the picture's channels are merged under it, and the layers
    ``PATCH_CHANNELS`` and ``HARD_CHANNEL`` are added. In patch files the data window is the
    patch, with ``R``, ``G``, ``B`` premultiplied, ``A`` and ``HARD_CHANNEL``.
    """

    def __init__(
        self,
        pattern: Path,
        info: PlateInfo,
        *,
        frames: FrameRange,
        parameter_hash: str,
        patch_only: bool,
        overwrite: bool,
    ) -> None:
        self._decoder = IsolatedDecoder()
        self._patch_only = patch_only
        self._notes: dict[str, None] = {}
        super().__init__(
            pattern, info, frames=frames, parameter_hash=parameter_hash, overwrite=overwrite
        )

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def write(
        self, frame: Frame, patch: Patch | None, *, attributes: Mapping[str, str] | None = None
    ) -> None:
        texts = {**(attributes or {}), PARAMETERS: self.parameter_hash, DIGEST: BLANK}
        if self._patch_only:
            version, parts = self._patch_file(frame, patch, texts)
        else:
            version, parts = self._full_file(frame, patch, texts)
        with appearing(self.file_of(frame.number)) as temporary:
            write_exr(temporary, parts, version=version, threads=os.cpu_count() or 1)
            seal(temporary)

    def release(self) -> None:
        self._decoder.close()

    def stored_hash(self, path: Path) -> str | None:
        for part in read_header(path).parts:
            found = part.text(PARAMETERS)
            if found is not None:
                return found
        return None

    def is_whole(self, path: Path) -> bool:
        return holds_its_digest(path)

    def _full_file(
        self, frame: Frame, patch: Patch | None, texts: Mapping[str, str]
    ) -> tuple[int, Sequence[FreshPart | CopiedPart]]:
        native = frame.native
        if not isinstance(native, SequenceNative) or native.path.suffix.lower() not in (
            ".exr",
            ".sxr",
        ):
            part, planes, names = self._from_rgb(frame)
            return _PLAIN_VERSION, [self._add_patch(part, planes, names, patch, frame, texts)]
        header = read_header(native.path)
        part, planes, names = self._from_plate(header, native)
        fresh = self._add_patch(part, planes, names, patch, frame, texts)
        parts: list[FreshPart | CopiedPart] = [
            fresh if index == native.part else CopiedPart(header, index)
            for index in range(len(header.parts))
        ]
        return header.version, parts

    def _from_plate(
        self, header: ExrHeader, native: SequenceNative
    ) -> tuple[Part, dict[str, npt.NDArray[Any]], tuple[str, ...]]:
        part = header.parts[native.part]
        image = self._decoder.decode(native.path, part=native.part, window=part.data)
        planes = {name: image.channel(name) for name in image.names}
        names = native.rgb_names
        if any(channel.x_sampling > 1 or channel.y_sampling > 1 for channel in part.channels):
            self._note("luminance and chroma of the plate are written as red, green and blue")
            names = pick_rgb(image.names)
            part = edit_part(
                part, channels=[Channel(name, _type_of(plane)) for name, plane in planes.items()]
            )
        if native.blank:
            planes = {name: np.zeros_like(plane) for name, plane in planes.items()}
        compression = lossless_compression(part)
        if compression != part.compression:
            self._note(
                f"the plate is packed with {COMPRESSIONS[part.compression]}, which would change "
                f"pixels when packed again: written with {COMPRESSIONS[compression]}"
            )
        if part.tile is not None and part.tile[2] & 15:
            self._note("only the full-size level of a plate with levels of detail is written")
        return edit_part(part, compression=compression), planes, names

    def _from_rgb(self, frame: Frame) -> tuple[Part, dict[str, npt.NDArray[Any]], tuple[str, ...]]:
        kind = _FLOAT if self.info.pixel_type in ("float", "uint16", "uint12") else _HALF
        dtype = np.float32 if kind == _FLOAT else np.float16
        names = ("R", "G", "B")
        part = new_part(
            [Channel(name, kind) for name in names],
            frame.window,
            self.info.display,
            pixel_aspect=self.info.pixel_aspect,
            attributes=[_text("oiio:ColorSpace", self.info.colorspace)],
        )
        stored = quantise(frame.rgb, dtype).astype(dtype)
        return part, {name: stored[..., index] for index, name in enumerate(names)}, names

    def _add_patch(
        self,
        part: Part,
        planes: dict[str, npt.NDArray[Any]],
        names: tuple[str, ...],
        patch: Patch | None,
        frame: Frame,
        texts: Mapping[str, str],
    ) -> FreshPart:
        kind = next(c.pixel_type for c in part.channels if c.name == names[0])
        kind = _HALF if kind == _HALF else _FLOAT
        dtype = np.float16 if kind == _HALF else np.float32
        layers = {
            name: np.zeros(frame.window.shape, dtype) for name in (*PATCH_CHANNELS, HARD_CHANNEL)
        }
        if patch is not None:
            if len(names) == 1:
                patch = _luminance(patch)
            stored = stored_patch(patch, frame.window, dtype)
            cut = stored.window.slices_in(frame.window)
            for index, name in enumerate(PATCH_CHANNELS[:3]):
                layers[name][cut] = stored.rgb[..., index]
            layers[PATCH_CHANNELS[3]][cut] = stored.alpha
            layers[HARD_CHANNEL][cut] = stored.hard
            planes = {**planes, **_merged(planes, names, frame.window, patch, dtype)}
        added = [Channel(name, kind) for name in layers]
        kept = [channel for channel in part.channels if channel.name not in layers]
        edited = edit_part(part, channels=[*kept, *added], texts=texts)
        return FreshPart(edited, {**planes, **layers})

    def _patch_file(
        self, frame: Frame, patch: Patch | None, texts: Mapping[str, str]
    ) -> tuple[int, Sequence[FreshPart | CopiedPart]]:
        kept: Sequence[Attribute] = [_text("oiio:ColorSpace", self.info.colorspace)]
        display = self.info.display
        native = frame.native
        if isinstance(native, SequenceNative) and native.path.suffix.lower() in (".exr", ".sxr"):
            plate = read_header(native.path).parts[native.part]
            kept, display = plate.attributes, plate.display
        if patch is None or min(patch.window.shape) == 0:
            corner = Window(0, 0, 1, 1)
            nothing = np.zeros((1, 1), np.float32)
            patch = Patch(corner, np.zeros((1, 1, 3), np.float32), nothing, nothing)
        kind = _FLOAT if self.info.pixel_type == "float" else _HALF
        dtype = np.float32 if kind == _FLOAT else np.float16
        stored = stored_patch(patch, patch.window, dtype)
        window = stored.window
        data = Window(window.x + display.x, window.y + display.y, window.width, window.height)
        planes = {name: stored.rgb[..., index].astype(dtype) for index, name in enumerate("RGB")}
        planes["A"] = stored.alpha.astype(dtype)
        planes[HARD_CHANNEL] = stored.hard.astype(dtype)
        part = new_part(
            [Channel(name, kind) for name in planes],
            data,
            display,
            pixel_aspect=self.info.pixel_aspect,
            attributes=[*kept, *(_text(name, text) for name, text in texts.items())],
        )
        return _PLAIN_VERSION & ~MULTIPART, [FreshPart(part, planes)]

    def _note(self, text: str) -> None:
        self._notes.setdefault(text)


def _merged(
    planes: Mapping[str, npt.NDArray[Any]],
    names: tuple[str, ...],
    window: Window,
    patch: Patch,
    dtype: npt.DTypeLike,
) -> dict[str, npt.NDArray[Any]]:
    """The picture's channels with the patch merged; samples with alpha 0 keep their bits."""
    inside = stored_patch(patch, window, dtype)
    if not inside.alpha.any():
        return {}
    cut = inside.window.slices_in(window)
    picked = [planes[name] for name in (names if len(names) == 3 else names * 3)]
    old = np.stack([plane[cut].astype(np.float32) for plane in picked], axis=-1)
    new = merge(old, inside.window, inside, dtype)
    out = {}
    for index, name in enumerate(names):
        plane = planes[name].copy()
        fresh = new[..., index]
        if plane.dtype == np.float16:
            fresh = quantise(fresh, np.float16)
        np.copyto(plane[cut], fresh.astype(plane.dtype), where=inside.alpha > 0)
        out[name] = plane
    return out


def _luminance(patch: Patch) -> Patch:
    """The patch without colour, for plates of one channel."""
    luma: FloatArray = patch.rgb @ _LUMA
    return replace(patch, rgb=np.repeat(luma[..., None], 3, axis=2))


def _type_of(plane: npt.NDArray[Any]) -> int:
    return {np.dtype(np.uint32): 0, np.dtype(np.float16): _HALF}.get(plane.dtype, _FLOAT)


def _text(name: str, text: str) -> Attribute:
    return Attribute(name, "string", text.encode("utf-8"))
