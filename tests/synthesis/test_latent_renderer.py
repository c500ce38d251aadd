"""The latent renderers: the plate comes back where nothing is asked, and mouths obey."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

import lipcore
from lipcore.errors import ConfigError, WeightsNotFoundError
from lipcore.media.plate import open_plate
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import STANDARD, read_curves, write_curves
from lipcore.types import FrameRange, ShapeCurves
from lipcore.weights import find_weights

FRAMES = FrameRange(1, 6)


def pictures(path: Path) -> np.ndarray:
    """``(N, H, W, 3)`` uint8 of a video."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


@pytest.fixture(scope="module")
def clip(shared_data: Path) -> Path:
    """A person who is in no training set."""
    return shared_data / "clips" / "mcguinness.mp4"


@pytest.fixture(scope="module")
def own_curves(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plate's own curves over the frames that are drawn."""
    from lipcore.shapes.from_plate import shapes_from_plate

    basis = ShapeBasis.load(find_weights("base"))
    with open_plate(clip) as plate:
        curves, _ = shapes_from_plate(plate, FRAMES, basis)
    path = tmp_path_factory.mktemp("curves") / "own.json"
    write_curves(path, curves)
    return path


def render(clip: Path, shapes: Path, out: Path, **settings: object) -> lipcore.RenderResult:
    """Draw the first frames, with the latent renderer unless told otherwise."""
    config = lipcore.RenderConfig(
        **{"synthesis": "latent", "detail": "transport", "cache": out.parent / "cache"} | settings
    )
    return lipcore.render_shot(lipcore.Shot(clip, shapes=shapes, frames=FRAMES), config, out)


@pytest.mark.slow
def test_own_mouth_gives_the_plate_back(clip: Path, own_curves: Path, tmp_path: Path) -> None:
    result = render(clip, own_curves, tmp_path / "own.mkv")
    plate = pictures(clip)[: len(FRAMES)].astype(float)
    made = pictures(tmp_path / "own.mkv").astype(float)
    assert result.synthesis == "latent" and result.drawn == len(FRAMES)
    assert np.abs(made - plate).mean() < 0.3, "the face is redrawn where nothing was asked"


@pytest.mark.slow
def test_wide_curves_open_the_mouth(clip: Path, own_curves: Path, tmp_path: Path) -> None:
    basis = ShapeBasis.load(find_weights("base"))
    own = read_curves(own_curves, basis.names, weights=basis.label).curves
    values = own.values.copy()
    values[:, basis.column("open")] += 4 * basis.std[basis.column("open")]
    wide = ShapeCurves(own.rate, own.first_frame, values, own.names, own.unit)
    write_curves(tmp_path / "wide.json", wide)
    render(clip, tmp_path / "wide.json", tmp_path / "wide.mkv")
    plate = pictures(clip)[: len(FRAMES)].astype(float)
    made = pictures(tmp_path / "wide.mkv").astype(float)
    changed = np.abs(made - plate).max(axis=(0, 3))
    rows = np.flatnonzero(changed.max(axis=1) > 24)
    assert len(rows), "nothing moved"
    assert rows.min() > plate.shape[1] * 0.4, "the upper face moved"


@pytest.mark.slow
def test_lips_that_touch_are_the_shots_own(clip: Path, tmp_path: Path) -> None:
    basis = ShapeBasis.load(find_weights("base"))
    with open_plate(clip) as plate:
        rate = plate.info.rate
    shut = ShapeCurves(
        rate, FRAMES.first, np.zeros((len(FRAMES), 8), np.float32), basis.names, STANDARD
    )
    write_curves(tmp_path / "shut.json", shut)
    render(clip, tmp_path / "shut.json", tmp_path / "latent.mkv", detail="bank")
    render(clip, tmp_path / "shut.json", tmp_path / "shot.mkv", synthesis="shot")
    made, wanted = (pictures(tmp_path / f"{n}.mkv").astype(float) for n in ("latent", "shot"))
    changed = np.abs(wanted - pictures(clip)[: len(FRAMES)]).max(-1) > 8
    assert changed.sum() > 500, "nothing was asked"
    assert np.abs(made - wanted)[changed].mean() < 0.5


def test_adapted_without_an_adaptation_says_what_to_do(
    clip: Path, own_curves: Path, tmp_path: Path
) -> None:
    config = lipcore.RenderConfig(synthesis="adapted", cache=tmp_path / "cache")
    with pytest.raises(ConfigError, match="adaptation") as caught:
        lipcore.render_shot(
            lipcore.Shot(clip, shapes=own_curves, frames=FRAMES), config, tmp_path / "x.mkv"
        )
    assert "lipcore adapt" in caught.value.hint


def test_missing_adaptation_is_named() -> None:
    with pytest.raises(WeightsNotFoundError, match=r"nowhere\.safetensors"):
        find_weights("base+nowhere.safetensors")
