"""Memory and speed of whole renders: a long shot against a short one, a second dialogue against
the first.

    python tests/benchmarks/bench_render.py CLIP DIALOGUE OTHER [--seconds 10 60]
        [--size 1920 1080]

The plates are CLIP played to and fro, enlarged to the size, H.264. Each render runs in a
process of its own, from which its peak memory is read. Targets: the longest needs at most 15 %
more memory than the shortest and less than 3 GB; a second dialogue on the cached shot takes at
most 60 % of the first render's time. Times depend on the machine, their ratio hardly does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

RATE = 25

_CHILD = """
import json, resource, sys, time
from pathlib import Path
start = time.monotonic()
import lipcore
plate, dialogue, out, cache = map(Path, sys.argv[1:])
result = lipcore.render_shot(
    lipcore.Shot(plate, dialogue), lipcore.RenderConfig(cache=cache, audio_short="silence"), out
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
helpers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
scale = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "wall_s": time.monotonic() - start, "peak_mb": peak * scale / 1e6,
    "helper_mb": helpers * scale / 1e6, "cached": result.cached, "frames": len(result.frames),
    "seconds": result.seconds,
}))
"""


def to_and_fro(clip: Path, count: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """``count`` pictures of a clip: forwards, backwards, forwards ... without a cut."""
    with av.open(str(clip)) as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    width, height = size
    for index in range(count):
        place = index % (2 * len(pictures) - 2)
        picture = pictures[min(place, 2 * len(pictures) - 2 - place)]
        side = round(height * picture.shape[1] / picture.shape[0])
        canvas = np.zeros((height, width, 3), np.uint8)
        left = (width - side) // 2
        canvas[:, left : left + side] = cv2.resize(picture, (side, height))
        yield canvas


def write_plate(path: Path, clip: Path, seconds: int, size: tuple[int, int]) -> None:
    """An H.264 plate."""
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "20"}
        stream = container.add_stream("libx264", rate=Fraction(RATE), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for picture in to_and_fro(clip, seconds * RATE, size):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_dialogue(path: Path, source: Path, seconds: int) -> None:
    """The sound again and again until it is long enough."""
    samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    soundfile.write(path, np.resize(samples[:, 0], seconds * rate), rate)


def render(*arguments: Path) -> dict[str, float]:
    """One render in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *map(str, arguments)], capture_output=True, text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Make the plates, render, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("dialogue", type=Path)
    parser.add_argument("other", type=Path, help="a second dialogue")
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 60])
    parser.add_argument("--size", type=int, nargs=2, default=(1920, 1080))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = {}
        for seconds in sorted(given.seconds):
            plate, line = folder / f"plate{seconds}.mp4", folder / f"line{seconds}.wav"
            write_plate(plate, given.clip, seconds, tuple(given.size))
            write_dialogue(line, given.dialogue, seconds)
            runs[seconds] = render(plate, line, folder / f"out{seconds}.mp4", folder / "cache")
            print(f"{seconds} s:", json.dumps(runs[seconds]), flush=True)
        short, long = min(runs), max(runs)
        write_dialogue(folder / "other.wav", given.other, short)
        again = render(
            folder / f"plate{short}.mp4", folder / "other.wav", folder / "again.mp4",
            folder / "cache",
        )
        print("second dialogue:", json.dumps(again))
        print(f"peak memory, {long} s over {short} s: "
              f"{runs[long]['peak_mb'] / runs[short]['peak_mb']:.2f}  (target 1.15 or less)")
        print(f"peak memory: {max(run['peak_mb'] for run in runs.values()):.0f} MB  (target 3000)")
        print(f"second dialogue over first render, {short} s: "
              f"{again['wall_s'] / runs[short]['wall_s']:.2f}  (target 0.60 or less)")


if __name__ == "__main__":
    main()
