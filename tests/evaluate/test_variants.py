"""Rows of Tables 4 and 5: whose networks they are, and what these do to a plate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lipcore.analysis import cover, find_tracks
from lipcore.cache import Cache
from lipcore.errors import ConfigError, WeightsNotFoundError, WeightsUnreadableError
from lipcore.evaluate import tables as module
from lipcore.evaluate.compare import Evaluation
from lipcore.evaluate.figures import Figure
from lipcore.evaluate.table_files import write_tables
from lipcore.evaluate.tables import read_set, run_tables
from lipcore.evaluate.variant_drawing import HeardVariant, lower_face_matte, render_heard
from lipcore.evaluate.variants import (
    Variant,
    find_variant,
    place_variant,
    variant_line,
    variant_weights,
)
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.media.writers import open_writer
from lipcore.models.checkpoint import load_network, save_network
from lipcore.models.generator import Generator
from lipcore.models.presets import PRESETS
from lipcore.tracking.speakers import select_speaker
from lipcore.types import FrameRange
from lipcore.weights import find_weights


@pytest.fixture(scope="module")
def portrait_video(portrait_plate: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait as H.264."""
    path = tmp_path_factory.mktemp("vidéo") / "portrait.mp4"
    with open_plate(portrait_plate) as plate:
        frames = FrameRange(1001, 1002)
        with open_writer(path, plate.info, frames=frames, parameter_hash="p",
                         deliver="video") as writer:  # fmt: skip
            for frame in plate.stream(frames):
                writer.write(frame, None)
    return path


@pytest.fixture(scope="module")
def run(tiny_networks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation's folder: two variants, the first with two seeds; and its refiner."""
    folder = tmp_path_factory.mktemp("essais d'été")
    torch.manual_seed(5)
    config = replace(PRESETS["tiny"].generator, speech_size=8)
    named = {kind: str(tiny_networks / f"{kind}.safetensors")
             for kind in ("vqgan_face", "vqgan_pose", "speech", "refiner")}  # fmt: skip
    for name, seed in (("on-1", 0), ("on-2", 7), ("off-1", 0)):
        network = Generator(config)
        for weight in network.parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.2)
        settings = {**named, "shapeless_share": 1.0, "latents": "continuous",
                    "reference": "closed", "loop": {"seed": seed}}  # fmt: skip
        save_network(
            folder / "runs" / name / "generator.safetensors", network, kind="generator",
            record={"settings": settings},
        )
    rows = [{"variant": "sync on", "seeds": [0, 7], "runs": ["runs/on-1", "runs/on-2"]},
            {"variant": "sync off", "seeds": [0], "runs": ["runs/off-1"]},
            {"variant": "plates", "seeds": [], "runs": []}]  # fmt: skip
    (folder / "table.json").write_text(json.dumps({"rows": rows}))
    return folder


def test_rows_of_an_ablation_are_found_by_name_and_seed(run: Path, tmp_path: Path) -> None:
    on = find_variant(Variant("sync on", 5, run=run))
    again = find_variant(Variant("T = 16", 5, run=run, row="sync on", seed=7))
    assert on.files["generator"] == run / "runs/on-1/generator.safetensors"
    assert again.files["generator"] == run / "runs/on-2/generator.safetensors"
    assert on.hears and on.key != again.key != find_variant(Variant("sync off", 5, run=run)).key
    assert on.files["vqgan_face"].is_file() and "driven by speech (" in variant_line(on)
    alone = find_variant(Variant("x", 5, run=run / "runs/off-1"))
    assert alone.hashes == find_variant(Variant("sync off", 5, run=run)).hashes
    for variant, kind, said in (
        (Variant("sync on", 5, run=run, seed=3), ConfigError, "seed 3"),
        (Variant("what", 5, run=run), ConfigError, "no run of 'what'"),
        (Variant("what", 5, run=tmp_path), ConfigError, "no run of 'what'"),
        (Variant("b", 4, weights="base", refine=1), WeightsNotFoundError, "no refiner"),
        (Variant("b", 4, weights="nowhere"), WeightsNotFoundError, "nowhere"),
    ):
        with pytest.raises(kind, match=said):
            find_variant(variant)
    (tmp_path / "table.json").write_text('{"rows": 3}')
    with pytest.raises(WeightsUnreadableError):
        find_variant(Variant("what", 5, run=tmp_path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Variant("a", 4), "needs weights or a run"),
        (lambda: Variant("a", 4, weights="base", run=Path("x")), "needs weights or a run"),
        (lambda: Variant("ground truth", 4, weights="base"), "cannot be called"),
        (lambda: Variant("a", 4, weights="base", refine=2), "from 0 to 1"),
        (lambda: Variant("a", 4, weights="base", refiner=Path("x")), "Add it|names a refiner"),
    ],
)
def test_variants_that_do_not_hold(make: Callable[[], Variant], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def test_paths_count_from_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    placed = place_variant(Variant("a", 4, weights="mine+r.safetensors"), tmp_path)
    assert placed.weights == f"{tmp_path / 'mine'}+{tmp_path / 'r.safetensors'}"
    assert place_variant(Variant("a", 4, weights="base"), tmp_path).weights == "base"
    assert place_variant(Variant("a", 4, run=Path("r")), tmp_path).run == tmp_path / "r"


def test_a_run_driven_by_shapes_becomes_a_set_that_renders(run: Path, tmp_path: Path) -> None:
    found = find_variant(Variant("sync on", 5, run=run))
    made = find_weights(variant_weights(found, tmp_path / "set"))
    assert {"generator", "inner_mouth", "refiner", "shape_basis", "speech"} <= set(made.kinds())
    assert isinstance(load_network(made.file("generator"), kind="generator"), Generator)


def test_hearing_draws_the_lower_face_and_nothing_else(
    run: Path, portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    cache, frames = Cache(tmp_path / "cache"), FrameRange(1001, 1003)
    spoken = fit_dialogue(load_dialogue(spoken_line), 2)
    silent = replace(spoken, samples=np.zeros_like(spoken.samples))
    made = {}
    with open_plate(portrait_plate) as plate:
        tracks, _, _ = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate), cache=cache,
            progress=lambda *_: None,
        )
        track = cover(select_speaker(tracks, "largest"), frames)
        color = ColorTransform.of_plate(plate)
        plates = [color.tracking_picture(plate.read(n).rgb).astype(int) for n in frames]
        for name, sound, refine in (("said", spoken, 0.0), ("mute", silent, 0.0),
                                    ("fine", spoken, 1.0)):  # fmt: skip
            variant = HeardVariant(find_variant(Variant("sync on", 5, run=run, refine=refine)))
            out = tmp_path / f"{name}.mkv"
            render_heard(plate, track, sound, out, variant, key=name)
            with open_plate(out) as drawn:
                seen = ColorTransform.of_plate(drawn)
                made[name] = [seen.tracking_picture(f.rgb).astype(int)
                              for f in drawn.stream(drawn.info.frames)]  # fmt: skip
    assert all(len(pictures) == 3 for pictures in made.values())
    nose = track.landmarks[0, 4, 1]
    for old, new in zip(plates, made["said"], strict=True):
        changed = np.abs(new - old).max(axis=-1) > 4
        rows = np.flatnonzero(changed.any(axis=1))
        assert changed.any() and rows.min() > nose - 40
        assert changed.mean() < 0.3
    for other in ("mute", "fine"):
        assert max(np.abs(a - b).max() for a, b in zip(made["said"], made[other], strict=True)) > 0


