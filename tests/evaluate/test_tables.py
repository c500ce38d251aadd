"""Tables on a set of clips: what is compared, what is averaged, what goes on after a stop."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lipcore.cache import Cache
from lipcore.errors import ConfigError, MediaNotFoundError, OutputError
from lipcore.evaluate import tables as module
from lipcore.evaluate.compare import Evaluation
from lipcore.evaluate.figures import Figure
from lipcore.evaluate.said import SaidBy
from lipcore.evaluate.table_files import write_tables
from lipcore.evaluate.tables import Table, read_set, run_tables
from lipcore.models.checkpoint import save_network
from lipcore.models.published.gpen import GPEN
from lipcore.models.published.importing import import_weights
from lipcore.models.published.lipgan import LipGAN, LipGANConfig
from lipcore.models.published.tecogan import TecoGAN
from lipcore.models.published.wav2lip import Wav2Lip, Wav2LipConfig
from lipcore.models.published.yousaidthat import YouSaidThat, YouSaidThatConfig
from lipcore.types import FrameRange
from lipcore.weights import find_weights


def manifest(folder: Path, text: str) -> Path:
    path = folder / "ensemble é.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_counts_from_its_folder_and_crosses_sounds(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "b.wav"):
        (tmp_path / name).touch()
    given = read_set(manifest(tmp_path, "clips: [{plate: a.mp4}, {plate: b.mp4, dialogue: b.wav}]"))
    first, second = given.clips
    assert first.dialogue == tmp_path / "a.mp4" and first.crossed == tmp_path / "b.wav"
    assert second.crossed == tmp_path / "a.mp4"
    assert given.seconds == 3 and given.renderers == ("shot",)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("clips: []", ConfigError, "needs clips"),
        ("clips: [{plate: a.mp4}]", ConfigError, "no other sound"),
        ("clips: [{plate: a.mp4, crossed: no.wav}]", MediaNotFoundError, "no.wav"),
        ("clips: [{plate: a.mp4, crossed: a.mp4}]\nrenderers: [magic]", ConfigError, "magic"),
        ("clips: [{plate: a.mp4, crossed: a.mp4, sped: 1}]", ConfigError, "sped"),
    ],
)
def test_wrong_manifests(text: str, kind: type[Exception], said: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(kind, match=said):
        read_set(manifest(tmp_path, text))


@pytest.mark.slow
def test_the_tables_of_a_clip(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "weights"))
    given = read_set(manifest(tmp_path, json.dumps({
        "seconds": 0.25,
        "clips": [{"plate": str(portrait_plate), "dialogue": str(spoken_line),
                   "crossed": str(spoken_line)}],
    })))  # fmt: skip
    torch.manual_seed(0)
    torch.save({"state_dict": Wav2Lip().state_dict()}, tmp_path / "wav2lip.pth")
    import_weights("wav2lip", tmp_path / "wav2lip.pth")
    told: list[str] = []
    out, cache = tmp_path / "tables", tmp_path / "cache"
    found = run_tables(given, out, cache=Cache(cache), cache_folder=cache, log=told.append)
    own, crossed, silent = found
    assert own.methods == ("ground truth", "still mouth", "ours, shot", "Wav2Lip 96")
    assert silent.methods == ("paste-original", "ours, shot", "Wav2Lip 96")
    assert own.failures == crossed.failures == (0, 0, 0, 0), told
    assert silent.failures == (0, 0, 0)
    rows = {name: values for name, _, values in own.rows}
    assert rows["SSIM"][0] == 1 > rows["SSIM"][2] > 0.5
    assert rows["SSIM"][2] > rows["SSIM"][3]  # of weights that learnt nothing
    assert rows["LMD"][0] == 0 < rows["LMD"][2]
    assert rows["outside the matte"][0] == 0
    assert "SSIM" not in {name for name, _, _ in crossed.rows}
    quiet = {name for name, _, _ in silent.rows}
    assert "LipLeak" in quiet and not any(n.startswith(("sync", "offset")) for n in quiet)

    paths = write_tables(found, given, out)
    text = paths[0].read_text("utf-8")
    assert "Left out: LipGAN: no weights (lipcore weights import lipgan FILE" in text
    assert "| figure | ground truth | still mouth | ours, shot | Wav2Lip 96 | better |" in text
    assert "Protocol: 1 clips, the first 0.25 s" in text and text.count("clips that failed") == 3
    with paths[1].open(encoding="utf-8") as file:
        kept = list(csv.DictReader(file))
    assert {r["method"] for r in kept} == {*own.methods, "paste-original", ""}
    (told,) = (r["figure"] for r in kept if r["table"] == "protocol")
    assert "speech " in told and "sync_expert " in told
    assert {r["frames"] for r in kept if r["method"] == "ours, shot"} == {"6"}
    assert "<h2>Table 3: silence</h2>" in paths[2].read_text("utf-8")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all of it lies in the folder")

    monkeypatch.setattr(module, "evaluate_render", refuse)
    again = run_tables(given, out, cache=Cache(cache), cache_folder=cache)
    assert [t.methods for t in again] == [t.methods for t in found]
    for one, other in zip(again, found, strict=True):
        for (a, _, x), (b, _, y) in zip(one.rows, other.rows, strict=True):
            assert a == b and np.allclose(x, y, equal_nan=True)


@pytest.mark.slow
def test_every_row_of_others_runs(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On silence, with weights that learnt nothing: all rows render, and are evaluated."""
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "weights"))
    torch.manual_seed(0)
    torch.save(TecoGAN().state_dict(), tmp_path / "t.pth")
    torch.save(GPEN().state_dict(), tmp_path / "g.pth")
    import_weights("tecogan", tmp_path / "t.pth")
    import_weights("gpen", tmp_path / "g.pth")
    networks: dict[str, tuple[str, nn.Module]] = {
        "wav2lip": ("wav2lip", Wav2Lip(Wav2LipConfig(divide=16))),
        "wav2lip_768": ("wav2lip", Wav2Lip(Wav2LipConfig(768, 16))),
        "lipgan": ("lipgan", LipGAN(LipGANConfig(divide=16))),
        "yousaidthat": ("yousaidthat", YouSaidThat(YouSaidThatConfig(divide=16))),
    }
    for name, (kind, network) in networks.items():
        save_network(tmp_path / f"{name}.safetensors", network, kind=kind, record={})
    given = read_set(manifest(tmp_path, json.dumps({
        "seconds": 0.09, "tables": [3],
        "baselines": {name: f"{name}.safetensors" for name in networks},
        "clips": [{"plate": str(portrait_plate), "dialogue": str(spoken_line),
                   "crossed": str(spoken_line)}],
    })))  # fmt: skip
    told: list[str] = []
    out, cache = tmp_path / "tables", tmp_path / "cache"
    (table,) = run_tables(given, out, cache=Cache(cache), cache_folder=cache, log=told.append)
    assert table.methods == (
        "paste-original", "ours, shot", "You said that?, trained here", "LipGAN, trained here",
        "Wav2Lip 96, trained here", "Wav2Lip 768, trained here",
        "Wav2Lip 96 + TecoGAN, trained here", "Wav2Lip 96 + GPEN, trained here",
    )
    assert table.failures == (0,) * 8, told
    text = write_tables([table], given, out)[0].read_text("utf-8")
    assert "Left out" not in text and "wav2lip_768 (wav2lip_768.safetensors)" in text
    assert len(list(out.glob("01_silent_You-said-that-*.mkv"))) == 1


