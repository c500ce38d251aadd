"""What it saves that the bank takes its faces from tracking, and that it changes no pixel.

    python tests/benchmarks/bench_decode_once.py CLIP [--size 3840 2160] [--frames 50]

CLIP is enlarged to the size, as H.264 and as EXR (half, ZIP). Each plate is analysed (tracked, its
bank stored: all that comes before drawing) with the bank read from the plate again, and as it is,
in turns, with nothing cached. Processor seconds a frame of the process and of its children (EXR is
decoded in one), the median of the rounds after the first, which loads libraries; the banks are
compared byte for byte, and whatever is drawn is drawn from them.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name
from bench_render import RATE, to_and_fro, write_plate

import lipcore
from lipcore.pipeline import analyse_shot
from lipcore.synthesis.bank import PIXELS
from lipcore.synthesis.seen import SeenFaces


def cpu_s() -> float:
    """Processor seconds so far, children that have ended included."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def write_exr(folder: Path, clip: Path, count: int, size: tuple[int, int]) -> Path:
    """An EXR plate: half, ZIP, linear by a power of 2.2, with some noise as cameras have it."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, picture in enumerate(to_and_fro(clip, count, size), 1):
        pixels = (picture.astype(np.float32) / 255) ** 2.2
        pixels += rng.normal(0, 0.002, pixels.shape).astype(np.float32)
        spec = oiio.ImageSpec(*size, 3, "half")
        spec.attribute("compression", "zip")
        file = oiio.ImageOutput.create(str(folder / f"plate.{number:04d}.exr"))
        file.open(str(folder / f"plate.{number:04d}.exr"), spec)
        file.write_image(pixels.astype(np.float16))
        file.close()
    return folder


def analyse(plate: Path, cache: Path, count: int, *, again: bool) -> tuple[float, str]:
    """(processor seconds a frame, hash of the bank)."""
    keep = SeenFaces.keep
    if again:
        SeenFaces.keep = lambda *_: None  # type: ignore[method-assign]
    try:
        shot = lipcore.Shot(plate, plate, frames=lipcore.FrameRange(1, count))  # none is heard
        start = cpu_s()
        analysis = analyse_shot(shot, lipcore.RenderConfig(cache=cache))
        spent = cpu_s() - start
    finally:
        SeenFaces.keep = keep  # type: ignore[method-assign]
    analysis.bank.close()
    (pixels,) = cache.glob(f"bank-*/{PIXELS}")
    return spent / count, hashlib.sha256(pixels.read_bytes()).hexdigest()[:8]


def main() -> None:
    """Print a line a plate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--size", type=int, nargs=2, default=[3840, 2160])
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    size = given.size[0], given.size[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_plate(folder / "plate.mp4", given.clip, -(-given.frames // RATE), size)
        plates = {
            "H.264": folder / "plate.mp4",
            "EXR": write_exr(folder / "plate", given.clip, given.frames, size),
        }
        for kind, plate in plates.items():
            spent: dict[bool, list[float]] = {True: [], False: []}
            hashes = set()
            for turn in range(given.rounds):
                for again in spent:
                    cache = folder / f"{kind} {again} {turn}"
                    seconds, found = analyse(plate, cache, given.frames, again=again)
                    shutil.rmtree(cache)
                    hashes.add(found)
                    if turn:
                        spent[again].append(seconds)
            before, after = (statistics.median(spent[again]) for again in (True, False))
            print(
                f"{kind}: {before:.3f} CPU s a frame with the bank read again, {after:.3f} "
                f"without ({after / before:.0%}); banks "
                f"{'the same' if len(hashes) == 1 else 'DIFFERENT'} ({', '.join(hashes)})",
                flush=True,
            )


if __name__ == "__main__":
    main()
