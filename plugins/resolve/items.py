"""The timeline as Resolve tells it, its export, and which clips were asked for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client import WorkerError
from .connect import live_value
from .options import MARK

if TYPE_CHECKING:
    from fusionscript import Folder, MediaPool, Resolve, Timeline, TimelineItem

_LOOSE_FRAMES = 1.5
"""Resolve says its ends in or out of the span: a difference below this is no speed."""


@dataclass(frozen=True)
class Item:
    """A clip on an enabled picture track."""

    item: TimelineItem
    track: int
    first: int
    """Record frame, the timeline's first frame being 0; so is ``end``, which lies after it."""
    end: int

    def markers(self) -> list[str]:
        """Names of its markers."""
        return [marker["name"] for marker in (self.item.GetMarkers() or {}).values()]


def span(item: TimelineItem) -> tuple[int, int]:
    """First frame of an item and the one after its last, as the host counts them."""
    # The argument is of later editions, and may be left out in them.
    first = round(item.GetStart())  # type: ignore[call-arg]
    return first, first + round(item.GetDuration())  # type: ignore[call-arg]


def left_offset(item: TimelineItem) -> int:
    """How many frames of the media come before the item's first."""
    return round(item.GetLeftOffset())  # type: ignore[call-arg]


def own_tracks(timeline: Timeline) -> dict[int, str]:
    """Our picture tracks of earlier runs."""
    names = {
        index: timeline.GetTrackName("video", index)
        for index in range(1, timeline.GetTrackCount("video") + 1)
    }
    return {index: name for index, name in names.items() if name.startswith(MARK)}


def list_items(timeline: Timeline) -> list[Item]:
    """The clips that make the picture, tracks of earlier runs apart; upper tracks last."""
    start, found = timeline.GetStartFrame(), []
    skipped = own_tracks(timeline)
    for track in range(1, timeline.GetTrackCount("video") + 1):
        if track in skipped or not timeline.GetIsTrackEnabled("video", track):
            continue
        for item in timeline.GetItemListInTrack("video", track) or []:
            first, end = span(item)
            found.append(Item(item, track, first - start, end - start))
    return found


def find_under(items: Sequence[Item], record: Sequence[int]) -> Item | None:
    """The clip that is seen at a shot's first frame."""
    seen = [i for i in items if i.first <= record[0] < i.end and i.item.GetClipEnabled()]
    return seen[-1] if seen else None


def choose(items: Sequence[Item], clips: str, timeline: Timeline, pool: MediaPool) -> list[Item]:
    """The clips that were asked for.

    Args:
        items: All.
        clips: ``all``, ``current``, ``pool``, ``marked`` or a clip colour.
        timeline: Theirs.
        pool: Of the project.

    Raises:
        WorkerError: There is none.
    """
    word = clips.strip().lower()
    if word == "all":
        return list(items)
    if word == "current":
        current = timeline.GetCurrentVideoItem()
        wanted = None if current is None else current.GetUniqueId()
        found = [i for i in items if i.item.GetUniqueId() == wanted]
        hint = "Put the playhead on the clip, on the Edit page."
    elif word == "pool":
        media = {clip.GetMediaId() for clip in pool.GetSelectedClips() or []}
        found = [i for i in items if _media_id(i.item) in media]
        hint = "Select the clips' media in the media pool."
    elif word == "marked":
        found = [i for i in items if any(n.lower().split()[:1] == [MARK] for n in i.markers())]
        hint = f"Give the clips a marker whose name begins with {MARK}."
    else:
        found = [i for i in items if str(i.item.GetClipColor()).lower() == word]
        hint = "clips is all, current, pool, marked, or a clip colour, as Orange."
    if not found:
        raise WorkerError(f"no clip of the timeline is chosen by clips = {clips}", hint)
    return found


def _media_id(item: TimelineItem) -> str:
    media = item.GetMediaPoolItem()
    return "" if media is None else media.GetMediaId()


def true_speed(item: TimelineItem, rate: float) -> float | None:
    """Speed by source span and record span, as the host states none; None where it is 1."""
    media = item.GetMediaPoolItem()
    first, end = span(item)
    count = end - first
    # Resolve 18 has no GetSourceStartFrame; ``hasattr`` says yes to any name.
    if media is None or not count or "GetSourceStartFrame" not in dir(item):
        return None
    try:
        fps = float(str(media.GetClipProperty("FPS")))
    except ValueError:
        return None
    seen = (abs(item.GetSourceEndFrame() - item.GetSourceStartFrame()) + 1) * rate / fps
    return None if abs(seen - count) < _LOOSE_FRAMES * max(1.0, rate / fps) else seen / count


def export_otio(resolve: Resolve, timeline: Timeline, path: Path) -> None:
    """Write the timeline; what Resolve answers says little, so the file is looked at.

    Raises:
        WorkerError: It did not write a timeline.
    """
    kind, plain = live_value(resolve, "EXPORT_OTIO"), live_value(resolve, "EXPORT_NONE")
    path.unlink(missing_ok=True)  # an older file would pass for this one
    said = timeline.Export(str(path), kind, plain)
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        written = None
    if not isinstance(written, dict) or "OTIO_SCHEMA" not in written:
        raise WorkerError(
            f"Resolve wrote no timeline to {path} (it answered {said!r})",
            "Look whether the folder can be written, and whether File > Export > Timeline "
            "writes .otio.",
        )


@contextlib.contextmanager
def originals(items: Iterable[Item], own: Mapping[str, Any]) -> Iterator[None]:
    """Show the original of clips whose selected take is ours, and ours again afterwards.

    Args:
        items: The clips.
        own: Media that earlier runs imported, by their id.

    Raises:
        WorkerError: A clip does not show its original.
    """
    back: list[tuple[TimelineItem, int]] = []
    try:
        for one in items:
            selected = one.item.GetSelectedTakeIndex()
            if not selected or _media_id(one.item) not in own:
                continue
            for index in range(1, one.item.GetTakesCount() + 1):
                if one.item.GetTakeByIndex(index)["mediaPoolItem"].GetMediaId() not in own:
                    back.append((one.item, selected))
                    one.item.SelectTakeByIndex(index)
                    break
            if _media_id(one.item) in own:
                raise WorkerError(
                    f"{one.item.GetName()} shows an earlier lip-sync, and not its original",
                    "Select its original take, then run again.",
                )
        yield
    finally:
        for item, selected in back:
            item.SelectTakeByIndex(selected)


def media_in(folder: Folder | None) -> dict[str, Any]:
    """All media of a bin and of those in it, by their id."""
    if folder is None:
        return {}
    found = {clip.GetMediaId(): clip for clip in folder.GetClipList() or []}
    for inner in folder.GetSubFolderList() or []:
        found.update(media_in(inner))
    return found
