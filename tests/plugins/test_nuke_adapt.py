"""Adapt and the refiner of the node: what is learnt of a shot is what the next Render uses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nuke_scene import FIRST, Scene, read, rgb
from torch import nn

import lipcore
from lipcore.models.checkpoint import load_header, save_network
from lipcore.models.refiner import Refiner, RefinerConfig

pytestmark = pytest.mark.slow

LAST = FIRST + 11
"""Of the whole plate: towards its end the line parts the lips."""
SHORT_MINUTES = 0.05
"""The least that the worker takes: three seconds of training."""


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that changes pictures at random, a little."""
    torch.manual_seed(0)
    network = Refiner(RefinerConfig(256, (4, 8), style=8, mapping_layers=1))
    nn.init.constant_(network.strength, 0.2)
    path = tmp_path_factory.mktemp("trained") / "refiner.safetensors"
    save_network(path, network, kind="refiner", record={})
    return path


def sidecar(scene: Scene, take: int) -> dict[str, Any]:
    (path,) = scene.picture(take).glob("*.lipsync.json")
    found: dict[str, Any] = json.loads(path.read_text())["settings"]
    return found


def test_adapt_learns_the_shot_and_render_uses_it(scene: Scene, refiner: Path) -> None:
    node, file = scene.node, scene.folder / "lipsync" / "Lipsync1.safetensors"
    scene.read["file"].fromUserText(f"{scene.read['file'].value()} {FIRST}-{LAST}")
    node["weights"].setValue(f"base+{refiner}")
    node["minutes"].setValue(SHORT_MINUTES)
    scene.press("adapt")
    assert scene.host.messages == []
    (task,) = scene.host.progress
    assert task.sim_seen[-1] == 100 and task.sim_seen == sorted(task.sim_seen)
    header = load_header(file)
    assert header["kind"] == "adaptation" and header["record"]["steps"] >= 1
    assert header["record"]["psnr"] >= header["record"]["base_psnr"]
    learnt = f"base+{refiner}+{file}"
    assert (node["weights"].value(), node["synthesis"].value()) == (learnt, "adapted")
    assert "dB before" in node["state"].value()
    scene.nuke.undo()
    assert (node["weights"].value(), node["synthesis"].value()) == (f"base+{refiner}", "auto")
    node["weights"].setValue(learnt)
    node["synthesis"].setValue("adapted")

    # The next Render is the command line's with these weights, pixel for pixel.
    scene.press("render")
    assert scene.host.messages == []
    told = sidecar(scene, 1)
    assert told["synthesis"] == "adapted" and told["refine"] == 0
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert told["weights_sha256"]["adaptation"] == digest
    out, frames = scene.folder / "reference", lipcore.FrameRange(LAST - 3, LAST - 1)
    plate = next((scene.folder / "lipsync").glob(f"plate_*/plate.{FIRST}.exr"))
    lipcore.render_shot(
        lipcore.Shot(
            plate.with_name("plate.####.exr"), Path(node["dialogue"].value()),
            frames=lipcore.FrameRange(FIRST, LAST), colorspace="lin_rec709_scene",
        ),
        lipcore.RenderConfig(synthesis="adapted", weights=learnt, chunk=frames), out,
    )
    changed = 0
    for frame in frames:
        expected = read(out / f"plate.{frame}.exr")[..., :3]
        assert np.array_equal(rgb(node, frame), expected)
        changed += int((expected != rgb(scene.read, frame)).any())
    assert changed == len(frames)

    # The refiner beside the adaptation: other pictures, and so another version.
    plain = [rgb(node, frame) for frame in frames]
    node["refiner"].setValue(0.6)
    scene.press("render")
    assert scene.host.messages == [] and node["take"].value() == 2
    told = sidecar(scene, 2)
    assert told["refine"] == 0.6 and {"adaptation", "refiner"} <= set(told["weights_sha256"])
    # Shut lips are the shot's own, whatever a network draws: open ones show the difference.
    refined = [rgb(node, frame) for frame in frames]
    assert max(np.abs(a - b).max() for a, b in zip(refined, plain, strict=True)) > 0.002

    # Adapted again, it begins from the set, not from what it learnt before.
    scene.press("adapt")
    assert scene.host.messages == [] and node["weights"].value() == learnt
    assert load_header(file)["record"]["base_psnr"] == pytest.approx(
        header["record"]["base_psnr"], abs=1e-3
    )


@pytest.mark.parametrize(
    ("synthesis", "said"), [("latent", "hold no refiner"), ("auto", "nothing to refine")]
)
def test_no_refiner_is_told_in_a_panel(scene: Scene, synthesis: str, said: str) -> None:
    scene.node["refiner"].setValue(1.0)
    scene.node["synthesis"].setValue(synthesis)
    scene.press("render")
    (message,) = scene.host.messages
    assert said in message.splitlines()[0] and "lipcore train refiner_base" in message
    assert scene.node["rendered"].value() == "" and not scene.picture().exists()


def test_adapt_says_where_the_face_is_too_short(scene: Scene) -> None:
    scene.node["frames"].setValue(f"{FIRST}-{FIRST + 3}")
    scene.press("adapt")
    (message,) = scene.host.messages
    assert "only 4 frames show the face" in message
    assert scene.node["weights"].value() == "base"