def test_a_damaged_evaluation_is_made_again_and_whole_ones_are_kept(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an evaluation costs is left out: the counting is the point."""
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "weights"))
    asked: list[object] = []

    def evaluate(*given: object, **_: object) -> Evaluation:
        asked.append(given)
        figure = Figure("LMD", float(len(asked)), "lower")
        return Evaluation((figure,), {}, FrameRange(1, 1), {"frames": 1, "failures": 0})

    monkeypatch.setattr(module, "evaluate_render", evaluate)
    monkeypatch.setattr(module, "render_shot", lambda *_: None)
    given = read_set(manifest(tmp_path, json.dumps({
        "clips": [{"plate": str(portrait_plate), "dialogue": str(spoken_line),
                   "crossed": str(spoken_line)}],
    })))  # fmt: skip
    out, cache = tmp_path / "out", Cache(tmp_path / "cache")
    first = run_tables(given, out, cache=cache)
    assert len(asked) == 8 and first[0].rows == (("LMD", "lower", (1.0, 2.0, 3.0)),)
    assert run_tables(given, out, cache=cache) == first and len(asked) == 8
    (out / "01_own_ground-truth.json").write_text("{", encoding="utf-8")
    assert run_tables(given, out, cache=cache)[0].rows == (("LMD", "lower", (9.0, 2.0, 3.0)),)


def test_anothers_line_is_held_against_its_own_speaker_and_silence_asks_for_no_sync(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "weights"))
    other = tmp_path / "other.wav"
    other.write_bytes(spoken_line.read_bytes())
    asked: dict[tuple[str, str], object] = {}

    def evaluate(picture: Path, *_: object, **given: object) -> Evaluation:
        asked[picture.stem, str(given["dialogue"])] = given["said_by"]
        figures = tuple(Figure(n, 1.0, "higher") for n in ("LipLeak", "sync (proxy of LSE-C: it)"))
        return Evaluation(figures, {}, FrameRange(1, 1), {"frames": 1, "failures": 0})

    monkeypatch.setattr(module, "evaluate_render", evaluate)
    monkeypatch.setattr(module, "render_shot", lambda *_: None)
    given = read_set(manifest(tmp_path, json.dumps({
        "clips": [{"plate": str(portrait_plate), "dialogue": str(spoken_line)},
                  {"plate": str(portrait_plate), "dialogue": str(other), "offset_frames": 2}],
    })))  # fmt: skip
    own, crossed, silent = run_tables(given, tmp_path / "out", cache=Cache(tmp_path / "cache"))
    assert asked["01_crossed_ours_shot", str(other)] == SaidBy(portrait_plate, 2.0)
    assert asked["02_crossed_ours_shot", str(spoken_line)] == SaidBy(portrait_plate, 0.0)
    assert asked["01_own_ours_shot", str(spoken_line)] is None
    assert [name for name, _, _ in silent.rows] == ["LipLeak"]
    assert len(own.rows) == len(crossed.rows) == 2 and own.frames == (2, 2, 2)


def test_weights_of_ours_are_in_the_key(tmp_path: Path) -> None:
    before = module.hash_of_weights("base")
    changed = tmp_path / "mine"
    shutil.copytree(find_weights("base").folder, changed)
    assert module.hash_of_weights(str(changed)) == before
    with (changed / "speech.safetensors").open("ab") as file:
        file.write(b"x")
    assert module.hash_of_weights(str(changed)) != before


def test_a_folder_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "a.mp4").touch()
    given = read_set(manifest(tmp_path, "clips: [{plate: a.mp4, crossed: a.mp4}]"))
    with pytest.raises(OutputError):
        run_tables(given, tmp_path / "a.mp4" / "out", cache=Cache(tmp_path / "cache"))


def test_what_fails_is_counted_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "a.mp4").write_bytes(b"no video")
    given = read_set(manifest(tmp_path, "clips: [{plate: a.mp4, crossed: a.mp4}]"))
    told: list[str] = []
    found: list[Table] = run_tables(
        given, tmp_path / "out", cache=Cache(tmp_path / "cache"), log=told.append
    )
    assert [t.failures for t in found] == [(1, 1, 1), (1, 1, 1), (1, 1)]
    assert all(t.rows == () for t in found) and len(told) == 6 + 8
    assert "Wav2Lip 96 is left out: no weights (lipcore weights import wav2lip FILE" in told[2]
