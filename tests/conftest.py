"""Fixtures that every test may use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests share the cores already: threads of small networks would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the repository: real clips, speech, EXR and OTIO samples."""
    if not _SHARED.is_dir():
        pytest.skip("the development data (../shared/data) is not on this machine")
    return _SHARED


@pytest.fixture(scope="session")
def portrait_plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate with a real face: frames 1001-1012, 640x480, half EXR, 24 frames a second.

    The face is about 200 pixels wide and smiles; the camera moves a little. Do not write into
    its folder.
    """
    from lipcore.demo.portrait import CameraMove, write_plate
    from lipcore.types import FrameRange, Window

    move = CameraMove(
        FrameRange(1001, 1012), center_from=(228, 128), center_to=(224, 126), width_from=300,
        width_to=292, display=Window(0, 0, 640, 480),
    )
    return write_plate(tmp_path_factory.mktemp("portrait") / "plate", move)


@pytest.fixture(scope="session")
def spoken_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of synthetic speech, 48 kHz mono WAV: as long as ``portrait_plate``."""
    import soundfile

    from lipcore.demo.run import say

    path = tmp_path_factory.mktemp("line") / "line.wav"
    sound = say("Hello, mama!")
    start = int(0.2 * 48_000)
    soundfile.write(path, sound[start : start + 24_000], 48_000)
    return path


@pytest.fixture
def ask_browser(tmp_path: Path) -> Callable[[Path, str], list[str]]:
    """Open a page in Chromium, in a frame of a phone's width, and ask it something.

    Called with the page and a list of JavaScript expressions, in which ``w`` is the page's window
    and ``d`` its document; returns what they come to, as texts. A statement may stand before
    them, ended by ``;;``.
    """
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")

    def ask(page: Path, asked: str) -> list[str]:
        shutil.copy(page, tmp_path / "asked.html")
        first, _, listed = asked.rpartition(";;")
        outer = tmp_path / "outer.html"
        outer.write_text(
            "<title>waits</title><iframe src=asked.html width=390 height=800></iframe><script>"
            f"onload = () => {{ const w = frames[0], d = w.document; {first};"
            f"document.title = [{listed}].join('|') }}</script>"
        )
        ended = subprocess.run(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu",
             "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}",
             "--virtual-time-budget=4000", "--dump-dom", outer.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        found = re.search(r"<title>(.*?)</title>", ended.stdout)
        assert found is not None
        return found[1].split("|")

    return ask


@pytest.fixture(scope="session")
def tiny_networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights, as small as they get, in which every layer has a say."""
    import torch
    from torch import nn

    from lipcore.models.checkpoint import save_network
    from lipcore.models.generator import Generator
    from lipcore.models.inner_mouth import InnerMouth, InnerMouthConfig
    from lipcore.models.presets import PRESETS
    from lipcore.models.refiner import Refiner
    from lipcore.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig
    from lipcore.models.vqgan import VQGAN

    folder = tmp_path_factory.mktemp("tiny networks")
    torch.manual_seed(0)
    preset = PRESETS["tiny"]
    networks: dict[str, nn.Module] = {
        "vqgan_face": VQGAN(preset.vqgan_face), "vqgan_pose": VQGAN(preset.vqgan_pose),
        "generator": Generator(preset.generator), "refiner": Refiner(preset.refiner),
        "inner_mouth": InnerMouth(InnerMouthConfig((8, 16))),
        "speech": SpeechEncoder(SpeechEncoderConfig(channels=8, dilations=(1, 2))),
    }
    for kind, network in networks.items():
        for weight in network.parameters():
            if not weight.any():  # layers that start as nothing
                nn.init.normal_(weight, std=0.05)
        save_network(folder / f"{kind}.safetensors", network, kind=kind, record={})
    return folder
