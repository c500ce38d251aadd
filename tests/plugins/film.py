"""A film of six shots in the simulated Resolve, from one real plate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so
from resolve_sim import Bmd, Fusion, MediaPoolItem, Project, Resolve, Timeline, TimelineItem

START = 86_400
PLATE_FIRST, PLATE_FRAMES = 1001, 12
SHOTS = ((0, 6, 0, 1.0), (6, 6, 6, 1.0), (12, 5, 3, 1.0), (18, 6, 2, 1.0), (24, 4, 8, 1.0),
         (28, 6, 0, 0.5))  # fmt: skip
"""Record frame, count, offset into the plate, speed."""
SEAMLESS = 60
"""Rows at the top of the picture, which no mouth reaches."""


@dataclass
class Film:
    """The open project."""

    resolve: Resolve
    project: Project
    timeline: Timeline
    plate: Path
    items: list[TimelineItem] = field(default_factory=list)

    def given(self, fusion: Any = None, bmd: Any = None) -> dict[str, Any]:
        """The globals of a script of the menu."""
        return {"__name__": "__main__", "resolve": self.resolve, "fusion": fusion, "bmd": bmd}

    def placed(self, track: str) -> list[TimelineItem]:
        """Clips of a picture track by its name."""
        (found,) = [t for t in self.timeline.sim_tracks["video"] if t.name == track]
        return sorted(found.items, key=lambda i: i.sim_start)

    def check_frames(self, item: TimelineItem, shot: int) -> None:
        """A clip shows the right frames of the plate, re-spoken, at the right place."""
        record, count, left, speed = SHOTS[shot]
        assert (item.sim_start, item.sim_count) == (START + record, count)
        changed = 0
        for n in range(count):
            shown = item.sim_clip.sim_path % (item.sim_clip.sim_first + item.sim_left + n)
            made = read(Path(shown))[..., :3]  # patch and mask follow
            source = PLATE_FIRST + left + int(n * speed)
            plate = read(Path(str(self.plate).replace("####", f"{source:04d}")))
            assert np.array_equal(made[:SEAMLESS], plate[:SEAMLESS]), (shot, n)
            changed += int((made != plate).any())
        assert changed >= count - 2, (shot, changed)


def read(path: Path) -> np.ndarray:
    pixels = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)
    assert isinstance(pixels, np.ndarray)
    return pixels


def make_film(plate: Path, dub: Path) -> Film:
    resolve = Resolve()
    project = resolve.sim_project
    assert project is not None
    timeline = Timeline(project, "Zoë: reel 1", "24.0", START)
    project.sim_timeline = timeline
    media = MediaPoolItem(str(plate).replace("####", "%04d"), PLATE_FIRST, PLATE_FRAMES, "24.0")
    sound = MediaPoolItem(str(dub), 0, 36, "24.0")
    project.sim_pool.sim_root.sim_clips += [media, sound]
    film = Film(resolve, project, timeline, plate)
    for record, count, left, speed in SHOTS:
        item = TimelineItem(timeline, media, START + record, count, left, speed)
        timeline.sim_put(item, 1)
        film.items.append(item)
    timeline.sim_tracks["audio"][0].name = "Dialog"
    timeline.sim_put(TimelineItem(timeline, sound, START, 36), 1, "audio")
    return film


def windows(hand: Any, file: str = "") -> Iterator[Any]:
    """``fusion`` and ``bmd`` of an edition with windows."""
    yield Fusion(windows=True, file=file)
    yield Bmd(hand)
