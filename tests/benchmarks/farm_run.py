"""A shot as a farm renders it, with one task made to fail: is it the single render's, to the pixel?

    python tests/benchmarks/farm_run.py --frames 240 --chunk 40

Runs the bundle by `openjd run` (pip install openjd-cli). The first run meets a task that fails
once; the second goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile

from lipcore.demo.portrait import CameraMove, write_plate
from lipcore.demo.run import say
from lipcore.farm.bundle import BundleSettings, write_bundle
from lipcore.farm.check import check_jobs, raise_wrong
from lipcore.farm.jobs import read_jobs
from lipcore.pipeline import render_shot
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange, Window


def _flaky(folder: Path, chunk: str) -> Path:
    """``lipcore``, of which the task of one chunk fails once."""
    script = folder / "flaky"
    script.write_text(
        f"#!/bin/sh\ncase \"$*\" in *--chunk={chunk}*)\n"
        f"  if mkdir '{folder}/failed' 2>&-; then echo 'openjd_fail: node down'; exit 7; fi\n"
        f";; esac\nexec '{sys.executable}' -m lipcore \"$@\"\n"
    )
    script.chmod(0o755)
    return script


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.exr")}


def main() -> None:
    """Make a plate, run its bundle twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--chunk", type=int, default=40)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="farm-"))
    try:
        frames = FrameRange(1001, 1000 + given.frames)
        move = CameraMove(frames, (228, 128), (224, 126), 300, 292, Window(0, 0, 480, 360))
        plate = write_plate(folder / "plate", move)
        line = folder / "line.wav"
        soundfile.write(line, say("Maybe my five thumbs push the bumpy map. " * 3), 48_000)
        (folder / "jobs.yaml").write_text(
            f"jobs: [{{name: shot, plate: {plate}, dialogue: {line}, out: {folder / 'done'}}}]"
        )
        second = f"{1001 + given.chunk}-{1000 + 2 * given.chunk}"
        checks = check_jobs(read_jobs(folder / "jobs.yaml"))
        raise_wrong(checks, "jobs.yaml")
        bundle = write_bundle(
            checks[0], folder / "bundle",
            BundleSettings(chunk_frames=given.chunk, command=str(_flaky(folder, second))),
        )
        command = [
            shutil.which("openjd") or str(Path(sys.executable).with_name("openjd")), "run",
            str(bundle.folder / "template.yaml"), "--step", "Assemble", "--run-dependencies",
            "-p", f"file://{bundle.folder / 'openjd_parameters.json'}",
        ]  # fmt: skip
        for count in (1, 2):
            start = time.monotonic()
            ended = subprocess.run(command, capture_output=True, text=True)
            there = len(_digests(folder / "done"))
            print(f"run {count}: exit {ended.returncode}, {there} frames, "
                  f"{bundle.chunks} chunks, {time.monotonic() - start:.0f} s", flush=True)
        render_shot(
            Shot(plate, line, frames=frames), RenderConfig(cache=folder / "cache"),
            folder / "single",
        )
        same = _digests(folder / "done") == _digests(folder / "single")
        print(f"{there} frames, {'identical' if same else 'NOT IDENTICAL'} to the single render")
        sys.exit(not same or ended.returncode != 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
