"""How long an hour of 1,500 clips takes to plan, with an hour of a dub that speaks all along.

Repeat with ``python tests/benchmarks/bench_timeline.py``. Last result, on two shared
cores of a server that ran ten other jobs (processor seconds, not wall time): 0.07 s to read,
0.92 s to plan, 19 s more to listen to a dub without a pause; the detector runs on all cores.
In a quieter moment it took 0.07 ms of one core for each 32 ms of a short dub: 8 s an hour.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import opentimelineio as otio
from skimage.io import imsave

from lipcore.demo.run import say
from lipcore.timeline.media_links import LinkOptions, MediaFinder
from lipcore.timeline.plan import plan_shots
from lipcore.timeline.read import read_timeline
from lipcore.types import Dialogue

CLIPS, FRAMES = 1_500, 58


def _span(first: int, count: int) -> otio.opentime.TimeRange:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, 24), otio.opentime.RationalTime(count, 24)
    )


def main() -> None:
    """Print the seconds."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        for number in range(240):
            imsave(Path(folder) / f"a.{number:04d}.png", np.zeros((8, 8, 3), np.uint8),
                   check_contrast=False)  # fmt: skip
        timeline = otio.schema.Timeline("hour")
        for name in ("V1", "V2", "V3"):
            track = otio.schema.Track(name)
            for index in range(CLIPS // 3):
                media = otio.schema.ImageSequenceReference(
                    folder, "a.", ".png", 0, 1, 24, 4, available_range=_span(0, 240)
                )
                clip = otio.schema.Clip(f"{name} {index}", media, _span(index % 50, FRAMES))
                if index % 3 == 1:
                    clip.effects.append(otio.schema.LinearTimeWarp(time_scalar=-2.0))
                track.extend([otio.schema.Gap(source_range=_span(0, 2 * FRAMES)), clip])
            timeline.tracks.append(track)
            track.insert(0, otio.schema.Gap(
                source_range=_span(0, FRAMES * len(timeline.tracks))))  # fmt: skip
        path = Path(folder) / "hour.otio"
        otio.adapters.write_to_file(timeline, str(path))
        words = say("Mama, papa, my boat is over there, about a mile.")
        line = words[: len(words) // 3 * 3].reshape(-1, 3).mean(axis=1, dtype=np.float32)
        dub = np.resize(line, CLIPS * FRAMES * 16_000 // 24)
        start = time.perf_counter()
        read = read_timeline(path)
        middle = time.perf_counter()
        finder = MediaFinder(LinkOptions(Path(folder)))
        shots = plan_shots(read, finder, None, handles=8)
        planned = time.perf_counter()
        shots = plan_shots(read, finder, Dialogue(dub), handles=8)
        end = time.perf_counter()
        finder.close()
    seconds = max(shot.segment.end for shot in shots) / 24
    print(f"{len(shots)} shots over {seconds:.0f} s: {middle - start:.2f} s to read, "
          f"{planned - middle:.2f} s to plan, {end - planned:.2f} s with a dub "
          f"({sum(not s.problem for s in shots)} shots speak)")  # fmt: skip


if __name__ == "__main__":
    main()
