"""Each bound, from figures that are known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from lipcore.train.prepare.quality import PictureMeter, figures, measure_face, reasons
from lipcore.train.prepare.settings import QualityBounds
from lipcore.train.prepare.spans import Span

from lipcore.tracking.head import canonical_head
from lipcore.types import FloatArray, Window

from .test_spans import track_of

BOUNDS = QualityBounds()
DISPLAY = Window(0, 0, 640, 480)


def span_of(yaw_deg: float = 0, scale: float = 80, x: float = 320, sure: float = 1.0) -> Span:
    angle = np.deg2rad(yaw_deg)
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0],
                     [np.sin(angle), 0, np.cos(angle)]])  # fmt: skip
    marks = (canonical_head() @ turn.T * scale + [x, 200, 0]).astype(np.float32)
    track = track_of(np.ones(30, bool))
    known = replace(track, landmarks=np.repeat(marks[None], 30, 0),
                    confidence=np.full(30, sure, np.float32))  # fmt: skip
    return Span(known, np.arange(1, 31), Fraction(25), Fraction(0))


@pytest.mark.parametrize(("span", "reason"), [
    (span_of(), ""),
    (span_of(yaw_deg=-60), "the head is turned away (60 degrees, at most 45 degrees"),
    (span_of(scale=25), "the face is too small (4"),
    (span_of(x=20), "the face leaves the picture (24% of it"),
    (span_of(sure=0.4), "the tracker is not sure of the face (0.40, at least 0.80"),
])  # fmt: skip
def test_what_a_track_tells(span: Span, reason: str) -> None:
    told = reasons(measure_face(span, DISPLAY, BOUNDS))
    assert told.startswith(reason) and bool(told) == bool(reason)


def test_all_that_fails_is_told() -> None:
    told = reasons(measure_face(span_of(yaw_deg=60, sure=0.1), DISPLAY, BOUNDS))
    assert told.count(";") == 1 and "turned" in told and "not sure" in told


def crop() -> FloatArray:
    from skimage.data import astronaut

    return np.asarray(cv2.resize(astronaut()[40:260, 120:340], (256, 256)), np.float32)


@pytest.mark.parametrize(("picture", "failing"), [
    (crop(), []), (crop() * 0.45, []), (crop() * 0.1, ["light"]),
    (cv2.GaussianBlur(crop(), (0, 0), 4), ["sharpness"]), (crop() * 3, ["clipped"]),
])  # fmt: skip
def test_what_pictures_tell(picture: FloatArray, failing: list[str]) -> None:
    meter = PictureMeter()
    for gain in (1.0, 0.98):
        meter.look((picture * gain).clip(0, 255).astype(np.uint8))
    bounds = meter.bounds(BOUNDS)
    assert [b.name for b in bounds if not b.holds] == failing, figures(bounds)
