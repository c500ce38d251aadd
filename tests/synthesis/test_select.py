"""The cheapest path through the shot's frames, against every path there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lipcore.errors import ConfigError
from lipcore.synthesis.select import SelectionConfig, select_sources


def node_costs(asked, shown, asked_angles, shown_angles, config, scenes, shown_scenes, numbers,
               shown_numbers):  # fmt: skip
    cost = np.linalg.norm(asked[:, None] - shown[None], axis=-1).astype(np.float64)
    cost += config.pose_price * np.linalg.norm(asked_angles[:, None] - shown_angles[None], axis=-1)
    cost += config.scene_price * (scenes[:, None] != shown_scenes[None])
    if config.exclude_frames >= 0:
        near = np.abs(numbers[:, None] - shown_numbers[None]) <= config.exclude_frames
        cost += 1e6 * (near & ~near.all(1, keepdims=True))
    return cost


def step_cost(before, after, numbers, config):
    """Of going from one source to another: by their places, as far as numbers follow."""
    low, high = sorted((before, after))
    unbroken = numbers[high] - numbers[low] == high - low
    price = {1: 0.0, 0: config.near_jump_price, 2: config.near_jump_price,
             -1: config.near_jump_price}.get(after - before)  # fmt: skip
    return config.jump_price if price is None or not unbroken else min(price, config.jump_price)


def total(path, nodes, numbers, config):
    cost = sum(nodes[i, s] for i, s in enumerate(path))
    return cost + sum(step_cost(a, b, numbers, config) for a, b in itertools.pairwise(path))


def case(seed, count=5, sources=6):
    rng = np.random.default_rng(seed)
    gap = rng.integers(0, sources)
    numbers = 1001 + np.arange(sources) + 3 * (np.arange(sources) > gap)
    return {
        "asked": rng.normal(0, 0.03, (count, 4)).astype(np.float32),
        "shown": rng.normal(0, 0.03, (sources, 4)).astype(np.float32),
        "asked_angles": rng.normal(0, 1.5, (count, 2)).astype(np.float32),
        "shown_angles": rng.normal(0, 1.5, (sources, 2)).astype(np.float32),
        "asked_scene": (np.arange(count) > 2).astype(np.int64),
        "shown_scene": (np.arange(sources) > 3).astype(np.int64),
        "asked_number": 1001 + np.arange(count),
        "shown_number": numbers,
    }


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("exclude", [-1, 1])
def test_no_path_is_cheaper(seed, exclude):
    given = case(seed)
    config = SelectionConfig(exclude_frames=exclude, scene_price=0.02)
    found = select_sources(config=config, **given)
    nodes = node_costs(
        given["asked"], given["shown"], given["asked_angles"], given["shown_angles"], config,
        given["asked_scene"], given["shown_scene"], given["asked_number"], given["shown_number"],
    )
    every = itertools.product(range(6), repeat=5)
    best = min(total(path, nodes, given["shown_number"], config) for path in every)
    assert total(found, nodes, given["shown_number"], config) == pytest.approx(best, abs=1e-6)


def long_case(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "asked": np.zeros((count, 4), np.float32),
        "shown": rng.normal(0, 0.001, (count, 4)).astype(np.float32),
        "asked_angles": np.zeros((count, 2), np.float32),
        "shown_angles": np.zeros((count, 2), np.float32),
        "asked_scene": np.zeros(count, np.int64),
        "shown_scene": np.zeros(count, np.int64),
        "asked_number": np.arange(count),
        "shown_number": np.arange(count),
    }


def test_the_order_of_the_shot_is_followed_where_mouths_hardly_differ():
    path = select_sources(config=SelectionConfig(), **long_case())
    jumps = np.count_nonzero(np.diff(path) != 1)
    assert jumps <= 2


def test_frames_of_the_shot_asked_for_in_order_are_themselves():
    given = long_case()
    given["shown"] = np.random.default_rng(3).normal(0, 0.03, (60, 4)).astype(np.float32)
    given["asked"] = given["shown"][10:50]
    given["asked_angles"] = given["asked_angles"][10:50]
    given["asked_scene"], given["asked_number"] = np.zeros(40, np.int64), np.arange(10, 50)
    assert select_sources(config=SelectionConfig(), **given).tolist() == list(range(10, 50))


def test_frames_near_the_asked_moment_are_shut_out():
    given = long_case()
    path = select_sources(config=SelectionConfig(exclude_frames=12), **given)
    assert (np.abs(path - np.arange(60)) > 12).all()


def test_a_shot_that_is_all_near_is_used_nevertheless():
    given = long_case(count=6)
    path = select_sources(config=SelectionConfig(exclude_frames=50), **given)
    assert len(path) == 6


def test_sources_come_from_the_same_side_of_a_cut():
    given = long_case()
    given["asked_scene"] = given["shown_scene"] = (np.arange(60) >= 30).astype(np.int64)
    path = select_sources(config=SelectionConfig(), **given)
    assert (given["shown_scene"][path] == given["asked_scene"]).all()


def test_a_turned_head_takes_frames_that_are_turned_alike():
    given = long_case()
    given["asked_angles"][:, 0] = np.linspace(-20, 20, 60)
    given["shown_angles"][:, 0] = np.linspace(20, -20, 60)
    path = select_sources(config=SelectionConfig(), **given)
    away = given["asked_angles"][:, 0] - given["shown_angles"][path, 0]
    assert np.abs(away).max() < 1.5


def test_one_source_serves_every_frame():
    given = long_case(count=5)
    for name in ("shown", "shown_angles", "shown_scene", "shown_number"):
        given[name] = given[name][:1]
    assert select_sources(config=SelectionConfig(), **given).tolist() == [0] * 5


def test_a_negative_price_is_refused():
    with pytest.raises(ConfigError, match="0 or more"):
        SelectionConfig(jump_price=-0.1)
