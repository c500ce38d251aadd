"""The layout of OpenEXR files: headers, offset tables and chunks, byte for byte.

Reading a header here, rather than through a library, serves two ends. A damaged file is
refused before any decoder allocates memory for it; and every attribute, of whatever type,
goes back into the rendered file exactly as it was.

Source: "OpenEXR File Layout", Academy Software Foundation.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from lipcore.errors import MediaUnreadableError
from lipcore.types import Window

MAGIC = struct.pack("<i", 20000630)
TILED, LONG_NAMES, DEEP, MULTIPART = 0x200, 0x400, 0x800, 0x1000

MAX_HEADER_BYTES = 64 << 20
MAX_FRAME_BYTES = 8 << 30
"""Decoded bytes of one part; 16K by 8K with sixteen half channels is 4 GiB."""
_CHECKED_BYTES = 512 << 20
_MAX_RATIO = 20_000
"""Above ``_CHECKED_BYTES``, a file that claims to pack tighter than this is lying."""

COMPRESSIONS = (
    "none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab",
    "htj2k256", "htj2k32",
)  # fmt: skip
LINES_PER_CHUNK = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256, 256, 32)
CHANNEL_TYPES: tuple[npt.DTypeLike, ...] = ("<u4", "<f2", "<f4")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One header attribute as it stands in the file."""

    name: str
    kind: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Channel:
    """One entry of a channel list."""

    name: str
    pixel_type: int
    """Index into ``CHANNEL_TYPES``."""
    linear: int = 0
    x_sampling: int = 1
    y_sampling: int = 1

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """How a sample is stored."""
        return np.dtype(CHANNEL_TYPES[self.pixel_type])


