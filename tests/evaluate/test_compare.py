"""A render is measured against its plate, and proxies keep their names until weights are there."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import lipcore
from lipcore.cache import Cache
from lipcore.errors import FrameSizeError
from lipcore.evaluate.compare import Evaluation, evaluate_render
from lipcore.evaluate.judges import Clips, Features, Judge, SyncMouths, sync_squares
from lipcore.evaluate.mfcc import mfcc
from lipcore.evaluate.sync import score_sync
from lipcore.evaluate.table import table_text, write_evaluation
from lipcore.models.published.importing import build_published, import_weights
from lipcore.models.published.registry import PUBLISHED
from lipcore.models.published.syncnet import SyncNet


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def render(
    portrait_plate: Path, spoken_line: Path, cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:  # fmt: skip
    """The portrait says a line, as EXR frames with their sidecar."""
    out = tmp_path_factory.mktemp("rendu d'été") / "full"
    lipcore.render_shot(
        lipcore.Shot(portrait_plate, spoken_line), lipcore.RenderConfig(cache=cache), out
    )
    return out


@pytest.fixture(scope="module")
def done(render: Path, portrait_plate: Path, cache: Path) -> Evaluation:
    return evaluate_render(render, portrait_plate, cache=Cache(cache))


def values(done: Evaluation) -> dict[str, float]:
    return {f.name: f.value for f in done.figures}


@pytest.fixture(autouse=True)
def _nothing_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPCORE_WEIGHTS", str(tmp_path / "weights"))


def test_a_render_of_ours_leaves_the_plate_alone(done: Evaluation) -> None:
    found = values(done)
    assert found["outside the matte"] == 0
    assert 0.5 < found["seam"] < 1.5
    assert 0.5 < found["SSIM"] < 1 and found["PSNR dB"] > 20
    assert 0 < found["LMD"] < 0.2
    assert 0 < found["identity distance (proxy: oriented edges)"] < 0.2
    assert done.protocol["matte"] == "of the sidecar"
    assert (done.protocol["frames"], done.protocol["failures"]) == (12, 0)
    assert str(done.frames) == "1001-1012"
    assert all(len(curve) == 12 for curve in done.per_frame.values())


def test_the_plate_itself_is_perfect(portrait_plate: Path, cache: Path) -> None:
    found = values(evaluate_render(portrait_plate, portrait_plate, cache=Cache(cache)))
    assert found["SSIM"] == 1 and found["PSNR dB"] == float("inf") and found["LMD"] == 0
    assert found["jitter"] == found["sharpness"] == found["flicker"] == 1
    assert found["FID (proxy: Fréchet distance of 8 x 8 colours)"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(found["sync (proxy of LSE: lipcore's judge)"])


def test_no_official_name_without_its_network(done: Evaluation) -> None:
    names = [f.name for f in done.figures]
    assert not {"FID", "FVD"} & set(names)
    assert not [n for n in names if n.startswith("LSE")]
    assert [f.proxy for f in done.figures] == ["proxy" in n for n in names]
    assert "published weights: none" in table_text(done)


def test_what_is_written_can_be_read(done: Evaluation, tmp_path: Path) -> None:
    write_evaluation(done, tmp_path / "zahlen ü.json")
    facts = json.loads((tmp_path / "zahlen ü.json").read_text("utf-8"))
    assert [row["frame"] for row in facts["per_frame"]] == list(range(1001, 1013))
    assert facts["per_frame"][3]["opening"] == pytest.approx(float(done.per_frame["opening"][3]))
    assert facts["per_frame"][0]["shake"] is None  # it has no frame before it
    write_evaluation(done, tmp_path / "z.csv")
    with (tmp_path / "z.csv").open(encoding="utf-8") as file:
        rows = {row["figure"]: row for row in csv.DictReader(file)}
    assert float(rows["SSIM"]["value"]) == pytest.approx(values(done)["SSIM"])
    assert rows["SSIM"]["proxy"] == "no"


def test_other_sizes_are_refused(render: Path, cache: Path, tmp_path: Path) -> None:
    from lipcore.demo.portrait import CameraMove, write_plate
    from lipcore.types import FrameRange, Window

    small = CameraMove(
        FrameRange(1, 2), center_from=(228, 128), center_to=(224, 126), width_from=300,
        width_to=292, display=Window(0, 0, 320, 240),
    )  # fmt: skip
    with pytest.raises(FrameSizeError, match="640x480, the plate 320x240"):
        evaluate_render(render, write_plate(tmp_path / "small", small), cache=Cache(cache))


def test_imported_weights_give_their_figures_their_names(
    render: Path, portrait_plate: Path, cache: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    for kind in ("syncnet", "inception"):
        weights = {
            name: torch.randn(like.shape) * 0.02 if like.dim() > 1 else torch.rand(like.shape) + 0.5
            for name, like in build_published(PUBLISHED[kind]).state_dict().items()
        }
        torch.save(weights, tmp_path / f"{kind}.pth")
        import_weights(kind, tmp_path / f"{kind}.pth")
    done = evaluate_render(render, portrait_plate, cache=Cache(cache))
    found = values(done)
    # random values are not the published file, and the name says so
    assert found["FID (other weights)"] > 0 and "FID" not in found
    assert {"LSE-D (mesh crop)", "LSE-C (mesh crop)"} <= set(found)
    assert np.isfinite(found["LSE-D (mesh crop)"])
    assert len(done.protocol["weights"]["syncnet"]) == 64
    assert done.protocol["weights"]["i3d"] is None


def test_syncnet_sees_25_frames_a_second_and_the_sound_under_them() -> None:
    torch.manual_seed(1)
    network = SyncNet().eval()
    pictures = np.random.default_rng(0).integers(0, 255, (24, 224, 224, 3), dtype=np.uint8)
    sound = (np.random.default_rng(1).normal(size=16_000) * 0.1).astype(np.float32)
    mouths = SyncMouths(network, 50.0)
    for i, picture in enumerate(pictures):
        mouths.add(i, lambda picture=picture: picture)
    shown = pictures[1::2]  # of 50 a second, those in the middle of a 25th
    assert len(mouths.embedded) == len(shown) - 4
    steps = mfcc(sound)
    blue_first = torch.from_numpy(shown[..., ::-1].copy()).float().permute(3, 0, 1, 2)
    whole = torch.from_numpy(steps[None, None])
    with torch.no_grad():
        seen = [network.embed_mouths(blue_first[None, :, i : i + 5])[0].numpy() for i in range(7)]
        heard = [network.embed_sound(whole[..., 4 * i : 4 * i + 20])[0].numpy() for i in range(7)]
    expected, found = score_sync(np.stack(seen), np.stack(heard)), mouths.score(sound)
    assert found is not None and found.distance == pytest.approx(expected.distance, abs=1e-4)
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-4)
    assert mouths.score(sound[:3000]) is None


def test_the_square_of_syncnet_follows_the_face() -> None:
    boxes = np.tile(np.array([100, 200, 180, 300], np.float32), (30, 1))
    boxes[5] = np.nan
    boxes[9] = [0, 0, 500, 500]  # one wild box is ignored
    squares = sync_squares(boxes)
    assert np.allclose(squares, [140 - 70, 250 - 50, 140])


def test_clips_of_sixteen_every_eight() -> None:
    clips, features = Clips(Judge.find("i3d")), Features(Judge.find("inception"))
    for value in range(40):
        picture = np.full((32, 32, 3), value, np.uint8)
        clips.add(picture)
        features.add(picture)
    assert len(clips.found) == 4 and len(features.finish()) == 40
    assert clips.found[1][:192] == pytest.approx((8 + 7.5) / 255)