def test_a_video_plate_is_drawn_on_too(
    run: Path, portrait_video: Path, spoken_line: Path, tmp_path: Path
) -> None:
    """Writers give back a video's own code values where there is no patch."""
    with open_plate(portrait_video) as plate:
        frames = FrameRange(plate.info.frames.first, plate.info.frames.first + 1)
        tracks, _, _ = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate), cache=Cache(tmp_path / "cache"),
            progress=lambda *_: None,
        )
        track = cover(select_speaker(tracks, "largest"), frames)
        sound = fit_dialogue(load_dialogue(spoken_line), 1)
        variant = HeardVariant(find_variant(Variant("sync on", 5, run=run)))
        render_heard(plate, track, sound, tmp_path / "v.mkv", variant, key="v")
        old = plate.read(frames.first).rgb
        with open_plate(tmp_path / "v.mkv") as made:
            apart = np.abs(made.read(made.info.frames.first).rgb - old).max(axis=-1)
        assert apart.max() > 0.05 and (apart == 0).mean() > 0.5


def test_the_matte_covers_what_was_hidden_and_ends_before_the_rim() -> None:
    matte = lower_face_matte(np.array([0.5, 0.5, 0.25, 0], np.float32), 128)
    assert matte.shape == (128, 128) and matte[80, 64] == pytest.approx(1, abs=1e-3)
    assert matte[40, 64] == 0 and matte[80, 10] == 0
    assert not matte[-1].any() and not matte[:, 0].any()


def test_tables_4_and_5_hold_the_variants(
    run: Path, portrait_plate: Path, spoken_line: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What an evaluation costs is left out: which picture is measured for which row counts."""
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "weights"))
    measured: list[str] = []

    def evaluate(picture: Path, *_: object, **__: object) -> Evaluation:
        measured.append(picture.name)
        protocol = {"frames": 2, "failures": 0}
        figure = Figure("LMD", float(len(measured)), "lower")
        return Evaluation((figure,), {}, FrameRange(1, 1), protocol)

    monkeypatch.setattr(module, "evaluate_render", evaluate)
    monkeypatch.setattr(module, "render_shot", lambda *_: None)
    manifest = tmp_path / "set.yaml"
    manifest.write_text(json.dumps({
        "seconds": 0.08,
        "clips": [{"plate": str(portrait_plate), "dialogue": str(spoken_line),
                   "crossed": str(spoken_line)}],
        "variants": [
            {"name": "stage 1", "table": 4, "run": str(run), "row": "sync on"},
            {"name": "stage 2", "table": 4, "run": str(run), "row": "sync on", "refine": 1.0},
            {"name": "sync on", "table": 5, "run": str(run)},
            {"name": "sync off", "table": 5, "run": str(run)},
        ],
    }))  # fmt: skip
    given = read_set(manifest)
    found = run_tables(given, tmp_path / "out", cache=Cache(tmp_path / "cache"))
    assert [t.title.partition(":")[0] for t in found] == [
        "Table 2a", "Table 2b", "Table 3", "Table 4", "Table 5"
    ]
    four, five = found[3:]
    assert four.methods == ("ground truth", "stage 1", "stage 2")
    assert five.methods == ("ground truth", "sync on", "sync off")
    assert four.failures == five.failures == (0, 0, 0)
    assert four.rows[0][2][0] == five.rows[0][2][0] == found[0].rows[0][2][0], "measured once"
    drawn = [name for name in measured if "stages" in name or "losses" in name]
    assert len(drawn) == len(set(drawn)) == 4
    only = run_tables(
        replace(given, tables=(5,)), tmp_path / "out", cache=Cache(tmp_path / "cache")
    )
    assert only == [five]
    text = write_tables(found, given, tmp_path / "out")[0].read_text("utf-8")
    assert "Variant stage 2: driven by speech, refined 1 (generator " in text
