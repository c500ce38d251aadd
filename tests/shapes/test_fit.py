from __future__ import annotations

import numpy as np
import pytest

from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.fit import fit_person, gap_slopes, lip_gaps, opening_slope, width_slope
from lipcore.shapes.measure import opening_of, width_of
from lipcore.tracking import head
from lipcore.types import FloatArray


def _speech(basis: ShapeBasis, amplitude: float, count: int = 200) -> FloatArray:
    rng = np.random.default_rng(2)
    smooth = np.stack(
        [np.convolve(rng.normal(0, 1, count + 8), np.ones(9) / 3, "valid") for _ in basis.names], 1
    )
    values: FloatArray = (amplitude * basis.std * smooth).astype(np.float32)
    return values


def _standard_speech() -> FloatArray:
    """A dialogue in standard units whose leading components go their own ways."""
    asked = np.random.default_rng(1).normal(0, 1, (5000, 8)).astype(np.float32)
    asked[:, 3:] = 0
    return asked


def _talking_neutral(basis: ShapeBasis) -> FloatArray:
    """A mean face that speaks is a little open."""
    value = np.zeros(8, np.float32)
    value[0] = 1.3 * basis.std[0]
    return basis.mean_shape + basis.offsets(value)


def _opening(basis: ShapeBasis, neutral: FloatArray, values: FloatArray) -> FloatArray:
    face = np.repeat(head.canonical_head()[None], len(values), axis=0)
    face[:, list(basis.indices)] = neutral + basis.offsets(values)
    return opening_of(face)


@pytest.mark.parametrize("amplitude", [0.8, 1.0, 1.6])
def test_a_speaker_keeps_the_amplitude(basis: ShapeBasis, amplitude: float) -> None:
    values = _speech(basis, amplitude)
    person = fit_person(values, _talking_neutral(basis), basis)
    assert person.speaks
    asked = _standard_speech()
    spread = person.apply(asked).std(axis=0)
    np.testing.assert_allclose(spread[1:3], values.std(axis=0)[1:3], rtol=0.12)
    opening = opening_slope(basis)
    assert (person.apply(asked) @ opening).std() == pytest.approx(
        (values @ opening).std(), rel=0.06
    )


def test_lips_part_as_far_as_the_person_parts_them_whatever_works_against_the_jaw(
    basis: ShapeBasis,
) -> None:
    values = _speech(basis, 1.0)
    # The jaw drops while the lips purse over it: much ``open``, less opening.
    values[:, 2] = -1.4 * basis.std[2] * values[:, 0] / basis.std[0] * np.sign(
        opening_slope(basis)[2]
    )
    opening = opening_slope(basis)
    shown = (values @ opening).std()
    assert shown < 0.9 * (values[:, 0] * opening[0]).std()
    person = fit_person(values, _talking_neutral(basis), basis)
    assert (person.apply(_standard_speech()) @ opening).std() == pytest.approx(shown, rel=0.08)


def test_zero_is_the_closed_mouth_of_the_person(basis: ShapeBasis) -> None:
    neutral = _talking_neutral(basis)
    person = fit_person(_speech(basis, 1.0), neutral, basis)
    shut = person.apply(np.zeros((1, 8), np.float32))
    assert abs(float(_opening(basis, neutral, shut)[0])) < 0.008


def test_a_mouth_that_the_shot_never_shows_shut_is_shut_all_the_same(basis: ShapeBasis) -> None:
    value = np.zeros(8, np.float32)
    value[0] = 4 * basis.std[0]
    grin = basis.mean_shape + basis.offsets(value)
    person = fit_person(_speech(basis, 0.3), grin, basis)
    shut = person.apply(np.zeros((1, 8), np.float32))
    assert abs(float(_opening(basis, grin, shut)[0])) < 0.008
    assert _opening(basis, grin, np.zeros((1, 8), np.float32))[0] > 0.1


def test_a_still_face_gets_the_mean_speakers_amplitude(basis: ShapeBasis) -> None:
    still = np.random.default_rng(0).normal(0, 0.0005, (100, 8)).astype(np.float32)
    person = fit_person(still, basis.mean_shape, basis)
    assert not person.speaks and person.amplitude == 1.0
    np.testing.assert_allclose(person.gain, basis.std)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_frames_say_nothing_of_amplitude(basis: ShapeBasis, count: int) -> None:
    values = np.full((count + 3, 8), np.nan, np.float32)
    values[:count] = _speech(basis, 3.0, 20)[:count]
    person = fit_person(values, basis.mean_shape, basis)
    assert not person.speaks
    assert np.isfinite(person.closed).all()


def test_gains_are_bounded(basis: ShapeBasis) -> None:
    person = fit_person(_speech(basis, 8.0), _talking_neutral(basis), basis)
    assert (person.gain <= 2.0 * basis.std + 1e-9).all()


def test_standardise_undoes_apply(basis: ShapeBasis) -> None:
    person = fit_person(_speech(basis, 0.8), _talking_neutral(basis), basis)
    asked = np.random.default_rng(1).normal(0, 1, (9, 8)).astype(np.float32)
    np.testing.assert_allclose(person.standardise(person.apply(asked)), asked, atol=1e-4)


def test_slopes_are_those_of_the_measures(basis: ShapeBasis) -> None:
    step = 0.01
    face = np.repeat(head.canonical_head()[None], 9, axis=0)
    face[:, list(basis.indices)] = basis.mean_shape
    face[1:, list(basis.indices)] += step * basis.components
    np.testing.assert_allclose(
        opening_slope(basis), (opening_of(face)[1:] - opening_of(face)[0]) / step, atol=2e-3
    )
    np.testing.assert_allclose(
        width_slope(basis), (width_of(face)[1:] - width_of(face)[0]) / step, atol=0.05
    )
    assert gap_slopes(basis).shape == (9, 8)
    gap = lip_gaps(basis.mean_shape, basis).mean()
    np.testing.assert_allclose(gap, opening_of(face)[0], rtol=1e-4)
