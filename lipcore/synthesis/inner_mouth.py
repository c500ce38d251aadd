"""What shows between the lips: the shot's own teeth where it has them, else a network's."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lipcore.cache import Cache
from lipcore.models.inner_mouth import (
    BOX_HEIGHT,
    BOX_ORIGIN,
    BOX_SIDE,
    BOX_WIDTH,
)
from lipcore.runtime.backends import open_graph
from lipcore.runtime.graphs import build_graph
from lipcore.synthesis.warp import MouthFrame, MouthWarp, interocular_px, look_up
from lipcore.tracking.head import (
    CROP_ORIGIN,
    CROP_SIDE,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    crop_transform,
)
from lipcore.types import FloatArray, Window
from lipcore.weights import WeightsSet

_KIND = "inner_mouth"
_TRUST_FROM, _TRUST_ALL = 0.25, 0.6
"""Opening of the source over the wanted one: below the first its inside is not used as it
is, above the second nothing else is."""
_LEAST_OPENING = 0.012
"""Interocular units; below it there is nothing to paint."""
_SUBPIXEL = 16


def mouth_box(landmarks: FloatArray) -> FloatArray:
    """The mouth box of a face: a fixed place of the skull, whatever the mouth does.

    Args:
        landmarks: ``(478, 3)`` in square pixels.

    Returns:
        ``(2, 3)`` similarity from square pixels to pixels of the box.
    """
    matrix = crop_transform(landmarks) * CROP_SIDE
    matrix[:, 2] += np.asarray(CROP_ORIGIN, np.float32) - np.asarray(BOX_ORIGIN, np.float32)
    out: FloatArray = (matrix * (BOX_WIDTH / BOX_SIDE)).astype(np.float32)
    return out


def box_picture(
    picture: FloatArray, window: Window, box: FloatArray, pixel_aspect: float
) -> FloatArray:
    """Resample a picture into the mouth box, ``(BOX_HEIGHT, BOX_WIDTH, 3)``.

    Args:
        picture: ``(h, w, 3)`` that covers ``window`` of the plate.
        window: What it covers.
        box: From ``mouth_box``.
        pixel_aspect: Of the plate.
    """
    matrix = _window_to_box(window, box, pixel_aspect)
    shrink = np.hypot(matrix[0, 0], matrix[1, 0])
    if shrink < 0.7:
        sigma = 0.5 * float(np.sqrt(1 / shrink**2 - 1))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
    made = cv2.warpAffine(
        picture, matrix, (BOX_WIDTH, BOX_HEIGHT), flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(made, np.float32)


def box_inside(landmarks: FloatArray, box: FloatArray) -> FloatArray:
    """Coverage of the region between the inner lips, ``(BOX_HEIGHT, BOX_WIDTH)`` in 0-1."""
    line = landmarks[[*LIPS_INNER_UPPER, *LIPS_INNER_LOWER[::-1]], :2]
    polygon = line @ box[:, :2].T + box[:, 2] - 0.5
    mask = np.zeros((BOX_HEIGHT, BOX_WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.round(polygon * _SUBPIXEL).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    out: FloatArray = mask.astype(np.float32) / 255
    return out


def _window_to_box(
    window: Window, box: FloatArray, pixel_aspect: float
) -> npt.NDArray[np.float64]:
    """Affine from pixel indices of the window to pixel indices of the box."""
    matrix = box.astype(np.float64)
    matrix[:, 0] *= pixel_aspect
    matrix[:, 2] += matrix[:, :2] @ np.array([window.x + 0.5, window.y + 0.5]) - 0.5
    return matrix


class InnerMouthPainter:
    """Fills the region between the wanted inner lips.

    Args:
        weights: Where the inner-mouth network comes from. Without one in them, the source's
            own inner mouth is stretched instead.
        device: Where the network runs.
        backend: What runs it, see ``runtime.backends``.
        cache: Keeps what the backend builds.
    """

    def __init__(
        self, weights: WeightsSet, device: str = "cpu", *, backend: str = "torch",
        cache: Cache | None = None,
    ) -> None:
        self._network = (
            open_graph(build_graph(_KIND, weights), backend, device=device, cache=cache)
            if weights.has(_KIND)
            else None
        )

    def fill(
        self,
        skin: FloatArray,
        shown: FloatArray,
        covered: Window,
        warp: MouthWarp,
        wanted: FloatArray,
        taken: FloatArray,
        window: Window,
        pixel_aspect: float,
    ) -> FloatArray:
        """A made mouth with its inside.

        Args:
            skin: ``(h, w, 3)`` display-referred, the warped and relit skin and lips.
            shown: ``(H, W, 3)`` the source's lower face, display-referred.
            covered: What ``shown`` covers.
            warp: How the source was carried here.
            wanted: ``(478, 3)`` landmarks of the new mouth, square pixels.
            taken: ``(478, 3)`` landmarks of the source.
            window: What ``skin`` covers.
            pixel_aspect: Of the plate.
        """
        skin = skin * (1 - warp.contact[..., None])
        if not warp.inside.any():
            return skin
        inner = look_up(shown, covered, warp.inside_lookup)
        share = self._network_share(wanted, taken)
        if share > 0:
            painted = self._paint(skin, shown, covered, wanted, taken, window, pixel_aspect)
            inner = inner + np.float32(share) * (painted - inner)
        inner = inner * (1 - warp.contact[..., None])
        out: FloatArray = skin + warp.inside[..., None] * (inner - skin)
        return out

    def _network_share(self, wanted: FloatArray, taken: FloatArray) -> float:
        """How much the network has to say: all where the source's mouth was shut."""
        opening = MouthFrame.of(wanted).opening / interocular_px(wanted)
        if self._network is None or opening < _LEAST_OPENING:
            return 0.0
        had = MouthFrame.of(taken).opening / interocular_px(taken)
        trust = np.clip((had / opening - _TRUST_FROM) / (_TRUST_ALL - _TRUST_FROM), 0, 1)
        return float(1 - trust * trust * (3 - 2 * trust))

    def _paint(
        self,
        skin: FloatArray,
        shown: FloatArray,
        covered: Window,
        wanted: FloatArray,
        taken: FloatArray,
        window: Window,
        pixel_aspect: float,
    ) -> FloatArray:
        """The network's inner mouth over the window, ``(h, w, 3)``."""
        assert self._network is not None
        box, source_box = mouth_box(wanted), mouth_box(taken)
        (painted,) = self._network.run(
            _planes(box_picture(skin, window, box, pixel_aspect)),
            _planes(box_inside(wanted, box)),
            _planes(box_picture(shown, covered, source_box, pixel_aspect)),
            _planes(box_inside(taken, source_box)),
        )
        picture = painted[0].transpose(1, 2, 0)
        matrix = _window_to_box(window, box, pixel_aspect)
        made = cv2.warpAffine(
            np.ascontiguousarray(picture), matrix, (window.width, window.height),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(made, np.float32)


def _planes(picture: FloatArray) -> FloatArray:
    """``(H, W)`` or ``(H, W, 3)`` as a network takes it, ``(1, C, H, W)``."""
    planes = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
    return np.ascontiguousarray(planes[None], np.float32)
