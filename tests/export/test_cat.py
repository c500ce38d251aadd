"""The TorchScript for Nuke, run outside it; and the nodes that go with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from lipcore.export.cat import CatExport, export_cat, nuke_gizmo, nuke_nodes
from lipcore.export.cat_module import from_display, to_display

import lipcore
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate

FRAMES = lipcore.FrameRange(1004, 1006)


@pytest.fixture(scope="module")
def made(
    portrait_plate: Path, spoken_line: Path, tmp_path_factory: pytest.TempPathFactory
) -> CatExport:
    folder = tmp_path_factory.mktemp("cat")
    return export_cat(
        lipcore.Shot(portrait_plate, spoken_line, frames=FRAMES),
        lipcore.RenderConfig(cache=folder / "cache"), folder / "for Nuke, é",
    )


def picture(plate: Path, number: int) -> torch.Tensor:
    with open_plate(plate) as opened:
        return torch.from_numpy(opened.read(number).rgb.transpose(2, 0, 1).copy())[None]


@pytest.mark.slow
def test_the_script_draws_a_mouth_and_nothing_else(made: CatExport, portrait_plate: Path) -> None:
    script = torch.jit.load(str(made.files[0]))
    assert made.max_steps < 0.5 and made.path_steps < 6
    plate = picture(portrait_plate, 1005)
    script.frame = 1005
    out = script(plate)
    assert out.shape == (1, 4, *plate.shape[2:]) and out.dtype == plate.dtype
    alpha = out[0, 3]
    assert 0.001 < float((alpha > 0).float().mean()) < 0.2
    assert torch.equal(out[:, :3][:, :, alpha == 0], plate[:, :, alpha == 0])
    assert float((out[:, :3] - plate).abs().max()) > 0.01, "nothing was drawn"


@pytest.mark.slow
def test_the_knob_chooses_the_frame(made: CatExport, portrait_plate: Path) -> None:
    script = torch.jit.load(str(made.files[0]))
    plate = picture(portrait_plate, 1005)
    drawn = {}
    for number in (1003, 1004, 1006, 2000):
        script.frame = number
        drawn[number] = script(plate)
    for number in (1003, 2000):  # not baked
        assert torch.equal(drawn[number][:, :3], plate) and not drawn[number][:, 3].any()
    assert not torch.equal(drawn[1004], drawn[1006])


@pytest.mark.slow
def test_a_proxy_is_drawn_at_its_own_size(made: CatExport, portrait_plate: Path) -> None:
    script = torch.jit.load(str(made.files[0]))
    script.frame = 1005
    plate = picture(portrait_plate, 1005)
    small = torch.nn.functional.avg_pool2d(plate, 2)
    whole, half = script(plate), script(small)
    shrunk = torch.nn.functional.avg_pool2d(whole, 2)
    assert float((shrunk[:, 3] - half[:, 3]).abs().max()) < 0.1


def test_the_curve_is_that_of_renders() -> None:
    values = np.concatenate([np.linspace(-2, 8, 400), np.linspace(-0.01, 0.01, 100)])
    linear = np.repeat(values[:, None], 3, axis=1).astype(np.float32)
    color = ColorTransform.for_plate("lin_rec709_scene")
    shown = to_display(torch.from_numpy(linear))
    assert np.allclose(shown.numpy(), color.to_display(linear), atol=1e-5)
    assert np.allclose(from_display(shown).numpy(), linear, atol=2e-5, rtol=1e-5)


def test_the_nodes_quote_what_tcl_would_run() -> None:
    text = nuke_nodes(Path("/shows/a [exit] $b/x é.pt"), 1001, 1010)
    assert "/shows/a \\[exit\\] \\$b/x é.pt" in text and "/shows/a \\[exit\\] \\$b/x é.cat" in text
    bare = text.replace("\\[", "").replace("\\]", "")
    assert bare.count("{") == bare.count("}")
    assert 'channelsIn "rgba.red, rgba.green, rgba.blue"' in text
    assert text.count("addUserKnob {3 frame") == 3


def test_the_gizmo_holds_what_the_group_holds() -> None:
    script = Path("/shows/a/010 é_lipsync.pt")
    gizmo, nodes = nuke_gizmo(script, 1001, 1010), nuke_nodes(script, 1001, 1010)
    assert gizmo.startswith("version 14.0 v1\nGizmo {\n") and gizmo.endswith("end_group\n")
    assert gizmo.partition("Gizmo {\n")[2] == nodes.partition(" name LipsyncCat\n")[2]
    assert 'modelFile "/shows/a/010 é_lipsync.cat"' in gizmo and "CatFileCreator" not in gizmo
