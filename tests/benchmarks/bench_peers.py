"""A render against its peers' networks on the same 4K clip, in one run.

    python tests/benchmarks/bench_peers.py CLIP DIALOGUE [--frames 50] [--json peers.json]
        [--peers wav2lip musetalk latentsync] [--side 256] [--steps 1]

CLIP is a 4K video with a face. Of the peers their networks alone are run, in float32 with random
weights: finding the face (except Wav2Lip's, which is what it takes the time for), cropping,
pasting, decoding and encoding are left out, in their favour. The render is whole: decode, track,
draw, encode, start of the program left in. Processor seconds (user and system, of all threads)
are measured, not wall time: they hardly depend on what else the machine does.

Wav2Lip: S3FD on every frame (at full size, and at the quarter size of its paper), the generator
at 96 pixels in batches of 8.

MuseTalk: a frame at 256 pixels is two crops encoded (masked, and as a reference), one step of the
UNet, one crop decoded; in pairs. Its sound is a pass of Whisper-tiny for each 30 s.

LatentSync: a window of 16 frames is 32 crops encoded, 20 steps with guidance, each a pass of 32
frames through the UNet with its temporal layers, and 16 crops decoded; the same sound. Of the 20
steps, which are alike, --steps are run; crops are encoded and decoded in pairs, and counted 16
and 8 times. --side is its crop's, 256 (version 1.5) or 512 (1.6: half an hour a step).

Targets: 50 times Wav2Lip's pipeline with S3FD at full size, 5 times with S3FD at quarter size.
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
from peers import (
    SOUND_TOKENS,
    SOUND_WIDTH,
    DiffusionUNet,
    DiffusionVAE,
    WhisperEncoder,
    multiplications_of,
    parameters_of,
)
from torch import Tensor, nn

from lipcore.models.published.s3fd import S3FD
from lipcore.models.published.wav2lip import Wav2Lip

_RATE, _HEARD_S = 25, 30
_WINDOW, _STEPS = 16, 20
"""Of LatentSync: frames of a window, and steps of diffusion."""
_CHILD = """
import json, resource, sys
from pathlib import Path
import lipcore
plate, dialogue, out, cache, count, deliver, workers = sys.argv[1:]
result = lipcore.render_shot(
    lipcore.Shot(Path(plate), Path(dialogue), frames=lipcore.FrameRange(1, int(count))),
    lipcore.RenderConfig(cache=Path(cache), deliver=deliver, workers=int(workers)), Path(out),
)
used = resource.getrusage(resource.RUSAGE_SELF)
scale = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "cpu_s_a_frame": (used.ru_utime + used.ru_stime) / len(result.frames),
    "peak_mb": used.ru_maxrss * scale / 1e6, "drawn": result.drawn,
}))
"""


def cpu_of(network: nn.Module, *inputs: Tensor, times: int = 1) -> float:
    """Processor seconds of a pass."""
    with torch.inference_mode():
        start = time.process_time()
        for _ in range(times):
            network(*inputs)
    return (time.process_time() - start) / times


def measure_wav2lip(clip: Path) -> dict[str, float]:
    """The detector at two sizes, and the generator."""
    with av.open(str(clip)) as file:
        picture = next(file.decode(video=0)).to_ndarray(format="rgb24")
    full = torch.from_numpy(picture).permute(2, 0, 1)[None].float() - 110
    quarter = nn.functional.interpolate(full, scale_factor=0.25, mode="area")
    detector, generator = S3FD().eval(), Wav2Lip().eval()
    mel, faces = torch.randn(8, 1, 80, 16), torch.rand(8, 6, 96, 96)
    return {
        "generator_cpu_s": cpu_of(generator, mel, faces, times=4) / 8,
        "s3fd_quarter_cpu_s": cpu_of(detector, quarter, times=3),
        "s3fd_full_cpu_s": cpu_of(detector, full),
        "generator_params_m": parameters_of(generator),
        "generator_gmacs": multiplications_of(generator, mel, faces) / 8,
        "s3fd_quarter_gmacs": multiplications_of(detector, quarter),
    }


def measure_vae(side: int) -> dict[str, float]:
    """A crop encoded, and one decoded; in pairs."""
    vae = DiffusionVAE().eval()
    crops, latents = torch.rand(2, 3, side, side), torch.randn(2, 4, side // 8, side // 8)
    return {
        f"vae_{side}_encode_cpu_s": cpu_of(vae.encoder, crops) / 2,
        f"vae_{side}_decode_cpu_s": cpu_of(vae.decoder, latents) / 2,
    }


def measure_sound() -> float:
    """Processor seconds of the sound of a frame."""
    whisper = WhisperEncoder().eval()
    return cpu_of(whisper, torch.randn(1, 80, 3000), times=2) / (_RATE * _HEARD_S)


def measure_musetalk() -> dict[str, float]:
    """The UNet's one step, a frame."""
    unet = DiffusionUNet(8, SOUND_WIDTH).eval()
    given = torch.randn(2, 8, 32, 32), torch.zeros(2), torch.randn(2, SOUND_TOKENS, SOUND_WIDTH)
    return {
        "musetalk_unet_cpu_s": cpu_of(unet, *given) / 2,
        "musetalk_unet_params_m": parameters_of(unet),
    }


