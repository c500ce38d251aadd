"""What the knobs of the node ask the worker for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nuke_scene import FIRST, LAST, Scene

from lipcore.worker.requests import Render, parse_request


def asked(scene: Scene) -> Any:
    from lipcore_plugins.nuke import settings

    return settings.read(scene.node)


def request(params: dict[str, Any]) -> Render:
    """As the worker takes it."""
    import json

    full = {"plate": "p.####.exr", "out": "o.####.exr", **params}
    line = json.dumps({"id": "1", "method": "render", "params": full})
    taken = parse_request(line.encode()).params
    assert isinstance(taken, Render)
    return taken


def test_untouched_knobs_ask_for_what_render_does_by_default(scene: Scene) -> None:
    from lipcore.shot import RenderConfig

    found = asked(scene)
    taken = request(found.params)
    assert taken.settings == RenderConfig()
    assert taken.frames == f"{FIRST}-{LAST}" and taken.rate == "24"
    assert found.picture == f"{scene.folder}/lipsync/lipsync.####.exr"


def test_knobs_reach_the_worker(scene: Scene) -> None:
    node = scene.node
    for name, value in {
        "offset": -2.5, "frames": "1002-1004", "rate": "24000/1001", "feather": 0.25,
        "synthesis": "latent", "refiner": 0.4, "strength": 0.8, "weights": " base ",
        "speaker": "track", "track": 3, "colorspace": "ACEScg",
    }.items():  # fmt: skip
        node[name].setValue(value)
    taken = request(asked(scene).params)
    assert (taken.frames, taken.rate, taken.speaker) == ("1002-1004", "24000/1001", "track:3")
    told = taken.settings
    assert (told.offset_frames, told.feather, told.strength) == (-2.5, 0.25, 0.8)
    assert (told.synthesis, told.refine, told.weights) == ("latent", 0.4, "base")
    assert taken.colorspace == "ACEScg"


@pytest.mark.parametrize(("typed", "sent"), [(-1.0, 0.0), (7.0, 1.0)])
def test_what_is_typed_beyond_a_slider_is_held_inside(
    scene: Scene, typed: float, sent: float
) -> None:
    for name in ("refiner", "strength"):
        scene.node[name].setValue(typed)
    told = asked(scene).params["settings"]
    assert told["refine"] == told["strength"] == sent


def test_an_animated_strength_travels_as_a_curve(scene: Scene) -> None:
    from lipcore_plugins.nuke import settings

    scene.node["strength"].setAnimated()
    scene.node["strength"].setValueAt(0.0, FIRST)
    scene.node["strength"].setValueAt(1.0, LAST)
    found = asked(scene)
    settings.write_strength(scene.node, found)
    curve = Path(found.params["settings"]["strength_curve"])
    keys = [line.split() for line in curve.read_text().splitlines()]
    assert [int(k) for k, _ in keys] == list(range(FIRST, LAST + 1))
    assert [float(v) for _, v in keys] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1], abs=1e-6)
    assert request(found.params).settings.strength_curve == curve


@pytest.mark.parametrize(
    ("output", "picture"),
    [
        ("/show/[getenv SHOT]/out.%05d.exr", "/show/sh 010/out.#####.exr"),
        ("[file dirname [value root.name]]/a/b.###.exr", "{folder}/a/b.###.exr"),
        ("renders/[value Plate.name].####.exr", "{folder}/renders/Plate.####.exr"),
    ],
)
def test_output_names_take_tcl_and_hashes(
    scene: Scene, output: str, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipcore_plugins.nuke import paths

    monkeypatch.setenv("SHOT", "sh 010")
    scene.node["output"].setValue(output)
    found = asked(scene)
    assert found.picture == picture.format(folder=scene.folder)
    take = paths.versioned(found.picture, 12)
    assert take == f"{found.folder}/v012/{found.picture.rpartition('/')[2]}"


@pytest.mark.parametrize(
    ("root", "ocio", "environ", "space"),
    [
        ({}, None, {}, "lin_rec709_scene"),
        ({"colorManagement": "OCIO", "workingSpaceLUT": "ACES - ACEScg"}, None, {}, "ACEScg"),
        ({"colorManagement": "OCIO"}, None, {}, "scene_linear"),
        (
            {"colorManagement": "OCIO", "OCIO_config": "custom", "workingSpaceLUT": "show - lin",
             "customOCIOConfigPath": "/show/[getenv SHOT]/c.ocio"},
            None, {"OCIO": "/show/sh 010/c.ocio"}, "show - lin",
        ),
        (
            {"colorManagement": "OCIO", "workingSpaceLUT": "studio - lin"}, "/studio.ocio", {},
            "studio - lin",
        ),
    ],
)  # fmt: skip
def test_color_is_that_of_the_script(
    scene: Scene, root: dict[str, str], ocio: str | None, environ: dict[str, str], space: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOT", "sh 010")
    if ocio is not None:
        monkeypatch.setenv("OCIO", ocio)  # which the worker inherits
    for name, value in root.items():
        scene.nuke.root()[name].setValue(value)
    found = asked(scene)
    assert found.environ == environ and found.params["colorspace"] == space
