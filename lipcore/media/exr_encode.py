"""Writing OpenEXR files chunk by chunk, so that what did not change stays byte for byte.

Attributes go out as they came in. Parts that did not change are copied in their packed form,
whatever they hold (deep pixels, lossy codecs, levels of detail). The part that changed is
packed anew, always losslessly.

Source: "OpenEXR File Layout" and the ZIP filter of the OpenEXR library.
"""

from __future__ import annotations

import itertools
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lipcore.media.exr_format import (
    COMPRESSIONS,
    DEEP,
    LINES_PER_CHUNK,
    LONG_NAMES,
    MAGIC,
    MULTIPART,
    TILED,
    Attribute,
    Channel,
    ExrHeader,
    Part,
    damaged,
    read_header,
)
from lipcore.types import Window

Planes = Mapping[str, npt.NDArray[Any]]
"""Channel name to ``(height, width)`` samples of the channel's own type."""

_ZLIB_LEVEL = 4
_NONE, _RLE, _ZIPS, _ZIP, _PIZ, _PXR24 = range(6)
_OWN = (_NONE, _ZIPS, _ZIP)
_BORROWED = (_RLE, _PIZ, _PXR24)
_DECREASING_Y = b"\x01"


@dataclass(frozen=True, slots=True, eq=False)
class FreshPart:
    """A part to pack from samples."""

    part: Part
    planes: Planes


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A part to copy from another file as it is packed there."""

    header: ExrHeader
    index: int

    @property
    def part(self) -> Part:
        return self.header.parts[self.index]


def lossless_compression(part: Part) -> int:
    """The part's own compression where packing with it loses nothing, else ZIP."""
    has_float = any(channel.pixel_type == 2 for channel in part.channels)
    has_uint = any(channel.pixel_type == 0 for channel in part.channels)
    if part.compression in _OWN:
        return part.compression
    if part.compression in (_RLE, _PIZ) and not has_uint:
        return part.compression
    if part.compression == _PXR24 and not (has_float or has_uint):
        return part.compression
    return _ZIP


def edit_part(
    part: Part,
    *,
    channels: Sequence[Channel] | None = None,
    texts: Mapping[str, str] | None = None,
    compression: int | None = None,
    data: Window | None = None,
) -> Part:
    """A part with some things changed and every other attribute as it was.

    Args:
        part: The part.
        channels: The new channel list; sorted here, as the format asks.
        texts: String attributes to set.
        compression: Index into ``COMPRESSIONS``.
        data: The new data window, in file coordinates.
    """
    values: dict[str, Attribute] = {entry.name: entry for entry in part.attributes}

    def put(name: str, kind: str, value: bytes) -> None:
        values[name] = Attribute(name, kind, value)

    chosen = part.channels if channels is None else tuple(sorted(channels, key=_channel_key))
    if channels is not None:
        put("channels", "chlist", _pack_channels(chosen))
    packed = part.compression if compression is None else compression
    put("compression", "compression", bytes([packed]))
    window = part.data if data is None else data
    put("dataWindow", "box2i", _pack_window(window))
    tile = part.tile
    if tile is not None and tile[2] & 15:
        tile = (tile[0], tile[1], 0)  # one level: smaller ones would show the old picture
        put("tiles", "tiledesc", struct.pack("<IIB", *tile))
    for name, text in (texts or {}).items():
        put(name, "string", text.encode("utf-8"))
    edited = replace(
        part, channels=chosen, compression=packed, data=window, tile=tile,
        attributes=tuple(values.values()),
    )  # fmt: skip
    if "chunkCount" in values:
        put("chunkCount", "int", struct.pack("<i", len(_blocks(edited))))
    return replace(edited, attributes=tuple(values.values()))


def new_part(
    channels: Sequence[Channel],
    data: Window,
    display: Window,
    *,
    pixel_aspect: float = 1.0,
    attributes: Sequence[Attribute] = (),
) -> Part:
    """A scanline part, ZIP packed, with the attributes that every file must have.

    ``attributes`` are kept unless they describe the layout.
    """
    layout = {
        "channels", "compression", "dataWindow", "displayWindow", "lineOrder", "tiles", "type",
        "chunkCount", "name", "version", "maxSamplesPerPixel", "preview", "envmap",
    }  # fmt: skip
    chosen = tuple(sorted(channels, key=_channel_key))
    basic = [
        Attribute("channels", "chlist", _pack_channels(chosen)),
        Attribute("compression", "compression", bytes([_ZIP])),
        Attribute("dataWindow", "box2i", _pack_window(data)),
        Attribute("displayWindow", "box2i", _pack_window(display)),
        Attribute("lineOrder", "lineOrder", b"\0"),
        Attribute("pixelAspectRatio", "float", struct.pack("<f", pixel_aspect)),
        Attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        Attribute("screenWindowWidth", "float", struct.pack("<f", 1)),
    ]
    merged = {entry.name: entry for entry in basic}
    merged.update((entry.name, entry) for entry in attributes if entry.name not in layout)
    return Part(tuple(merged.values()), chosen, data, display, _ZIP, "scanlineimage")


