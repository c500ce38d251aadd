"""Named figures point the way that their notes say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipcore.evaluate.expert import ExpertJudge, ExpertMouths
from lipcore.evaluate.figures import Heard, figures_of
from lipcore.evaluate.judges import JUDGES, Judge
from lipcore.evaluate.look import Seen
from lipcore.shapes.measure import inner_opening
from lipcore.tracking.head import LIPS_INNER_LOWER, canonical_head

COUNT = 60
PAIRS = ("psnr", "ssim", "sharp_made", "sharp_real", "seam", "outside", "identity")


def mouths(opening: np.ndarray) -> np.ndarray:
    """``(N, 478, 3)`` meshes of a head in front of the camera whose mouth opens so far."""
    heads = np.repeat(canonical_head()[None], len(opening), axis=0)
    heads[:, list(LIPS_INNER_LOWER[1:-1]), 1] += opening[:, None]
    return (heads * 100 + 300).astype(np.float32)


def seen(
    made: np.ndarray, real: np.ndarray, light: np.ndarray | None = None
) -> Seen:
    shown = np.zeros((COUNT, 48, 48), np.float32) if light is None else light
    rows = {name: np.ones(COUNT, np.float32) for name in PAIRS}
    expert = ExpertMouths(ExpertJudge(), 25.0)
    return Seen(
        mouths(made), mouths(real), shown, shown, rows, 0.0, 0.0, None, False, expert, None
    )


@pytest.mark.parametrize(
    ("as_published", "name", "doubted"),
    [(True, "FVD", False), (None, "FVD", True), (False, "FVD (other weights)", False)],
)
def test_weights_that_nothing_proves_are_noted(
    as_published: bool | None, name: str, doubted: bool
) -> None:
    curve = np.linspace(0, 0.1, COUNT, dtype=np.float32)
    record = {"sha256": "0" * 64, "as_published": as_published}
    judges = {kind: Judge(kind, torch.nn.Identity(), record) for kind in JUDGES}
    named, _ = figures_of(seen(curve, curve), judges, Heard(np.zeros(COUNT, bool), 25.0), ())
    notes = {f.name: f.note for f in named}
    assert ("no hash" in notes[name]) == doubted


def figures(found: Seen, cuts: tuple[int, ...] = ()) -> tuple[dict[str, float], dict]:  # type: ignore[type-arg]
    judges = {kind: Judge(kind, None, None) for kind in JUDGES}
    named, curves = figures_of(found, judges, Heard(np.zeros(COUNT, bool), 25.0), cuts)
    return {f.name: f.value for f in named}, curves


@pytest.mark.parametrize("late", [-3, 0, 4])
def test_the_lag_is_how_far_the_render_is_behind_the_plate(late: int) -> None:
    stream = np.random.default_rng(3).uniform(0, 0.1, COUNT + 20).astype(np.float32)
    real, made = stream[10 : 10 + COUNT], stream[10 - late : 10 - late + COUNT]
    found, curves = figures(seen(made, real))
    assert np.ptp(inner_opening(mouths(real))) > 0.05
    assert found["lips' lag"] == late
    assert curves["opening"].shape == (COUNT,)
