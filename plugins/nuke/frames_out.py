"""The plate and the matte as files: written once, found again while nothing upstream changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nuke

from ..client import WorkerError
from . import node, paths

_UNIMPORTANT = (
    "xpos", "ypos", "selected", "label", "note_font", "tile_color", "gl_color", "bookmark",
    "postage_stamp", "hide_input", "dope_sheet", "cached",
)  # fmt: skip


def upstream(bottom: Any) -> Iterator[Any]:
    """A node and all that it depends on, each once."""
    waiting: list[Any] = [bottom]
    seen: set[str] = set()
    while waiting:
        here = waiting.pop()
        if here.fullName() in seen:
            continue
        seen.add(here.fullName())
        yield here
        if isinstance(here, nuke.Group):
            waiting.extend(here.nodes())
        waiting.extend(n for n in here.dependencies(nuke.INPUTS | nuke.EXPRESSIONS))


def upstream_hash(bottom: Any, first: int, last: int, *more: object) -> str:
    """A hash of the script above a node, of the files that it reads, and of more values."""
    digest = hashlib.sha256(repr((first, last, more)).encode())
    for here in sorted(upstream(bottom), key=lambda n: str(n.fullName())):
        digest.update(f"{here.Class()} {here.fullName()}".encode())
        for name, knob in sorted(here.knobs().items()):
            if name not in _UNIMPORTANT:
                digest.update(f"{name} {knob.toScript()}".encode())
        for path in _files(here, first, last):
            digest.update(_facts(path).encode())
    root = nuke.root()
    for name in ("colorManagement", "OCIO_config", "customOCIOConfigPath", "workingSpaceLUT"):
        knob = root.knob(name)
        if knob is not None:
            digest.update(f"{name} {knob.toScript()}".encode())
    return digest.hexdigest()[:16]


def _files(here: Any, first: int, last: int) -> Iterator[Path]:
    if here.knob("file") is None:
        return
    name = nuke.filename(here)
    if not name:
        return
    name = paths.resolve(name)
    if "%" in name or "#" in name:
        shape = paths.hashes(name)
        for number in range(first, last + 1):
            yield paths.frame_file(shape, number)
    else:
        yield Path(name)


def _facts(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return f"{path} absent"
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def write_frames(
    group: Any, place: int, folder: str, name: str, first: int, last: int, *, channels: str,
    full_float: bool,
) -> str:  # fmt: skip
    """Write an input of the group, unless it is there from before.

    Args:
        group: Our node; the Write lives in it for as long as it writes.
        place: Of the input.
        folder: Where; a folder of its own is made inside.
        name: Of the files.
        first: First frame.
        last: Last frame.
        channels: As the Write's knob.
        full_float: 32 bit float instead of half.

    Returns:
        The pattern with ``####``.

    Raises:
        WorkerError: Nuke could not write.
    """
    key = upstream_hash(group.input(place), first, last, channels, full_float)
    target = Path(folder) / f"{name}_{key}"
    picture = f"{target.as_posix()}/{name}.####.exr"
    record = target / "complete.json"
    wanted = {
        str(n): paths.frame_file(picture, n).name for n in range(first, last + 1)
    }
    if _is_complete(record, target, wanted):
        return picture
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkerError(
            f"the folder {target} cannot be made: {error.strerror}", "Choose another output."
        ) from error
    with group:
        write = nuke.nodes.Write(name="LipcoreWrite")
    try:
        write.setInput(0, node.inner(group, (node.PLATE, node.MATTE)[place]))
        write["file"].setValue(picture)
        write["file_type"].setValue("exr")
        write["channels"].setValue(channels)
        write["raw"].setValue(True)
        write["datatype"].setValue("32 bit float" if full_float else "16 bit half")
        nuke.execute(write, first, last)
    except RuntimeError as error:
        raise WorkerError(
            f"Nuke could not write the {name}: {error}",
            "Look at the node above; free some space; or it was cancelled.",
        ) from error
    finally:
        nuke.delete(write)
    sizes = {n: (target / file).stat().st_size for n, file in wanted.items()}
    draft = record.with_suffix(".part")
    draft.write_text(json.dumps(sizes), encoding="utf-8")
    draft.replace(record)
    return picture


def _is_complete(record: Path, target: Path, wanted: dict[str, str]) -> bool:
    try:
        sizes = json.loads(record.read_text(encoding="utf-8"))
        return all((target / file).stat().st_size == sizes[n] for n, file in wanted.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False
