"""A farm gets every file that is laid over the weights: adaptation, refiner, or both."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from lipcore.errors import WeightsNotFoundError
from lipcore.farm.bundle import BundleSettings, write_bundle
from lipcore.farm.check import check_jobs
from lipcore.farm.jobs import read_jobs
from lipcore.farm.task import parse_settings, worker_params
from lipcore.models.checkpoint import save_network, save_tensors
from lipcore.models.refiner import Refiner, RefinerConfig


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """A folder with a refiner and an adaptation."""
    network = Refiner(RefinerConfig(256, (4, 8), style=8, mapping_layers=1))
    save_network(tmp_path / "refiner.safetensors", network, kind="refiner", record={})
    save_tensors(
        tmp_path / "shot.safetensors", {"generator.x": torch.ones(1)}, kind="adaptation",
        config={}, record={},
    )
    return tmp_path


def jobs_file(folder: Path, plate: Path, line: Path, weights: str, **more: object) -> Path:
    path = folder / "jobs.yaml"
    path.write_text(json.dumps({"jobs": [{
        "name": "shot", "plate": str(plate), "dialogue": str(line), "out": "done",
        "synthesis": "adapted", "refine": 0.5, "weights": weights, **more,
    }]}), encoding="utf-8")  # fmt: skip
    return path


@pytest.mark.parametrize("adapt", [None, 2.0])
def test_a_bundle_names_each_file(
    adapt: float | None, studio: Path, portrait_plate: Path, spoken_line: Path
) -> None:
    path = jobs_file(
        studio, portrait_plate, spoken_line, "base+shot.safetensors+refiner.safetensors",
        **({} if adapt is None else {"adapt": adapt}),
    )
    (check,) = check_jobs(read_jobs(path))
    assert check.error is None
    write_bundle(check, studio / "bundle", BundleSettings())
    values = json.loads((studio / "bundle" / "openjd_parameters.json").read_text("utf-8"))
    laid = {"Adaptation": "shot.safetensors", "Adaptation2": "refiner.safetensors"}
    assert {n: Path(values[n]).name for n in laid} == laid
    template = yaml.safe_load((studio / "bundle" / "template.yaml").read_text("utf-8"))
    defined = {d["name"]: d for d in template["parameterDefinitions"]}
    assert all(defined[n]["objectType"] == "FILE" for n in laid)
    assets = yaml.safe_load((studio / "bundle" / "asset_references.yaml").read_text("utf-8"))
    assert {values[n] for n in laid} <= set(assets["assetReferences"]["inputs"]["filenames"])

    (render,) = [step for step in template["steps"] if step["name"] == "Render"]
    words = render["script"]["actions"]["onRun"]["args"]
    (told,) = [w for w in words if w.startswith("--set=weights=")]
    values["WorkDir"] = "/farm/shared"
    filled = re.sub(r"\{\{Param\.(\w+)\}\}", lambda m: values[m[1]], told)
    # The shot's own adaptation takes the place of the given one; the network stays.
    shot = "/farm/shared/adapted.safetensors" if adapt else str(studio / "shot.safetensors")
    assert filled == f"--set=weights=base+{shot}+{studio / 'refiner.safetensors'}"
    given = [w.removeprefix("--set=") for w in words if w.startswith("--set=refine=")]
    task = parse_settings(["plate=p.mov", "out=o", "dialogue=d", "synthesis=latent", *given])
    assert worker_params(task, None)["settings"]["refine"] == 0.5


def test_a_job_whose_weights_hold_no_refiner_is_refused_beforehand(
    studio: Path, portrait_plate: Path, spoken_line: Path
) -> None:
    path = jobs_file(studio, portrait_plate, spoken_line, "base+shot.safetensors")
    (check,) = check_jobs(read_jobs(path))
    assert isinstance(check.error, WeightsNotFoundError)
    assert "lipcore train refiner_base" in check.error.hint