def measure_latentsync(side: int, steps: int) -> dict[str, float]:
    """A step of a window, with guidance."""
    unet = DiffusionUNet(13, SOUND_WIDTH, frames=_WINDOW).eval()
    count = 2 * _WINDOW
    given = (
        torch.randn(count, 13, side // 8, side // 8), torch.full((count,), 500.0),
        torch.randn(count, SOUND_TOKENS, SOUND_WIDTH),
    )  # fmt: skip
    return {
        "latentsync_side": side,
        "latentsync_steps_run": steps,
        "latentsync_step_cpu_s": cpu_of(unet, *given, times=steps),
        "latentsync_unet_params_m": parameters_of(unet),
    }


def render(
    plate: Path, dialogue: Path, out: Path, cache: Path, count: int, deliver: str,
    workers: int = 2,
) -> dict[str, float]:  # fmt: skip
    """The first frames of a plate, in a process of its own: seconds a frame and peak memory."""
    return run_child(_CHILD, plate, dialogue, out, cache, count, deliver, workers)


def run_child(program: str, *arguments: object) -> dict[str, float]:
    """The figures that a program prints as JSON in its last line."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def of_a_frame(found: dict[str, float]) -> dict[str, float]:
    """Processor seconds a frame of each pipeline that was measured, by its name in words."""
    pipelines = {}
    for size in ("full", "quarter"):
        if f"s3fd_{size}_cpu_s" in found:
            pipelines[f"Wav2Lip with S3FD at {size} size"] = (
                found[f"s3fd_{size}_cpu_s"] + found["generator_cpu_s"]
            )
    if "musetalk_unet_cpu_s" in found:
        pipelines["MuseTalk"] = (
            2 * found["vae_256_encode_cpu_s"] + found["musetalk_unet_cpu_s"]
            + found["vae_256_decode_cpu_s"] + found["sound_cpu_s"]
        )  # fmt: skip
    if "latentsync_step_cpu_s" in found:
        side = round(found["latentsync_side"])
        pipelines[f"LatentSync at {side}"] = (
            2 * found[f"vae_{side}_encode_cpu_s"] + found[f"vae_{side}_decode_cpu_s"]
            + _STEPS * found["latentsync_step_cpu_s"] / _WINDOW + found["sound_cpu_s"]
        )  # fmt: skip
    return pipelines


def main() -> None:
    """Measure, print, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("dialogue", type=Path)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    known = ("wav2lip", "musetalk", "latentsync")
    parser.add_argument("--peers", nargs="+", choices=known, default=known)
    parser.add_argument("--side", type=int, choices=(256, 512), default=256)
    parser.add_argument("--steps", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found: dict[str, float] = {}

    def note(figures: dict[str, float]) -> None:
        found.update(figures)
        for key, value in figures.items():
            print(f"{key:32} {value:10.3f}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        for deliver, out in (("full", "out.mp4"), ("patch", "out")):
            made = render(
                given.clip, given.dialogue, Path(name) / out, Path(name) / f"cache {deliver}",
                given.frames, deliver,
            )
            note({f"lipcore_{deliver}_{key}": value for key, value in made.items()})
    if "wav2lip" in given.peers:
        note(measure_wav2lip(given.clip))
        note({"s3fd_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6})
    if {"musetalk", "latentsync"} & set(given.peers):
        note({"sound_cpu_s": measure_sound()})
        sides = {256} if "musetalk" in given.peers else set()
        for side in sides | ({given.side} if "latentsync" in given.peers else set()):
            note(measure_vae(side))
    if "musetalk" in given.peers:
        note(measure_musetalk())
    if "latentsync" in given.peers:
        note(measure_latentsync(given.side, given.steps))
    targets = {"Wav2Lip with S3FD at full size": 50, "Wav2Lip with S3FD at quarter size": 5}
    for peer, spent in of_a_frame(found).items():
        for deliver in ("full", "patch"):
            ratio = spent / found[f"lipcore_{deliver}_cpu_s_a_frame"]
            target = f"  (target {targets[peer]})" if peer in targets else ""
            print(f"{peer}, {spent:.2f} s a frame, over lipcore ({deliver}): "
                  f"{ratio:.1f} times{target}")  # fmt: skip
            found[f"ratio {peer} {deliver}"] = ratio
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
