"""Small studies with real videos, and the server as a process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
import yaml

SYSTEMS = ("plate", "ours", "other")
CLIPS = ("s010", "s020")


def write_video(path: Path, shade: int, *, codec: str = "libx264", pixels: str = "yuv420p") -> None:
    """A third of a second of grey, with a tone."""
    with av.open(str(path), "w") as file:
        picture = file.add_stream(codec, rate=Fraction(25))
        picture.width, picture.height, picture.pix_fmt = 96, 64, pixels
        sound = file.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48_000)
        for number in range(8):
            shown = np.full((64, 96, 3), shade + number, np.uint8)
            file.mux(picture.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        file.mux(picture.encode())
        tone = 0.1 * np.sin(np.arange(15_360, dtype=np.float32) / 20)
        said = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        said.sample_rate, said.pts = 48_000, 0
        layout = sound.codec_context.layout.name
        kind = sound.codec_context.format.name
        for part in av.AudioResampler(kind, layout, 48_000, 960).resample(said):
            file.mux(sound.encode(part))
        file.mux(sound.encode())


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``CLIP_SYSTEM.mp4`` for each clip and system."""
    folder = tmp_path_factory.mktemp("prises de vue")
    for k, clip in enumerate(CLIPS):
        for n, system in enumerate(SYSTEMS):
            write_video(folder / f"{clip}_{system}.mp4", 40 + 60 * n + 20 * k)
    return folder


@pytest.fixture
def write_study(tmp_path: Path, footage: Path) -> Callable[..., Path]:
    """Write a study beside nothing else; keywords take the place of its settings."""

    def write(name: str = "étude.yaml", **settings: Any) -> Path:
        study: dict[str, Any] = {
            "title": "Which <b>dub</b>?", "method": "acr", "reference": "plate",
            "clips": [
                {"name": c, "videos": {s: str(footage / f"{c}_{s}.mp4") for s in SYSTEMS}}
                for c in CLIPS
            ],
        }  # fmt: skip
        path = tmp_path / name
        path.write_text(yaml.safe_dump({**study, **settings}, sort_keys=False), "utf-8")
        return path

    return write


@dataclass
class Served:
    """A server that runs."""

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])


@contextmanager
def served(study: Path, port: int = 0, *options: str) -> Iterator[Served]:
    """``lipcore rate serve`` until the block ends, then SIGKILL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lipcore", "rate", "serve", str(study), "--port", str(port),
         "--cache", str(study.parent / "cache"), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stderr is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, process.stderr.read()
        yield Served(process, found[0])
    finally:
        process.kill()
        process.communicate()


def client_of(url: str) -> httpx.Client:
    """A browser's manners: requests say where they are from."""
    return httpx.Client(base_url=url, headers={"origin": url.rstrip("/")}, timeout=30)


def answer_of(state: dict[str, Any], value: int = 3, **more: Any) -> dict[str, Any]:
    """What the page would send for the trial that ``state`` shows."""
    return {
        "position": state["place"]["position"],
        "answers": {scale: value for scale, *_ in state["scales"]},
        "took_ms": 900, "plays": 1, "problem": "", **more,
    }  # fmt: skip
