"""``--backend``: what was asked for or nothing; ``auto`` measures once, and says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lipcore
from lipcore.errors import ConfigError, DependencyError
from lipcore.runtime.backends import BACKENDS, find_backend
from lipcore.runtime.choose import MOST_STEPS, Measured, explain, pick, settle_backend
from lipcore.runtime.with_tensorrt import missing_gpu
from lipcore.weights import WeightsSet, find_weights


def config(weights: Path, cache: Path, **changed: object) -> lipcore.RenderConfig:
    return lipcore.RenderConfig(
        weights=str(weights), cache=cache, **changed,  # type: ignore[arg-type]
    )


def test_auto_measures_once_and_says_why(tiny_networks: Path, tmp_path: Path) -> None:
    said: list[str] = []
    asked = config(tiny_networks, tmp_path, backend="auto")
    first = settle_backend(asked, find_weights(tiny_networks), said.append)
    again = settle_backend(asked, find_weights(tiny_networks), said.append)
    assert first.backend == again.backend and first.backend in BACKENDS
    assert "measured now" in said[0] and "measured before" in said[1]
    for name, backend in BACKENDS.items():
        assert (name in said[0]) == backend.picked, "a backend is left out without a word"


def test_a_fast_backend_that_draws_otherwise_is_not_taken() -> None:
    measured = [
        Measured("torch", 50.0, 0.0), Measured("fast", 1.0, 9.0, "9 of 255 from torch, too far"),
        Measured("good", 20.0, MOST_STEPS / 2), Measured("absent", None, None, "not installed"),
    ]
    chosen = pick(measured)
    assert chosen.backend == "good"
    line = explain(measured, chosen, known=False)
    assert "too far" in line and "not installed" in line and "torch 50 ms" in line


def test_weights_without_a_network_to_run(tmp_path: Path) -> None:
    said: list[str] = []
    settled = settle_backend(
        config(tmp_path, tmp_path, backend="auto"), WeightsSet("x", tmp_path), said.append
    )
    assert settled.backend == "torch" and "no network" in said[0]


@pytest.mark.skipif(not missing_gpu(), reason="this machine has a GPU")
@pytest.mark.parametrize("name", ["tensorrt", "onnxruntime-cuda"])
def test_an_absent_backend_is_never_replaced(name: str, tmp_path: Path) -> None:
    with pytest.raises(DependencyError) as caught:
        settle_backend(
            config(Path("base"), tmp_path, backend=name), find_weights("base"), lambda _: None
        )
    assert name in caught.value.message
    assert "pip" in caught.value.hint or "--backend" in caught.value.hint


def test_the_install_line_of_a_package_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    with pytest.raises(DependencyError, match="openvino is not installed") as caught:
        find_backend("openvino", "cpu")
    assert "pip install 'lipcore[openvino]'" in caught.value.hint


def test_an_unknown_backend() -> None:
    with pytest.raises(ConfigError, match="no backend is called 'fast'"):
        find_backend("fast", "cpu")


@pytest.mark.slow
def test_a_render_names_its_backend_and_draws_the_same(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    import json

    from lipcore.media.plate import open_plate

    if BACKENDS["openvino"].missing("cpu"):
        pytest.skip("OpenVINO is not installed")
    shot = lipcore.Shot(portrait_plate, spoken_line, frames=lipcore.FrameRange(1004, 1005))
    pictures, keys = {}, {}
    for name in ("torch", "openvino"):
        out = tmp_path / name
        lipcore.render_shot(shot, config(Path("base"), tmp_path / "c", backend=name), out)
        (sidecar,) = out.glob("*.lipsync.json")
        settings = json.loads(sidecar.read_text())["settings"]
        assert settings["backend"] == name
        keys[name] = settings["parameters"]
        with open_plate(out) as made:
            pictures[name] = np.stack([made.read(n).rgb for n in shot.frames or ()])
    assert keys["torch"] != keys["openvino"], "frames of one backend would pass as the other's"
    assert np.abs(pictures["torch"] - pictures["openvino"]).max() < 2 / 255
