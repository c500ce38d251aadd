"""Renders that are killed at random moments, again and again: is anything lost, or done twice?

    python tests/benchmarks/kill_renders.py --kills 200 --frames 100 --workers 4 --chunk 5

Chunks of one shot are rendered by several processes at once. SIGKILL ends one of them at a
random moment, a new one takes its chunk. At the end the output is compared with that of a run
nobody disturbed, and every frame that was written is counted.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from lipcore.types import FrameRange


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the kills did."""

    kills: int
    frames: int
    written: int
    """Frames that were written, those that were written again included."""
    unequal: tuple[str, ...]
    """Frames that are not those of the undisturbed run, or are in one of the two only."""
    left_over: tuple[str, ...]
    """Locks and parts of files."""


class _Counter:
    """Notes every frame that a process has finished, in a file that a kill cannot tear."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def progress(self, stage: str, done: int, total: int) -> None:
        """See ``RenderListener``."""

    def log(self, message: str) -> None:
        """See ``RenderListener``."""

    def frame_done(self, number: int, path: Path) -> None:
        """See ``FrameListener``."""
        os.write(self._fd, b"%6d\n" % number)


def _render(plate: str, line: str, out: str, cache: str, chunk: tuple[int, int] | None,
            count: str) -> None:  # fmt: skip
    from lipcore.pipeline import render_shot
    from lipcore.shot import RenderConfig, Shot

    config = RenderConfig(
        cache=Path(cache), workers=1, chunk=None if chunk is None else FrameRange(*chunk)
    )
    render_shot(Shot(Path(plate), Path(line)), config, Path(out), listener=_Counter(Path(count)))


def kill_renders(
    plate: Path, line: Path, folder: Path, *, frames: FrameRange, kills: int, workers: int,
    chunk: int, pause_s: float = 1.0, seed: int = 0,
) -> Outcome:  # fmt: skip
    """Render a shot in chunks while processes are killed.

    Args:
        plate: An EXR sequence.
        line: What its person says.
        folder: Where to work; the plate's tracking must be in ``folder / "cache"``.
        frames: All frames of the plate.
        kills: How many processes are killed before the last are left in peace.
        workers: Processes at once.
        chunk: Frames a process.
        pause_s: The longest wait between kills.
        seed: Of the moments.
    """
    rng = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lipcore.pipeline", "lipcore.media.sequence"])
    out, count = folder / "out", folder / "count"
    common = (str(plate), str(line), str(out), str(folder / "cache"))
    first = range(frames.first, frames.last + 1, chunk)
    waiting = deque((a, min(a + chunk - 1, frames.last)) for a in first)
    running: list[tuple[tuple[int, int], multiprocessing.process.BaseProcess]] = []
    killed, done = 0, deque[tuple[int, int]]()
    while waiting or running or killed < kills:
        if not waiting and killed < kills and not running:
            # Everything is there already: spoil a finished chunk's frame, as a bad disk would.
            again = done.popleft()
            next(out.glob(f"*{again[0]}.exr")).write_bytes(b"torn")
            waiting.append(again)
        while waiting and len(running) < workers:
            part = waiting.popleft()
            process = context.Process(target=_render, args=(*common, part, str(count)))
            process.start()
            running.append((part, process))
        time.sleep(rng.uniform(0.0, pause_s) if killed < kills else 0.05)
        if killed < kills and running:
            _, process = rng.choice(running)
            if process.is_alive():
                process.kill()
                killed += 1
        for part, process in list(running):
            process.join(0)
            if process.exitcode is None:
                continue
            running.remove((part, process))
            (done if process.exitcode == 0 else waiting).append(part)
    last = context.Process(target=_render, args=(*common, None, str(count)))
    last.start()
    last.join()
    alone = (str(plate), str(line), str(folder / "alone"), str(folder / "cache"))
    calm = context.Process(target=_render, args=(*alone, None, str(folder / "calm")))
    calm.start()
    calm.join()
    left = [p.name for p in out.iterdir() if p.name.startswith(".")]
    return Outcome(
        killed, len(frames), len(count.read_bytes()) // 7,
        tuple(sorted({name for name, _ in _digests(out) ^ _digests(folder / "alone")})),
        tuple(left),
    )


def _digests(folder: Path) -> set[tuple[str, str]]:
    return {
        (p.name, hashlib.sha256(p.read_bytes()).hexdigest())
        for p in folder.glob("*.exr") if not p.name.startswith(".")
    }  # fmt: skip


def main() -> None:
    """Make a plate that speaks, kill its renders, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--chunk", type=int, default=5)
    parser.add_argument("--pause-s", type=float, default=3.0)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    try:
        from lipcore.demo.portrait import CameraMove, write_plate
        from lipcore.demo.run import say
        from lipcore.pipeline import analyse_shot
        from lipcore.shot import RenderConfig, Shot
        from lipcore.types import Window

        frames = FrameRange(1001, 1000 + given.frames)
        move = CameraMove(frames, (228, 128), (224, 126), 300, 292, Window(0, 0, 480, 360))
        plate = write_plate(folder / "plate", move)
        import soundfile

        soundfile.write(folder / "line.wav", say("Maybe my five thumbs push the map."), 48_000)
        shot = Shot(plate, folder / "line.wav")
        analyse_shot(shot, RenderConfig(cache=folder / "cache"))
        start = time.monotonic()
        found = kill_renders(
            plate, folder / "line.wav", folder, frames=frames, kills=given.kills,
            workers=given.workers, chunk=given.chunk, pause_s=given.pause_s,
        )
        print(f"{found.kills} kills in {time.monotonic() - start:.0f} s: {found.written} frames "
              f"written for {found.frames}; unlike the undisturbed run: "
              f"{', '.join(found.unequal) or 'nothing'}; left over: "
              f"{', '.join(found.left_over) or 'nothing'}")
        most = found.frames + found.kills * given.chunk
        sys.exit(bool(found.unequal) or bool(found.left_over) or found.written > most)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
