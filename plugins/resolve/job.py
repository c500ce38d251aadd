"""A run: export, conform in the worker, import, place, read back.

A run is a generator: it yields while the worker works, so that whoever drives it (a window's
timer, or a loop) stays alive, and all calls to Resolve come from one thread.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import traceback
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client import Event, JobCancelledError, WorkerClient, WorkerError, shared_worker
from .bins import BIN, find_bin, import_frames, make_bin
from .connect import Host, open_timeline
from .items import (
    Item,
    choose,
    export_otio,
    find_under,
    list_items,
    media_in,
    originals,
    own_tracks,
    true_speed,
)
from .options import MARK, Options, clip_settings
from .place import Placer, Rendered, can_replace
from .screen import Screen

if TYPE_CHECKING:
    from fusionscript import Project, Timeline

_MOST_VERSIONS = 999
_STAGES = {"track": (0, 30), "bank": (30, 45), "crops": (45, 50),
           "encode": (45, 55), "refine": (55, 60), "render": (50, 100)}
"""Where each stage lies in the share of a shot."""


@dataclass
class Report:
    """What came of a run."""

    placed: dict[str, str] = field(default_factory=dict)
    """Where each shot is, by its name."""
    passed: dict[str, str] = field(default_factory=dict)
    """Why others were left as they were."""
    faults: list[WorkerError] = field(default_factory=list)
    cancelled: bool = False
    out: Path = Path()

    @property
    def summary(self) -> str:
        """One line."""
        if self.cancelled:
            return "cancelled; what was rendered stays, and the next run goes on from there"
        words = [f"{len(self.placed)} placed", f"{len(self.passed)} left as they were"]
        if self.faults:
            words.append(f"{len(self.faults)} could not be placed")
        return ", ".join(words)


Steps = Generator[None, None, Report]


def run(host: Host, options: Options, screen: Screen) -> Steps:
    """Re-speak the open timeline.

    Args:
        host: Resolve.
        options: What was asked for.
        screen: Told how it goes.

    Raises:
        WorkerError: It cannot be done; what concerns one shot stands in the report instead.
    """
    if not options.dialogue:
        raise WorkerError(
            "no dialogue is set",
            "Name a sound file, track:NAME for a sound track of the timeline, or clips.",
        )
    project, timeline = open_timeline(host)
    screen.begin()
    try:
        return (yield from _Run(host, project, timeline, options, screen).steps())
    except OSError as error:
        raise WorkerError(
            f"a file cannot be written ({error})", "Choose another folder with out.",
            "OutputNotWritableError", 6,
        ) from error
    except TypeError as error:
        if "'NoneType' object is not callable" not in str(error):
            raise
        raise WorkerError(  # a name that this edition lacks: it is found when it is called
            f"this Resolve lacks a function that the script calls ({_where(error)})",
            "Use Resolve 18.5 or later.",
        ) from error
    finally:
        screen.end()


class _Run:
    def __init__(
        self, host: Host, project: Project, timeline: Timeline, options: Options, screen: Screen
    ) -> None:
        self.host, self.project, self.timeline = host, project, timeline
        self.options, self.screen = options, screen
        self.pool = project.GetMediaPool()
        self.worker: WorkerClient = shared_worker()
        self.name = _plain(timeline.GetName())
        told = options.out or str(Path.home() / "lipcore" / _plain(project.GetName()) / self.name)
        self.report = Report(out=Path(told).expanduser())
        if not self.report.out.is_absolute():
            raise WorkerError(f"out is {told}, which is not absolute", "Give the whole path.")

    def steps(self) -> Steps:
        items = list_items(self.timeline)
        chosen = choose(items, self.options.clips, self.timeline, self.pool)
        self.screen.show(0, "starting the worker")
        self.worker.hello()
        otio = self._export(items)
        params = self._params(otio)
        try:
            rows, _ = yield from self._ask({**params, "dry_run": True}, 0)
            wanted = self._pick(rows, items, chosen)
            if wanted:
                shots, out = yield from self._render(params, wanted)
                self._place(shots, out, items)
        except JobCancelledError:
            self.report.cancelled = True
        self._tell()
        return self.report

    def _export(self, items: list[Item]) -> Path:
        path = self.report.out / f"{self.name}.otio"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkerError(
                f"the folder {path.parent} cannot be made ({error.strerror})",
                "Choose another folder with out.",
                "OutputError",
                6,
            ) from error
        with originals(items, media_in(find_bin(self.pool, [BIN]))):
            export_otio(self.host.resolve, self.timeline, path)
        return path

    def _params(self, otio: Path) -> dict[str, Any]:
        """What the worker is asked for, but for the shots."""
        dialogue = self.options.dialogue
        if not dialogue.startswith("track:") and dialogue != "clips":
            path = Path(dialogue).expanduser()
            if not path.is_file():
                raise WorkerError(
                    f"the dialogue {path} is not there",
                    "Choose a sound file that exists, or track:NAME.",
                    "DialogueNotFoundError",
                    4,
                )
            dialogue = str(path.absolute())
        told = {}
        for item in list_items(self.timeline):
            marked = clip_settings(item.markers())
            if marked:
                told[item.first] = marked
        self._marked = told
        return {
            "timeline": str(otio), "dialogue": dialogue, "handles": self.options.handles,
            "search": self.options.listed("search"), "path_map": self.options.listed("path_map"),
            "skip_tracks": sorted({*own_tracks(self.timeline).values(), MARK}),
            "settings": {
                name: getattr(self.options, name)
                for name in ("strength", "synthesis", "refine", "weights")
            },
        }  # fmt: skip

    def _pick(self, rows: list[Event], items: list[Item], chosen: list[Item]) -> dict[str, Event]:
        """The shots that are rendered, by name; why the others are not goes to the report."""
        ids = {one.item.GetUniqueId() for one in chosen}
        rate = _number(self.timeline.GetSetting("timelineFrameRate"))
        wanted, settings = {}, {}
        for row in rows:
            under = find_under(items, row["record"])
            if under is None or under.item.GetUniqueId() not in ids:
                continue
            marked = self._marked.get(under.first, {})
            if marked:
                settings[row["name"]] = marked
            speed = true_speed(under.item, rate) if rate else None
            if marked.get("exclude"):
                self.report.passed[row["name"]] = "excluded by a mark"
            elif not row["action"].startswith(("render", "keep")):
                self.report.passed[row["name"]] = row["action"].partition(": ")[2]
            elif speed is not None and row["speed"] == "1":
                self.report.passed[row["name"]] = (
                    f"it plays at {speed:.0%}, and the exported timeline does not say so"
                )
            else:
                wanted[row["name"]] = row
        self._settings = settings
        return wanted

    def _render(
        self, params: dict[str, Any], wanted: dict[str, Event]
    ) -> Generator[None, None, tuple[list[Event], Path]]:
        """Render into the first version that is not of other settings."""
        if self._settings:
            path = self.report.out / f"{self.name}.shots.json"
            path.write_text(json.dumps(self._settings, indent=1), encoding="utf-8")
            params = {**params, "shots": str(path)}
        for version in range(1, _MOST_VERSIONS + 1):
            out = self.report.out / f"v{version:03d}"
            try:
                rows, _ = yield from self._ask(
                    {**params, "out": str(out), "only": sorted(wanted)}, len(wanted)
                )
            except WorkerError as error:
                if error.kind == "OutputExistsError":
                    continue  # other settings made those frames: they stay
                raise
            made = []
            for row in rows:
                if row["name"] in wanted and "picture" in row:
                    made.append(row)
                elif row["name"] in wanted:
                    self.report.passed[row["name"]] = row["action"].partition(": ")[2]
            return made, out
        raise WorkerError(
            f"{self.report.out} holds {_MOST_VERSIONS} versions", "Choose another folder with out."
        )

    def _place(self, rows: list[Event], out: Path, items: list[Item]) -> None:
        """Import and place each shot; a fault of one is told, and the others go on."""
        rate = str(self.timeline.GetSetting("timelineFrameRate"))
        folder = make_bin(self.pool, [BIN, self.timeline.GetName(), out.name])
        placer = Placer(self.pool, self.timeline)
        for row in rows:
            try:
                clip = import_frames(self.pool, folder, row["picture"], row["frames"], rate)
                shot = Rendered(
                    row["name"], clip, row["picture"], (row["frames"][0], row["frames"][1]),
                    (row["cut"][0], row["cut"][1]), row["record"][0],
                )  # fmt: skip
                where = self._place_one(placer, shot, row, items)
            except WorkerError as error:
                self.report.faults.append(error)
                continue
            self.report.placed[row["name"]] = "; ".join([where, *row["warnings"]])
        for name in placer.lost():
            self.report.placed.pop(name, None)
            self.report.faults.append(WorkerError(
                f"{name} was placed, and is not where it was any more",
                "Look at the new track: something overlaps. Its frames are in the bin lipsync.",
            ))  # fmt: skip

    def _place_one(self, placer: Placer, shot: Rendered, row: Event, items: list[Item]) -> str:
        under = find_under(items, row["record"])
        if self.options.mode == "track":
            return placer.place_on_track(shot)
        why = can_replace(under, row["record"], row["speed"])
        if why or under is None:
            return f"{placer.place_on_track(shot)} ({why})"
        if self.options.mode == "comp":
            return placer.place_as_comp(shot, under)
        return placer.place_as_take(shot, under)

    def _ask(
        self, params: dict[str, Any], shots: int
    ) -> Generator[None, None, tuple[list[Event], Event]]:
        """A conform: the rows of its table, and its result."""
        rows: list[Event] = []
        progress = _Progress(shots)

        def hear(event: Event) -> None:  # in a thread of the client: no call to Resolve here
            if event["event"] == "shot":
                rows.append(event)
            progress.hear(event)

        job = self.worker.submit("conform", params, hear)
        asked = False
        while not job.done:
            if shots:
                self.screen.show(progress.percent, progress.message)
            if not asked and self.screen.cancelled():
                asked = True
                job.cancel()
            try:
                yield
            except GeneratorExit:  # the window was closed
                job.cancel()
                raise
        return rows, job.wait()

    def _tell(self) -> None:
        for name, where in self.report.placed.items():
            self.screen.tell(f"{name}: {where}")
        for name, why in self.report.passed.items():
            self.screen.tell(f"{name}: left as it was: {why}")
        for fault in self.report.faults:
            self.screen.tell(f"{fault.message}. {fault.hint}")
        if not self.report.cancelled:
            self.screen.show(100, "done")
        self.screen.tell(self.report.summary)


class _Progress:
    """Percent of a conform of so many shots, from the worker's events."""

    def __init__(self, shots: int) -> None:
        self.percent, self.message = 0, "looking at the timeline"
        self._shots, self._at = max(1, shots), -1
        self._lock = threading.Lock()

    def hear(self, event: Event) -> None:
        with self._lock:
            if event["event"] == "log" and re.fullmatch(r"shot \S+", event["message"]):
                self._at += 1
                self.message = event["message"]
            elif event["event"] == "progress" and self._at >= 0:
                low, high = _STAGES.get(event["stage"], (0, 0))
                share = low + (high - low) * event["done"] / max(1, event["total"])
                percent = int((self._at + share / 100) / self._shots * 99)
                self.percent = max(self.percent, min(99, percent))


def drive(steps: Steps, wait: Any, interrupted: Any = None) -> Report:
    """Run to the end in this thread.

    Args:
        steps: The run.
        wait: Called between two looks at the worker.
        interrupted: Called when Ctrl-C is pressed; without it, that ends everything.
    """
    while True:
        try:
            next(steps)
            wait()
        except StopIteration as stop:
            report: Report = stop.value
            return report
        except KeyboardInterrupt:
            if interrupted is None:
                with contextlib.suppress(Exception):
                    steps.close()
                raise
            interrupted()


def _where(error: BaseException) -> str:
    """The line of the plugin at which an error was raised."""
    own = Path(__file__).parent
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent == own
    ]  # fmt: skip
    return f"{Path(frames[-1].filename).name}: {frames[-1].line}" if frames else str(error)


def _plain(name: str) -> str:
    """A name that any file system takes."""
    kept = "".join(c if c.isalnum() or c in "-_ " else "_" for c in name).strip(" _")
    return kept[:60] or "timeline"


def _number(text: Any) -> float:
    try:
        return float(str(text).split()[0])
    except (ValueError, IndexError):
        return 0.0
