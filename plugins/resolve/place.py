"""Placing rendered shots; Resolve seldom says that it did not, so everything is read back.

How ``startFrame`` and ``endFrame`` are meant differs: Resolve 18 took the end in, 19 leaves it
out, and a sequence may be counted from 0 or from its files' numbers. So a placement is measured,
taken back where it is wrong, and tried the next way; the way that held is tried first then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client import WorkerError
from .comp import comp_text
from .items import Item, left_offset, own_tracks, span
from .options import MARK

if TYPE_CHECKING:
    from fusionscript import MediaPool, MediaPoolItem, Timeline, TimelineItem


@dataclass(frozen=True)
class Rendered:
    """A shot whose frames lie rendered and imported."""

    name: str
    clip: MediaPoolItem
    picture: str
    """Pattern with ``####``."""
    frames: tuple[int, int]
    """First and last number of the files; ``cut`` likewise between the shot's cuts."""
    cut: tuple[int, int]
    record: int
    """Record frame of the cut's first frame, the timeline's first being 0."""

    @property
    def lead(self) -> int:
        """Frames before the cut."""
        return self.cut[0] - self.frames[0]

    @property
    def count(self) -> int:
        """Frames between the cuts."""
        return self.cut[1] - self.cut[0] + 1


@dataclass
class Placer:
    """Places the shots of one run."""

    pool: MediaPool
    timeline: Timeline
    _ways: list[tuple[bool, bool]] = field(
        default_factory=lambda: [(False, False), (False, True), (True, False), (True, True)]
    )
    """Whether frames count from the files' numbers, and whether the end is taken in."""
    _track: int = 0
    _expected: list[tuple[str, int, int, str]] = field(default_factory=list)

    def place_on_track(self, shot: Rendered) -> str:
        """Put a shot on the track of this run, which is made with the first.

        Returns:
            Where it is.

        Raises:
            WorkerError: It is not where it belongs.
        """
        media = shot.clip.GetMediaId()
        record = self.timeline.GetStartFrame() + shot.record
        for index, name in own_tracks(self.timeline).items():
            for item in self.timeline.GetItemListInTrack("video", index) or []:
                if not _fault(item, media, record, shot):
                    return f"was on track {name}"
        if not self._track:
            self._track = self._add_track()
        faults = []
        for way in tuple(self._ways):
            before = {i.GetUniqueId() for i in self._items()}
            start, end = self._bounds(shot, way)
            asked: Any = {
                "mediaPoolItem": shot.clip, "startFrame": start, "endFrame": end,
                "mediaType": 1, "trackIndex": self._track, "recordFrame": record,
            }  # fmt: skip
            self.pool.AppendToTimeline([asked])  # type: ignore[arg-type]
            new = [i for i in self._items() if i.GetUniqueId() not in before]
            if len(new) == 1:
                faults.append(_fault(new[0], media, record, shot))
            else:
                faults.append(f"{len(new)} clips appeared")
            if not faults[-1]:
                self._prefer(way)
                self._expected.append((media, record, record + shot.count, shot.name))
                return f"track {self.timeline.GetTrackName('video', self._track)}"
            if new:  # a clip cannot be trimmed after it was placed: away with it
                self.timeline.DeleteClips(new)  # type: ignore[call-arg]
        raise WorkerError(
            f"{shot.name} is not at record frame {shot.record}: {faults[0]}",
            "Something else is there, or the track is locked: the earlier clip wins. "
            "Its frames are in the bin lipsync.",
        )

    def place_as_take(self, shot: Rendered, under: Item) -> str:
        """Add a shot to the take selector of its clip, and select it.

        Raises:
            WorkerError: It is not there; the clip is as it was.
        """
        item, media = under.item, shot.clip.GetMediaId()
        before, selected = span(item), item.GetSelectedTakeIndex()
        for index in range(1, item.GetTakesCount() + 1):
            if item.GetTakeByIndex(index)["mediaPoolItem"].GetMediaId() == media:
                item.SelectTakeByIndex(index)
                if not _fault(item, media, before[0], shot):
                    return f"was take {index}"
                item.SelectTakeByIndex(selected)
        faults = []
        for way in tuple(self._ways):
            count = item.GetTakesCount()
            item.AddTake(shot.clip, *self._bounds(shot, way))
            index = item.GetTakesCount()
            if index <= count:
                faults.append("no take was added")
                continue
            item.SelectTakeByIndex(index)
            if item.GetSelectedTakeIndex() != index:
                faults.append("the new take is not selected")
            else:
                faults.append(_fault(item, media, before[0], shot))
            if not faults[-1]:
                self._prefer(way)
                return f"take {index}"
            item.SelectTakeByIndex(selected or 1)
            item.DeleteTakeByIndex(index)
            if span(item) != before:
                raise WorkerError(
                    f"{shot.name}: Resolve moved its clip while it took a take away",
                    "Undo in Resolve (Ctrl+Z), then use mode = track.",
                )
        raise WorkerError(
            f"{shot.name} is not a take of its clip: {faults[0]}",
            "Unlock the track and close the take selector, or use mode = track.",
        )

    def place_as_comp(self, shot: Rendered, under: Item) -> str:
        """Give the clip a Fusion composition that shows the shot; an earlier one of ours goes.

        Raises:
            WorkerError: It has none.
        """
        item = under.item
        path = Path(shot.picture).parent / f"{shot.name}.comp"
        path.write_text(comp_text(shot.picture, shot.frames, shot.cut), encoding="utf-8")
        before = set(item.GetFusionCompNameList() or [])
        made = item.ImportFusionComp(str(path))
        new = set(item.GetFusionCompNameList() or []) - before
        if made is None or len(new) != 1:
            raise WorkerError(
                f"Resolve imports no Fusion composition for {shot.name}",
                f"Import {path.name} on the Fusion page by hand to see why, or use mode = takes.",
            )
        if MARK in before:
            item.DeleteFusionCompByName(MARK)
        item.RenameFusionCompByName(new.pop(), MARK)
        if MARK not in (item.GetFusionCompNameList() or []):
            return "a Fusion composition, under Resolve's own name"
        return f"Fusion composition {MARK}"

    def lost(self) -> list[str]:
        """Shots of the track that later placements shortened or replaced."""
        there = {(_media(i), *span(i)) for i in self._items()} if self._track else set()
        return [name for media, a, b, name in self._expected if (media, a, b) not in there]

    def _items(self) -> list[TimelineItem]:
        return self.timeline.GetItemListInTrack("video", self._track) or []

    def _add_track(self) -> int:
        count = self.timeline.GetTrackCount("video")
        self.timeline.AddTrack("video")  # type: ignore[call-overload]
        index = self.timeline.GetTrackCount("video")
        if index != count + 1:
            raise WorkerError(
                "Resolve adds no track to the timeline",
                "Look whether the timeline is locked by another user.",
            )
        taken = set(own_tracks(self.timeline).values())
        names = [MARK, *(f"{MARK} {n}" for n in range(2, 1000))]
        name = next(n for n in names if n not in taken)
        self.timeline.SetTrackName("video", index, name)
        if self.timeline.GetTrackName("video", index) != name:
            self.timeline.DeleteTrack("video", index)
            raise WorkerError(
                f"Resolve does not name the new track {name}",
                "Unlock the timeline, then run again.",
            )
        return index

    def _bounds(self, shot: Rendered, way: tuple[bool, bool]) -> tuple[int, int]:
        numbered, closed = way
        start = shot.lead + (shot.frames[0] if numbered else 0)
        return start, start + shot.count - closed

    def _prefer(self, way: tuple[bool, bool]) -> None:
        self._ways.remove(way)
        self._ways.insert(0, way)


def _media(item: TimelineItem) -> str:
    media = item.GetMediaPoolItem()
    return "" if media is None else media.GetMediaId()


def _fault(item: TimelineItem, media: str, record: int, shot: Rendered) -> str:
    """What is wrong with a placed shot; empty where it is as asked for."""
    first, end = span(item)
    if _media(item) != media:
        return "another clip is shown"
    if first != record:
        return f"it begins {abs(first - record)} frames {'late' if first > record else 'early'}"
    if end - first != shot.count:
        return f"it has {end - first} frames instead of {shot.count}"
    if left_offset(item) != shot.lead:
        return f"it shows frame {shot.frames[0] + left_offset(item)} instead of {shot.cut[0]}"
    return ""


def can_replace(under: Item | None, record: Sequence[int], speed: str) -> str:
    """Why a shot cannot stand in for its clip as a take or a composition; empty where it can."""
    if under is None:
        return "no single clip is there"
    if speed != "1":
        return "the clip is retimed, and the take would be, too"
    if (under.first, under.end - 1) != (record[0], record[1]):
        return "the clip is partly covered"
    return ""