@dataclass(frozen=True, slots=True)
class Part:
    """One part's header, with what the layout needs taken out of it."""

    attributes: tuple[Attribute, ...]
    channels: tuple[Channel, ...]
    """In the file's order, which is alphabetical."""
    data: Window
    """The data window in the file's own coordinates."""
    display: Window
    compression: int
    kind: str
    """``scanlineimage``, ``tiledimage``, ``deepscanline`` or ``deeptile``."""
    tile: tuple[int, int, int] | None = None
    """Width, height and mode byte, of a tiled part."""

    @property
    def by_name(self) -> Mapping[str, Attribute]:
        """The attributes by name."""
        return {attribute.name: attribute for attribute in self.attributes}

    @property
    def row_bytes(self) -> int:
        """Bytes of one full row of all channels, subsampling aside."""
        return self.data.width * sum(channel.dtype.itemsize for channel in self.channels)

    def text(self, name: str) -> str | None:
        """A string attribute, or None."""
        found = self.by_name.get(name)
        if found is None or found.kind != "string":
            return None
        return found.value.decode("utf-8", "replace")

    def floats(self, name: str) -> tuple[float, ...] | None:
        """The numbers of an attribute of floats (float, v2f, chromaticities, ...), or None."""
        found = self.by_name.get(name)
        if found is None or len(found.value) % 4:
            return None
        return struct.unpack(f"<{len(found.value) // 4}f", found.value)

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height; 1 where the header has nonsense."""
        values = self.floats("pixelAspectRatio")
        good = values and len(values) == 1 and math.isfinite(values[0]) and values[0] > 0
        return values[0] if values and good else 1.0

    @property
    def rate(self) -> Fraction | None:
        """``framesPerSecond``, where the header has it."""
        found = self.by_name.get("framesPerSecond")
        if found is None or len(found.value) != 8:
            return None
        over, under = struct.unpack("<iI", found.value)
        return Fraction(over, under) if over > 0 and under > 0 else None

    @property
    def timecode(self) -> str | None:
        """The ``timeCode`` attribute as text, where the header has it."""
        found = self.by_name.get("timeCode")
        if found is None or found.kind != "timecode" or len(found.value) != 8:
            return None
        return timecode_text(struct.unpack("<I", found.value[:4])[0])


@dataclass(frozen=True, slots=True)
class ExrHeader:
    """All parts of a file, and where its offset tables start."""

    path: Path
    version: int
    parts: tuple[Part, ...]
    tables_at: int
    file_bytes: int

    @property
    def multipart(self) -> bool:
        """The file says that it has parts (even if only one)."""
        return bool(self.version & MULTIPART)

    def part_index(self) -> tuple[int, tuple[str, ...]]:
        """The first part that shows a picture, and the names of its red, green, blue.

        One name alone is a luminance channel.

        Raises:
            MediaUnreadableError: No flat part has such channels.
        """
        for index, part in enumerate(self.parts):
            if part.kind.startswith("deep"):
                continue
            names = pick_rgb([channel.name for channel in part.channels])
            if names:
                return index, names
        raise damaged(self.path, "has no flat part with red, green and blue or luminance")


def damaged(path: Path, what: str) -> MediaUnreadableError:
    """The error for a file that cannot be read, naming it."""
    return MediaUnreadableError(
        f"{path} {what}",
        hint="Render or copy this file again, or leave the frame out and choose what stands "
        "in for it with --missing-frame.",
        path=str(path),
    )


def pick_rgb(names: list[str]) -> tuple[str, ...]:
    """The channels that show the picture: three names, one luminance name, or none.

    Unnamed layers come first, then ``rgba`` layers, then the first layer in the file.
    """
    triples = {}
    for name in names:
        layer, dot, last = name.rpartition(".")
        if last.lower() in ("r", "red"):
            triples[layer + dot] = name
    ranked = sorted(triples, key=lambda layer: (layer != "", "rgb" not in layer.lower()))
    for layer in ranked:
        if layer == "lipsync.":
            continue
        red = triples[layer][len(layer) :]
        swap = {"R": "GB", "r": "gb"}.get(red) or {
            "Red": ("Green", "Blue"), "red": ("green", "blue"), "RED": ("GREEN", "BLUE"),
        }.get(red)  # fmt: skip
        if swap and all(layer + name in names for name in swap):
            return triples[layer], layer + swap[0], layer + swap[1]
    for luminance in ("Y", "y", "L"):
        if luminance in names:
            return (luminance,)
    return (names[0],) if len(names) == 1 else ()


def timecode_text(bits: int) -> str:
    """A SMPTE 12M time word as ``hh:mm:ss:ff``, ``;`` before the frames when drop-frame."""

    def pair(shift: int, tens: int) -> int:
        return ((bits >> shift + 4) & tens) * 10 + ((bits >> shift) & 15)

    mark = ";" if bits & 0x40 else ":"
    return f"{pair(24, 3):02d}:{pair(16, 7):02d}:{pair(8, 7):02d}{mark}{pair(0, 3):02d}"


def read_header(path: Path) -> ExrHeader:
    """Read and check the headers of an EXR file; no pixel is decoded.

    Raises:
        MediaUnreadableError: The file is damaged, truncated, or claims an impossible size.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _Parser(path, file, size).parse()
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
        raise damaged(path, f"is a damaged EXR file: {error}") from error
    except MediaUnreadableError:
        raise
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror}") from error


