"""Rendered frames in the media pool: one bin a timeline and version, every answer checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client import WorkerError

if TYPE_CHECKING:
    from fusionscript import Folder, MediaPool, MediaPoolItem

BIN = "lipsync"


def find_bin(pool: MediaPool, names: Sequence[str]) -> Folder | None:
    """A bin by its path from the root, where it is there."""
    folder: Folder | None = pool.GetRootFolder()
    for name in names:
        inside = [] if folder is None else folder.GetSubFolderList() or []
        folder = next((one for one in inside if one.GetName() == name), None)
    return folder


def make_bin(pool: MediaPool, names: Sequence[str]) -> Folder:
    """A bin by its path from the root; what is missing is made.

    Raises:
        WorkerError: Resolve makes none.
    """
    folder = pool.GetRootFolder()
    for depth, name in enumerate(names, 1):
        inner = find_bin(pool, names[:depth])
        if inner is None:  # asked first: AddSubFolder answers None where the name is taken
            inner = pool.AddSubFolder(folder, name) or find_bin(pool, names[:depth])
        if inner is None:
            raise WorkerError(
                f"Resolve makes no bin {'/'.join(names[:depth])}",
                "Look whether the project is read-only, or the bin is locked by another user.",
            )
        folder = inner
    return folder


def import_frames(
    pool: MediaPool, folder: Folder, picture: str, frames: Sequence[int], rate: str
) -> MediaPoolItem:
    """Rendered frames as one clip of a bin.

    Args:
        pool: Of the project.
        folder: The bin.
        picture: Pattern of the frames, with ``####``.
        frames: First and last number of the files.
        rate: Of the timeline, as Resolve writes it.

    Raises:
        WorkerError: Resolve imports none, several, or with frames missing.
    """
    count = frames[1] - frames[0] + 1
    before = pool.GetCurrentFolder()
    if not pool.SetCurrentFolder(folder):
        raise WorkerError(
            f"Resolve does not open the bin {folder.GetName()}", "Close its window, then run again."
        )
    try:
        asked: Any = {
            "FilePath": picture.replace("####", "%04d"),
            "StartIndex": frames[0], "EndIndex": frames[1],
        }  # fmt: skip
        made = pool.ImportMedia([asked]) or []
    finally:
        if before is not None:
            pool.SetCurrentFolder(before)
    if not made:  # what is in the bin already is not imported again, and nothing is said
        made = [clip for clip in folder.GetClipList() or [] if _shows(clip, picture)]
    name = Path(picture).name
    if not made:
        raise WorkerError(
            f"Resolve imported nothing of {name}",
            f"Drag {Path(picture).parent} into the media pool by hand to see why: a codec or "
            "a mounted disk may be missing.",
        )
    if len(made) > 1:
        raise WorkerError(
            f"Resolve imported {name} as {len(made)} single pictures",
            "Switch off Show individual frames in the menu of the media pool.",
        )
    (clip,) = made
    there = str(clip.GetClipProperty("Frames"))
    if there != str(count):
        raise WorkerError(
            f"Resolve sees {there or 'no'} frames of {name}, and {count} were rendered",
            "Delete the clip from the bin lipsync, then run again.",
        )
    if not _same_rate(clip, rate):
        clip.SetClipProperty("FPS", rate.split()[0])
        if not _same_rate(clip, rate):
            raise WorkerError(
                f"{name} plays at {clip.GetClipProperty('FPS')} frames a second, the timeline "
                f"at {rate}",
                "Set the clip's rate in Clip Attributes, then run again.",
            )
    return clip


def _shows(clip: MediaPoolItem, picture: str) -> bool:
    path = str(clip.GetClipProperty("File Path")).replace("\\", "/")
    head, _, tail = picture.replace("\\", "/").partition("####")
    return path.startswith(head) and path.endswith(tail)


def _same_rate(clip: MediaPoolItem, rate: str) -> bool:
    try:
        return abs(float(str(clip.GetClipProperty("FPS"))) - float(rate.split()[0])) < 0.005
    except (ValueError, IndexError):
        return True  # it states none: what is placed is measured all the same
