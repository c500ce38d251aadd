"""The simulated media pool: bins and clips of real files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .remote import Remote
from .timeline import TimelineItem

if TYPE_CHECKING:
    from .host import Project

_SOUNDS = (".wav", ".aif", ".flac")


class MediaPoolItem(Remote):
    def __init__(self, path: str, first: int, count: int, fps: str) -> None:
        """``path`` holds ``%0Nd`` where it is a sequence."""
        super().__init__()
        self.sim_path, self.sim_first, self.sim_count = path, first, count
        self.sim_rate_fixed = False
        digits = path.rpartition("%0")[2].partition("d")[0]
        shown = path
        if "%0" in path:
            width = int(digits)
            spanned = f"[{first:0{width}d}-{first + count - 1:0{width}d}]"
            shown = path.replace(f"%0{digits}d", spanned)
        self.sim_properties = {
            "File Path": shown, "FPS": fps, "Frames": str(count), "Start": str(first),
            "Start TC": "00:00:00:00", "PAR": "Square",
            "Type": "Audio" if path.endswith(_SOUNDS) else "Video",
        }  # fmt: skip

    def GetName(self) -> str:
        return Path(self.sim_properties["File Path"]).name

    def GetMediaId(self) -> str:
        return self.sim_id

    def GetClipProperty(self, propertyName: str = "") -> Any:
        return self.sim_properties.get(propertyName, "") if propertyName else self.sim_properties

    def SetClipProperty(self, propertyName: str, propertyValue: Any) -> bool:
        if not isinstance(propertyValue, str) or propertyName not in self.sim_properties:
            return False
        if propertyName == "FPS" and self.sim_rate_fixed:
            return False
        self.sim_properties[propertyName] = propertyValue
        return True


class Folder(Remote):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.sim_name = name
        self.sim_clips: list[MediaPoolItem] = []
        self.sim_folders: list[Folder] = []

    def GetName(self) -> str:
        return self.sim_name

    def GetClipList(self) -> list[MediaPoolItem]:
        return list(self.sim_clips)

    def GetSubFolderList(self) -> list[Folder]:
        return list(self.sim_folders)


class MediaPool(Remote):
    def __init__(self, project: Project) -> None:
        super().__init__()
        self.sim_project = project
        self.sim_root = self.sim_current = Folder("Master")
        self.sim_selected: list[MediaPoolItem] = []

    def GetRootFolder(self) -> Folder:
        return self.sim_root

    def GetCurrentFolder(self) -> Folder:
        return self.sim_current

    def SetCurrentFolder(self, folder: Folder) -> bool:
        self.sim_current = folder
        return True

    def GetSelectedClips(self) -> list[MediaPoolItem]:
        return list(self.sim_selected)

    def AddSubFolder(self, folder: Folder, name: str) -> Folder | None:
        faults = self.sim_project.sim_faults
        if name in [f.sim_name for f in folder.sim_folders] or "no bin" in faults:
            return None  # silently
        folder.sim_folders.append(Folder(name))
        return folder.sim_folders[-1]

    def ImportMedia(self, items: list[Any]) -> list[MediaPoolItem]:
        faults, made = self.sim_project.sim_faults, []
        for item in items:
            path, first = item["FilePath"], item["StartIndex"]
            count = item["EndIndex"] - first + 1
            files = [Path(path % n) for n in range(first, first + count)]
            known = [c for c in self.sim_current.sim_clips if c.sim_path == path]
            if known or "imports nothing" in faults or not all(f.is_file() for f in files):
                continue  # silently
            if "single pictures" in faults:
                made += [MediaPoolItem(str(f), 0, 1, "24.0") for f in files]
                continue
            short = "frames missing" in faults
            made.append(MediaPoolItem(path, first, count - short, self.sim_project.sim_import_fps))
            made[-1].sim_rate_fixed = "rate fixed" in faults
        self.sim_current.sim_clips += made
        return made

    def AppendToTimeline(self, clipInfo: list[Any]) -> list[TimelineItem]:
        timeline = self.sim_project.sim_timeline
        assert timeline is not None
        placed = []
        for info in clipInfo:
            assert set(info) <= {
                "mediaPoolItem", "startFrame", "endFrame", "mediaType", "trackIndex", "recordFrame",
            }, info  # fmt: skip
            clip = info["mediaPoolItem"]
            bounds = self.sim_bounds(clip, info["startFrame"], info["endFrame"])
            if bounds is None:
                continue
            item = TimelineItem(timeline, clip, info["recordFrame"], bounds[1], bounds[0])
            placed.append(item)
            timeline.sim_put(item, info["trackIndex"])
        return placed

    def sim_bounds(self, clip: MediaPoolItem, start: int, end: int) -> tuple[int, int] | None:
        """Offset into the clip, and count; editions differ in how they mean start and end."""
        project = self.sim_project
        if project.sim_numbered:
            start, end = start - clip.sim_first, end - clip.sim_first
        count = end - start + project.sim_end_included
        if not 0 <= start < clip.sim_count or count < 1:
            return None
        return start, min(count, clip.sim_count - start)