class _Parser:
    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.size = path, file, size

    def bad(self, what: str) -> MediaUnreadableError:
        return damaged(self.path, f"is a damaged EXR file: {what}")

    def take(self, count: int) -> bytes:
        if count < 0 or self.file.tell() + count > min(self.size, MAX_HEADER_BYTES):
            raise self.bad("its header is cut short")
        return self.file.read(count)

    def name(self) -> str:
        """A null-terminated name of at most 255 bytes."""
        taken = bytearray()
        while (byte := self.take(1)) != b"\0":
            taken += byte
            if len(taken) > 255:
                raise self.bad("a name in its header has no end")
        return taken.decode("utf-8", "surrogateescape")

    def parse(self) -> ExrHeader:
        if self.size == 0:
            raise damaged(self.path, "is empty")
        if self.size < 8 or self.take(4) != MAGIC:
            raise self.bad("it does not start like one")
        (version,) = struct.unpack("<I", self.take(4))
        if version & 0xFF != 2:
            raise self.bad(f"its format version is {version & 0xFF}")
        parts = []
        while True:
            attributes = self.attributes()
            if not attributes:
                if version & MULTIPART:
                    break
                raise self.bad("its header is empty")
            parts.append(self.part(attributes, version))
            if not version & MULTIPART:
                break
        if not parts:
            raise self.bad("it has no parts")
        header = ExrHeader(self.path, version, tuple(parts), self.file.tell(), self.size)
        for part in header.parts:
            self.check_size(part)
        return header

    def attributes(self) -> list[Attribute]:
        found = []
        while name := self.name():
            kind = self.name()
            (size,) = struct.unpack("<i", self.take(4))
            found.append(Attribute(name, kind, self.take(size)))
        return found

    def part(self, attributes: list[Attribute], version: int) -> Part:
        values = {attribute.name: attribute.value for attribute in attributes}
        for needed in ("channels", "compression", "dataWindow", "displayWindow"):
            if needed not in values:
                raise self.bad(f"its header has no {needed}")
        compression = values["compression"][0]
        if compression >= len(COMPRESSIONS):
            raise self.bad(f"its compression {compression} is unknown")
        tiled = bool(version & TILED)
        kind = "tiledimage" if tiled else "scanlineimage"
        if "type" in values and version & (MULTIPART | DEEP):
            kind = values["type"].decode("ascii")
        if kind not in ("scanlineimage", "tiledimage", "deepscanline", "deeptile"):
            raise self.bad(f"a part is of the unknown type {kind!r}")
        tile = None
        if kind in ("tiledimage", "deeptile"):
            if "tiles" not in values:
                raise self.bad("a tiled part has no tile size")
            wide, high, mode = struct.unpack("<IIB", values["tiles"])
            if not (0 < wide < 1 << 24 and 0 < high < 1 << 24):
                raise self.bad(f"its tiles are {wide}x{high}")
            tile = (wide, high, mode)
        return Part(
            tuple(attributes),
            self.channels(values["channels"]),
            self.window(values["dataWindow"], "data"),
            self.window(values["displayWindow"], "display"),
            compression,
            kind,
            tile,
        )

    def channels(self, value: bytes) -> tuple[Channel, ...]:
        found = []
        at = 0
        while value[at] != 0:
            end = value.index(0, at)
            name = value[at:end].decode("utf-8", "surrogateescape")
            kind, linear, x, y = struct.unpack_from("<iBxxxii", value, end + 1)
            if not (0 <= kind < 3 and 0 < x < 1 << 16 and 0 < y < 1 << 16):
                raise self.bad(f"its channel {name!r} is described wrongly")
            found.append(Channel(name, kind, linear, x, y))
            at = end + 17
        if not found:
            raise self.bad("it has no channels")
        return tuple(found)

    def window(self, value: bytes, what: str) -> Window:
        x0, y0, x1, y1 = struct.unpack("<4i", value)
        if x1 < x0 or y1 < y0 or max(map(abs, (x0, y0, x1, y1))) > 1 << 28:
            raise self.bad(f"its {what} window is {x0},{y0} to {x1},{y1}")
        return Window(x0, y0, x1 - x0 + 1, y1 - y0 + 1)

    def check_size(self, part: Part) -> None:
        """Refuse a header whose pixels cannot be in a file of this size."""
        total = part.row_bytes * part.data.height
        if part.kind.startswith("deep"):
            return
        high = part.tile[1] if part.tile else LINES_PER_CHUNK[part.compression]
        rows = math.ceil(part.data.height / high)
        columns = math.ceil(part.data.width / part.tile[0]) if part.tile else 1
        lying = total > _CHECKED_BYTES and total > self.size * _MAX_RATIO
        if total > MAX_FRAME_BYTES or lying or rows * columns * 16 > self.size:
            raise self.bad(
                f"it claims {part.data.width}x{part.data.height} pixels of "
                f"{len(part.channels)} channels in {self.size} bytes"
            )
