"""Tables of variants: every shipped one runs, goes on after a kill, and judges by others."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from lipcore.train.ablation import PLATES, Ablation, Row, format_table, load_table, table_names
from lipcore.train.mouth_judge import MEASURES
from lipcore.train.shards import ShardWriter, write_manifest

from lipcore.config import from_mapping, to_mapping
from lipcore.errors import ConfigError
from lipcore.models.checkpoint import load_header

from .conftest import CROP, MARGIN, draw_clip

SIZES = {"crop_px": CROP, "patch_px": 16, "judged_frames": 16}


@pytest.fixture(scope="module")
def four_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of drawn faces: two to learn from, two kept out."""
    folder = tmp_path_factory.mktemp("four people")
    with ShardWriter(folder, "drawn") as writer:
        for seed, (name, split) in enumerate({"a": "train", "b": "train", "c": "val",
                                              "d": "val"}.items()):  # fmt: skip
            writer.add(draw_clip(name, seed, name, split))
    write_manifest(folder, writer.clips, crop_px=CROP, margin_px=MARGIN)
    return folder


def _shrunk(values: Any, key: str = "") -> Any:
    """Settings of a table at the size of drawn faces, a third of the shipped one's."""
    if isinstance(values, Mapping):
        return {k: _shrunk(v, k) for k, v in values.items()}
    if key == "latent_grid":
        return values // 3
    return SIZES.get(key, values)


def _tiny(name: str) -> dict[str, Any]:
    values = _shrunk(to_mapping(load_table(name)))
    values["seeds"] = [3]
    values["generator"]["apart_frames"] = 2  # drawn clips last 30 frames
    for part in values["parts"].values():
        if part["recipe"] == "sync_expert":
            part["settings"]["runs"] = 3
    return dict(values)


def _finished(out: Path) -> dict[str, float]:
    """Times of the weights of runs that came to their end."""
    return {
        path.parent.name: path.stat().st_mtime
        for path in out.glob("runs/*/*.safetensors")
        if not path.name.startswith(".") and load_header(path)["record"]["scores"]
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", table_names())
def test_each_shipped_table_runs_and_goes_on_after_a_kill(
    name: str, four_people: Path, tmp_path: Path
) -> None:
    values = _tiny(name)
    table, out = tmp_path / "my table.yaml", tmp_path / "öut put"
    table.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), "utf-8")
    command = [sys.executable, "-m", "lipcore", "train", "ablate", str(table), "--data",
               str(four_people), "--out", str(out), "--most-steps", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 200
        while len(_finished(out)) < 4 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    before = _finished(out)
    assert len(before) >= 4 and not (out / "table.md").exists()

    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    after = _finished(out)
    assert len(after) == len(values["parts"]) + len(values["variants"])
    assert {k: after[k] for k in before} == before and "trained already" in ended.stderr

    written = (out / "table.md").read_text("utf-8")
    assert ended.stdout == written and "2 people to learn from, 2 left out" in written
    assert "generators of 2 steps" in written and "seeds 3" in written
    for variant in [*values["variants"], PLATES]:
        assert f"| {variant} |" in written
    with (out / "table.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    found = json.loads((out / "table.json").read_text("utf-8"))
    assert len(lines) == len(found["rows"]) == len(values["variants"]) + 1
    assert all(float(lines[0][m]) == found["rows"][0]["scores"][0][m] for m in MEASURES)
    rows = {r["variant"]: r["scores"][0] for r in found["rows"]}
    del rows["reference near in pose"]  # drawn heads do not turn: all poses are near
    assert len({json.dumps(scores) for scores in rows.values()}) == len(rows)  # no two are one


def test_what_a_table_gets_wrong_is_said_before_anything_is_trained(
    four_people: Path, tmp_path: Path
) -> None:
    values = _tiny(table_names()[0])
    with pytest.raises(ConfigError, match="no table of variants is named ablate_smal"):
        load_table("ablate_smal")
    for changes, message in (
        ({"judge": "face"}, "is no sync_expert"),
        ({"variants": {"x": {"sync_expert": values["judge"]}}}, "taught by the expert that"),
        ({"variants": {}}, "needs a variant"),
        ({"parts": {"a": {"recipe": "speech"}}}, "a part is trained by 'speech'"),
        ({"parts": {**values["parts"], "z": {"recipe": "refiner", "like": "zz"}}}, "no part befo"),
    ):
        with pytest.raises(ConfigError, match=message):
            from_mapping(type(load_table("ablate_small")), {**values, **changes})
    wrong = from_mapping(
        type(load_table("ablate_small")), {**values, "variants": {"x": {"sync_wait": 1.0}}}
    )
    with pytest.raises(ConfigError, match="x has no setting 'sync_wait'") as caught:
        Ablation(wrong, [four_people], tmp_path / "out")
    assert "sync_weight" in caught.value.hint and not (tmp_path / "out").exists()


def test_other_settings_or_seeds_are_other_runs(four_people: Path, tmp_path: Path) -> None:
    table = from_mapping(type(load_table("ablate_small")), _tiny("ablate_small"))

    def folders(**changes: Any) -> set[str]:
        made = Ablation(replace(table, **changes), [four_people], tmp_path)
        return {made._folder(n, v).name for (n, _), v in made._variants.items()}

    face = to_mapping(table)["parts"]["face"]
    face["settings"]["loop"]["seed"] = 9
    other = from_mapping(type(table), {**to_mapping(table), "parts": {
        **to_mapping(table)["parts"], "face": face}})  # fmt: skip
    assert folders() == folders(title="another title")
    assert not folders() & folders(seeds=(4,))
    assert not folders() & folders(parts=other.parts)  # all that stand on it are other runs too


@pytest.mark.parametrize("table", [
    *table_names(), *(Path(__file__).parents[1] / "benchmarks").glob("ablate_*.yaml"),
])  # fmt: skip
def test_every_table_of_the_repository_is_read(table: str | Path) -> None:
    assert load_table(table).variants


def test_weights_may_lie_beside_the_folder_of_runs(four_people: Path, tmp_path: Path) -> None:
    values = _tiny("ablate_small")
    beside = str(tmp_path / "runs of before" / "sync_expert.safetensors")
    table = from_mapping(
        type(load_table("ablate_small")), {**values, "variants": {"x": {"sync_expert": beside}}}
    )
    made = Ablation(table, [four_people], tmp_path / "runs")
    ((_, variant),) = made._variants.items()
    assert made._folder("x", variant).parent == tmp_path / "runs" / "runs"


def test_a_table_gives_means_and_their_spread() -> None:
    scores = [dict.fromkeys(MEASURES, v) for v in (0.25, 0.75)]
    text = format_table("T", "On this.", [Row("one", (scores[0],)), Row("two", tuple(scores))])
    lines = text.splitlines()
    assert lines[0] == "## T" and lines[2] == "On this."
    assert lines[-2].startswith("| one | 0.25 | 0.25 |")
    assert lines[-1].startswith("| two | 0.50 ± 0.35 | ")
