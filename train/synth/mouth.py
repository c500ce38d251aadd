"""Speech to the head's expressions: visemes, an exact inner-lip opening, tongue and teeth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipcore.speech.espeak import Phoneme
from lipcore.speech.visemes import PARAMETERS, shapes_of_phonemes
from lipcore.types import FloatArray

from .head import GUMS, TEETH, Head

OPENING_UNIT = 0.034
"""Inner-lip opening, interocular units, of one standard unit of ``open``."""
CLOSED = 0.012
"""Below this opening the gap between the lips evens out along them."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How one person's mouth moves."""

    opening: float = 1.0
    rounding: float = 1.0
    spreading: float = 1.0
    teeth: float = 1.0
    """How far the lips bare the teeth."""
    lead_s: float = 0.03
    """Lips move this much ahead of the sound."""
    skew: float = 0.0
    """-1 to 1: which corner of the mouth is livelier."""
    smile: float = 0.0


def draw_habits(rng: np.random.Generator) -> Habits:
    """How somebody's mouth moves, by chance."""
    return Habits(
        opening=float(rng.uniform(0.7, 1.35)), rounding=float(rng.uniform(0.7, 1.3)),
        spreading=float(rng.uniform(0.7, 1.3)), teeth=float(rng.uniform(0.6, 1.5)),
        lead_s=float(rng.uniform(0.02, 0.045)), skew=float(rng.uniform(-1, 1)),
        smile=float(max(rng.normal(0.0, 0.12), 0.0)),
    )


def viseme_track(
    phonemes: tuple[Phoneme, ...], times_s: FloatArray, habits: Habits
) -> FloatArray:
    """(N, 5) standard units of ``visemes.PARAMETERS``, at times in the sound."""
    track = shapes_of_phonemes(phonemes, times_s + habits.lead_s, PARAMETERS)
    gains = [habits.opening, habits.spreading, habits.rounding, habits.teeth, habits.teeth]
    scaled: FloatArray = (track * np.array(gains, np.float32)).astype(np.float32)
    scaled[:, 0] = np.maximum(scaled[:, 0], 0.0)
    return scaled


def tongue_track(phonemes: tuple[Phoneme, ...], times_s: FloatArray) -> FloatArray:
    """(N,) how far the tip of the tongue is raised behind the teeth, 0-1."""
    raised = np.zeros(len(times_s))
    for p in phonemes:
        if any(c in "tdnlɾɫszθðʃʒ" for c in p.symbol):
            away = np.maximum(np.maximum(p.start_s - times_s, times_s - p.end_s), 0)
            raised = np.maximum(raised, np.exp(-((away / 0.05) ** 2)))
    return raised.astype(np.float32)


def spread_gap(gaps: FloatArray, opening: float) -> FloatArray:
    """(P,) gaps along the inner lips whose mean is the asked opening, in its units.

    Args:
        gaps: (P,) as they are; their profile is kept, but lips never cross, and towards 0 all
            of them close together.
        opening: Asked.
    """
    parted = np.maximum(gaps, 0) + 1e-4
    even = np.clip(1 - opening / CLOSED, 0, 1)
    profile = parted / parted.mean() * (1 - even) + even
    out: FloatArray = profile * max(opening, 0.0)
    return out


class Mouth:
    """One person's mouth: expression weights and lips of a moment, exact in their opening."""

    def __init__(self, head: Head, points: FloatArray, habits: Habits) -> None:
        self._head, self._points, self._habits = head, points, habits
        self._unit = head.interocular(points)
        self._rest = head.gaps(points)
        self._rates = np.stack([head.gaps(shape) for shape in head.expressions], axis=1)
        gums = np.flatnonzero(head.part == GUMS)
        z, x, y = (points[gums, axis] for axis in (2, 0, 1))
        middle = float(np.median(y))
        tip = np.clip((z - 5.5) / 3.0, 0, 1) * np.exp(-((x / 1.6) ** 2))
        self._tip = np.zeros(len(points), np.float32)
        self._tip[gums] = tip * np.exp(-(((y - middle) / 1.2) ** 2))
        self._inside = np.isin(head.part, (GUMS, TEETH))

    def weights(self, viseme: FloatArray) -> FloatArray:
        """(57,) of the expressions, from (5,) standard units."""
        head, h = self._head, self._habits
        opening, wide, pucker, upper, lower = (float(v) for v in viseme)
        closed = max(0.0, 1 - opening / 0.35)
        w = np.zeros(len(head.names), np.float32)
        spread, narrow = max(wide, 0.0), max(-wide, 0.0)
        round_ = max(pucker, 0.0)
        for side, gain in (("_L", 1 + 0.25 * h.skew), ("_R", 1 - 0.25 * h.skew)):
            w[head.index("mouthStretch" + side)] = 0.16 * spread * gain
            w[head.index("mouthSmile" + side)] = (0.16 * spread + h.smile) * gain
            w[head.index("mouthUpperUp" + side)] = max(0.22 * upper + 0.04 * opening, 0.0) * gain
            w[head.index("mouthLowerDown" + side)] = max(0.3 * lower, 0.0) * gain
            w[head.index("mouthPress" + side)] = 0.35 * closed * max(-upper, 0.0) / 0.2
        w[head.index("mouthPucker")] = min(0.26 * round_ + 0.06 * narrow, 0.9)
        w[head.index("mouthFunnel")] = min(0.13 * round_ * min(opening, 1.5), 0.7)
        w[head.index("mouthRollLower")] = min(max(-0.45 * lower, 0.0), 0.7)
        target = opening * OPENING_UNIT * self._unit
        gap = float((self._rest + self._rates @ w).mean())
        rate = float(self._rates[:, head.index("jawOpen")].mean())
        w[head.index("jawOpen")] = np.clip((target - gap) / rate, 0.0, 0.9)
        return w

    def place(
        self, viseme: FloatArray, weights: FloatArray, tongue: float
    ) -> tuple[FloatArray, float, float]:
        """Vertices, inner-lip opening and mouth width of a moment.

        Args:
            viseme: (5,) standard units.
            weights: (57,) of the expressions: ``weights`` of the viseme, and other features.
            tongue: 0-1, how far its tip is raised.

        Returns:
            (V, 3) vertices; opening and width in interocular units.
        """
        head = self._head
        active = np.flatnonzero(weights)
        points = self._points + np.tensordot(weights[active], head.expressions[active], axes=1)
        asked = spread_gap(head.gaps(points) / self._unit, float(viseme[0]) * OPENING_UNIT)
        for _ in range(8):
            missing = asked * self._unit - head.gaps(points)
            if np.abs(missing).max() < 1e-4:
                break
            points[:, 1] += head.lip_field @ -missing
        jaw = float(weights[head.index("jawOpen")])
        points[:, 1] += self._tip * (0.5 * tongue * min(6 * jaw, 1.2) + 0.3 * jaw)
        points[:, 2] += self._tip * 0.5 * tongue
        opening = float(head.gaps(points).mean()) / self._unit
        a, b = head.mouth_corners
        width = float(np.linalg.norm(points[a, :2] - points[b, :2])) / self._unit
        return points, opening, width


def blinks(rng: np.random.Generator, times_s: FloatArray) -> FloatArray:
    """(N,) how far the lids are shut, 0-1: now and then, a sixth of a second each."""
    shut = np.zeros(len(times_s))
    at = rng.uniform(0.3, 3.0)
    while at < times_s[-1]:
        shut = np.maximum(shut, np.exp(-(((times_s - at) / 0.06) ** 2)))
        at += 0.6 + rng.exponential(2.8)
    return shut.astype(np.float32)
