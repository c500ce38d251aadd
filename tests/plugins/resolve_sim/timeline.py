"""The simulated timeline: tracks, clips, takes, markers; the earlier clip wins, silently."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .export import write_otio
from .remote import Remote, number

if TYPE_CHECKING:
    from .host import Project
    from .media import MediaPoolItem


class Markers(Remote if TYPE_CHECKING else object):  # type: ignore[misc]
    """Markers of a timeline or of a clip, by their frame from its start."""

    sim_markers: dict[float, dict[str, Any]]

    def AddMarker(
        self, frameId: float, color: str, name: str, note: str, duration: float,
        customData: str = "",
    ) -> bool:  # fmt: skip
        if frameId in self.sim_markers:
            return False  # silently
        self.sim_markers[frameId] = {
            "color": color, "duration": duration, "note": note, "name": name,
            "customData": customData,
        }  # fmt: skip
        return True

    def GetMarkers(self) -> dict[float, dict[str, Any]]:
        return dict(self.sim_markers)

    def GetMarkerByCustomData(self, customData: str) -> dict[str, Any]:
        found = [m for m in self.sim_markers.values() if m["customData"] == customData]
        return found[0] if found else {}

    def DeleteMarkerByCustomData(self, customData: str) -> bool:
        for frame, marker in self.sim_markers.items():
            if marker["customData"] == customData:
                del self.sim_markers[frame]
                return True
        return False


class Track:
    def __init__(self, name: str) -> None:
        self.name, self.enabled = name, True
        self.items: list[TimelineItem] = []


class TimelineItem(Markers, Remote):
    def __init__(
        self, timeline: Timeline, clip: MediaPoolItem, start: int, count: int, left: int = 0,
        speed: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.sim_timeline, self.sim_speed = timeline, speed
        self.sim_clip, self.sim_start, self.sim_count, self.sim_left = clip, start, count, left
        self.sim_markers, self.sim_color, self.sim_enabled = {}, "", True
        self.sim_takes: list[tuple[MediaPoolItem, int, int]] = []
        self.sim_take = 0
        self.sim_comps: dict[str, str] = {}

    def GetName(self) -> str:
        return self.sim_clip.GetName()

    def GetUniqueId(self) -> str:
        return self.sim_id

    def GetStart(self, subframe_precision: bool = False) -> float:
        return self.sim_start

    def GetDuration(self, subframe_precision: bool = False) -> float:
        return self.sim_count

    def GetEnd(self, subframe_precision: bool = False) -> float:
        return self.sim_start + self.sim_count

    def GetLeftOffset(self, subframe_precision: bool = False) -> float:
        return self.sim_left

    def GetSourceStartFrame(self) -> int:
        return self.sim_left

    def GetSourceEndFrame(self) -> int:
        return self.sim_left + round(self.sim_count * self.sim_speed)

    def GetMediaPoolItem(self) -> MediaPoolItem:
        return self.sim_clip

    def GetClipEnabled(self) -> bool:
        return self.sim_enabled

    def GetClipColor(self) -> str:
        return self.sim_color

    def GetTakesCount(self) -> int:
        return len(self.sim_takes)

    def GetSelectedTakeIndex(self) -> int:
        return self.sim_take

    def GetTakeByIndex(self, idx: int) -> dict[str, Any]:
        clip, left, count = self.sim_takes[idx - 1]
        return {"mediaPoolItem": clip, "startFrame": left, "endFrame": left + count}

    def AddTake(self, mediaPoolItem: MediaPoolItem, startFrame: int = 0, endFrame: int = 0) -> bool:
        project = self.sim_timeline.sim_project
        bounds = project.sim_pool.sim_bounds(mediaPoolItem, startFrame, endFrame)
        if bounds is None or "no take" in project.sim_faults:
            return False
        if not self.sim_takes:
            self.sim_takes, self.sim_take = [(self.sim_clip, self.sim_left, self.sim_count)], 1
        self.sim_takes.append((mediaPoolItem, *bounds))
        return True

    def SelectTakeByIndex(self, idx: int) -> bool:
        if not 1 <= idx <= len(self.sim_takes):
            return False
        if "take stays" in self.sim_timeline.sim_project.sim_faults:
            return True
        self.sim_take = idx
        self.sim_clip, self.sim_left, self.sim_count = self.sim_takes[idx - 1]
        return True

    def DeleteTakeByIndex(self, idx: int) -> bool:
        if not 1 <= idx <= len(self.sim_takes):
            return False
        del self.sim_takes[idx - 1]
        return True

    def GetFusionCompNameList(self) -> list[str]:
        return list(self.sim_comps)

    def ImportFusionComp(self, path: str) -> Any:
        text = Path(path).read_text(encoding="utf-8")
        whole = text.count("{") == text.count("}") and text.startswith("Composition {")
        if not whole or "no comp" in self.sim_timeline.sim_project.sim_faults:
            return None
        self.sim_comps[f"Composition {len(self.sim_comps) + 1}"] = text
        return object()

    def DeleteFusionCompByName(self, compName: str) -> bool:
        return self.sim_comps.pop(compName, None) is not None

    def RenameFusionCompByName(self, oldName: str, newName: str) -> bool:
        if newName in self.sim_comps or oldName not in self.sim_comps:
            return False
        self.sim_comps[newName] = self.sim_comps.pop(oldName)
        return True


class Timeline(Markers, Remote):
    def __init__(self, project: Project, name: str, fps: str, start: int) -> None:
        super().__init__()
        self.sim_project, self.sim_name, self.sim_fps, self.sim_start = project, name, fps, start
        self.sim_markers = {}
        self.sim_tracks: dict[str, list[Track]] = {
            "video": [Track("Video 1")], "audio": [Track("Audio 1")], "subtitle": [],
        }  # fmt: skip
        self.sim_lossy = False
        """Retimes are not in the exported file."""
        self.sim_playhead: TimelineItem | None = None
        self.sim_on_track: Any = None
        """Called with each new track: somebody else is at work."""

    def sim_put(self, item: TimelineItem, index: int, kind: str = "video") -> None:
        """Place a clip; where another is already, that one stays and this one loses frames."""
        track = self.sim_tracks[kind][index - 1]
        first, end = item.sim_start, item.sim_start + item.sim_count
        for other in track.items:
            low, high = other.sim_start, other.sim_start + other.sim_count
            if low < end and first < high:
                if low <= first:
                    item.sim_left += high - first
                    first = high
                else:
                    end = low
        if end > first:
            item.sim_start, item.sim_count = first, end - first
            track.items.append(item)

    def GetName(self) -> str:
        return self.sim_name

    def GetStartFrame(self) -> int:
        return self.sim_start

    def GetSetting(self, settingName: str) -> str:
        return self.sim_fps if settingName == "timelineFrameRate" else ""

    def GetTrackCount(self, trackType: str) -> int:
        return len(self.sim_tracks[trackType])

    def GetTrackName(self, trackType: str, trackIndex: int) -> str:
        return self.sim_tracks[trackType][trackIndex - 1].name

    def SetTrackName(self, trackType: str, trackIndex: int, name: str) -> bool:
        if "no track name" in self.sim_project.sim_faults:
            return False
        self.sim_tracks[trackType][trackIndex - 1].name = name
        return True

    def GetIsTrackEnabled(self, trackType: str, trackIndex: int) -> bool:
        return self.sim_tracks[trackType][trackIndex - 1].enabled

    def AddTrack(self, trackType: str, subTrackType: Any = None) -> bool:
        if "no track" in self.sim_project.sim_faults:
            return False
        tracks = self.sim_tracks[trackType]
        tracks.append(Track(f"{trackType.title()} {len(tracks) + 1}"))
        if self.sim_on_track is not None:
            self.sim_on_track(len(tracks))
        return True

    def DeleteTrack(self, trackType: str, trackIndex: int) -> bool:
        del self.sim_tracks[trackType][trackIndex - 1]
        return True

    def GetItemListInTrack(self, trackType: str, index: int) -> list[TimelineItem]:
        return sorted(self.sim_tracks[trackType][index - 1].items, key=lambda i: i.sim_start)

    def DeleteClips(self, timelineItems: list[TimelineItem], Bool: bool = False) -> bool:
        for track in self.sim_tracks["video"]:
            track.items = [i for i in track.items if i not in timelineItems]
        return True

    def GetCurrentVideoItem(self) -> TimelineItem | None:
        return self.sim_playhead

    def Export(self, fileName: str, exportType: Any, exportSubtype: Any) -> bool:
        resolve = self.sim_project.sim_resolve
        wanted = (resolve.sim_constants["EXPORT_OTIO"], resolve.sim_constants["EXPORT_NONE"])
        if not number(exportType) or (exportType, exportSubtype) != wanted:
            return False  # silently, for texts too
        if "exports nothing" not in self.sim_project.sim_faults:
            write_otio(self, Path(fileName))
        return True
