"""How long the stages of a render take on this machine, what memory it needs, and advice."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lipcore.pipeline import RenderListener, RenderResult, SilentListener, render_shot
from lipcore.shot import RenderConfig, Shot

STAGES = {
    "start": "start: libraries, networks, first frames",
    "track": "tracking the faces",
    "bank": "storing the shot's mouths",
    "speech": "reading the dialogue",
    "render": "decoding, drawing, writing",
}
"""Stages in their order, in words."""
_MEMORY_SHARE = 0.8
"""Of the machine's memory, for renders beside each other."""
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class StageTime:
    """What one stage took, all frames together."""

    wall_s: float
    cpu_s: float
    """User and system time of this process, all threads."""


@dataclass(frozen=True, slots=True)
class RenderBench:
    """A measured render."""

    frames: int
    width: int
    height: int
    stages: dict[str, StageTime]
    """By the names in ``STAGES``."""
    peak_bytes: int | None
    """Most memory that this process held; None where the system does not tell."""
    machine_bytes: int | None
    cores: int

    @property
    def wall_s(self) -> float:
        """Seconds from start to end."""
        return sum(stage.wall_s for stage in self.stages.values())

    @property
    def cpu_s(self) -> float:
        """Processor seconds."""
        return sum(stage.cpu_s for stage in self.stages.values())

    @property
    def frames_a_second(self) -> float:
        """Of the shot, once everything is loaded."""
        return self.frames / max(self.wall_s - self.stages["start"].wall_s, 1e-6)

    @property
    def again_frames_a_second(self) -> float:
        """With another dialogue on the same shot, which is tracked already."""
        left = self.stages["speech"].wall_s + self.stages["render"].wall_s
        return self.frames / max(left, 1e-6)

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            **dataclasses.asdict(self), "frames_a_second": round(self.frames_a_second, 3),
            "again_frames_a_second": round(self.again_frames_a_second, 3),
            "cpu_s_a_frame": round(self.cpu_s / self.frames, 4), "advice": advise(self),
        }  # fmt: skip


def measure_render(
    shot: Shot, config: RenderConfig, *, suffix: str = "", listener: RenderListener | None = None
) -> RenderBench:
    """Render a shot into a temporary folder, with a cache of its own, and throw it away.

    Args:
        shot: What to render.
        config: How; its cache is not used.
        suffix: Of a video to write, as ``.mp4``; empty for what the plate asks for.
        listener: Told of progress and decisions, as well.

    Raises:
        LipcoreError: As ``render_shot``.
    """
    watch = _Watch(listener or SilentListener())
    with tempfile.TemporaryDirectory(prefix="lipcore-bench-") as name:
        folder = Path(name)
        config = dataclasses.replace(config, cache=folder / "cache", overwrite=True)
        out = folder / (f"out{suffix}" if suffix else "out")
        result = render_shot(shot, config, out, listener=watch)
        watch.end()
        width, height = _size_of(shot)
    return RenderBench(
        len(result.frames), width, height, watch.times(result), peak_memory(), machine_memory(),
        usable_cores(),
    )  # fmt: skip


def advise(bench: RenderBench) -> list[str]:
    """What would make this shot faster on this machine, in words; the most telling first."""
    said = []
    busy = bench.cpu_s / max(bench.wall_s, 1e-6)
    if busy < 0.6 * min(bench.cores, 2):
        said.append(
            f"{busy:.1f} of {bench.cores} cores were busy: the disk, or other programs, held "
            "the render up; measure again when the machine is quiet."
        )
    share = bench.stages["render"].wall_s / max(bench.wall_s, 1e-6)
    if share > 0.4 and bench.height >= 1440:
        said.append(
            "Most of the time goes into large frames: --deliver patch writes only the mouth, "
            "and the compositor merges it."
        )
    gain = bench.again_frames_a_second / max(bench.frames_a_second, 1e-6)
    said.append(
        f"Another dialogue on the same shot skips the tracking: about "
        f"{bench.again_frames_a_second:.1f} frames a second, {gain:.1f} times as fast."
    )
    beside = _processes(bench)
    if beside > 1:
        said.append(
            f"Several shots: cores and memory here carry {beside} renders at once "
            f"(lipcore batch JOBS --processes {beside})."
        )
    elif bench.peak_bytes and bench.machine_bytes and (
        bench.peak_bytes > _MEMORY_SHARE * bench.machine_bytes
    ):
        said.append("Memory is nearly full: end other programs, or render on a larger machine.")
    return said


def _processes(bench: RenderBench) -> int:
    """Renders beside each other: each keeps two cores busy."""
    by_cores = max(1, bench.cores // 2)
    if not bench.peak_bytes or not bench.machine_bytes:
        return by_cores
    return max(1, min(by_cores, int(_MEMORY_SHARE * bench.machine_bytes / bench.peak_bytes)))


def _size_of(shot: Shot) -> tuple[int, int]:
    from lipcore.media.plate import open_plate

    with open_plate(shot.plate, rate=shot.rate, colorspace=shot.colorspace) as plate:
        return plate.info.display.width, plate.info.display.height


class _Watch:
    """Notes the time at which each stage tells its first and its last frame."""

    def __init__(self, inner: RenderListener) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._stage, self._wall, self._cpu = "start", time.monotonic(), time.process_time()
        self._spent: dict[str, list[float]] = {}

    def progress(self, stage: str, done: int, total: int) -> None:
        """See ``RenderListener``; up to its first frame a stage only gets ready."""
        with self._lock:
            if done > 1 and stage != self._stage and stage in STAGES:
                self._turn(stage)
        self._inner.progress(stage, done, total)

    def log(self, message: str) -> None:
        """See ``RenderListener``."""
        self._inner.log(message)

    def end(self) -> None:
        """The render is over."""
        with self._lock:
            self._turn("end")

    def times(self, result: RenderResult) -> dict[str, StageTime]:
        """By stage; what the dialogue took is told by the render itself."""
        times = {stage: StageTime(*self._spent.get(stage, (0.0, 0.0))) for stage in STAGES}
        speech = result.seconds.get("speech", 0.0)
        before = times["bank"]  # the dialogue is read between the bank's last frame and drawing
        taken = min(speech, before.wall_s)
        part = taken / before.wall_s if before.wall_s else 0.0
        times["speech"] = StageTime(taken, part * before.cpu_s)
        times["bank"] = StageTime(before.wall_s - taken, (1 - part) * before.cpu_s)
        return times

    def _turn(self, stage: str) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        spent = self._spent.setdefault(self._stage, [0.0, 0.0])
        spent[0] += wall - self._wall
        spent[1] += cpu - self._cpu
        self._stage, self._wall, self._cpu = stage, wall, cpu


def peak_memory() -> int | None:
    """Most bytes that this process has held; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def machine_memory() -> int | None:
    """Bytes of the machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_words(count: int | None) -> str:
    """Bytes for people."""
    return "unknown" if count is None else f"{count / _GIB:.2f} GiB"
