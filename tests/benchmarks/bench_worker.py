"""A worker under many jobs: how soon they are cancelled, and whether memory grows.

    python tests/benchmarks/bench_worker.py --jobs 200

Each second job is cancelled at a random moment. The plate is the demo's portrait.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import soundfile
from lipcore.plugins.client import JobCancelledError, WorkerClient

from lipcore.demo.portrait import CameraMove, write_plate
from lipcore.demo.run import say
from lipcore.types import FrameRange, Window


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        move = CameraMove(
            FrameRange(1001, 1012), center_from=(228, 128), center_to=(224, 126), width_from=300,
            width_to=292, display=Window(0, 0, 640, 480),
        )
        plate = write_plate(folder / "plate", move)
        soundfile.write(folder / "line.wav", say("Hello, mama!")[9600:33600], 48_000)
        run(given.jobs, chance, folder, plate)


def run(jobs: int, chance: random.Random, folder: Path, plate: Path) -> None:
    waits, memory, lasts = [], [], 4.0
    with WorkerClient([sys.executable, "-m", "lipcore", "worker"]) as worker:
        for n in range(jobs):
            params = {
                "plate": str(plate), "dialogue": str(folder / "line.wav"),
                "out": str(folder / f"out{n}"),
                "settings": {"cache": str(folder / f"cache{n}")},
            }  # fmt: skip
            job = worker.submit("render", params)
            start = time.monotonic()
            if n % 2:
                time.sleep(chance.uniform(0, lasts))
                start = time.monotonic()
                job.cancel()
            try:
                job.wait()
                if n > 1 and not n % 2:
                    lasts = time.monotonic() - start
            except JobCancelledError:
                waits.append(time.monotonic() - start)
            if n % 10 == 9:
                memory.append(int(worker.submit("status").wait()["memory_mb"]))
        status = worker.submit("status").wait()
    waits.sort()
    print(f"{jobs} renders of 12 frames, {len(waits)} cancelled at random moments")
    print(f"cancelled after {statistics.median(waits):.2f} s (median), "
          f"{waits[int(0.95 * len(waits))]:.2f} s (95 %), {waits[-1]:.2f} s (longest)")  # fmt: skip
    print(f"memory, MB, every ten jobs: {' '.join(map(str, memory))}; threads {status['threads']}")


if __name__ == "__main__":
    main()
