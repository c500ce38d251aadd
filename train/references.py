"""Which frame shows the generator the person: the reference."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .latents import LatentClip

Reference = Literal["closed", "near", "same"]
"""``closed``: another frame, mostly one with a closed mouth. ``near``: another frame of the same
pose, its mouth closed or else unlike. ``same``: the frame that is made, which shows the mouth
that shall be drawn: what the paper does at inference."""


def draw_reference(
    rng: np.random.Generator,
    source: LatentClip,
    frames: list[int],
    way: Reference,
    *,
    apart: int,
    closed_share: float,
) -> list[int]:
    """References of a run of successive frames, one each, to train on.

    Args:
        rng: Where all chance comes from.
        source: The clip.
        frames: The run.
        way: How they are chosen.
        apart: Least distance from the run, but for ``same``.
        closed_share: How often one of the most closed mouths is taken.
    """
    if way == "same":
        return frames
    every = np.arange(source.clip.frames)
    far = every[(every <= frames[0] - apart) | (every >= frames[-1] + apart)]
    if not len(far):
        far = every
    middle = frames[len(frames) // 2]
    if way == "near":
        turned = np.linalg.norm(source.clip.angles[far] - source.clip.angles[middle], axis=1)
        far = far[turned <= np.quantile(turned, 1 / 3)]
    if rng.random() < closed_share:
        far = far[source.opening[far] <= np.quantile(source.opening[far], 0.2)]
    elif way == "near":
        unlike = np.abs(source.opening[far] - source.opening[middle])
        far = far[unlike >= np.median(unlike)]
    return [int(rng.choice(far))] * len(frames)


def pick_references(source: LatentClip, frames: list[int], way: Reference) -> list[int]:
    """References of frames at inference: one for the whole clip, or each frame itself."""
    if way == "same":
        return frames
    opening = source.opening
    if way == "closed":
        return [int(opening.argmin())] * len(frames)
    angles = source.clip.angles
    turned = np.linalg.norm(angles - np.median(angles, axis=0), axis=1)
    cost = (opening - opening.min()) / max(float(opening.std()), 1e-6) + turned / 10.0
    return [int(cost.argmin())] * len(frames)
