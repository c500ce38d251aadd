"""Plates of one image file a frame: EXR, DPX, TIFF, PNG, JPEG and what else OpenImageIO reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError, FrameSizeError, MissingFrameError
from lipcore.media.color import check_colorspace, exr_colorspace
from lipcore.media.decoder import DecodedImage, IsolatedDecoder
from lipcore.media.exr_format import ExrHeader, damaged, pick_rgb, read_header, timecode_text
from lipcore.media.locate import FoundSequence
from lipcore.media.plate import DEFAULT_RATE, MissingPolicy, Plate
from lipcore.media.prefetch import Prefetch
from lipcore.types import FloatArray, Frame, FrameRange, PlateInfo, Window

_SAMPLE_BYTES = 64 << 10
_MOST_MISSING = 1_000_000
"""Holes of a sequence, each of which is listed: over 11 hours at 24 frames a second."""


@dataclass(frozen=True, slots=True)
class SequenceNative:
    """Where a frame came from, for the writer that gives its other channels back."""

    path: Path
    part: int
    rgb_names: tuple[str, ...]
    """The channels that the picture was made of: three, or one luminance."""
    blank: bool = False
    """The frame is black in place of a missing one; only the layout is the file's."""


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    rgb: FloatArray
    window: Window
    display: Window
    pixel_aspect: float
    native: SequenceNative
    image: DecodedImage
    header: ExrHeader | None


class SequencePlate(Plate):
    """An image sequence; frame numbers are those of the file names.

    The picture is the first flat part's ``R``, ``G``, ``B`` (unnamed, then in a layer), or its
    luminance three times. Windows are shifted so that the display window starts at 0, 0.
    Files are decoded in a child process (see ``decoder``).
    """

    def __init__(
        self,
        found: FoundSequence,
        *,
        rate: Fraction | None = None,
        colorspace: str | None = None,
        missing: MissingPolicy = "error",
    ) -> None:
        if rate is not None and rate <= 0:
            raise ConfigError(
                f"a rate of {rate} frames a second is not above 0", hint="Set --rate."
            )
        self._found = found
        self._missing: MissingPolicy = missing
        self._decoder = IsolatedDecoder()
        try:
            self._info = self._inspect(rate, colorspace)
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> PlateInfo:
        return self._info

    def read(self, number: int) -> Frame:
        self.require(number)
        path = self._found.files.get(number)
        if path is not None:
            loaded = self._load(path)
            self._check_display(loaded, path)
            return Frame(number, loaded.rgb, loaded.window, loaded.native)
        return self._stand_in(number)

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        self.require(frames.first)
        self.require(frames.last)
        return iter(Prefetch(lambda: (self.read(number) for number in frames)))

    def content_key(self) -> str:
        digest = hashlib.blake2b(b"sequence", digest_size=16)
        for number, path in self._found.files.items():
            facts = path.stat()
            digest.update(f"{number}:{facts.st_size}:{facts.st_mtime_ns};".encode())
        for path in (next(iter(self._found.files.values())), self._last_file()):
            with path.open("rb") as file:
                digest.update(file.read(_SAMPLE_BYTES))
        if self._info.missing:  # what stands in for absent frames is part of the picture
            digest.update(self._missing.encode())
        return digest.hexdigest()

    def close(self) -> None:
        self._decoder.close()

    def _last_file(self) -> Path:
        return next(reversed(list(self._found.files.values())))

    def _inspect(self, rate: Fraction | None, colorspace: str | None) -> PlateInfo:
        files = self._found.files
        path = next(iter(files.values()))
        first = self._load(path)
        frames = FrameRange(min(files), max(files))
        if frames.last - frames.first >= len(files) + _MOST_MISSING:
            raise MissingFrameError(
                f"{self._found.pattern} has {len(files)} files for the frames {frames}",
                hint="Move the files whose numbers lie far off into another folder.",
                path=str(self._found.pattern),
            )
        own_rate, timecode = _time_of(first)
        return PlateInfo(
            path=self._found.pattern,
            kind="sequence",
            frames=frames,
            rate=rate or own_rate or DEFAULT_RATE,
            display=Window(0, 0, first.display.width, first.display.height),
            colorspace=check_colorspace(colorspace) if colorspace else _colorspace_of(first),
            pixel_type=_pixel_type(first),
            pixel_aspect=first.pixel_aspect,
            timecode=timecode,
            missing=tuple(number for number in frames if number not in files),
            rate_source="option" if rate else "file" if own_rate else "default",
        )

    def _load(self, path: Path) -> _Loaded:
        if _starts_like_exr(path):
            return self._load_exr(path)
        image = self._decoder.decode(path)
        names = pick_rgb(image.names) or tuple(image.names[:1])
        aspect = image.attributes.get("PixelAspectRatio", 1.0)
        return _Loaded(
            rgb=to_float_rgb(image, names),
            window=_shift(image.data, image.display),
            display=image.display,
            pixel_aspect=float(aspect) if aspect and 0 < float(aspect) < 100 else 1.0,
            native=SequenceNative(path, 0, names),
            image=image,
            header=None,
        )

    def _load_exr(self, path: Path) -> _Loaded:
        header = read_header(path)
        index, names = header.part_index()
        part = header.parts[index]
        if any(channel.x_sampling > 1 or channel.y_sampling > 1 for channel in part.channels):
            # Luminance-chroma files: the decoder makes red, green and blue of them.
            image = self._decoder.decode(path, part=index, window=part.data)
            names = pick_rgb(image.names)
            if not names:
                raise damaged(path, "has subsampled channels that are no luminance and chroma")
        else:
            image = self._decoder.decode(path, part=index, channels=names, window=part.data)
        return _Loaded(
            rgb=to_float_rgb(image, names),
            window=_shift(part.data, part.display),
            display=part.display,
            pixel_aspect=part.pixel_aspect,
            native=SequenceNative(path, index, names),
            image=image,
            header=header,
        )

    def _check_display(self, loaded: _Loaded, path: Path) -> None:
        first = self._info.display
        if loaded.display.shape != first.shape:
            raise FrameSizeError(
                f"{path} is {loaded.display.width}x{loaded.display.height}, but the plate is "
                f"{first.width}x{first.height}",
                hint="Render all frames of the plate at one size, or leave the odd ones out "
                "with --frames.",
                path=str(path),
                expected=f"{first.width}x{first.height}",
                got=f"{loaded.display.width}x{loaded.display.height}",
            )

    def _stand_in(self, number: int) -> Frame:
        if self._missing == "error":
            raise MissingFrameError(
                f"frame {number} of {self._info.path} is missing",
                hint="Render it, or choose what stands in for it with --missing-frame hold "
                "or black.",
                path=str(self._info.path),
                frame=number,
            )
        earlier = [there for there in self._found.files if there < number]
        nearest = earlier[-1] if earlier else next(iter(self._found.files))
        frame = self.read(nearest)
        native = cast(SequenceNative, frame.native)
        if self._missing == "hold":
            return Frame(number, frame.rgb, frame.window, native, policy="hold")
        blank = SequenceNative(native.path, native.part, native.rgb_names, blank=True)
        return Frame(number, np.zeros_like(frame.rgb), frame.window, blank, policy="black")


