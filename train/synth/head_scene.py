"""The morphable head before a camera."""

from __future__ import annotations

import numpy as np

from lipcore.types import FloatArray

from .head import Head
from .mouth import Mouth, blinks, tongue_track
from .person import draw_person
from .picture import draw_camera, take
from .scene import RATE, Scene, drift, times_of
from .sentences import draw_speech


class HeadScene(Scene):
    """A person who never lived, drawn by chance.

    Args:
        head: The mesh.
        rng: Of person, camera, speech and motion.
        size: Side of the crop in pixels.
        count: N frames.
        voices: Whose speech, from ``sentences.find_voices``.
    """

    def __init__(
        self, head: Head, rng: np.random.Generator, size: int, count: int, voices: tuple[str, ...]
    ) -> None:
        times = times_of(count)
        self._head, self._noise = head, rng
        self._person = draw_person(head, rng)
        points, habits = self._person.points, self._person.habits
        self._camera = draw_camera(rng, crop_px=size, interocular=head.interocular(points))
        sound, phonemes = draw_speech(rng, count / float(RATE), voices)
        super().__init__(self._camera.size, sound, phonemes, habits, count)
        self._features = np.zeros((count, len(head.names)), np.float32)
        """(N, 57) lids and brows."""
        lids, brows = blinks(rng, times), drift(rng, times, 2)
        for side in ("_L", "_R"):
            self._features[:, head.index("eyeBlink" + side)] = lids
            for name, column in (("browInnerUp", 0), ("browOuterUp", 0), ("browDown", 1)):
                self._features[:, head.index(name + side)] = np.clip(0.3 * brows[:, column], 0, 1)
        still = np.radians(rng.normal(0, [7, 4, 3]))
        moved = np.radians([4, 3, 2]) * rng.uniform(0.3, 1.2) * drift(rng, times, 3)
        self._turns = (still + moved).astype(np.float32)
        """(N, 3) yaw, pitch and roll in radians."""
        self._shifts = (rng.normal(0, 0.4, 2) + 0.3 * drift(rng, times, 2)).astype(np.float32)
        """(N, 2) cm."""
        self._tongue = tongue_track(phonemes, times)
        self._mouth = Mouth(head, points, habits)

    def take(self, number: int) -> tuple[bytes, float, float]:
        """See ``Scene``."""
        viseme = self.visemes[number]
        weights = self._mouth.weights(viseme) + self._features[number]
        points, opening, width = self._mouth.place(viseme, weights, float(self._tongue[number]))
        code = take(
            self._head, self._person, self._camera, points, _rotation(self._turns[number]),
            self._shifts[number], self._noise,
        )  # fmt: skip
        return code, opening, width


def _rotation(turn: FloatArray) -> FloatArray:
    """(3, 3) of yaw, pitch and roll in radians."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(turn), np.sin(turn)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    out: FloatArray = (roll @ pitch @ yaw).astype(np.float32)
    return out
