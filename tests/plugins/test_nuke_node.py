"""The lip-sync node in a simulated Nuke, with the real worker on real frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nuke_sim
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so
import pytest
from nuke_scene import FIRST, FRAMES, LAST, Scene, read, rgb
from nuke_sim.evaluate import evaluate

pytestmark = pytest.mark.slow

@pytest.fixture(scope="session")
def reference(
    portrait_plate: Path, spoken_line: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same shot by `lipcore render`."""
    import subprocess
    import sys

    out = tmp_path_factory.mktemp("reference")
    subprocess.run(
        [sys.executable, "-m", "lipcore", "render", str(portrait_plate), str(spoken_line),
         "--out", str(out / "lipsync.####.exr"), "--frames", f"{FIRST}-{LAST}",
         "--cache", str(out / "cache")],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    return out


def test_render_shows_what_the_command_line_renders(scene: Scene, reference: Path) -> None:
    """Before: the plate. After: the command line's frames, pixel for pixel. One undo: before."""
    node = scene.node
    for frame in FRAMES:
        assert np.array_equal(rgb(node, frame), rgb(scene.read, frame))
    scene.press("render")
    assert scene.host.messages == []
    (task,) = scene.host.progress
    assert task.sim_seen[-1] == 100 and task.sim_seen == sorted(task.sim_seen)
    changed = 0
    for frame in FRAMES:
        expected = read(reference / f"lipsync.{frame}.exr")[..., :3]
        assert np.array_equal(rgb(node, frame), expected), frame
        changed += int((expected != rgb(scene.read, frame)).any())
    assert changed >= 4
    assert np.array_equal(rgb(node, LAST + 1), rgb(scene.read, LAST + 1))  # not rendered
    node["show"].setValue("difference")
    assert rgb(node, FIRST + 2).any() and not rgb(node, LAST + 1).any()
    node["show"].setValue("matte")
    assert 0 < evaluate(node, FIRST + 2).get("rgba.alpha").max() <= 1
    node["show"].setValue("composite")

    # Save, clear, open: the frames are there without a worker, and the buttons still work.
    scene.nuke.scriptSaveAs(str(scene.script))
    before = [rgb(node, frame) for frame in FRAMES]
    scene.nuke.scriptOpen(str(scene.script))
    again = scene.nuke.toNode("Lipsync1")
    for frame, expected in zip(FRAMES, before, strict=True):
        assert np.array_equal(rgb(again, frame), expected)
    written = len(scene.host.executed)
    scene.node = again
    scene.press("render")
    assert len(scene.host.executed) == written  # nothing upstream changed
    assert scene.host.messages == [] and not scene.picture(2).exists()

    # Bake: ordinary nodes give the same picture, to the rounding of half.
    scene.press("bake")
    merge = scene.nuke.toNode("Lipsync1_Merge")
    kinds = {n.Class() for n in scene.nuke.allNodes()}
    assert {"Read", "Merge2", "Transform", "CornerPin2D"} <= kinds
    for frame in FRAMES:
        wanted = rgb(again, frame)
        assert np.abs(rgb(merge, frame) - wanted).max() <= np.abs(wanted).max() * 2**-10
    count = len(scene.nuke.allNodes())
    scene.nuke.undo()
    assert len(scene.nuke.allNodes()) < count and scene.nuke.toNode("Lipsync1_Merge") is None

    # Other settings: another version, the first one stays.
    again["strength"].setAnimated()
    again["strength"].setValueAt(0.0, FIRST)
    again["strength"].setValueAt(1.0, LAST)
    scene.press("render")
    assert scene.host.messages == []
    assert again["take"].value() == 2
    assert np.array_equal(rgb(again, FIRST), rgb(scene.nuke.toNode("Plate"), FIRST))
    assert (rgb(again, LAST - 1) != rgb(scene.nuke.toNode("Plate"), LAST - 1)).any()
    assert len(list(scene.picture(1).glob("*.exr"))) == len(FRAMES)
    scene.nuke.undo()
    assert again["take"].value() == 1
    for frame, expected in zip(FRAMES, before, strict=True):
        assert np.array_equal(rgb(again, frame), expected)


def test_cancel_leaves_whole_frames_and_render_goes_on(scene: Scene) -> None:
    last = FIRST + 11
    scene.read["file"].fromUserText(f"{scene.read['file'].value()} {FIRST}-{last}")

    def stop() -> None:
        """The button of the node, once a frame is there."""
        while not list(scene.picture().glob("*.exr")):
            scene.host.calls.get(timeout=120)()
        scene.node["cancel"].execute()

    scene.press("render", until=stop)
    assert scene.host.messages == []
    left = sorted(scene.picture().glob("*.exr"))
    assert 1 <= len(left) < 12
    assert not list(scene.picture().glob(".*"))
    for path, frame in zip(left, range(FIRST, last), strict=False):
        assert np.array_equal(rgb(scene.node, frame), read(path)[..., :3])
    there = FIRST + len(left)
    assert np.array_equal(rgb(scene.node, there), rgb(scene.read, there))
    times = [path.stat().st_mtime_ns for path in left]
    scene.press("render")
    assert scene.host.messages == []
    assert [path.stat().st_mtime_ns for path in left] == times  # kept, not rendered again
    assert len(list(scene.picture().glob("*.exr"))) == 12
    assert scene.node["rendered"].value() == f"{FIRST}-{last}"
    scene.press("cancel")
    assert scene.host.messages[-1].startswith("nothing runs")


def test_a_matte_holds_out(scene: Scene) -> None:
    """A matte that is 1 everywhere: the plate comes back."""
    scene.read["file"].fromUserText(f"{scene.read['file'].value()} {FIRST}-{FIRST + 2}")
    matte = scene.nuke.nodes.Read(name="Roto")
    spec = oiio.ImageSpec(640, 480, 4, "half")
    out = oiio.ImageOutput.create("a.exr")
    path = scene.folder / "roto.exr"
    out.open(str(path), spec)
    out.write_image(np.ones((480, 640, 4), np.float32))
    out.close()
    matte["file"].fromUserText(f"{path} {FIRST}-{FIRST + 2}")
    matte["raw"].setValue(True)
    scene.node.setInput(1, matte)
    scene.press("render")
    assert scene.host.messages == []
    for frame in range(FIRST, FIRST + 3):
        assert np.array_equal(rgb(scene.node, frame), rgb(scene.read, frame))


def test_analyse_draws_the_tracks(scene: Scene) -> None:
    scene.node["frames"].setValue(f"{FIRST}-{FIRST + 2}")
    scene.press("analyse")
    assert scene.host.messages == []
    box = scene.node["track1"]
    x, y, r, t = (box.getValueAt(FIRST, place) for place in range(4))
    # The face is in the upper half: in Nuke, which counts from the bottom, y is large.
    assert 0 < x < r < 640 and 0 < y < t < 480 and (y + t) / 2 > 200
    scene.node["speaker"].setValue("point")
    scene.node["point"].setValue(((x + r) / 2, (y + t) / 2))
    scene.press("render")
    assert scene.host.messages == []
    assert (rgb(scene.node, FIRST + 1) != rgb(scene.read, FIRST + 1)).any()


def test_upstream_changes_are_written_again(scene: Scene) -> None:
    from lipcore_plugins.nuke import frames_out

    gain = scene.nuke.nodes.Multiply(name="Grade")
    gain.setInput(0, scene.read)
    keys = {frames_out.upstream_hash(gain, FIRST, LAST)}
    gain["xpos"].setValue(500)
    keys.add(frames_out.upstream_hash(gain, FIRST, LAST))
    assert len(keys) == 1
    gain["value"].setValue(0.5)
    keys.add(frames_out.upstream_hash(gain, FIRST, LAST))
    source = Path(scene.read["file"].value()).with_name(f"plate.{FIRST}.exr")
    copy = scene.folder / "copy" / source.name
    copy.parent.mkdir()
    copy.write_bytes(source.read_bytes())
    scene.read["file"].setValue(str(copy.with_name("plate.####.exr")))
    keys.add(frames_out.upstream_hash(gain, FIRST, LAST))
    copy.write_bytes(source.read_bytes() + b"\0")
    keys.add(frames_out.upstream_hash(gain, FIRST, LAST))
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        (lambda s: s.nuke.root()["proxy"].setValue(True), "proxy mode", "Switch proxy mode off"),
        (lambda s: s.node.setInput(0, None), "'plate' is not connected", "Connect the plate"),
        (lambda s: s.node["dialogue"].setValue(""), "no dialogue is set", "Choose a sound file"),
        (lambda s: s.node["dialogue"].setValue("/no/line.wav"), "is not there", "Choose"),
        (lambda s: s.node["frames"].setValue("1010-1001"), "not a frame range", "1001-1050"),
        (lambda s: s.node["output"].setValue("/x/a.mov"), "no EXR sequence", "####.exr"),
        (lambda s: s.node["output"].setValue("[exec ls].####.exr"), "TCL", "Correct the path"),
        (lambda s: setattr(s.host, "fail_execute", True), "could not write the plate", "Look at"),
        (lambda s: s.node["weights"].setValue("nowhere"), "no weights named nowhere", "Shipped"),
    ],
)  # fmt: skip
def test_errors_come_with_their_hint(scene: Scene, change: Any, said: str, hint: str) -> None:
    change(scene)
    scene.press("render")
    (message,) = scene.host.messages
    assert said in message.splitlines()[0] and hint in message.splitlines()[-1]
    assert not any(n.Class() == "Write" for n in scene.node.nodes())
    assert scene.node["rendered"].value() == ""