def write_exr(
    path: Path, parts: Sequence[FreshPart | CopiedPart], *, version: int, threads: int = 2
) -> None:
    """Write a file of parts.

    Args:
        path: Where; overwritten.
        parts: In order.
        version: Version word of the file that this one is made after.
        threads: How many pack at once.

    Raises:
        OSError: The file system refuses.
        MediaUnreadableError: A part to copy is damaged.
    """
    flags = version & ~(TILED | LONG_NAMES)
    if not flags & MULTIPART and parts[0].part.kind == "tiledimage":
        flags |= TILED
    names = [entry.name for item in parts for entry in item.part.attributes]
    names += [channel.name for item in parts for channel in item.part.channels]
    if any(len(name.encode("utf-8", "surrogateescape")) > 31 for name in names):
        flags |= LONG_NAMES
    with path.open("wb") as file, ThreadPoolExecutor(threads) as pool:
        file.write(MAGIC + struct.pack("<I", flags))
        for item in parts:
            for entry in item.part.attributes:
                file.write(_pack_attribute(entry))
            file.write(b"\0")
        if flags & MULTIPART:
            file.write(b"\0")
        counts = [_chunk_count(item) for item in parts]
        tables_at = file.tell()
        file.write(bytes(8 * sum(counts)))
        tables = []
        for number, (item, count) in enumerate(zip(parts, counts, strict=True)):
            lead = struct.pack("<i", number) if flags & MULTIPART else b""
            table = [0] * count
            chunks = (
                _copied_chunks(item)
                if isinstance(item, CopiedPart)
                else _fresh_chunks(item, path, pool)
            )
            for place, chunk in chunks:
                table[place] = file.tell()
                file.write(lead)
                file.write(chunk)
            tables.append(struct.pack(f"<{count}Q", *table))
        file.seek(tables_at)
        file.write(b"".join(tables))


def _channel_key(channel: Channel) -> bytes:
    return channel.name.encode("utf-8", "surrogateescape")


def _pack_attribute(entry: Attribute) -> bytes:
    name = entry.name.encode("utf-8", "surrogateescape")
    kind = entry.kind.encode("utf-8", "surrogateescape")
    return name + b"\0" + kind + b"\0" + struct.pack("<i", len(entry.value)) + entry.value


def _pack_channels(channels: Sequence[Channel]) -> bytes:
    packed = [
        _channel_key(channel)
        + b"\0"
        + struct.pack(
            "<iBxxxii", channel.pixel_type, channel.linear, channel.x_sampling, channel.y_sampling
        )
        for channel in channels
    ]
    return b"".join(packed) + b"\0"


def _pack_window(window: Window) -> bytes:
    return struct.pack("<4i", window.x, window.y, window.x1 - 1, window.y1 - 1)


def _blocks(part: Part) -> list[tuple[bytes, Window]]:
    """The chunks of a flat, one-level part in table order: its place, and its pixels in file
    coordinates."""
    data = part.data
    if part.tile is None:
        high = LINES_PER_CHUNK[part.compression]
        return [
            (
                struct.pack("<i", y),
                Window(data.x, y, data.width, min(high, data.y1 - y)),
            )
            for y in range(data.y, data.y1, high)
        ]
    wide, high, _ = part.tile
    columns, rows = math.ceil(data.width / wide), math.ceil(data.height / high)
    return [
        (
            struct.pack("<4i", column, row, 0, 0),
            Window(data.x + column * wide, data.y + row * high, wide, high).intersect(data),
        )
        for row, column in itertools.product(range(rows), range(columns))
    ]


def _chunk_count(item: FreshPart | CopiedPart) -> int:
    if isinstance(item, FreshPart):
        return len(_blocks(item.part))
    return len(_source_table(item))


def _fresh_chunks(
    item: FreshPart, path: Path, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, bytes]]:
    part = item.part
    if part.compression in _BORROWED:
        yield from _borrowed_chunks(item, path)
        return
    blocks = list(enumerate(_blocks(part)))
    order = part.by_name.get("lineOrder")
    if order is not None and order.value == _DECREASING_Y:
        blocks.reverse()

    def pack(block: tuple[int, tuple[bytes, Window]]) -> tuple[int, bytes]:
        place, (lead, window) = block
        packed = _pack_pixels(_raw_pixels(item, window), part.compression)
        return place, lead + struct.pack("<i", len(packed)) + packed

    yield from pool.map(pack, blocks)


def _raw_pixels(item: FreshPart, window: Window) -> npt.NDArray[np.uint8]:
    """Rows of a block as the format lays them out: channel after channel within each row."""
    cut = window.slices_in(item.part.data)
    rows = [
        np.ascontiguousarray(item.planes[channel.name][cut], channel.dtype)
        .view(np.uint8)
        .reshape(window.height, -1)
        for channel in item.part.channels
    ]
    joined: npt.NDArray[np.uint8] = np.concatenate(rows, axis=1).reshape(-1)
    return joined


