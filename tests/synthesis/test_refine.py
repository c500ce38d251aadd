"""Stage 2: asked for, it goes over what the networks draw; where there is none, that is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so
import pytest
import torch
from torch import nn

import lipcore
from lipcore.errors import ConfigError, WeightsNotFoundError, WeightsVersionError
from lipcore.farm.jobs import read_jobs
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.models.checkpoint import save_network, save_tensors
from lipcore.models.refiner import Refiner, RefinerConfig
from lipcore.plan import plan_render
from lipcore.runtime import choose
from lipcore.runtime.choose import Measured
from lipcore.shot import TRAIN_REFINER
from lipcore.synthesis.refine import check_refiner
from lipcore.types import FrameRange
from lipcore.weights import find_weights, split_name

FRAMES = FrameRange(1004, 1006)
LIGHTER = 0.1
"""What the refiner of the tests adds to a crop, of 0 to 1."""


def write_refiner(path: Path, *, adds: float = LIGHTER, crop_px: int = 256) -> Path:
    """A refiner that lightens every crop alike."""
    refiner = Refiner(RefinerConfig(crop_px, (4, 8), style=8, mapping_layers=1))
    nn.init.ones_(refiner.strength)
    for block in refiner.up:
        nn.init.zeros_(block.to_rgb.weight)
    nn.init.constant_(refiner.up[0].to_rgb.bias, 2 * adds)
    save_network(path, refiner, kind="refiner", record={})
    return path


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_refiner(tmp_path_factory.mktemp("a+b") / "refiner.safetensors")


class Mouths:
    """Renders a shot with one refiner, and is told how it goes."""

    def __init__(self, plate: Path, line: Path, refiner: Path, folder: Path) -> None:
        self.shot = lipcore.Shot(plate, line, frames=FRAMES)
        self.weights, self.folder = f"base+{refiner}", folder
        self.stages: list[str] = []
        self.said: list[str] = []

    def progress(self, stage: str, done: int, total: int) -> None:
        self.stages.append(stage)

    def log(self, message: str) -> None:
        self.said.append(message)

    def draw(self, refine: float, detail: str) -> tuple[np.ndarray, np.ndarray]:
        """(display-referred pictures (N, H, W, 3), mattes (N, H, W)) of all frames."""
        out = self.folder / f"{detail}_{refine:g}"
        config = lipcore.RenderConfig(
            synthesis="latent", detail=detail, refine=refine,  # type: ignore[arg-type]
            weights=self.weights, cache=self.folder / "cache",
        )
        self.stages, self.said = [], []
        lipcore.render_shot(self.shot, config, out, listener=self)
        pictures, mattes = [], []
        with open_plate(out) as made:
            color = ColorTransform.of_plate(made)
            pictures = [color.to_display(made.read(n).rgb) for n in FRAMES]
        for path in sorted(out.glob("*.exr")):
            picture = oiio.ImageBuf(str(path))
            place = picture.spec().channelnames.index("lipsync.alpha")
            mattes.append(picture.get_pixels(oiio.FLOAT)[..., place])
        return np.stack(pictures), np.stack(mattes)

    def settings(self, refine: float, detail: str) -> dict[str, object]:
        """What the sidecar of a render says."""
        (sidecar,) = (self.folder / f"{detail}_{refine:g}").glob("*.lipsync.json")
        found: dict[str, object] = json.loads(sidecar.read_text())["settings"]
        return found


@pytest.fixture(scope="module")
def mouths(
    portrait_plate: Path, spoken_line: Path, refiner: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mouths:
    return Mouths(portrait_plate, spoken_line, refiner, tmp_path_factory.mktemp("made"))


@pytest.mark.slow
def test_its_share_is_in_the_mouth_and_the_plates_skin_stays(mouths: Mouths) -> None:
    plain, alpha = mouths.draw(0, "none")
    assert "refine" not in mouths.stages and "refined" not in " ".join(mouths.said)
    whole, _ = mouths.draw(1, "none")
    assert "refine" in mouths.stages and "synthesis: latent, refined by 1" in mouths.said
    half, _ = mouths.draw(0.5, "none")
    assert not {"encode", "refine"} & set(mouths.stages), "done again for another share"
    new = (alpha > 0.999) & (plain.max(-1) < 0.85)
    assert new.sum() > 500
    assert np.abs((whole - plain)[new] - LIGHTER).max() < 2 / 255
    assert np.abs((half - plain)[new] - LIGHTER / 2).max() < 2 / 255
    assert np.array_equal(whole[alpha == 0], plain[alpha == 0])

    # Carried detail is what the refined picture lacks: skin that was lightened comes back.
    carried, _ = mouths.draw(0, "transport")
    both, _ = mouths.draw(1, "transport")
    moved = np.abs(both - carried)[new].max(-1)
    assert np.median(moved) < 0.01 and moved.max() > LIGHTER / 2  # the inner mouth is lighter

    told = {refine: mouths.settings(refine, "none") for refine in (0, 0.5, 1)}
    assert [told[r]["refine"] for r in told] == [0, 0.5, 1]
    assert len({str(told[r]["parameters"]) for r in told}) == 3, "frames would pass as others'"
    assert "refiner" in told[1]["weights_sha256"]  # type: ignore[operator]


@pytest.mark.parametrize("synthesis", ["auto", "shot"])
def test_a_renderer_without_networks_has_nothing_to_refine(synthesis: str) -> None:
    with pytest.raises(ConfigError, match="nothing to refine") as caught:
        lipcore.RenderConfig(synthesis=synthesis, refine=1.0)  # type: ignore[arg-type]
    assert "--synthesis latent" in caught.value.hint and TRAIN_REFINER in caught.value.hint


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_one(share: float) -> None:
    with pytest.raises(ConfigError, match="from 0 to 1"):
        lipcore.RenderConfig(synthesis="latent", refine=share)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_weights_without_a_refiner_are_told_before_anything_is_done(
    more: tuple[str, ...], portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "lipcore", "render", str(portrait_plate), str(spoken_line),
         "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"),
         "--synthesis", "latent", *more, "--refine"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 8
    error, hint = ended.stderr.strip().splitlines()[-2:]
    assert error == "error: weights 'base' hold no refiner, and --refine asks for one"
    assert "lipcore train refiner_base" in hint
    assert not (tmp_path / "out").exists() and not (tmp_path / "cache").exists()


def test_a_refiner_of_other_crops_is_refused(tmp_path: Path) -> None:
    other = write_refiner(tmp_path / "refiner.safetensors", crop_px=128)
    config = lipcore.RenderConfig(synthesis="latent", refine=1.0)
    with pytest.raises(WeightsVersionError, match="128 px, and these weights draw 256 px"):
        check_refiner(config, find_weights(f"base+{other}"))


def test_the_plan_says_how_much(
    portrait_plate: Path, spoken_line: Path, refiner: Path, tmp_path: Path
) -> None:
    config = lipcore.RenderConfig(
        synthesis="latent", refine=0.5, weights=f"base+{refiner}", cache=tmp_path / "cache"
    )
    plan = plan_render(lipcore.Shot(portrait_plate, spoken_line), config, tmp_path / "out")
    assert "latent, refined by 0.5, weights base+" in plan.as_text()
    assert plan.as_dict()["refine"] == 0.5


def test_a_set_takes_networks_and_an_adaptation_by_file(refiner: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.safetensors"
    save_tensors(shot, {"generator.x": torch.ones(1)}, kind="adaptation", config={}, record={})
    for name in (f"base+{refiner}+{shot}", f"base+{shot}+{refiner}"):
        found = find_weights(name)
        assert found.name == name and found.adaptation == shot
        assert found.file("refiner") == refiner and "refiner" in found.kinds()
        assert found.file("generator").parent == find_weights("base").folder
        bare = found.unadapted()
        assert bare.name == f"base+{refiner}" and bare.adaptation is None
        assert find_weights(bare.name) == bare
    assert split_name(f"base+{refiner}+{shot}") == ("base", [str(refiner), str(shot)])
    assert not find_weights("base").has("refiner")
    with pytest.raises(WeightsVersionError, match="second refiner"):
        find_weights(f"base+{refiner}+{refiner}")
    with pytest.raises(WeightsNotFoundError, match=r"nowhere\.safetensors"):
        find_weights(f"base+{refiner}+nowhere.safetensors")


def test_jobs_take_it_as_any_option(refiner: Path, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(
        "defaults: {synthesis: latent, refine: 1}\n"
        "jobs:\n  - {plate: p.mov, dialogue: d.wav, out: o, weights: "
        f"'base+{refiner}+shot.safetensors'}}\n"
    )
    (job,) = read_jobs(tmp_path / "jobs.yaml")
    assert job.config.refine == 1.0 and "--refine=1.0" in job.arguments()
    assert job.config.weights == f"base+{refiner}+{tmp_path / 'shot.safetensors'}"


def test_auto_measures_all_that_a_frame_runs(
    tiny_networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that is fast at drawing may be slow at refining."""
    figures = {
        "draw": [Measured("torch", 10.0, 0.0), Measured("fast", 4.0, 0.5)],
        "refiner": [Measured("torch", 5.0, 0.0), Measured("fast", 20.0, 0.1)],
    }
    monkeypatch.setattr(choose, "measure_backends", lambda graph, *_, **__: (
        figures[graph.name], True
    ))  # fmt: skip
    for refine, taken, ms in ((0.0, "fast", "4 ms"), (1.0, "torch", "15 ms")):
        said: list[str] = []
        config = lipcore.RenderConfig(
            synthesis="latent", refine=refine, backend="auto", cache=tmp_path,
            weights=str(tiny_networks),
        )
        settled = choose.settle_backend(config, find_weights(tiny_networks), said.append)
        assert settled.backend == taken and ms in said[0]
    known = choose.sum_measured([
        ([Measured("a", 10.0, 0.5), Measured("b", 1.0, 0.1)], True),
        ([Measured("a", 5.0, 1.5), Measured("b", None, None, "it failed")], False),
    ])
    assert known == ([Measured("a", 15.0, 1.5), Measured("b", None, None, "it failed")], False)