def test_paths_are_those_of_the_script(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from lipcore_plugins.nuke import paths

    monkeypatch.setenv("SHOW", "film")
    assert paths.resolve("/p/[getenv SHOW]/a.%04d.exr") == "/p/film/a.%04d.exr"
    assert paths.resolve("D:\\x\\y.wav") == "D:/x/y.wav"
    assert paths.resolve("a/b.wav") == f"{scene.folder}/a/b.wav"
    scene.nuke.root()["project_directory"].setValue("/show/[getenv SHOW]")
    assert paths.resolve("a/b.wav") == "/show/film/a/b.wav"
    scene.nuke.addFilenameFilter(lambda name: name.replace("D:/", "/mnt/d/"))
    assert paths.resolve("D:/x.wav") == "/mnt/d/x.wav"
    assert paths.frame_file("/a/b.####.exr", -7).as_posix() == "/a/b.-0007.exr"


def test_a_terminal_renders_in_line(scene: Scene, reference: Path) -> None:
    """`nuke -t`: no panels, no thread, percentages on stdout, errors as exceptions."""
    nuke_sim.set_gui(False)
    scene.press("render")
    assert "100 %" in scene.host.printed[-1]
    for frame in FRAMES:
        assert np.array_equal(
            rgb(scene.node, frame), read(reference / f"lipsync.{frame}.exr")[..., :3]
        )
    scene.node["dialogue"].setValue("")
    with pytest.raises(RuntimeError, match="no dialogue is set"):
        scene.press("render")


def test_a_farm_reads_results_and_computes_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a script starts no worker, writes no frames."""
    scene.nuke.scriptSaveAs(str(scene.script))
    nuke_sim.set_gui(False)
    import lipcore_plugins.client as client

    monkeypatch.setattr(client.WorkerClient, "submit", lambda *_, **__: pytest.fail("a job"))
    scene.nuke.scriptOpen(str(scene.script))
    node = scene.nuke.toNode("Lipsync1")
    assert rgb(node, FIRST).any() and scene.host.executed == []


@pytest.mark.parametrize(
    ("version", "missing"), [(0, ("audio_node", "minutes", "refiner")), (1, ("refiner",))]
)
def test_old_nodes_are_migrated(scene: Scene, version: int, missing: tuple[str, ...]) -> None:
    """A node of an earlier plugin: what is missing is added, what was set stays."""
    scene.node["feather"].setValue(0.3)
    scene.node["weights"].setValue("base+old.safetensors")
    for name in missing:
        scene.node.removeKnob(scene.node[name])
    scene.node["lipcore_version"].setValue(version)
    scene.nuke.scriptSaveAs(str(scene.script))
    scene.nuke.scriptOpen(str(scene.script))
    node = scene.nuke.toNode("Lipsync1")
    assert node["lipcore_version"].value() == 2
    assert node["minutes"].value() == 15 and node["feather"].value() == 0.3
    assert node["refiner"].value() == 0 and node["weights"].value() == "base+old.safetensors"
    from lipcore_plugins.nuke import settings

    assert settings.read(node).params["settings"]["refine"] == 0  # it renders as it did
    assert not node["lipcore_version"].visible()


def test_submit_writes_a_jobs_file(scene: Scene) -> None:
    """The format of `lipcore batch`; without `lipcore submit`, the panel says so."""
    from lipcore.cli.main import _COMMANDS

    scene.press("submit")
    jobs = json.loads((scene.folder / "lipsync" / "Lipsync1.jobs.yaml").read_text())
    (job,) = jobs["jobs"]
    assert job["frames"] == f"{FIRST}-{LAST}" and Path(job["dialogue"]).is_file()
    assert Path(job["plate"].replace("####", str(FIRST))).is_file()
    from lipcore.cli.render import command

    options = {o for p in command.params for o in p.opts}
    assert {f"--{k}" for k in job} - {"--plate", "--dialogue"} <= options
    (message,) = scene.host.messages
    if "submit" in _COMMANDS:
        bundle = scene.folder / "lipsync" / "Lipsync1.bundle"
        assert list(bundle.rglob("template.yaml")), message
    else:
        assert "cannot make farm bundles" in message and "Lipsync1.jobs.yaml" in message


def test_submit_hands_on_the_colour_config(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lipcore_plugins.nuke import farm

    program = tmp_path / "bin" / "lipcore"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$OCIO"\n')
    program.chmod(0o755)
    monkeypatch.delenv("LIPCORE_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(program.parent))
    said = farm.submit({"settings": {}}, str(tmp_path), "n", {"OCIO": "/show/config.ocio"})
    assert said.splitlines()[-1] == "/show/config.ocio"


def test_no_worker_is_told_with_what_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lipcore_plugins.client as client

    monkeypatch.setattr(client, "_shared", {})
    monkeypatch.setenv("LIPCORE_PYTHON", "/no/python")
    scene.press("render")
    (message,) = scene.host.messages
    assert "/no/python, which is not there" in message and "Set it to the Python" in message
