"""What it saves that the bank takes its faces from tracking, and that it changes no pixel.

    python tests/benchmarks/bench_decode_once.py CLIP DIALOGUE [--size 3840 2160] [--frames 50]

CLIP is enlarged to the size, as H.264 and as EXR (half, ZIP). Each plate is rendered to patch
EXR three times with the bank read from the plate again, and three times as it is, in turns, each
in a process of its own with nothing cached. Processor seconds of the process and of its children
(EXR is decoded in one), the median; the files are compared byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name
from bench_peers import run_child
from bench_render import RATE, to_and_fro, write_dialogue, write_plate

_CHILD = """
import json, resource, sys
from pathlib import Path
import lipcore
from lipcore.synthesis.seen import SeenFaces
plate, dialogue, out, cache, count, again = sys.argv[1:]
if again == "again":
    SeenFaces.keep = lambda *_: None
result = lipcore.render_shot(
    lipcore.Shot(Path(plate), Path(dialogue), frames=lipcore.FrameRange(1, int(count))),
    lipcore.RenderConfig(cache=Path(cache), deliver="patch"), Path(out),
)
kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
used = [resource.getrusage(kind) for kind in kinds]
print(json.dumps({
    "cpu_s": sum(u.ru_utime + u.ru_stime for u in used),
    "analyse_wall_s": result.seconds["analyse"],
}))
"""


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


def hash_of(folder: Path) -> str:
    """Of all pictures that a render left."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.exr")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def main() -> None:
    """Print a line a plate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("dialogue", type=Path)
    parser.add_argument("--size", type=int, nargs=2, default=[3840, 2160])
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    size = given.size[0], given.size[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = -(-given.frames // RATE)
        write_plate(folder / "plate.mp4", given.clip, seconds, size)
        write_dialogue(folder / "line.wav", given.dialogue, seconds)
        plates = {
            "H.264": folder / "plate.mp4",
            "EXR": write_exr(folder / "plate", given.clip, given.frames, size),
        }
        for kind, plate in plates.items():
            spent: dict[str, list[float]] = {"again": [], "once": []}
            analysed: dict[str, list[float]] = {"again": [], "once": []}
            hashes = set()
            for turn in range(given.rounds):
                for way in spent:
                    out, cache = folder / f"{kind} {way} {turn}", folder / f"c {kind} {way} {turn}"
                    made = run_child(
                        _CHILD, plate, folder / "line.wav", out, cache, given.frames, way
                    )
                    spent[way].append(made["cpu_s"] / given.frames)
                    analysed[way].append(made["analyse_wall_s"] / given.frames)
                    hashes.add(hash_of(out))
            before, after = (statistics.median(spent[way]) for way in ("again", "once"))
            print(
                f"{kind}: {before:.3f} CPU s a frame with the bank read again, {after:.3f} "
                f"without ({after / before:.0%}); analysis "
                f"{statistics.median(analysed['again']):.3f} and "
                f"{statistics.median(analysed['once']):.3f} s a frame by the clock; files "
                f"{'the same' if len(hashes) == 1 else 'DIFFERENT'} ({', '.join(hashes)})",
                flush=True,
            )


if __name__ == "__main__":
    main()
