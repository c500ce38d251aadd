"""A render is measured against its plate, and proxies keep their names until weights are there."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import lipcore
from lipcore.cache import Cache
from lipcore.errors import FrameSizeError
from lipcore.evaluate.compare import Evaluation, evaluate_render
from lipcore.evaluate.judges import (
    Clips,
    Features,
    Judge,
    SyncMouths,
    cut_as_published,
    detect_box,
    steady_boxes,
    sync_square,
)
from lipcore.evaluate.mfcc import mfcc
from lipcore.evaluate.plots import write_frames, write_plots
from lipcore.evaluate.sync import score_sync
from lipcore.evaluate.table import table_text, write_evaluation
from lipcore.models.published.importing import build_published, import_weights
from lipcore.models.published.registry import PUBLISHED
from lipcore.models.published.s3fd import S3FD, SYNCNET_NAMES
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
    assert np.isnan(found["sync (proxy of LSE-D: expert's cosine)"])


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


def test_curves_are_drawn_and_listed(
    done: Evaluation, tmp_path: Path, ask_browser: Callable[..., list[str]]
) -> None:
    page, listed = tmp_path / "courbes d'été.html", tmp_path / "images.csv"
    write_plots(done, page)
    write_frames(done, listed)
    with listed.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["frame"]) for r in rows] == list(range(1001, 1013))
    assert float(rows[4]["ssim"]) == pytest.approx(float(done.per_frame["ssim"][4]), rel=1e-5)
    assert rows[0]["shake"] == ""
    wide, graphs, empty, named = ask_browser(
        page, "d.documentElement.scrollWidth, d.querySelectorAll('.graph svg').length,"
        "[...d.querySelectorAll('.graph path')].filter(p => !p.getAttribute('d')).length,"
        "['Opening', 'Width', 'Jitter', 'Seam', 'PSNR', 'SSIM'].every(n => [...d.querySelectorAll("
        "'figcaption')].some(c => c.textContent.startsWith(n)))",
    )
    assert int(wide) <= 390 and int(graphs) >= 10 and empty == "0" and named == "true"
    assert "http" not in page.read_text("utf-8").replace("http-equiv", "")


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
    for kind in ("syncnet", "inception", "alexnet", "lpips-alex"):
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
    assert found["LPIPS (AlexNet, other weights)"] > 0
    assert np.isfinite(done.per_frame["lpips"]).all()
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
    # 12 frames of sound: the published evaluation compares 12 - 5 runs, as without an end.
    exact = mouths.score(sound[: 12 * 640])
    assert exact is not None and exact.frame_confidence.shape == (7,)


def test_the_square_of_syncnet_follows_the_face() -> None:
    boxes = np.tile(np.array([100, 200, 180, 300], np.float32), (30, 1))
    boxes[5] = np.nan
    boxes[9] = [0, 0, 500, 500]  # one wild box is ignored
    steady = steady_boxes(boxes)
    assert np.allclose(steady, [140, 250, 50])
    assert np.allclose(steady_boxes(boxes[:3]), [140, 250, 50])  # too short to be steadied by zeros
    assert sync_square(*steady[0].tolist()) == pytest.approx((140 - 70, 250 - 50, 140))


def test_the_published_cut_is_in_whole_pixels_and_grey_outside() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    inside = cut_as_published(picture, 200, 140, 80)
    assert np.array_equal(inside, picture[60:284, 88:312])  # 224 x 224: nothing is resampled
    outside = cut_as_published(picture, 0, 140, 80)
    assert (outside[:, :112] == 110).all()
    assert np.array_equal(outside[:, 112:], picture[60:284, :112])


def test_the_face_is_the_surest_that_lies_where_it_is_known_to_be() -> None:
    class Two(S3FD):
        def detect(self, pictures: torch.Tensor, *, least: float = 0.5) -> list[torch.Tensor]:
            assert pictures.shape == (1, 3, 60, 80) and least == 0.9
            return [torch.tensor([[50.0, 10, 70, 30, 0.99], [5, 10, 25, 30, 0.95]])]

    picture = np.zeros((240, 320, 3), np.uint8)
    with torch.device("meta"):
        network = Two(dilated=True)
    near = np.array([24, 44, 96, 118], np.float32)
    assert detect_box(network, picture, near).tolist() == [20, 40, 100, 120]
    assert np.isnan(detect_box(network, picture, near + 150)).all()


def test_the_official_name_asks_for_the_published_crop(
    portrait_plate: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(2)
    for kind in ("syncnet", "s3fd-syncnet"):
        names = {v: k for k, v in SYNCNET_NAMES.items()} if kind != "syncnet" else {}
        weights = {}
        for name, like in build_published(PUBLISHED[kind]).state_dict().items():
            stem, _, leaf = name.rpartition(".")
            many = like.dim() > 1
            weights[f"{names.get(stem, stem)}.{leaf}"] = (
                torch.randn(like.shape) * 0.02 if many else torch.rand(like.shape) + 0.5
            )
        torch.save(weights, tmp_path / f"{kind}.pth")
        import_weights(kind, tmp_path / f"{kind}.pth")

    def there(self: S3FD, pictures: torch.Tensor, *, least: float = 0.5) -> list[torch.Tensor]:
        return [torch.tensor([[40.0, 15, 110, 105, 0.99]])]  # the face fills the portrait

    monkeypatch.setattr(S3FD, "detect", there)
    monkeypatch.setattr("lipcore.evaluate.judges._SAME_FACE", 0.01)
    done = evaluate_render(portrait_plate, portrait_plate, dialogue=None, cache=Cache(cache))
    assert not [f.name for f in done.figures if f.name.startswith("LSE")]  # no sound
    line = tmp_path / "line.wav"
    import soundfile

    soundfile.write(line, np.random.default_rng(0).normal(size=16_000) * 0.1, 16_000)
    done = evaluate_render(portrait_plate, portrait_plate, dialogue=line, cache=Cache(cache))
    assert {"LSE-D", "LSE-C", "offset by SyncNet"} <= set(values(done))
    assert len(done.protocol["weights"]["s3fd-syncnet"]) == 64


def test_clips_of_sixteen_every_eight() -> None:
    clips, features = Clips(Judge.find("i3d")), Features(Judge.find("inception"))
    for value in range(40):
        picture = np.full((32, 32, 3), value, np.uint8)
        clips.add(picture)
        features.add(picture)
    assert len(clips.found) == 4 and len(features.finish()) == 40
    assert clips.found[1][:192] == pytest.approx((8 + 7.5) / 255)


def test_no_clip_of_fvd_spans_a_cut() -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), dtype=np.uint8)
    whole, cut = (Clips(Judge("i3d", None, None)) for _ in range(2))
    for i, picture in enumerate(pictures):
        whole.add(picture)
        if i == 20:
            cut.cut()
        cut.add(picture)
    assert len(whole.found) == 4  # from 0, 8, 16 and 24
    assert len(cut.found) == 2  # from 0 and from 20
    again = Clips(Judge("i3d", None, None))
    for picture in pictures[20:36]:
        again.add(picture)
    assert np.array_equal(again.found[0], cut.found[1])
