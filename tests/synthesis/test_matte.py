"""The matte's bounds, and light carried from the plate into a made mouth."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.synthesis.matte import (
    lower_face_window,
    match_light,
    mouth_matte,
    mouth_window,
    shared_skin,
)
from lipcore.synthesis.warp import interocular_px
from lipcore.tracking.head import JAW_LINE, LIPS_INNER_LOWER, LIPS_OUTER_LOWER, LIPS_OUTER_UPPER
from lipcore.types import Window

PLATE = Window(0, 0, 640, 480)
POSES = [(0, 0, 0), (30, 5, 0), (-40, -10, 12)]


def at(picture, window, points):
    columns = np.round(points[:, 0] - window.x - 0.5).astype(int)
    rows = np.round(points[:, 1] - window.y - 0.5).astype(int)
    return picture[rows, columns]


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("feather", [0.02, 0.1, 0.3])
def test_the_matte_ends_before_its_window_does(face, pose, feather):
    turn = dict(zip(("yaw", "pitch", "roll"), pose, strict=True))
    old, new = face(**turn, open=2.0), face(**turn, open=-0.5, wide=1.0)
    window = mouth_window(old, new, PLATE, feather=feather)
    alpha, hard = mouth_matte(old, new, window, feather=feather)
    assert alpha.shape == hard.shape == window.shape
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert border.max() == 0
    assert alpha.min() == 0
    assert 0.99 < alpha.max() <= 1
    assert set(np.unique(hard)) == {0, 1}
    assert (alpha[hard > 0] > 0).all()
    # Not cut off by the window: the matte has come close to 0 before its border is reached.
    beside = np.concatenate([alpha[1], alpha[-2], alpha[:, 1], alpha[:, -2]])
    assert beside.max() < 0.02


def test_the_matte_is_full_on_both_mouths(face):
    old, new = face(open=2.5), face(open=-0.5, wide=-1.5)
    window = mouth_window(old, new, PLATE)
    alpha, hard = mouth_matte(old, new, window)
    for mouth in (old, new):
        lips = mouth[[*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER], :2]
        assert at(alpha, window, lips).min() > 0.95
    assert at(hard, window, new[list(LIPS_INNER_LOWER[2:-2]), :2]).min() == 1


def test_the_matte_falls_without_a_step(face):
    old, new = face(open=1.0), face(open=0.0)
    window = mouth_window(old, new, PLATE)
    alpha, _ = mouth_matte(old, new, window)
    step = max(np.abs(np.diff(alpha, axis=0)).max(), np.abs(np.diff(alpha, axis=1)).max())
    assert step < 1.5 / (2 * 0.03 * interocular_px(old)) + 0.02  # the silhouette's ramp


@pytest.mark.parametrize("yaw", [0, 35, -45])
def test_the_background_beside_the_jaw_is_left_alone(face, yaw):
    old, new = face(yaw=yaw, open=2.0), face(yaw=yaw, open=0.0)
    window = mouth_window(old, new, PLATE)
    alpha, _ = mouth_matte(old, new, window)
    rows, columns = np.nonzero(alpha > 0)
    jaws = np.concatenate([old[:, :2], new[:, :2]])
    reach = 0.02 * interocular_px(old) + 1
    assert columns.min() + window.x >= jaws[:, 0].min() - reach
    assert columns.max() + window.x <= jaws[:, 0].max() + reach
    below = jaws[list(JAW_LINE), 1].max() + 0.15 * interocular_px(old)
    assert rows.max() + window.y <= below


def test_an_anamorphic_matte_is_the_square_one_squeezed(face):
    old, new = face(open=2.0), face(open=0.0)
    square, _ = mouth_matte(old, new, Window(200, 150, 240, 200))
    squeezed, _ = mouth_matte(old, new, Window(100, 150, 120, 200), pixel_aspect=2.0)
    pairs = (square[:, 0::2] + square[:, 1::2]) / 2
    # The ramp is measured in plate pixels: it may differ in width, not in place.
    assert np.mean((pairs > 0) != (squeezed > 0)) < 0.03
    assert np.mean((pairs > 0.99) & (squeezed < 0.6)) < 0.02


def test_a_face_at_the_edge_of_the_frame_keeps_its_window_inside(face):
    old, new = face(at=(30.0, 420.0), open=2.0), face(at=(30.0, 420.0), open=0.0)
    window = mouth_window(old, new, PLATE)
    assert window.intersect(PLATE) == window
    if min(window.shape) >= 4:
        alpha, _ = mouth_matte(old, new, window)
        assert np.isfinite(alpha).all()


def test_the_bank_holds_all_that_the_matte_may_ask_for(face, random_mouth):
    rng = np.random.default_rng(0)
    for _ in range(10):
        old, new = face(**random_mouth(rng)), face(**random_mouth(rng))
        outer = lower_face_window(old, PLATE)
        inner = mouth_window(old, old, PLATE)
        assert inner.intersect(outer) == inner
        assert lower_face_window(new, PLATE).intersect(PLATE) == lower_face_window(new, PLATE)


def _relit(face, light):
    old, new = face(open=1.5), face(open=-0.2)
    window = mouth_window(old, new, PLATE)
    alpha, _ = mouth_matte(old, new, window)
    skin = shared_skin(old, new, window)
    rng = np.random.default_rng(4)
    made = (0.4 + 0.05 * rng.random((*window.shape, 3))).astype(np.float32)
    y, x = np.mgrid[: window.height, : window.width] / max(window.shape)
    change = light(x, y)[..., None] * np.array([1, 0.8, 0.5])
    plate = (made + change).astype(np.float32)
    result = match_light(made, plate, alpha, skin)
    return (result - plate)[alpha > 0], change[alpha > 0], result - made


def test_a_constant_difference_of_light_goes_away(face):
    left, before, _ = _relit(face, lambda x, _: np.full_like(x, 0.1))
    assert np.abs(left).max() < 0.01 * np.abs(before).max()


def test_a_slope_of_light_goes_away_mostly(face):
    left, before, _ = _relit(face, lambda x, y: 0.1 + 0.1 * x - 0.06 * y)
    assert np.abs(left).mean() < 0.1 * np.abs(before).mean()
    assert np.abs(left).max() < 0.25 * np.abs(before).max()


def test_where_the_light_is_the_same_nothing_is_done(face):
    _, _, added = _relit(face, lambda x, _: np.zeros_like(x))
    assert np.abs(added).max() < 1e-6


def test_a_dark_hair_on_the_rim_does_not_darken_the_mouth(face):
    old, new = face(open=1.5), face(open=-0.2)
    window = mouth_window(old, new, PLATE)
    alpha, _ = mouth_matte(old, new, window)
    made = np.full((*window.shape, 3), 0.5, np.float32)
    plate = made.copy()
    plate[:, 20:24] = 0.02
    relit = match_light(made, plate, alpha, shared_skin(old, new, window))
    assert np.abs(relit - made).max() < 0.03
