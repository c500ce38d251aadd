"""Which frames of the shot supply the mouth: the cheapest path through them.

Each asked frame could be drawn from any frame of the shot. A source costs what its mouth
differs from the asked one and what its head is turned otherwise; following the shot's own
order costs nothing, jumping does. The cheapest path is exact, by dynamic programming.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError
from lipcore.types import FloatArray

IntArray = npt.NDArray[np.int64]

_JUMP = 127
"""Stands for a step from anywhere."""


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Prices of a path through the shot's frames."""

    pose_price: float = 0.02
    """For each degree of yaw or pitch between source and target, in interocular units."""
    jump_price: float = 0.035
    """For leaving the shot's own order, in interocular units."""
    near_jump_price: float = 0.008
    """For holding, skipping or reversing one frame."""
    scene_price: float = 0.5
    """For a source of another scene (another side of a cut)."""
    exclude_frames: int = -1
    """Shut out sources within this many frames of the target's own; -1 shuts out none."""

    def __post_init__(self) -> None:
        prices = (self.pose_price, self.jump_price, self.near_jump_price, self.scene_price)
        if min(prices) < 0:
            raise ConfigError(f"prices of a selection must be 0 or more, got {prices}")


def select_sources(
    asked: FloatArray,
    shown: FloatArray,
    asked_angles: FloatArray,
    shown_angles: FloatArray,
    config: SelectionConfig,
    *,
    asked_scene: IntArray,
    shown_scene: IntArray,
    asked_number: IntArray,
    shown_number: IntArray,
) -> IntArray:
    """Choose one source for each asked frame.

    Args:
        asked: ``(N, F)`` asked mouths as lengths in interocular units (distance is Euclidean).
        shown: ``(S, F)`` the shot's own mouths.
        asked_angles: ``(N, 2)`` yaw and pitch of the head, degrees.
        shown_angles: ``(S, 2)`` the same of the sources.
        config: Prices.
        asked_scene: ``(N,)`` which scene each asked frame is in.
        shown_scene: ``(S,)`` the same of the sources.
        asked_number: ``(N,)`` frame numbers.
        shown_number: ``(S,)`` frame numbers, ascending.

    Returns:
        ``(N,)`` indices into the sources.
    """
    count, sources = len(asked), len(shown)
    follows = np.diff(shown_number) == 1
    # One byte a pair, and where the dearest step comes from apart: long shots have many pairs.
    steps = np.empty((count, sources), np.int8)
    jumped_from = np.empty(count, np.int64)
    best = np.zeros(sources)
    for i in range(count):
        cost = np.linalg.norm(shown - asked[i], axis=1).astype(np.float64)
        cost += config.pose_price * np.linalg.norm(shown_angles - asked_angles[i], axis=1)
        cost += config.scene_price * (shown_scene != asked_scene[i])
        if config.exclude_frames >= 0:
            near = np.abs(shown_number - asked_number[i]) <= config.exclude_frames
            if not near.all():
                cost[near] += 1e6
        if i == 0:
            best = cost
            continue
        cheapest = int(best.argmin())
        arrive = np.full(sources, best[cheapest] + config.jump_price)
        steps[i], jumped_from[i] = _JUMP, cheapest
        for step, price in ((0, config.near_jump_price), (2, config.near_jump_price),
                            (-1, config.near_jump_price), (1, 0.0)):
            _offer(arrive, steps[i], best + price, step, follows)
        best = arrive + cost
    path = np.empty(count, np.int64)
    path[-1] = int(best.argmin())
    for i in range(count - 1, 0, -1):
        step = int(steps[i, path[i]])
        path[i - 1] = jumped_from[i] if step == _JUMP else path[i] - step
    return path


def next_source(
    before: int | None,
    asked: FloatArray,
    shown: FloatArray,
    asked_angles: FloatArray,
    shown_angles: FloatArray,
    config: SelectionConfig,
    shown_number: IntArray,
) -> int:
    """The cheapest step from one source to the next, where what follows is not known yet.

    Args:
        before: The source of the frame before; None where there was none.
        asked: ``(F,)`` the asked mouth.
        shown: ``(S, F)`` the sources' mouths.
        asked_angles: ``(2,)`` yaw and pitch of the head, degrees.
        shown_angles: ``(S, 2)`` the same of the sources.
        config: Prices.
        shown_number: ``(S,)`` the sources' frame numbers, ascending.
    """
    cost = np.linalg.norm(shown - asked, axis=1).astype(np.float64)
    cost += config.pose_price * np.linalg.norm(shown_angles - asked_angles, axis=1)
    if before is not None:
        step = shown_number - shown_number[before]
        near = (step >= -1) & (step <= 2)
        cost += np.where(step == 1, 0.0, np.where(near, config.near_jump_price, config.jump_price))
    return int(cost.argmin())


def _offer(
    arrive: FloatArray, steps: npt.NDArray[np.int8], price: FloatArray, step: int,
    follows: npt.NDArray[np.bool_],
) -> None:
    """Improve ``arrive``, and note the step, by coming from the source that far before."""
    size = len(arrive)
    if size <= abs(step):
        return
    to = slice(max(step, 0), size + min(step, 0))
    start = slice(max(-step, 0), size - max(step, 0))
    near = np.ones(size - abs(step), bool)
    for shift in range(abs(step)):
        near &= follows[shift : shift + size - abs(step)]
    better = near & (price[start] < arrive[to])
    arrive[to] = np.where(better, price[start], arrive[to])
    steps[to] = np.where(better, np.int8(step), steps[to])
