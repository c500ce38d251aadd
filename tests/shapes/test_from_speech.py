from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly, savgol_filter

from lipcore.errors import WeightsNotFoundError
from lipcore.media.audio import load_dialogue, shift_sound
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.shapes import from_speech
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import STANDARD
from lipcore.shapes.fit import opening_slope, width_slope
from lipcore.shapes.from_speech import shapes_from_dialogue
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.speech.espeak import Speech, speak
from lipcore.tracking.tracker import track_plate
from lipcore.types import Dialogue, FloatArray, FrameRange, ShapeCurves
from lipcore.weights import WeightsSet

RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001)]
TEXT = "People of Bombay, my mother made a map of the moon above a farm."


@pytest.fixture(scope="module")
def speech() -> Speech:
    return speak(TEXT)


@pytest.fixture(scope="module")
def dialogue(speech: Speech) -> Dialogue:
    """The sentence between half a second of silence and a second and a half."""
    samples = resample_poly(speech.samples, 320, 441)
    return Dialogue(np.pad(samples, (8000, 24000)).astype(np.float32))


def _ask(dialogue: Dialogue, weights: WeightsSet, rate: Fraction = Fraction(25)) -> ShapeCurves:
    count = int(dialogue.duration_s * rate)
    return shapes_from_dialogue(dialogue, rate, FrameRange(1001, 1000 + count), weights)


def test_curves_say_what_they_are(dialogue: Dialogue, base_weights: WeightsSet) -> None:
    curves = _ask(dialogue, base_weights)
    basis = ShapeBasis.load(base_weights)
    assert curves.unit == STANDARD and curves.names == basis.names
    assert curves.weights == basis.label and curves.first_frame == 1001
    assert curves.values.shape == (int(dialogue.duration_s * 25), 8)
    assert np.isfinite(curves.values).all()


def test_the_mouth_moves_in_speech_by_about_a_standard_deviation(
    dialogue: Dialogue, base_weights: WeightsSet
) -> None:
    opening = _ask(dialogue, base_weights).values[:, 0]
    assert 0.4 < opening[opening != 0].std() < 1.6
    assert 0.5 < opening[opening != 0].mean() < 2.0


@pytest.mark.parametrize("kind", ["digital silence", "quiet noise", "a short click"])
def test_silence_is_exactly_closed(kind: str, base_weights: WeightsSet) -> None:
    samples = np.zeros(40_000, np.float32)
    if kind == "quiet noise":
        samples += np.random.default_rng(0).normal(0, 1e-3, len(samples)).astype(np.float32)
    elif kind == "a short click":
        samples[20_000:20_040] = 0.9
    assert (_ask(Dialogue(samples), base_weights).values == 0).all()


def test_around_speech_the_mouth_is_closed_and_gets_there_smoothly(
    dialogue: Dialogue, base_weights: WeightsSet
) -> None:
    later = Dialogue(np.concatenate([np.zeros(8_000, np.float32), dialogue.samples]))
    values = _ask(later, base_weights, Fraction(100)).values
    assert (values[:20] == 0).all() and (values[-80:] == 0).all()
    assert np.abs(np.diff(values[:, 0])).max() < 0.5
    moving = np.flatnonzero(values.any(axis=1))
    assert np.abs(values[moving[0], 0]) < 0.05 and np.abs(values[moving[-1], 0]) < 0.05


def test_closures_are_less_open_than_vowels(
    speech: Speech, dialogue: Dialogue, base_weights: WeightsSet
) -> None:
    opening = _ask(dialogue, base_weights, Fraction(100)).values[:, 0]

    def at(symbols: str) -> float:
        return float(np.mean([
            opening[round(100 * (0.5 + (p.start_s + p.end_s) / 2))]
            for p in speech.phonemes if p.symbol.strip("ˈː") in tuple(symbols)
        ]))  # fmt: skip

    assert at("mbp") < at("ɑæʌ") - 0.7


def test_beyond_the_sound_the_mouth_is_closed(base_weights: WeightsSet, speech: Speech) -> None:
    samples = resample_poly(speech.samples, 320, 441).astype(np.float32)[:16_000]
    curves = shapes_from_dialogue(
        Dialogue(samples), Fraction(24), FrameRange(1, 100), base_weights
    )
    assert (curves.values[24:] == 0).all()


