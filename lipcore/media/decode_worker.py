"""The process that decodes image files for ``decoder.IsolatedDecoder``, and may die doing so.

Started by path, not imported: it needs numpy and OpenImageIO only. A request is one line of
JSON on stdin; a reply is a length (8 bytes, little-endian), that many bytes of JSON, then the
pixels of each group of channels as they lie in memory. The process ends with its stdin.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name

_MAX_RATIO = 20_000


def main() -> None:
    """Answer requests until stdin ends."""
    _limit_core_dumps()
    # Libraries may print: what they print must not fall among the replies.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    oiio.attribute("threads", int(sys.argv[1]))
    oiio.attribute("exr_threads", int(sys.argv[1]))
    oiio.attribute("limits:imagesize_MB", int(sys.argv[2]) >> 20)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply, groups = _decode(request)
        except (RuntimeError, ValueError, MemoryError, OverflowError) as error:
            reply, groups = {"error": str(error) or type(error).__name__}, []
        _send(replies, reply, groups)


def _limit_core_dumps() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _send(file: IO[bytes], reply: dict[str, Any], groups: list[np.ndarray[Any, Any]]) -> None:
    head = json.dumps(reply).encode()
    _write(file, len(head).to_bytes(8, "little") + head)
    for group in groups:
        _write(file, group.reshape(-1).view(np.uint8).data)


def _write(file: IO[bytes], data: bytes | memoryview) -> None:
    view = memoryview(data)
    while len(view):
        view = view[file.write(view) :]


def _decode(request: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
    path = request["path"]
    config = oiio.ImageSpec()
    # Code values as they are stored: no premultiplication on the way in.
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(path, config)
    if source is None:
        raise ValueError(oiio.geterror() or "it is no image")
    try:
        if request["part"] and not source.seek_subimage(request["part"], 0):
            raise ValueError(source.geterror() or f"it has no part {request['part']}")
        spec = source.spec()
        _check(spec, path, request)
        wanted = request["channels"] or list(spec.channelnames)
        runs = _runs(spec, wanted)
        groups = []
        for begin, end, kind in runs:
            pixels = source.read_image(request["part"], 0, begin, end, kind)
            if pixels is None:
                raise ValueError(source.geterror() or "its pixels cannot be decoded")
            groups.append(np.ascontiguousarray(pixels).reshape(spec.height, spec.width, -1))
        return _describe(spec, source, runs, groups), groups
    finally:
        source.close()


def _check(spec: Any, path: str, request: dict[str, Any]) -> None:
    if spec.deep:
        raise ValueError("its pixels are deep")
    size = [spec.x, spec.y, spec.width, spec.height]
    if request["window"] is not None and size != request["window"]:
        raise ValueError(f"its data window reads as {size}, not {request['window']}")
    total = spec.image_bytes(True)
    on_disk = Path(path).stat().st_size
    if total > request["max_bytes"] or (total > 512 << 20 and total > on_disk * _MAX_RATIO):
        raise ValueError(
            f"it claims {spec.width}x{spec.height} pixels of {spec.nchannels} channels in "
            f"{on_disk} bytes"
        )


def _runs(spec: Any, wanted: list[str]) -> list[tuple[int, int, Any]]:
    """Neighbouring channels of one type, as (begin, end, type)."""
    names = list(spec.channelnames)
    absent = [name for name in wanted if name not in names]
    if absent:
        raise ValueError(f"it has no channel {absent[0]!r}")
    runs: list[tuple[int, int, Any]] = []
    for index in sorted(names.index(name) for name in wanted):
        kind = spec.channelformat(index)
        if runs and runs[-1][1] == index and runs[-1][2] == kind:
            runs[-1] = (runs[-1][0], index + 1, kind)
        else:
            runs.append((index, index + 1, kind))
    return runs


def _describe(
    spec: Any,
    source: Any,
    runs: list[tuple[int, int, Any]],
    groups: list[np.ndarray[Any, Any]],
) -> dict[str, Any]:
    names = list(spec.channelnames)
    return {
        "format": source.format_name(),
        "data": [spec.x, spec.y, spec.width, spec.height],
        "display": [spec.full_x, spec.full_y, spec.full_width, spec.full_height],
        "groups": [
            {"names": names[begin:end], "dtype": group.dtype.str, "shape": group.shape}
            for (begin, end, _), group in zip(runs, groups, strict=True)
        ],
        "attributes": {
            attribute.name: attribute.value
            for attribute in spec.extra_attribs
            if isinstance(attribute.value, str | int | float | tuple)
        },
        "bits": spec.get_int_attribute("oiio:BitsPerSample", 0),
    }


if __name__ == "__main__":
    main()
