"""Image sequences other than EXR: DPX, TIFF and PNG in the plate's own bit depth."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lipcore.composite import merge
from lipcore.errors import MediaError, OutputNotWritableError
from lipcore.media.color import ColorTransform, is_display_referred
from lipcore.media.decoder import IsolatedDecoder
from lipcore.media.output_files import appearing, output_error
from lipcore.media.sequence import SequenceNative
from lipcore.media.write_sequence import SequenceWriter
from lipcore.types import FloatArray, Frame, FrameRange, Patch, PlateInfo

_INTEGER_ONLY = (".png", ".dpx", ".jpg", ".jpeg")


class ImageWriter(SequenceWriter):
    """DPX, TIFF and PNG files, one a frame.

    Where the plate is of a like format, every code value whose alpha is 0 stays, other
    channels and the metadata too. These formats have no place for attributes of our own: what
    each frame was made from stands in a hidden ledger beside them.
    """

    def __init__(
        self,
        pattern: Path,
        info: PlateInfo,
        *,
        frames: FrameRange,
        parameter_hash: str,
        overwrite: bool,
    ) -> None:
        self._decoder = IsolatedDecoder()
        self._ledger = pattern.with_name(f".{pattern.name}.jsonl")
        self._entries: dict[str, dict[str, Any]] | None = None
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
        path = self.file_of(frame.number)
        native = frame.native
        if isinstance(native, SequenceNative) and self._keeps(native.path, path):
            source, pixels = self._from_plate(native, frame, patch)
        else:
            source, pixels = None, self._from_rgb(frame, patch)
        with appearing(path) as temporary:
            self._save(temporary, pixels, source, attributes or {})
            entry = {
                "file": path.name,
                "parameters": self.parameter_hash,
                "digest": _digest(temporary),
                **(attributes or {}),
            }
        self._log(entry)

    def release(self) -> None:
        self._decoder.close()

    def stored_hash(self, path: Path) -> str | None:
        entry = self._entry(path)
        return None if entry is None else str(entry["parameters"])

    def is_whole(self, path: Path) -> bool:
        entry = self._entry(path)
        return entry is not None and entry["digest"] == _digest(path)

    @staticmethod
    def _keeps(source: Path, target: Path) -> bool:
        """Code values of the source can go into the target as they are."""
        whole = {".png", ".tif", ".tiff", ".dpx", ".jpg", ".jpeg"}
        return source.suffix.lower() in whole and target.suffix.lower() in whole

    def _from_plate(
        self, native: SequenceNative, frame: Frame, patch: Patch | None
    ) -> tuple[Path, npt.NDArray[Any]]:
        image = self._decoder.decode(native.path, part=native.part)
        pixels = np.concatenate([group for _, group in image.groups], axis=-1)
        if native.blank:
            pixels = np.zeros_like(pixels)
        if patch is not None:
            merged = merge(frame.rgb, frame.window, patch, np.float32)
            area = patch.window.intersect(frame.window)
            cut = area.slices_in(frame.window)
            touched = patch.alpha[area.slices_in(patch.window)] > 0
            fresh = _encode(merged[cut], pixels.dtype)
            names = image.names
            for index, name in enumerate(native.rgb_names):
                value = fresh[..., index]
                if len(native.rgb_names) == 1:
                    value = _encode(merged[cut].mean(axis=-1), pixels.dtype)
                np.copyto(pixels[cut][..., names.index(name)], value, where=touched)
        return native.path, pixels

    def _from_rgb(self, frame: Frame, patch: Patch | None) -> npt.NDArray[Any]:
        rgb = frame.rgb
        if patch is not None:
            rgb = merge(rgb, frame.window, patch, np.float32)
        rgb = on_display(rgb, frame, self.info)
        if self._suffix in _INTEGER_ONLY and not is_display_referred(self.info.colorspace):
            rgb = ColorTransform.for_plate(self.info.colorspace).to_display(rgb)
            self._notes.setdefault("the scene-linear plate is written as sRGB, 0 to 1")
        eight = self.info.pixel_type == "uint8"
        floats = self._suffix in (".tif", ".tiff") and self.info.pixel_type in ("half", "float")
        return _encode(rgb, np.dtype(np.float32 if floats else np.uint8 if eight else np.uint16))

    @property
    def _suffix(self) -> str:
        return self._pattern.suffix.lower()

    def _save(
        self,
        path: Path,
        pixels: npt.NDArray[Any],
        source: Path | None,
        attributes: Mapping[str, str],
    ) -> None:
        import OpenImageIO as oiio  # noqa: N813 -- the library's own short name

        height, width, channels = pixels.shape
        spec = oiio.ImageSpec(width, height, channels, pixels.dtype.name)
        if source is not None:
            # The decoder's process has read this file whole: its header is safe to open here.
            config = oiio.ImageSpec()
            config.attribute("oiio:UnassociatedAlpha", 1)
            opened = oiio.ImageInput.open(str(source), config)
            if opened is not None:
                spec = oiio.ImageSpec(opened.spec())
                opened.close()
        if path.suffix.lower() in (".tif", ".tiff") and (
            spec.getattribute("compression") in (None, "jpeg")
        ):
            spec.attribute("compression", "zip")
        for name, text in attributes.items():
            spec.attribute(name, text)
        target = oiio.ImageOutput.create(str(path))
        if target is None:
            raise OutputNotWritableError(
                f"{path.suffix} files cannot be written: {oiio.geterror()}",
                hint="Give --out a name that ends in .exr, .dpx, .tif or .png.",
            )
        done = target.open(str(path), spec) and target.write_image(pixels)
        failed = target.geterror()
        if not (target.close() and done):
            raise output_error(_os_error(path, failed or target.geterror()), path)
        try:
            # The PNG library keeps silent where the disk is full: read the file back.
            self._decoder.decode(path)
        except MediaError as error:
            raise output_error(_os_error(path, error.message), path) from error

    def _entry(self, path: Path) -> dict[str, Any] | None:
        if self._entries is None:
            self._entries = {}
            try:
                lines = self._ledger.read_text("utf-8").splitlines()
            except OSError:
                lines = []
            for line in lines:
                try:
                    entry = json.loads(line)
                    self._entries[entry["file"]] = entry
                except (ValueError, KeyError, TypeError):
                    continue  # a line torn by a crash: its frame is rendered again
        return self._entries.get(path.name)

    def _log(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry) + "\n"
        try:
            with self._ledger.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(error, self._ledger) from error
        if self._entries is not None:
            self._entries[entry["file"]] = entry


def _encode(values: FloatArray, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return values.astype(kind)
    top = np.float32(np.iinfo(kind).max)
    scaled = np.clip(np.nan_to_num(values, nan=0.0), 0, 1) * top
    rounded: npt.NDArray[Any] = (scaled + np.float32(0.5)).astype(kind)
    return rounded


def on_display(rgb: FloatArray, frame: Frame, info: PlateInfo) -> FloatArray:
    """The display window's pixels, black where the data window does not reach."""
    if frame.window == info.display:
        return rgb
    out = np.zeros((*info.display.shape, 3), np.float32)
    common = frame.window.intersect(info.display)
    out[common.slices_in(info.display)] = rgb[common.slices_in(frame.window)]
    return out


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _os_error(path: Path, text: str) -> OSError:
    """What the system would say, where a library only gives text: try it."""
    try:
        with path.open("ab") as file:
            file.write(bytes(1 << 16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return OSError(0, " ".join(text.split()) or "the image library refused")
