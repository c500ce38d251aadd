"""LSE-D, LSE-C and offsets equal a calculation by hand; constructed shifts are found exactly."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipcore.errors import ConfigError
from lipcore.evaluate.mfcc import mfcc
from lipcore.evaluate.sync import correlate, follow_lag, probe_offset, score_sync

SHIFTS = range(-15, 16)


def by_hand(mouths: np.ndarray, sounds: np.ndarray, farthest: int) -> tuple[float, float, int]:
    """(distance, confidence, lag) with loops alone."""
    means = []
    for lag in range(-farthest, farthest + 1):
        distances = []
        for i, mouth in enumerate(mouths):
            j = i + lag
            sound = sounds[j] if 0 <= j < len(sounds) else [0.0] * len(mouth)
            distances.append(
                math.sqrt(sum((float(a) - float(b) + 1e-6) ** 2
                              for a, b in zip(mouth, sound, strict=True)))
            )  # fmt: skip
        means.append(sum(distances) / len(distances))
    smallest = min(means)
    return smallest, statistics.median(means) - smallest, means.index(smallest) - farthest


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 15), st.integers(0, 10**6))
def test_figures_equal_brute_force(n: int, e: int, farthest: int, seed: int) -> None:
    mouths, sounds = np.random.default_rng(seed).normal(size=(2, n, e)).astype(np.float32)
    found = score_sync(mouths, sounds, farthest)
    distance, confidence, lag = by_hand(mouths, sounds, farthest)
    assert found.distance == pytest.approx(distance, abs=1e-9)
    assert found.confidence == pytest.approx(confidence, abs=1e-9)
    assert found.offset_frames == lag
    assert found.frame_confidence.shape == (n,) and found.shifts.shape == (2 * farthest + 1,)


@pytest.mark.parametrize("lag", SHIFTS)
def test_constructed_shifts_are_found_exactly(lag: int) -> None:
    stream = np.random.default_rng(7).normal(size=(130, 16)).astype(np.float32)
    mouths, sounds = stream[15:115], stream[15 - lag : 115 - lag]  # sounds[t + lag] = mouths[t]
    assert score_sync(mouths, sounds).offset_frames == lag
    found, fits = probe_offset(mouths[:, 0], sounds[:, 0])
    assert found == lag and fits == pytest.approx(1)


def test_distance_in_step_is_nearly_nothing_and_of_strangers_has_no_confidence() -> None:
    one, other = np.random.default_rng(1).normal(size=(2, 100, 64)).astype(np.float32)
    same, strange = score_sync(one, one), score_sync(one, other)
    assert same.distance < 1e-4 and same.confidence > 5
    assert strange.confidence < 1 < strange.distance


def test_embeddings_that_do_not_pair_are_refused() -> None:
    for one, other in (((3, 4), (4, 4)), ((0, 4), (0, 4)), ((4,), (4,))):
        with pytest.raises(ConfigError, match="do not pair"):
            score_sync(np.zeros(one, np.float32), np.zeros(other, np.float32))


def test_unknown_frames_and_still_curves() -> None:
    curve = np.random.default_rng(2).normal(size=60).astype(np.float32)
    holes = curve.copy()
    holes[20:30] = np.nan
    assert probe_offset(holes, np.roll(curve, 4))[0] == 4
    assert np.isnan(correlate(curve, np.ones_like(curve)))
    lag, fits = probe_offset(curve[:5], curve[:5])
    assert lag == 0 and np.isnan(fits)


def test_cepstra_follow_their_definition() -> None:
    samples = (np.random.default_rng(3).normal(size=1500) * 0.1).astype(np.float32)
    loud = [float(s) * 32768 for s in samples]
    emphasized = [loud[0]] + [b - 0.97 * a for a, b in pairwise(loud)]
    steps = 1 + math.ceil((len(loud) - 400) / 160)
    emphasized += [0.0] * ((steps - 1) * 160 + 400 - len(loud))
    top = 2595 * math.log10(1 + 8000 / 700)
    edges = [
        math.floor(513 * 700 * (10 ** (top * k / 27 / 2595) - 1) / 16000) for k in range(28)
    ]
    found = mfcc(samples)
    assert found.shape == (13, steps)
    for step in (0, 3, steps - 1):
        frame = np.array(emphasized[step * 160 : step * 160 + 400] + [0.0] * 112)
        turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(512)) / 512)
        power = np.abs(turns @ frame) ** 2 / 512
        bands = []
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
            band = sum(power[i] * (i - low) / (middle - low) for i in range(low, middle))
            band += sum(power[i] * (high - i) / (high - middle) for i in range(middle, high))
            bands.append(math.log(band))
        for k in range(1, 13):
            cepstrum = math.sqrt(2 / 26) * sum(
                b * math.cos(math.pi * k * (2 * n + 1) / 52) for n, b in enumerate(bands)
            )
            assert found[k, step] == pytest.approx(
                cepstrum * (1 + 11 * math.sin(math.pi * k / 22)), rel=1e-4, abs=1e-4
            )
        assert found[0, step] == pytest.approx(math.log(power.sum()), rel=1e-5)


def test_a_lag_that_changes_is_followed() -> None:
    stream = np.random.default_rng(8).uniform(0, 1, 260).astype(np.float32)
    asked = np.convolve(stream, np.ones(3) / 3, "same").astype(np.float32)[20:220]
    seen = np.concatenate([asked[:100], np.roll(asked, 5)[100:]])  # 5 frames late from then on
    seen[50] = np.nan
    found = follow_lag(asked, seen, 25.0)
    assert (found[:70][np.arange(70) != 50] == 0).all() and (found[135:] == 5).all()
    stranger = np.random.default_rng(9).uniform(size=200).astype(np.float32)
    assert np.isnan(follow_lag(asked, stranger, 25.0)).mean() > 0.8
