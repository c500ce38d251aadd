"""A render against Wav2Lip's pipeline on the same 4K clip, in one run.

    python tests/benchmarks/bench_peers.py CLIP DIALOGUE [--frames 50] [--json peers.json]

CLIP is a 4K video with a face. Wav2Lip's pipeline is S3FD on every frame (at full size, and at
the quarter size of its paper) and the generator at 96 pixels; its decoding, pasting and
encoding are left out, in its favour. Processor seconds (user and system, of all threads) are
measured, not wall time: they hardly depend on what else the machine does. The render is whole:
decode, track, draw, encode, start of the program left in.

Targets: 50 times the pipeline with S3FD at full size, 5 times with S3FD at the quarter size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import torch
from peers import S3FD, Wav2LipGenerator, multiplications_of, parameters_of
from torch import Tensor, nn

_CHILD = """
import json, resource, sys
from pathlib import Path
import lipcore
plate, dialogue, out, cache, count, deliver = sys.argv[1:]
result = lipcore.render_shot(
    lipcore.Shot(Path(plate), Path(dialogue), frames=lipcore.FrameRange(1, int(count))),
    lipcore.RenderConfig(cache=Path(cache), deliver=deliver), Path(out),
)
used = resource.getrusage(resource.RUSAGE_SELF)
scale = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "cpu_s_a_frame": (used.ru_utime + used.ru_stime) / len(result.frames),
    "peak_mb": used.ru_maxrss * scale / 1e6, "drawn": result.drawn,
}))
"""


def cpu_of(network: nn.Module, *inputs: Tensor, times: int) -> float:
    """Processor seconds of a pass."""
    with torch.inference_mode():
        start = time.process_time()
        for _ in range(times):
            network(*inputs)
    return (time.process_time() - start) / times


def render(*arguments: str) -> dict[str, float]:
    """One render in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure, print, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("dialogue", type=Path)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with av.open(str(given.clip)) as file:
        picture = next(file.decode(video=0)).to_ndarray(format="rgb24")
    full = torch.from_numpy(picture).permute(2, 0, 1)[None].float() - 110
    quarter = nn.functional.interpolate(full, scale_factor=0.25, mode="area")
    detector, generator = S3FD().eval(), Wav2LipGenerator().eval()
    mel, faces = torch.randn(8, 1, 80, 16), torch.rand(8, 6, 96, 96)
    found: dict[str, float] = {
        "generator_cpu_s": cpu_of(generator, mel, faces, times=4) / 8,
        "s3fd_quarter_cpu_s": cpu_of(detector, quarter, times=3),
        "s3fd_full_cpu_s": cpu_of(detector, full, times=1),
        "generator_params_m": parameters_of(generator),
        "generator_gmacs": multiplications_of(generator, mel, faces) / 8,
        "s3fd_quarter_gmacs": multiplications_of(detector, quarter),
    }
    found["peer_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    with tempfile.TemporaryDirectory() as name:
        for deliver, out in (("full", "out.mp4"), ("patch", "out")):
            arguments = (given.clip, given.dialogue, f"{name}/{out}", f"{name}/cache {deliver}")
            made = render(*map(str, arguments), str(given.frames), deliver)
            # A child's peak counts from its parent's, which has just run the detector.
            del made["peak_mb"]
            found |= {f"lipcore_{deliver}_{key}": value for key, value in made.items()}
    for key, value in found.items():
        print(f"{key:32} {value:10.3f}")
    for deliver in ("full", "patch"):
        ours = found[f"lipcore_{deliver}_cpu_s_a_frame"]
        for size, target in (("full", 50), ("quarter", 5)):
            peer = found[f"s3fd_{size}_cpu_s"] + found["generator_cpu_s"]
            print(
                f"Wav2Lip with S3FD at {size} size over lipcore ({deliver}): "
                f"{peer / ours:.1f} times  (target {target})"
            )
            found[f"ratio_{size}_{deliver}"] = peer / ours
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
