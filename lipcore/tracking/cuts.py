"""Scene cuts, from small pictures of consecutive frames.

A cut changes both which colours a frame holds and where things are. Motion keeps the colours;
a change of light keeps the structure; so the two differences are multiplied. A flash also
jumps, but comes back: a jump is taken back when the picture before it returns within a few
frames. Measured on 19 talking clips: 0.07 is the largest difference inside a clip; between
clips it is 0.35 or more, and 0.1 to 0.5 between takes on one set.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from lipcore.tracking.networks import Picture
from lipcore.types import FloatArray

_Signature = tuple[FloatArray, FloatArray]
_SIZE = (64, 36)
_FLASH_FRAMES = 4
"""A picture that returns after at most so many frames was only interrupted."""
_STEADY_FACTOR = 12.0
"""In a still shot a smaller jump is a cut too: so many times the usual difference."""


class CutDetector:
    """Feed it each frame's small picture in order; it says which frames begin a scene.

    Args:
        threshold: The jump that is always a cut, 0-1; a higher one finds fewer.
    """

    def __init__(self, threshold: float = 0.3) -> None:
        self._threshold = threshold
        self._past: deque[_Signature] = deque(maxlen=_FLASH_FRAMES)
        self._before: tuple[int, list[_Signature]] | None = None
        self._jumps: deque[float] = deque(maxlen=12)
        self._cuts: list[int] = []

    @property
    def cuts(self) -> tuple[int, ...]:
        """The frames that begin a scene, flashes taken back."""
        return tuple(self._cuts)

    def begins_scene(self, number: int, picture: Picture) -> bool:
        """True where this frame does not continue the one before.

        The answer is for tracking, which must react at once; ``cuts`` is the final word.

        Args:
            number: The frame.
            picture: The whole frame, small, uint8 sRGB; at least 64 pixels wide is best.
        """
        signature = _signature(picture)
        jump = _difference(signature, self._past[-1]) if self._past else 0.0
        usual = max(float(np.median(self._jumps)), 0.002) if len(self._jumps) >= 4 else 1.0
        cut = jump > self._threshold or (
            jump > self._threshold / 3 and jump > _STEADY_FACTOR * usual
        )
        if cut and not self._returns(number, signature):
            self._before = number, list(self._past)
            self._cuts.append(number)
        if cut:
            self._past.clear()
        else:
            self._jumps.append(jump)
        self._past.append(signature)
        return cut

    def _returns(self, number: int, signature: _Signature) -> bool:
        """Take back a recent jump if the picture before it is here again."""
        if self._before is None:
            return False
        began, past = self._before
        if number - began > _FLASH_FRAMES:
            return False
        if min(_difference(signature, other) for other in past) > self._threshold / 3:
            return False
        self._cuts.remove(began)
        self._before = None
        return True


def _signature(picture: Picture) -> _Signature:
    """Histogram of hue, saturation and value; structure: local contrast free of exposure."""
    small = cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    histogram = cv2.calcHist([hsv], [0, 1, 2], None, [8, 4, 8], [0, 180, 0, 256, 0, 256])
    histogram = cv2.GaussianBlur(histogram.reshape(32, 8), (3, 3), 0).ravel()
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    local = gray - cv2.GaussianBlur(gray, (0, 0), 6)
    local /= local.std() + 4.0
    colors: FloatArray = (histogram / max(float(histogram.sum()), 1e-6)).astype(np.float32)
    structure: FloatArray = cv2.GaussianBlur(local, (0, 0), 1.5).astype(np.float32)
    return colors, structure


def _difference(a: _Signature, b: _Signature) -> float:
    """0 for the same picture, about 1 for unrelated ones: geometric mean of both parts."""
    color = float(np.sqrt(max(0.0, 1.0 - float(np.sqrt(a[0] * b[0]).sum()))))  # Hellinger
    x, y = a[1].ravel(), b[1].ravel()
    sizes = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    if min(sizes) > 1e-3:
        structure = 1.0 - float(x @ y) / (sizes[0] * sizes[1])
    else:  # black, or a card: like another flat picture, unlike any that shows something
        structure = float(max(sizes) > 1e-3)
    return float(np.sqrt(color * np.clip(structure, 0, 1)))
