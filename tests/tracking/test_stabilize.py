"""Smoothing: noise falls, speech stays, nothing lags."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.errors import ConfigError
from lipcore.tracking.head import (
    LIPS_INNER_LOWER,
    LIPS_OUTER_LOWER,
    HeadPose,
    apply_similarity,
    canonical_head,
    fit_pose,
)
from lipcore.tracking.stabilize import (
    SmoothingConfig,
    smooth_adaptive,
    smooth_transforms,
    stabilize,
)

CONFIG = SmoothingConfig()


def heads(
    count: int, opening: np.ndarray, *, noise: float, speed: float = 0.0, seed: int = 0
) -> np.ndarray:
    """A head of 100 pixels' interocular distance whose lower face moves down by ``opening``."""
    random = np.random.default_rng(seed)
    out = []
    for i in range(count):
        shape = canonical_head().copy()
        shape[list(LIPS_INNER_LOWER[1:-1]), 1] += opening[i]
        shape[list(LIPS_OUTER_LOWER[1:-1]), 1] += 0.8 * opening[i]
        shape[[152, 148, 377], 1] += 0.5 * opening[i]
        pose = HeadPose(100.0, np.eye(3, dtype=np.float32), np.array([300 + speed * i, 200, 0]))
        out.append(pose.to_plate(shape) + random.normal(0, noise, shape.shape))
    return np.array(out, np.float32)


def opening_of(marks: np.ndarray) -> np.ndarray:
    return marks[:, 14, 1] - marks[:, 13, 1]


def test_noise_on_a_still_face_falls_to_half() -> None:
    marks = heads(60, np.zeros(60), noise=0.3)
    steady = stabilize(marks, CONFIG)
    before = np.diff(marks[..., :2], axis=0).std()
    after = np.diff(steady[..., :2], axis=0).std()
    assert after < 0.5 * before


def test_speech_keeps_its_opening() -> None:
    time = np.arange(150) / 25
    speech = 0.12 * np.clip(np.sin(2 * np.pi * 4.3 * time) * np.sin(2 * np.pi * 0.7 * time), 0, 1)
    marks = heads(150, speech, noise=0.2)
    truth = opening_of(heads(150, speech, noise=0.0))
    steady = opening_of(stabilize(marks, CONFIG))
    assert steady.var() > 0.97 * truth.var()
    assert np.corrcoef(steady, truth)[0, 1] > 0.99


def test_nothing_lags() -> None:
    time = np.arange(100) / 25
    speech = 0.06 * (1 + np.sin(2 * np.pi * 1.5 * time))
    truth = opening_of(heads(100, speech, noise=0.0))
    steady = opening_of(stabilize(heads(100, speech, noise=0.4), CONFIG))
    shifts = range(-3, 4)
    likeness = [np.corrcoef(np.roll(truth, s)[5:-5], steady[5:-5])[0, 1] for s in shifts]
    assert list(shifts)[int(np.argmax(likeness))] == 0


def test_constant_motion_passes() -> None:
    marks = heads(40, np.zeros(40), noise=0.05, speed=4.0)
    steady = stabilize(marks, CONFIG)
    path = steady[:, 168, 0] - 4.0 * np.arange(40)
    assert np.ptp(path) < 0.5


def test_a_run_of_one_or_two_frames_is_left_alone() -> None:
    marks = heads(2, np.zeros(2), noise=0.3)
    np.testing.assert_array_equal(stabilize(marks, CONFIG), marks)


def test_what_has_no_noise_is_not_touched() -> None:
    values = np.repeat(np.array([[1.0, 2.0]]), 10, axis=0)
    np.testing.assert_array_equal(smooth_adaptive(values, 2.0, 2.0), values)


def test_crop_transforms_stay_similarities_and_lose_jitter() -> None:
    random = np.random.default_rng(0)
    angle = 0.1 + random.normal(0, 0.01, 50)
    scale = np.exp(random.normal(np.log(0.004), 0.01, 50))
    raw = np.zeros((50, 2, 3), np.float32)
    raw[:, 0, 0] = raw[:, 1, 1] = scale * np.cos(angle)
    raw[:, 1, 0] = scale * np.sin(angle)
    raw[:, 0, 1] = -raw[:, 1, 0]
    raw[:, :, 2] = 0.5 - raw[:, :, :2] @ np.array([800.0, 450.0])
    smooth = smooth_transforms(raw, 2.5)
    np.testing.assert_allclose(smooth[:, 0, 0], smooth[:, 1, 1])
    np.testing.assert_allclose(smooth[:, 0, 1], -smooth[:, 1, 0])
    center = apply_similarity(smooth, np.broadcast_to([[800.0, 450.0]], (50, 1, 2)))
    np.testing.assert_allclose(center, 0.5, atol=1e-3)
    assert np.diff(smooth[5:-5, 0, 0]).std() < 0.4 * np.diff(raw[5:-5, 0, 0]).std()


def test_pose_is_that_of_the_steady_face() -> None:
    marks = heads(30, np.zeros(30), noise=0.3)
    scales = [fit_pose(frame).scale for frame in stabilize(marks, CONFIG)]
    assert np.std(scales) < 0.5 * np.std([fit_pose(frame).scale for frame in marks])


@pytest.mark.parametrize("bad", [{"pose_frames": -1.0}, {"mouth_frames": 60.0}, {"tolerance": 0.0}])
def test_settings_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SmoothingConfig(**bad)
