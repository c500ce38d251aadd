from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from lipcore.cli.shapes import command
from lipcore.errors import ConfigError, DialogueNotFoundError, LipcoreError, OutputExistsError
from lipcore.shapes.asked import ask_shapes, curves_for
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import INTEROCULAR, STANDARD, read_curves, write_curves
from lipcore.speech.espeak import speak
from lipcore.types import FrameRange, ShapeCurves
from lipcore.weights import WeightsSet


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    speech = speak("My mother made a map.")
    path = tmp_path_factory.mktemp("sound") / "line 1 ü.wav"
    soundfile.write(path, speech.samples, speech.sample_rate_hz)
    return path


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    if isinstance(result.exception, LipcoreError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_sound_becomes_curves_at_any_rate(
    sound: Path, tmp_path: Path, suffix: str, base_weights: WeightsSet, basis: ShapeBasis
) -> None:
    out = tmp_path / f"curves{suffix}"
    said = _run(sound, "--out", out, "--rate", "23.976", "--weights", base_weights.folder)
    assert str(out) in said
    curves = read_curves(out, basis.names, weights=basis.label).curves
    assert curves.rate == Fraction(24000, 1001) and curves.unit == STANDARD
    seconds = soundfile.info(sound).duration
    assert abs(len(curves.values) - seconds * 24000 / 1001) <= 1
    assert curves.values[:, 0].max() > 0.5


def test_frames_are_those_asked_for(
    sound: Path, tmp_path: Path, base_weights: WeightsSet, basis: ShapeBasis
) -> None:
    out = tmp_path / "c.json"
    _run(sound, "--out", out, "--frames", "1001-1020", "--weights", base_weights.folder)
    assert read_curves(out, basis.names).curves.frames == FrameRange(1001, 1020)


def test_a_file_in_the_way_is_kept(
    sound: Path, tmp_path: Path, base_weights: WeightsSet
) -> None:
    out = tmp_path / "c.json"
    out.write_text("mine")
    with pytest.raises(OutputExistsError):
        _run(sound, "--out", out, "--weights", base_weights.folder)
    assert out.read_text() == "mine"
    _run(sound, "--out", out, "--overwrite", "--weights", base_weights.folder)
    assert out.read_text() != "mine"


@pytest.mark.parametrize("rate", ["0", "fast", "-24"])
def test_an_impossible_rate_is_refused(sound: Path, tmp_path: Path, rate: str) -> None:
    with pytest.raises(ConfigError, match="frame rate"):
        _run(sound, "--out", tmp_path / "c.json", f"--rate={rate}")


def test_a_missing_file_is_named(tmp_path: Path, base_weights: WeightsSet) -> None:
    with pytest.raises(DialogueNotFoundError, match=r"none\.wav"):
        _run(tmp_path / "none.wav", "--out", tmp_path / "c.json", "--from", "sound",
             "--weights", base_weights.folder)


@pytest.mark.slow
def test_a_video_gives_its_own_mouth_or_what_its_sound_asks_for(
    shared_data: Path, tmp_path: Path, base_weights: WeightsSet, basis: ShapeBasis
) -> None:
    clip = shared_data / "clips" / "grid_swwp2s.mpg"
    seen, heard = tmp_path / "seen.json", tmp_path / "heard.json"
    _run(clip, "--out", seen, "--weights", base_weights.folder)
    _run(clip, "--out", heard, "--from", "sound", "--weights", base_weights.folder)
    picture = read_curves(seen, basis.names).curves
    asked = read_curves(heard, basis.names).curves
    assert picture.unit == INTEROCULAR and picture.neutral is not None
    assert asked.unit == STANDARD and asked.rate == picture.rate == 25
    assert abs(len(asked.values) - len(picture.values)) <= 1
    count = min(len(asked.values), len(picture.values))
    pair = np.corrcoef(asked.values[:count, 0], picture.values[:count, 0])
    assert pair[0, 1] > 0.3


def _ask(
    path: Path, basis: ShapeBasis, weights: WeightsSet, rate: Fraction, frames: FrameRange
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    shown = np.random.default_rng(0).normal(0, 1, (50, 8)).astype(np.float32) * basis.std
    return ask_shapes(
        None, curves_for(path, basis, rate, frames), basis=basis, weights=weights, rate=rate,
        frames=frames,
        shown_values=shown, neutral=basis.mean_shape,
    )


def test_curves_drive_a_plate_by_frame_number(
    tmp_path: Path, basis: ShapeBasis, base_weights: WeightsSet
) -> None:
    values = np.random.default_rng(1).normal(0, 0.01, (30, 8)).astype(np.float32)
    path = tmp_path / "c.json"
    curves = ShapeCurves(Fraction(24), 1001, values, basis.names, INTEROCULAR, "", basis.label)
    write_curves(path, curves)
    asked = _ask(path, basis, base_weights, Fraction(24), FrameRange(1011, 1020))
    np.testing.assert_allclose(asked, values[10:20], atol=1e-6)
    with pytest.raises(ConfigError, match="holds frames 1001-1030, and 1025-1040"):
        _ask(path, basis, base_weights, Fraction(24), FrameRange(1025, 1040))
    slower = _ask(path, basis, base_weights, Fraction(12), FrameRange(1, 15))
    np.testing.assert_allclose(slower, (values[::2] + values[1::2]) / 2, atol=1e-6)


def test_nothing_asked_is_an_error(basis: ShapeBasis, base_weights: WeightsSet) -> None:
    with pytest.raises(ConfigError, match="nothing is asked"):
        ask_shapes(
            None, None, basis=basis, weights=base_weights, rate=Fraction(24),
            frames=FrameRange(1, 2), shown_values=np.zeros((2, 8), np.float32),
            neutral=basis.mean_shape,
        )
