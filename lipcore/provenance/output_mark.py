"""Putting a text's mark into finished mouths, and nowhere else.

What the mark changes is worked out on a display-referred copy of the mouth and carried back
through the shot's color transform as a difference: a plate in floating point loses nothing by it.
The change is weighted by the matte and becomes part of the patch, so that
``full == plate * (1 - alpha) + patch`` holds as without a mark.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from lipcore.media.color import ColorTransform
from lipcore.provenance.pattern import SIZE, draw_pattern
from lipcore.provenance.watermark import Picture, embed, require_package, text_bits
from lipcore.shot import WatermarkMethod
from lipcore.synthesis.interface import MouthRenderer
from lipcore.tracking.align import sample, uncrop_map
from lipcore.types import FaceTrack, FloatArray, Frame, Patch, Window

LEAST_PSNR_DB = 40.2
"""Of the change by ``pattern``, display-referred, over all pixels under the matte."""
BOX = (0.22, 0.5, 0.78, 0.92)
"""The mouth's box in the canonical crop (x0, y0, x1, y1), which the method ``blocks`` fills."""
BOX_PX = 144
"""Pixels along its sides: room for the bits of four letters."""


def box_transform(transform: FloatArray, scale: float = 1.0) -> FloatArray:
    """From plate pixels to the mouth's box, whose corners become (0, 0) and (1, 1).

    Args:
        transform: ``(2, 3)`` plate pixels to canonical crop.
        scale: Above 1 takes a smaller box about the same middle.
    """
    x0, y0, x1, y1 = BOX
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    size = np.array([x1 - x0, y1 - y0]) / scale
    out = transform.astype(np.float64) / size[:, None]
    out[:, 2] += 0.5 - middle / size
    return out.astype(np.float32)


def as_picture(shown: FloatArray) -> Picture:
    """Display-referred pixels, 0-1, as the package for watermarks takes them."""
    picture: Picture = (np.clip(np.nan_to_num(shown), 0, 1) * 255 + 0.5).astype(np.uint8)
    return picture


class OutputMark:
    """Marks patches with a text.

    Args:
        text: What it says, or, for the method ``pattern``, the key by which it is found.
        method: ``pattern`` or ``blocks``.
        color: Between the plate's encoding and display-referred values.

    Raises:
        DependencyError: The method's package is absent.
    """

    def __init__(self, text: str, method: WatermarkMethod, color: ColorTransform) -> None:
        self._text, self._method, self._color = text, method, color
        if method == "blocks":
            require_package()

    def apply(self, frame: Frame, patch: Patch, transform: FloatArray) -> Patch:
        """The patch with the mark in it.

        Args:
            frame: The plate's frame.
            patch: Its new mouth.
            transform: ``(2, 3)`` plate pixels to canonical crop.
        """
        alpha = patch.alpha[..., None]
        window = patch.window
        area = frame.rgb[window.slices_in(frame.window)]
        with np.errstate(invalid="ignore", over="ignore"):
            kept = np.where(alpha < 1, area * (1 - alpha), np.float32(0))
            shown = self._color.to_display(np.nan_to_num(kept + patch.rgb))
            change = self._change(shown, window, transform) * alpha
            if self._method == "pattern":
                change = _limited(change, patch.alpha)
            there = self._color.from_display(shown + change) - self._color.from_display(shown)
        there = np.where((alpha > 0) & np.isfinite(there), there, np.float32(0))
        return replace(patch, rgb=(patch.rgb + there).astype(np.float32))

    def _change(self, shown: FloatArray, window: Window, transform: FloatArray) -> FloatArray:
        """What is added to the display-referred picture under full alpha."""
        if self._method == "pattern":
            pattern = draw_pattern(self._text)
            # Half a pixel of the evidence's grid: there, waves begin at a pixel's centre.
            at = (uncrop_map(transform, window) - 0.5 / SIZE) * pattern.shape[0]
            return _look_up(pattern, at)
        to_box = box_transform(transform)
        picture = as_picture(sample(shown, window, to_box, BOX_PX))
        marked = embed(picture, text_bits(self._text))
        change = (marked.astype(np.float32) - picture) / np.float32(255)
        at = uncrop_map(to_box, window) * BOX_PX - np.float32(0.5)
        return _look_up(change, at)


def _limited(change: FloatArray, alpha: FloatArray) -> FloatArray:
    """The change, weakened where under a hard matte it were more than is promised."""
    squares = float(np.mean(np.square(change[alpha > 0], dtype=np.float64))) if alpha.any() else 0.0
    least = 10 ** (-LEAST_PSNR_DB / 20)
    return change * np.float32(min(1.0, least / max(np.sqrt(squares), 1e-9)))


def _look_up(picture: FloatArray, at: FloatArray) -> FloatArray:
    return np.asarray(cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_LINEAR), np.float32)


class MarkedRenderer:
    """Another renderer's mouths, marked.

    Args:
        renderer: Draws them.
        track: The face over the frames of the render.
        mark: Goes into them.
    """

    def __init__(self, renderer: MouthRenderer, track: FaceTrack, mark: OutputMark) -> None:
        self.name = renderer.name
        self._renderer, self._track, self._mark = renderer, track, mark

    @property
    def sources(self) -> dict[int, tuple[tuple[int, float], ...]]:
        """See ``MouthRenderer``."""
        return self._renderer.sources

    def render(self, frame: Frame) -> Patch | None:
        """See ``MouthRenderer``."""
        patch = self._renderer.render(frame)
        if patch is None:
            return None
        transform = self._track.transforms[self._track.frames.index(frame.number)]
        return self._mark.apply(frame, patch, transform)