@pytest.mark.parametrize(("rate", "frames"), list(zip(RATES, [1, 7, 3, 11], strict=True)), ids=str)
def test_moving_the_sound_by_frames_moves_the_curves_by_frames(
    rate: Fraction, frames: int, dialogue: Dialogue, base_weights: WeightsSet
) -> None:
    moved = shift_sound(dialogue.samples[None], 16_000, frames / rate)[0]
    before = _ask(dialogue, base_weights, rate).values
    after = _ask(Dialogue(moved), base_weights, rate).values
    here, there = before[: len(after) - frames, 0], after[frames : len(before), 0]
    count = min(len(here), len(there))
    # The voice detector cuts time into 32 ms; inside the speech nothing else may differ.
    error = np.abs(here[:count] - there[:count])
    assert np.median(error) < 0.01 and np.quantile(error, 0.9) < 0.05
    wrong = np.abs(here[1:count] - there[: count - 1])
    assert wrong.mean() > 8 * error.mean()


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_every_rate_reads_the_same_motion(
    rate: Fraction, dialogue: Dialogue, base_weights: WeightsSet
) -> None:
    fine = _ask(dialogue, base_weights, Fraction(200)).values[:, 0]
    coarse = _ask(dialogue, base_weights, rate).values[:, 0]
    times = (np.arange(len(coarse)) + 0.5) / float(rate)
    expected = np.interp(times, (np.arange(len(fine)) + 0.5) / 200, fine)
    np.testing.assert_allclose(coarse, expected, atol=0.03)


@pytest.mark.parametrize("gain", [0.05, 3.0])
def test_loudness_changes_nothing(
    gain: float, dialogue: Dialogue, base_weights: WeightsSet
) -> None:
    loud = _ask(Dialogue(dialogue.samples * np.float32(gain)), base_weights).values
    difference = loud - _ask(dialogue, base_weights).values
    assert np.sqrt(np.mean(difference[:, 0] ** 2)) < 0.12


def test_the_same_input_gives_the_same_curves(
    dialogue: Dialogue, base_weights: WeightsSet
) -> None:
    first, second = _ask(dialogue, base_weights), _ask(dialogue, base_weights)
    np.testing.assert_array_equal(first.values, second.values)


def test_chunks_leave_no_trace(
    dialogue: Dialogue, base_weights: WeightsSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _ask(dialogue, base_weights).values
    monkeypatch.setattr(from_speech, "CHUNK_STEPS", 113)
    np.testing.assert_allclose(_ask(dialogue, base_weights).values, whole, atol=1e-4)


def test_a_very_short_dialogue_works(base_weights: WeightsSet, dialogue: Dialogue) -> None:
    short = Dialogue(dialogue.samples[9000:12200])
    curves = shapes_from_dialogue(short, Fraction(24), FrameRange(1, 5), base_weights)
    assert np.isfinite(curves.values).all()


def test_weights_without_speech_are_an_error(dialogue: Dialogue, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError):
        _ask(dialogue, WeightsSet("empty", tmp_path))


_MEASURE = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from lipcore.shapes.from_speech import shapes_from_dialogue
from lipcore.types import Dialogue, FrameRange
from lipcore.weights import WeightsSet
minutes, folder = int(sys.argv[1]), Path(sys.argv[2])
rng = np.random.default_rng(0)
syllable = (np.sin(np.arange(8000) / 20) * np.hanning(8000)).astype(np.float32) * 0.3
samples = np.tile(np.concatenate([syllable, np.zeros(4000, np.float32)]), minutes * 80)
frames = FrameRange(1, minutes * 60 * 24)
shapes_from_dialogue(Dialogue(samples), Fraction(24), frames, WeightsSet("base", folder))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - samples.nbytes)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_dialogue(base_weights: WeightsSet) -> None:
    def peak_bytes(minutes: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(minutes), str(base_weights.folder)],
            capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return int(done.stdout)

    assert peak_bytes(4) < peak_bytes(1) + 24 * 2**20


@pytest.mark.slow
def test_unseen_people_open_their_mouths_when_the_curves_do(
    shared_data: Path, base_weights: WeightsSet, basis: ShapeBasis
) -> None:
    """The mean over people who were left out of training, mouths as the tracker sees them."""
    manifest = json.loads((shared_data / "clips" / "manifest.json").read_text())
    opening, width = [], []
    for name in ("markey.mp4", "klobuchar.mp4", "mcguinness.mp4", "grid_swwp2s.mpg"):
        path = shared_data / "clips" / name
        curves, landmarks = _clip(path, manifest[name]["offset_frames"], base_weights)
        smooth = savgol_filter(landmarks, 5, 2, axis=0).astype(np.float32)
        asked = curves.values * basis.std
        opening.append(np.corrcoef(asked @ opening_slope(basis), inner_opening(smooth))[0, 1])
        width.append(np.corrcoef(asked @ width_slope(basis), lip_width(smooth))[0, 1])
    assert np.mean(opening) >= 0.45, opening
    assert min(opening) >= 0.3, opening
    assert np.mean(width) >= 0.35, width


def _clip(
    path: Path, offset_frames: int, weights: WeightsSet
) -> tuple[ShapeCurves, FloatArray]:
    with open_plate(path) as plate:
        frames, rate = plate.info.frames, plate.info.rate
        color = ColorTransform.for_plate(plate.info.colorspace)
        track = track_plate(plate, frames, color=color)[0]
    sound = load_dialogue(path).samples[None]
    moved = shift_sound(sound, 16_000, Fraction(-offset_frames, 25))[0]
    curves = shapes_from_dialogue(Dialogue(moved), rate, frames, weights)
    return curves, track.landmarks