def to_float_rgb(image: DecodedImage, names: tuple[str, ...]) -> FloatArray:
    """``(height, width, 3)`` float32 of three channels, or of one three times.

    Whole-number samples become 0-1; half and float samples stay what they are.
    """
    for group, pixels in image.groups:
        if group == names and len(names) == 3:
            return to_float(pixels)
    planes = [to_float(image.channel(name)) for name in names]
    return np.stack(planes * (3 if len(planes) == 1 else 1), axis=-1)


def to_float(pixels: npt.NDArray[Any]) -> FloatArray:
    """Samples as float32; unsigned integers of 8 and 16 bits as fractions of their largest."""
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32)


def _starts_like_exr(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        return False  # the decoder says so
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror}") from error
    if not start:
        raise damaged(path, "is empty")
    return start == b"v/1\x01" or path.suffix.lower() in (".exr", ".sxr")


def _shift(window: Window, display: Window) -> Window:
    return Window(window.x - display.x, window.y - display.y, window.width, window.height)


def _time_of(loaded: _Loaded) -> tuple[Fraction | None, str | None]:
    if loaded.header is not None:
        # The rate and timecode may stand in any part of the file, the first by custom.
        parts = loaded.header.parts
        rates = [part.rate for part in parts if part.rate]
        codes = [part.timecode for part in parts if part.timecode]
        return (rates[0] if rates else None), (codes[0] if codes else None)
    attributes = loaded.image.attributes
    rate = attributes.get("dpx:FrameRate", attributes.get("dpx:TimeCodeRate"))
    words = attributes.get("smpte:TimeCode")
    code = timecode_text(words[0] & 0xFFFFFFFF) if isinstance(words, tuple) else None
    if not isinstance(rate, int | float) or not 1 <= rate <= 1000:
        return None, code
    return nearest_rate(float(rate)), code


def nearest_rate(rate: float) -> Fraction:
    """The exact rate that a float stands for: 23.976 is 24000/1001."""
    whole = Fraction(round(rate))
    ntsc = Fraction(round(rate * 1.001) * 1000, 1001)
    best = min((whole, ntsc), key=lambda exact: abs(float(exact) - rate))
    close = abs(float(best) - rate) < 0.005
    return best if close else Fraction(rate).limit_denominator(1001)


def _pixel_type(loaded: _Loaded) -> str:
    dtype = loaded.image.channel(loaded.native.rgb_names[0]).dtype
    if dtype == np.float16:
        return "half"
    if dtype == np.uint8:
        return "uint8"
    if dtype == np.uint16:
        return {10: "uint10", 12: "uint12"}.get(loaded.image.bits, "uint16")
    return "float"


def _colorspace_of(loaded: _Loaded) -> str:
    if loaded.header is not None:
        return exr_colorspace(loaded.header.parts[loaded.native.part])
    if loaded.image.attributes.get("dpx:Transfer") in ("Printing density", "Logarithmic"):
        return "cineon"
    return "lin_rec709_scene" if _pixel_type(loaded) in ("half", "float") else "srgb"
