"""Milliseconds a frame of tracking, on one core.

Run: ``python tests/benchmarks/bench_tracking.py [clip ...]`` (default: three of the development
clips). Frames are decoded and brought to each size beforehand; the networks' start is timed
apart. ``cpu`` is processor time of the whole process, which other programs do not change much;
``wall`` is the clock.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from lipcore.tracking.tracker import ShotTracker, TrackingConfig
from lipcore.types import FloatArray, Frame, FrameRange, Window

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
SIZES = ((512, 512), (1920, 1080), (3840, 2160))


class _Display:
    def tracking_picture(self, rgb: FloatArray) -> np.ndarray:
        return (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)


def frames_of(path: Path, size: tuple[int, int], count: int) -> Iterator[Frame]:
    """The clip's frames, fitted into the size on grey."""
    width, height = size
    with av.open(str(path)) as file:
        for number, frame in zip(range(1, count + 1), file.decode(video=0), strict=False):
            picture = frame.to_ndarray(format="rgb24").astype(np.float32) / 255
            scale = min(width / picture.shape[1], height / picture.shape[0])
            fitted = cv2.resize(picture, None, fx=scale, fy=scale)
            canvas = np.full((height, width, 3), 0.4, np.float32)
            canvas[: fitted.shape[0], : fitted.shape[1]] = fitted[:height, :width]
            yield Frame(number, canvas, Window(0, 0, width, height))


def measure(path: Path, size: tuple[int, int], count: int, *, mirrored: bool) -> str:
    """One line of the table."""
    start = time.perf_counter()
    config = TrackingConfig(mirrored=mirrored)
    cpu = wall = 0.0
    with ShotTracker(config, _Display(), 1.0) as tracker:
        starting = time.perf_counter() - start
        for frame in frames_of(path, size, count):
            c, w = time.process_time(), time.perf_counter()
            tracker.look(frame)
            cpu, wall = cpu + time.process_time() - c, wall + time.perf_counter() - w
        c, w = time.process_time(), time.perf_counter()
        tracks = tracker.finish(FrameRange(1, count))
        cpu, wall = cpu + time.process_time() - c, wall + time.perf_counter() - w
    return (
        f"{path.name:18} {size[0]:4}x{size[1]:<4} {'mirrored' if mirrored else 'plain':8} "
        f"cpu {1000 * cpu / count:6.1f}  wall {1000 * wall / count:6.1f} ms a frame  "
        f"start {starting:.1f} s  tracks {len(tracks)}"
    )


def main(names: list[str]) -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    for name in names:
        for size in SIZES:
            count = 72 if size[0] < 3000 else 24
            for mirrored in (False, True):
                print(measure(CLIPS / name, size, count, mirrored=mirrored), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["markey.mp4", "grid_bbaf2n.mpg", "hill.mp4"])
