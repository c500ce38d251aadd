"""The layered warp: exact where it can be told, and never folded."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.synthesis.matte import mouth_window
from lipcore.synthesis.warp import MouthFrame, ThinPlate, interocular_px, look_up, warp_mouth
from lipcore.tracking.head import LIPS_INNER_LOWER, LIPS_INNER_UPPER, MOUTH_CORNERS
from lipcore.types import Window

PLATE = Window(0, 0, 640, 480)


def centers(window, aspect=1.0):
    x = np.arange(window.x, window.x1) + 0.5
    y = np.arange(window.y, window.y1) + 0.5
    return np.stack(np.meshgrid(x, y), -1)


def shut(points):
    """The same face with its inner lips brought together."""
    closed = points.copy()
    for above, below in zip(LIPS_INNER_UPPER, LIPS_INNER_LOWER, strict=True):
        closed[[above, below]] = points[[above, below]].mean(0)
    return closed


@pytest.mark.parametrize("opening", [-1.0, 0.0, 2.5])
def test_a_mouth_warped_to_itself_stays_where_it_is(face, opening):
    points = face(yaw=12, pitch=5, roll=7, open=opening)
    window = mouth_window(points, points, PLATE)
    warp = warp_mouth(points, points, window)
    assert np.abs(warp.lookup - centers(window)).max() < 0.01
    there = warp.inside > 0.5
    if there.any():
        assert np.abs(warp.inside_lookup - centers(window))[there].max() < 0.75
    assert warp.fold == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("scale", "turn_deg", "move"),
    [(1.0, 0.0, (37.25, -11.5)), (1.0, 9.0, (0.0, 0.0)), (0.85, 0.0, (4.0, 3.0)),
     (1.2, -14.0, (-30.0, 22.0))],
)  # fmt: skip
def test_a_moved_turned_or_scaled_head_gives_exactly_that_similarity(face, scale, turn_deg, move):
    target = face(open=1.5, wide=1.0)
    turn = np.radians(turn_deg)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    source = target.copy()
    source[:, :2] = (target[:, :2] - (320, 240)) @ matrix.T + (320, 240) + move
    source[:, 2] *= scale
    window = mouth_window(target, target, PLATE)
    warp = warp_mouth(target, source, window)
    expected = (centers(window) - (320, 240)) @ matrix.T + (320, 240) + move
    assert np.abs(warp.lookup - expected).max() < 0.01
    assert warp.fold == pytest.approx(scale**2, rel=0.01)


def test_landmarks_are_carried_to_landmarks(face):
    target, source = face(open=2.5, wide=-1.0), face(open=0.5, wide=1.0, yaw=4)
    window = mouth_window(target, source, PLATE)
    warp = warp_mouth(target, source, window)
    # A little above the upper line and below the lower one: clear of the lip line's soft edge.
    for line, side in ((LIPS_INNER_UPPER, -3.0), (LIPS_INNER_LOWER, 3.0)):
        for i in line[2:-2]:
            x, y = target[i, :2] + (0, side)
            found = warp.lookup[int(y) - window.y, int(x) - window.x]
            assert np.abs(found - source[i, :2] - (0, side)).max() < 0.05 * 160 / 2, i
    opening = MouthFrame.of(target).opening
    assert np.abs(warp.inside.sum(0).max() - opening) < 2.0


def test_strong_changes_of_the_mouth_never_fold(face, random_mouth):
    rng = np.random.default_rng(5)
    least = np.inf
    for _ in range(12):
        pose = {"yaw": rng.uniform(-35, 35), "pitch": rng.uniform(-20, 20)}
        near = {name: angle + rng.uniform(-6, 6) for name, angle in pose.items()}
        target = face(scale=90, **pose, **random_mouth(rng))
        source = face(scale=90, **near, **random_mouth(rng))
        warp = warp_mouth(target, source, mouth_window(target, source, PLATE))
        assert np.isfinite(warp.lookup).all()
        assert np.isfinite(warp.inside_lookup).all()
        least = min(least, warp.fold)
    assert least > 0.02


def test_a_warp_that_would_fold_is_eased_and_not_torn(face):
    source = face(open=0.0)
    target = source.copy()
    middle = target[[61, 291], :2].mean(0)
    below = target[:, 1] > target[164, 1]
    target[below, :2] = middle - 0.5 * (target[below, :2] - middle)  # the mouth upside down
    window = mouth_window(source, source, PLATE)
    assert warp_mouth(target, source, window).fold > 0


def test_nothing_lies_between_lips_that_meet(face):
    open_mouth, closed = face(open=2.0), shut(face(open=-0.5))
    window = mouth_window(open_mouth, closed, PLATE)
    assert warp_mouth(closed, open_mouth, window).inside.max() == 0
    assert warp_mouth(open_mouth, closed, window).inside.max() == 1


def test_the_inside_grows_steadily_as_the_lips_part(face):
    closed, wide_open = shut(face(open=0.0)), face(open=2.5)
    window = mouth_window(closed, wide_open, PLATE)
    areas = []
    for share in np.linspace(0, 1, 9):
        target = (closed + np.float32(share) * (wide_open - closed)).astype(np.float32)
        areas.append(float(warp_mouth(target, wide_open, window).inside.sum()))
    steps = np.diff(areas)
    assert areas[0] == 0
    assert (steps > 0).all()
    assert steps.max() < 3 * areas[-1] / len(steps)  # no frame in which the mouth pops open


def test_the_inside_is_taken_from_inside_the_source(face):
    target, source = face(open=1.0), face(open=2.5)
    window = mouth_window(target, source, PLATE)
    warp = warp_mouth(target, source, window)
    there = warp.inside > 0.9
    assert there.sum() > 50
    found = warp.inside_lookup[there]
    low, high = source[list(LIPS_INNER_UPPER), 1].min(), source[list(LIPS_INNER_LOWER), 1].max()
    assert found[:, 1].min() >= low - 0.5
    assert found[:, 1].max() <= high + 0.5
    assert found[:, 0].min() >= source[78, 0] - 0.5
    assert found[:, 0].max() <= source[308, 0] + 0.5


def test_an_anamorphic_plate_gives_the_same_warp_squeezed(face):
    target, source = face(open=2.0, wide=-1.0), face(open=0.3, wide=1.0, yaw=5)
    square = Window(200, 200, 240, 160)
    squeezed = Window(100, 200, 120, 160)
    plain = warp_mouth(target, source, square)
    wide = warp_mouth(target, source, squeezed, 2.0)
    pairs = (plain.lookup[:, 0::2] + plain.lookup[:, 1::2]) / 2
    away = np.abs(wide.lookup * (2.0, 1.0) - pairs)[8:-8, 4:-4].max(-1)
    # Along the lip line one squeezed pixel shows what two square ones share.
    assert np.quantile(away, 0.97) < 0.1
    assert away.mean() < 0.1
    both = (plain.inside[:, 0::2] + plain.inside[:, 1::2]) / 2
    assert np.abs(wide.inside - both).mean() < 0.01
    assert wide.fold == pytest.approx(plain.fold, rel=0.2, abs=0.05)


def test_a_thin_plate_meets_what_it_was_given(face):
    target, source = face(open=2.0)[:, :2], face(open=0.0)[:, :2]
    some = np.random.default_rng(1).choice(478, 60, replace=False)
    spline = ThinPlate.fit(target[some], source[some], 160.0, np.full(60, 3e-5, np.float32))
    assert np.abs(spline(target[some]) - source[some]).max() < 0.03 * 160


def test_the_corners_of_the_mouth_go_where_they_are_sent(face):
    target, source = face(wide=2.0), face(wide=0.0)
    low = np.floor(target[:, :2].min(0)).astype(int)
    high = np.ceil(target[:, :2].max(0)).astype(int)
    window = Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
    warp = warp_mouth(target, source, window)
    for corner in MOUTH_CORNERS:
        x, y = (target[corner, :2] - low).astype(int)
        asked = source[corner, 0] - target[corner, 0]
        got = warp.lookup[y, x, 0] - (x + low[0] + 0.5)
        assert abs(asked) > 2, "nothing to see"
        assert got / asked == pytest.approx(1, abs=0.07)


def test_a_picture_is_looked_up_at_pixel_centers():
    window = Window(10, 20, 8, 6)
    picture = np.random.default_rng(2).random((6, 8, 3)).astype(np.float32)
    assert np.allclose(look_up(picture, window, centers(window)), picture, atol=1e-6)
    beside = look_up(picture, window, centers(window) + np.array([1.0, 0.0]))
    assert np.allclose(beside[:, :-1], picture[:, 1:], atol=1e-6)
    assert np.allclose(beside[:, -1], picture[:, -1], atol=1e-6)


def test_interocular_distance_does_not_change_with_the_head_turned(face):
    assert interocular_px(face(yaw=40, pitch=10)) == pytest.approx(interocular_px(face()), rel=1e-4)
