"""Lips in one face against those that really said the line in another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipcore.cache import Cache
from lipcore.evaluate.said import SaidBy, SaidLips, compare_lips, read_lips


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_lips_that_follow_another_are_found_however_late(late: int) -> None:
    stream = np.random.default_rng(2).uniform(0, 0.1, 120).astype(np.float32)
    theirs, ours = stream[10:90], stream[10 - late : 90 - late]
    opened, wide, lag = compare_lips(SaidLips(theirs, theirs[::-1].copy()), ours, theirs)
    assert lag == late and (opened > 0.99) == (late == 0) and abs(wide) < 0.5


def test_they_are_read_at_the_moments_of_another_rate(portrait_plate: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    whole = read_lips(SaidBy(portrait_plate), 12, 24.0, cache)
    twice = read_lips(SaidBy(portrait_plate), 24, 48.0, cache)
    later = read_lips(SaidBy(portrait_plate, lag_frames=2), 12, 24.0, cache)
    assert whole.opening.shape == (12,) and np.isfinite(whole.opening).all()
    assert twice.opening[1:-2:2] == pytest.approx(
        whole.opening[:-1] + (whole.opening[1:] - whole.opening[:-1]) / 4, abs=1e-6
    )
    assert np.isnan(later.opening[:2]).all()
    assert later.opening[2:] == pytest.approx(whole.opening[:-2], abs=5e-4)
    assert later.width[2:] == pytest.approx(whole.width[:-2], abs=5e-4)
