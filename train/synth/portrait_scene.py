"""A photograph that speaks: its mouth warped and painted, before a camera that moves."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import torch

from lipcore.shapes.basis import ShapeBasis
from lipcore.synthesis.inner_mouth import InnerMouthPainter
from lipcore.synthesis.matte import mouth_matte, mouth_window
from lipcore.synthesis.warp import look_up, warp_mouth
from lipcore.tracking.head import CROP_ORIGIN, CROP_SIDE, apply_similarity, crop_transform
from lipcore.types import FloatArray, Window
from lipcore.weights import find_weights

from .mouth import draw_habits
from .picture import develop, draw_lens
from .portrait import Portrait, PortraitMouth
from .scene import RATE, Scene, drift, times_of
from .sentences import draw_speech

_FIELD = 5.0
"""Side of what is kept of the photograph, interocular units."""
_ZOOM = 1.2
"""Pixels of the kept photograph a pixel of the crop: no camera comes nearer."""
_FEATHER = 0.1


class PortraitScene(Scene):
    """A portrait, as it is or mirrored, that says something.

    Args:
        portrait: Whose.
        rng: Of speech, camera, light and motion.
        size: Side of the crop in pixels.
        count: N frames.
        voices: Whose speech, from ``sentences.find_voices``.
    """

    def __init__(
        self, portrait: Portrait, rng: np.random.Generator, size: int, count: int,
        voices: tuple[str, ...],
    ) -> None:  # fmt: skip
        times = times_of(count)
        self._noise = rng
        picture, landmarks = portrait.views[int(rng.integers(len(portrait.views)))]
        self._photo, self._landmarks = _enlarge(picture, landmarks, size)
        habits = draw_habits(rng)
        lens = draw_lens(rng)
        tint = np.exp(rng.normal(0, 0.06) * np.array([1.0, 0.0, -1.2]))
        self._lens, self._light = lens, tint.astype(np.float32)
        sound, phonemes = draw_speech(rng, count / float(RATE), voices)
        super().__init__(round(1.5 * size / 2) * 2, sound, phonemes, habits, count)
        still = rng.normal(0, [0.04, 0.08, 0.08, np.radians(4)])
        reach = np.array([0.04, 0.06, 0.06, np.radians(2.5)]) * rng.uniform(0.3, 1.2)
        self._moves = still + reach * drift(rng, times, 4)
        """(N, 4) zoom (log), pan (interocular units) and roll (radians)."""
        self._mouth = PortraitMouth(self._landmarks, ShapeBasis.load(find_weights("base")))
        self._px = size / CROP_SIDE
        """Pixels an interocular unit where the camera does not zoom."""

    def take(self, number: int) -> tuple[bytes, float, float]:
        """See ``Scene``."""
        wanted, opening, width = self._mouth.place(self.visemes[number])
        shown = self._speak(wanted)
        matrix = self._camera(self._moves[number])
        side = self.info.display.width
        seen = cv2.warpAffine(
            shown, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        linear = np.clip(np.asarray(seen, np.float32), 0, 1)
        linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
        # What ``develop`` takes from the lights is given first, or a photograph would fade.
        light = linear / np.maximum(1 - 0.25 * linear, 0.5) * self._light
        return develop(light.astype(np.float32), self._lens, self._noise), opening, width

    def _speak(self, wanted: FloatArray) -> FloatArray:
        """The photograph with another mouth."""
        bounds = Window(0, 0, self._photo.shape[1], self._photo.shape[0])
        window = mouth_window(self._landmarks, wanted, bounds, feather=_FEATHER)
        alpha, _ = mouth_matte(self._landmarks, wanted, window, feather=_FEATHER)
        warp = warp_mouth(wanted, self._landmarks, window)
        skin = look_up(self._photo, bounds, warp.lookup)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # so that the same seed gives the same bytes on any machine
        try:
            made = _painter().fill(
                skin, self._photo, bounds, warp, wanted, self._landmarks, window, 1.0
            )
        finally:
            torch.set_num_threads(threads)
        out = self._photo.copy()
        part = out[window.slices_in(bounds)]
        part += alpha[..., None] * (made - part)
        return out

    def _camera(self, move: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(2, 3) from pixel indices of the photograph to those of a picture."""
        zoom, x, y, roll = (float(v) for v in move)
        scale = min(np.exp(zoom) / _ZOOM, 1.0)
        half = (self.info.display.width - 1) / 2
        matrix = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        middle = (np.array(self._photo.shape[1::-1]) - 1) / 2
        shift = half + np.array([x, y]) * self._px - matrix @ middle
        return np.concatenate([matrix, shift[:, None]], axis=1)


@cache
def _painter() -> InnerMouthPainter:
    return InnerMouthPainter(find_weights("base"))


def _enlarge(
    picture: npt.NDArray[np.uint8], landmarks: FloatArray, size: int
) -> tuple[FloatArray, FloatArray]:
    """The photograph about the face, upright, 0-1, and its landmarks; its border is mirrored."""
    side = round(size * _ZOOM * _FIELD / CROP_SIDE)
    crop = crop_transform(landmarks).astype(np.float64) * CROP_SIDE
    middle = np.array(CROP_ORIGIN) + CROP_SIDE / 2
    crop[:, 2] += np.array(CROP_ORIGIN) - middle + _FIELD / 2
    crop *= side / _FIELD  # pixels, edges at whole numbers
    shrink = float(np.hypot(crop[0, 0], crop[1, 0]))
    shown = picture.astype(np.float32) / 255
    if shrink < 0.7:
        shown = np.asarray(
            cv2.GaussianBlur(shown, (0, 0), 0.5 * float(np.sqrt(1 / shrink**2 - 1))), np.float32
        )
    centers = crop.copy()
    centers[:, 2] += crop[:, :2].sum(axis=1) * 0.5 - 0.5
    made = cv2.warpAffine(
        shown, centers, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    placed = landmarks.copy()
    placed[:, :2] = apply_similarity(crop.astype(np.float32), landmarks[:, :2])
    placed[:, 2] *= np.float32(shrink)
    return np.clip(np.asarray(made, np.float32), 0, 1), placed