def _pack_pixels(raw: npt.NDArray[np.uint8], compression: int) -> bytes:
    if compression == _NONE:
        return raw.tobytes()
    split = np.concatenate([raw[0::2], raw[1::2]])
    delta = split.copy()
    delta[1:] = split[1:] - split[:-1] + np.uint8(128)
    packed = zlib.compress(delta.data, _ZLIB_LEVEL)
    # The format takes a chunk that is not smaller packed as unpacked.
    return packed if len(packed) < raw.size else raw.tobytes()


def _borrowed_chunks(item: FreshPart, path: Path) -> Iterator[tuple[int, bytes]]:
    """Chunks of the codecs that OpenImageIO packs: written to a file beside, and taken over.

    What a chunk holds depends on the channels and the windows only, not on other attributes.
    Where the library's file does not hold exactly our samples (it cannot keep every NaN),
    the chunks go out unpacked, which the format allows under any compression.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.chunks.exr")
    try:
        if _write_with_library(item, beside):
            header = read_header(beside)
            yield from _copied_chunks(CopiedPart(header, 0))
            return
    finally:
        beside.unlink(missing_ok=True)
    for place, (lead, window) in enumerate(_blocks(item.part)):
        raw = _raw_pixels(item, window).tobytes()
        yield place, lead + struct.pack("<i", len(raw)) + raw


def _write_with_library(item: FreshPart, path: Path) -> bool:
    import OpenImageIO as oiio  # noqa: N813 -- the library's own short name

    part = item.part
    names = [channel.name for channel in part.channels]
    if any(not _survives_float(item.planes[name]) for name in names):
        return False
    spec = oiio.ImageSpec(part.data.width, part.data.height, len(names), "float")
    spec.channelnames = tuple(names)
    spec.channelformats = tuple("half" if c.pixel_type == 1 else "float" for c in part.channels)
    spec.x, spec.y = part.data.x, part.data.y
    spec.full_x, spec.full_y = part.display.x, part.display.y
    spec.full_width, spec.full_height = part.display.width, part.display.height
    if part.tile is not None:
        spec.tile_width, spec.tile_height = part.tile[:2]
    spec.attribute("compression", COMPRESSIONS[part.compression])
    order = part.by_name.get("lineOrder")
    if order is not None and order.value == _DECREASING_Y:
        spec.attribute("openexr:lineOrder", "decreasingY")
    pixels = np.stack([item.planes[name].astype(np.float32) for name in names], axis=-1)
    target = oiio.ImageOutput.create(str(path))
    if target is None or not target.open(str(path), spec):
        return False
    done = target.write_image(pixels)
    if not (target.close() and done):
        return False
    written = read_header(path).parts[0]
    return written.channels == part.channels and len(_blocks(written)) == len(_blocks(part))


def _survives_float(plane: npt.NDArray[Any]) -> bool:
    """No half NaN: conversion through float may change its bits."""
    return plane.dtype != np.float16 or not np.isnan(plane).any()


def _source_table(item: CopiedPart) -> tuple[int, ...]:
    header = item.header
    with header.path.open("rb") as file:
        at = header.tables_at
        for part in header.parts[: item.index]:
            at += 8 * _declared_chunks(part, header)
        count = _declared_chunks(item.part, header)
        if at + 8 * count > header.file_bytes:
            raise damaged(header.path, "is a damaged EXR file: its offset table is cut short")
        file.seek(at)
        return struct.unpack(f"<{count}Q", file.read(8 * count))


def _declared_chunks(part: Part, header: ExrHeader) -> int:
    declared = part.by_name.get("chunkCount")
    if declared is not None and len(declared.value) == 4:
        count: int = struct.unpack("<i", declared.value)[0]
    else:
        count = len(_blocks(part))
    if not 0 <= count <= header.file_bytes // 8:
        raise damaged(header.path, f"is a damaged EXR file: it claims {count} chunks")
    return count


def _copied_chunks(item: CopiedPart) -> Iterator[tuple[int, bytes]]:
    header = item.header
    with header.path.open("rb") as file:
        for place, at in enumerate(_source_table(item)):
            yield place, _read_chunk(file, header, item.part, at)


def _read_chunk(file: BinaryIO, header: ExrHeader, part: Part, at: int) -> bytes:
    """One chunk from its place on, without its part number."""
    if header.multipart:
        at += 4
    lead = 4 if part.kind in ("scanlineimage", "deepscanline") else 16
    file.seek(at)
    if header.version & DEEP or part.kind.startswith("deep"):
        head = file.read(lead + 24)
        if len(head) == lead + 24:
            table, samples, _ = struct.unpack("<3Q", head[lead:])
            size = table + samples
    else:
        head = file.read(lead + 4)
        if len(head) == lead + 4:
            (size,) = struct.unpack("<i", head[lead:])
    complete = len(head) in (lead + 4, lead + 24)
    if not complete or size < 0 or file.tell() + size > header.file_bytes:
        raise damaged(header.path, f"is a damaged EXR file: the chunk at byte {at} is cut short")
    return head + file.read(size)
