"""The judge of sync finds shifts that were made, in the right direction, and knows its limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipcore.demo.run import say
from lipcore.evaluate.offset import OffsetJudge
from lipcore.types import FloatArray

RATE = 25.0


@pytest.fixture(scope="module")
def spoken() -> FloatArray:
    """Some seconds of speech at 16 kHz."""
    sound = say("The boat on the lake had a mast, and papa saw a small map of it, far away.")
    return np.ascontiguousarray(sound[::3], np.float32)


def lips_of(samples: FloatArray, lag_frames: int, rate: float = RATE) -> FloatArray:
    """Lips that open as the sound is loud, the sound lagging them by some frames."""
    count = int(len(samples) / 16_000 * rate)
    middle = (np.arange(count) + 0.5 + lag_frames) / rate
    loud = []
    for time_s in middle:
        begin, end = (int((time_s + d) * 16_000) for d in (-0.05, 0.05))
        part = samples[max(0, begin) : max(0, end)]
        loud.append(float(np.sqrt(np.mean(part**2))) if part.size else 0.0)
    return np.array(loud, np.float32)


@pytest.mark.parametrize("lag", [-12, -5, -2, 0, 1, 3, 9])
def test_a_shift_is_found_with_its_sign(spoken: FloatArray, lag: int) -> None:
    found = OffsetJudge().measure(lips_of(spoken, lag), spoken, RATE)
    assert found is not None and abs(found.frames - lag) <= 1
    assert found.correlation == pytest.approx(float(found.correlations.max()), abs=1e-6)


def test_frames_are_those_of_the_rate(spoken: FloatArray) -> None:
    rate = 60.0
    found = OffsetJudge().measure(lips_of(spoken, 12, rate), spoken, rate)
    assert found is not None and abs(found.frames - 12) <= 3
    assert found.shifts[0] == -36 and found.shifts[-1] == 36


def test_unknown_frames_are_left_out(spoken: FloatArray) -> None:
    lips = lips_of(spoken, 3)
    lips[10:25] = np.nan
    found = OffsetJudge().measure(lips, spoken, RATE)
    assert found is not None and abs(found.frames - 3) <= 1


def test_where_there_is_nothing_to_go_by_nothing_is_said(spoken: FloatArray) -> None:
    judge, lips = OffsetJudge(), lips_of(spoken, 0)
    assert judge.measure(np.full_like(lips, 0.1), spoken, RATE) is None
    assert judge.measure(lips, np.zeros_like(spoken), RATE) is None
    assert judge.measure(lips[:20], spoken, RATE) is None


def test_lips_that_have_nothing_to_do_with_the_sound_are_not_certain(spoken: FloatArray) -> None:
    noise = np.random.default_rng(3).normal(size=len(lips_of(spoken, 0))).astype(np.float32)
    found = OffsetJudge().measure(noise, spoken, RATE)
    assert found is not None and not found.certain and not found.fits_as_it_is


def test_a_judge_can_be_fitted_and_kept(spoken: FloatArray, tmp_path: Path) -> None:
    fitted = OffsetJudge.fit([(lips_of(spoken, 4), spoken, RATE, 4 / RATE)])
    fitted.save(tmp_path / "judge.safetensors")
    found = OffsetJudge(fitted.weights).measure(lips_of(spoken, -3), spoken, RATE)
    assert found is not None and found.frames == -3 and found.certain
