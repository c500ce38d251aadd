"""How good a segment is to learn from, in figures and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lipcore.tracking.align import to_square
from lipcore.tracking.head import fit_pose
from lipcore.types import Window

from ..shards import Picture
from .settings import QualityBounds
from .spans import Span

_POSES = 50
"""Frames whose pose is looked at, at most."""
MEASURED_PX = 256
"""Side of the crops (without margin) that ``PictureMeter`` looks at."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure of a segment against its bound."""

    name: str
    value: float
    limit: float
    at_least: bool
    complaint: str
    """What is wrong where it fails."""
    form: str
    """How both figures are written."""

    @property
    def holds(self) -> bool:
        """Whether the segment may stay."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def reason(self) -> str:
        """In words."""
        word = "at least" if self.at_least else "at most"
        value, limit = self.form.format(self.value), self.form.format(self.limit)
        return f"{self.complaint} ({value}, {word} {limit} is asked for)"


def measure_face(span: Span, display: Window, bounds: QualityBounds) -> list[Bound]:
    """What the track tells, without a look at the picture, whose size is ``display``."""
    rows = span.rows
    marks = span.track.landmarks[rows]
    points = marks[:, :468, :2]
    widths = np.ptp(points[..., 0], axis=1)
    beyond = ((points < 0) | (points > (display.width, display.height))).any(2).mean(1)
    chosen = marks[:: max(1, len(marks) // _POSES)]
    poses = [fit_pose(to_square(m, span.track.pixel_aspect)) for m in chosen]
    yaw = np.quantile([abs(pose.angles_deg[0]) for pose in poses], 0.9)
    confidence = span.track.confidence[rows].mean()
    return [
        Bound("face_px", float(np.median(widths)), bounds.least_face_px, True,
              "the face is too small", "{:.0f} px"),
        Bound("yaw_deg", float(yaw), bounds.largest_yaw_deg, False,
              "the head is turned away", "{:.0f} degrees"),
        Bound("outside", float(np.quantile(beyond, 0.9)), bounds.largest_outside, False,
              "the face leaves the picture", "{:.0%} of it"),
        Bound("confidence", float(confidence), bounds.least_confidence, True,
              "the tracker is not sure of the face", "{:.2f}"),
    ]  # fmt: skip


class PictureMeter:
    """Feed it the crops of a segment; it tells what the picture is like."""

    def __init__(self) -> None:
        self._figures: list[tuple[float, float, float]] = []

    def look(self, crop: Picture) -> None:
        """A crop without margin, (256, 256, 3)."""
        face = crop[24:232, 40:216]  # brows to chin, without hair and background
        luma = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
        fine = luma - cv2.GaussianBlur(luma, (0, 0), 2)
        sharpness = float(fine.std() / (luma.std() + 4))
        clipped = float((face.max(2) >= 254).mean())
        self._figures.append((sharpness, float(np.quantile(luma, 0.95)), clipped))

    def bounds(self, bounds: QualityBounds) -> list[Bound]:
        """Medians over the segment."""
        sharpness, light, clipped = np.median(self._figures, axis=0).tolist()
        return [
            Bound("sharpness", sharpness, bounds.least_sharpness, True,
                  "the face is out of focus or enlarged", "sharpness {:.3f}"),
            Bound("light", light, bounds.least_light, True,
                  "the face is too dark", "luma {:.0f}"),
            Bound("clipped", clipped, bounds.largest_clipped, False,
                  "the face is burnt out", "{:.0%} clipped"),
        ]  # fmt: skip


def reasons(bounds: Sequence[Bound]) -> str:
    """All that fails, in words; empty where nothing does."""
    return "; ".join(bound.reason for bound in bounds if not bound.holds)


def figures(bounds: Sequence[Bound]) -> dict[str, Any]:
    """As a segment's facts have them."""
    return {bound.name: round(bound.value, 3) for bound in bounds}
