"""What shows between the lips: where the mouth box lies, and who fills it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipcore.models.checkpoint import save_network
from lipcore.models.inner_mouth import BOX_HEIGHT, BOX_WIDTH, InnerMouth, InnerMouthConfig
from lipcore.synthesis.inner_mouth import InnerMouthPainter, box_inside, box_picture, mouth_box
from lipcore.synthesis.matte import lower_face_window, mouth_window
from lipcore.synthesis.warp import warp_mouth
from lipcore.tracking.head import LIPS_INNER_LOWER, LIPS_INNER_UPPER, MOUTH_CORNERS
from lipcore.types import Window
from lipcore.weights import WeightsSet

PLATE = Window(0, 0, 640, 480)


def shut(points):
    closed = points.copy()
    for above, below in zip(LIPS_INNER_UPPER, LIPS_INNER_LOWER, strict=True):
        closed[[above, below]] = points[[above, below]].mean(0)
    return closed


@pytest.mark.parametrize("opening", [-0.5, 2.5])
def test_the_box_holds_the_mouth_and_does_not_move_with_it(face, opening):
    points = face(roll=10, open=opening, wide=1.5)
    box = mouth_box(points)
    assert np.allclose(box, mouth_box(face(roll=10)), atol=1e-4)
    lips = points[[*LIPS_INNER_UPPER, *LIPS_INNER_LOWER, *MOUTH_CORNERS], :2]
    placed = lips @ box[:, :2].T + box[:, 2]
    assert placed.min() > 4
    assert (placed < (BOX_WIDTH - 4, BOX_HEIGHT - 4)).all()


def test_coverage_of_the_inside_is_the_area_between_the_lips(face):
    points = face(open=2.0)
    box = mouth_box(points)
    line = points[[*LIPS_INNER_UPPER, *LIPS_INNER_LOWER[::-1]], :2] @ box[:, :2].T + box[:, 2]
    x, y = line.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert box_inside(points, box).sum() == pytest.approx(area, rel=0.2)
    # OpenCV rounds a polygon outwards, and a closed one keeps a line: next to nothing.
    assert box_inside(shut(points), box).sum() < 0.3 * area


@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_the_picture_of_the_box_shows_what_lies_there(face, aspect):
    points = face(roll=6, open=1.0)
    box = mouth_box(points)
    window = Window(round(180 / aspect), 180, round(280 / aspect), 240)
    x = (np.arange(window.x, window.x1) + 0.5) * aspect
    y = np.arange(window.y, window.y1) + 0.5
    places = np.stack([*np.meshgrid(x, y), np.zeros(window.shape)], -1).astype(np.float32)
    shown = box_picture(places, window, box, aspect)
    column, row = 70, 40
    back = np.linalg.solve(box[:, :2], np.array([column + 0.5, row + 0.5]) - box[:, 2])
    assert np.allclose(shown[row, column, :2], back, atol=0.1)


def test_light_and_skin_outside_the_lips_are_left_alone(face, tmp_path):
    wanted, taken = face(open=1.8), face(open=2.2)
    window, covered = mouth_window(wanted, taken, PLATE), lower_face_window(taken, PLATE)
    rng = np.random.default_rng(0)
    shown = rng.random((*covered.shape, 3)).astype(np.float32)
    skin = np.full((*window.shape, 3), 0.5, np.float32)
    warp = warp_mouth(wanted, taken, window)
    painter = InnerMouthPainter(WeightsSet("empty", tmp_path))
    filled = painter.fill(skin, shown, covered, warp, wanted, taken, window, 1.0)
    outside = (warp.inside == 0) & (warp.contact == 0)
    assert np.array_equal(filled[outside], skin[outside])
    assert np.abs(filled - skin)[warp.inside > 0.9].mean() > 0.05


def test_shut_lips_show_no_inside(face, tmp_path):
    wanted, taken = shut(face(open=0.0)), face(open=2.2)
    window, covered = mouth_window(wanted, taken, PLATE), lower_face_window(taken, PLATE)
    skin = np.full((*window.shape, 3), 0.5, np.float32)
    white = np.full((*covered.shape, 3), 5.0, np.float32)
    painter = InnerMouthPainter(WeightsSet("empty", tmp_path))
    filled = painter.fill(
        skin, white, covered, warp_mouth(wanted, taken, window), wanted, taken, window, 1.0
    )
    assert filled.max() <= 0.5  # at most shaded where the lips touch


def test_the_network_paints_what_the_source_never_showed(face, tmp_path):
    torch.manual_seed(0)
    network = InnerMouth(InnerMouthConfig((8, 16)))
    save_network(tmp_path / "inner_mouth.safetensors", network, kind="inner_mouth", record={})
    with_network = InnerMouthPainter(WeightsSet("tiny", tmp_path))
    without = InnerMouthPainter(WeightsSet("none", tmp_path / "none"))
    wanted, closed, wide = face(open=2.0), shut(face(open=0.0)), face(open=2.5)
    window = mouth_window(wanted, wide, PLATE)
    skin = np.full((*window.shape, 3), 0.5, np.float32)
    changed = {}
    for name, taken in (("closed", closed), ("wide", wide)):
        covered = lower_face_window(taken, PLATE)
        shown = np.full((*covered.shape, 3), 0.4, np.float32)
        warp = warp_mouth(wanted, taken, window)
        pictures = [
            painter.fill(skin, shown, covered, warp, wanted, taken, window, 1.0)
            for painter in (with_network, without)
        ]
        changed[name] = float(np.abs(pictures[0] - pictures[1]).max())
        outside = warp.inside == 0
        assert np.array_equal(pictures[0][outside], pictures[1][outside])
    assert changed["closed"] > 0.01
    assert changed["wide"] == 0
