"""Jitter and sharpness of mouths that were made."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.evaluate.mouths import shake, sharpness
from lipcore.tracking.head import CHIN, JAW_LINE, LIPS_INNER_LOWER, LIPS_OUTER_LOWER, canonical_head

LOWER = [*LIPS_INNER_LOWER, *LIPS_OUTER_LOWER, *JAW_LINE]


def meshes(drop: np.ndarray) -> np.ndarray:
    """Heads whose lower lip and jaw lie lower by ``drop`` interocular units; the head drifts."""
    heads = np.stack([canonical_head()] * len(drop)).astype(np.float64)
    heads[:, LOWER, 1] += drop[:, None]
    heads = 80 * heads + 100
    heads[..., 0] += np.arange(len(drop))[:, None]
    return heads.astype(np.float32)


def test_steady_motion_does_not_shake() -> None:
    found = shake(meshes(np.linspace(0, 0.2, 12)))
    assert np.isnan(found[[0, -1]]).all()
    assert np.nanmax(found) < 2e-4


def test_a_jump_shows_where_it_is() -> None:
    drop = np.zeros(20)
    drop[10] = 0.1
    found = shake(meshes(drop))
    assert int(np.nanargmax(found)) == 10
    share = len(set(LOWER)) / len({*LOWER, *_upper()})
    assert found[10] == pytest.approx(0.2 * share, rel=0.1)


def test_a_cut_is_no_jump() -> None:
    drop = np.zeros(20)
    drop[10:] = 0.1
    assert np.nanmax(shake(meshes(drop))) > 0.02
    assert np.nanmax(shake(meshes(drop), cuts=[10])) < 1e-4


def test_a_blurred_mouth_is_less_sharp() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    flat = np.full_like(picture, 120)
    assert sharpness(flat) == 0
    assert sharpness(picture) > 4 * sharpness((picture // 3 + 80).astype(np.uint8))


def _upper() -> set[int]:
    from lipcore.tracking.head import LIPS_INNER_UPPER, LIPS_OUTER_UPPER

    assert CHIN in JAW_LINE
    return {*LIPS_INNER_UPPER, *LIPS_OUTER_UPPER}
