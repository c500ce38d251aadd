"""The mask that hides the mouth from V_p."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lipcore.tracking.head import JAW_LINE, NOSE_BASE
from lipcore.types import FloatArray

Mask = Literal["edge", "half"]
"""``edge``: from the nose base to the bottom edge, over the face's width; ``half``: the crop's
lower half, whatever lies there, as the paper has it."""

MARGIN = 0.02
"""Growth of the mask at inference, as a share of the crop's side."""


def lower_face_box(landmarks: FloatArray) -> FloatArray:
    """Where the mask of a face lies.

    Args:
        landmarks: (N, 478, 2) in the crop, whose corners are (0, 0) and (1, 1).

    Returns:
        (N, 4): x of the face's middle, y of the nose base, half the face's width, and 0.
    """
    jaw = landmarks[:, list(JAW_LINE), 0]
    left, right = jaw.min(1), jaw.max(1)
    out = np.zeros((len(landmarks), 4), np.float32)
    out[:, 0] = (left + right) / 2
    out[:, 1] = landmarks[:, NOSE_BASE, 1]
    out[:, 2] = (right - left) / 2
    return out


def hide_lower_face(
    crops: Tensor, boxes: Tensor, margin_px: Tensor | float, mask: Mask = "edge"
) -> Tensor:
    """Crops with grey (0) over the lower face.

    Jaw and cheeks tell what the mouth does as well as lips do, so they are hidden too.

    Args:
        crops: (B, 3, S, S) in [-1, 1].
        boxes: (B, 4) of ``lower_face_box``, in pixels.
        margin_px: Growth to the sides and upwards, one for all or (B,).
        mask: What is hidden.

    Returns:
        (B, 3, S, S).
    """
    # Made of the crops rather than for their device, which a traced graph would be bound to.
    at = torch.ones_like(crops[0, 0, 0], dtype=torch.float32).cumsum(0) - 0.5
    if isinstance(margin_px, Tensor):
        margin = margin_px.to(crops).expand(crops.shape[0])
    else:
        margin = torch.full_like(boxes[:, 0], margin_px)
    if mask == "half":
        above_half = at[None] < crops.shape[-1] / 2 - margin[:, None]
        return crops * above_half[:, None, :, None]
    beside = (at[None] - boxes[:, 0, None]).abs() > (boxes[:, 2] + margin)[:, None]
    above = at[None] < (boxes[:, 1] - margin)[:, None]
    shown = above[:, :, None] | beside[:, None, :]
    return crops * shown[:, None]
