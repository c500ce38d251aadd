"""What every backend must do alike; those that cannot run here are skipped, saying why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lipcore.cache import Cache
from lipcore.runtime.backends import BACKENDS, open_graph
from lipcore.runtime.fold import fold_upsampling
from lipcore.runtime.graphs import Graph, build_graph
from lipcore.runtime.interface import Runner
from lipcore.runtime.probes import probe
from lipcore.types import FloatArray
from lipcore.weights import WeightsSet, find_weights

SHORT = {"torch-bf16", "torch-compile-bf16", "openvino-bf16"}


@pytest.fixture(scope="module")
def weights(tiny_networks: Path) -> WeightsSet:
    return find_weights(tiny_networks)


@pytest.fixture(scope="module", params=["draw", "inner_mouth"])
def graph(request: pytest.FixtureRequest, weights: WeightsSet) -> Graph:
    return build_graph(request.param, weights)


@pytest.fixture(scope="module", params=BACKENDS)
def runner(
    request: pytest.FixtureRequest, graph: Graph, tmp_path_factory: pytest.TempPathFactory
) -> Runner:
    backend = BACKENDS[request.param]
    if reason := backend.missing("cpu"):
        pytest.skip(reason)
    return open_graph(graph, backend.name, cache=Cache(tmp_path_factory.mktemp("cache")))


def inputs_of(graph: Graph, weights: WeightsSet, **options: int) -> list[FloatArray]:
    return [x.numpy() for x in probe(graph, weights, **options)]


def test_the_picture_is_torchs(graph: Graph, runner: Runner, weights: WeightsSet) -> None:
    import torch

    for batch in (1, 3):
        given = inputs_of(graph, weights, batch=batch, seed=5)
        expected = graph.run(*map(torch.from_numpy, given))[0].numpy()
        (made,) = runner.run(*given)
        assert made.dtype == np.float32 and made.shape == expected.shape
        steps = np.abs(made - expected).max() * (graph.outputs[0].steps_a_unit or 0)
        assert steps < (6 if runner.backend in SHORT else 0.02)


def test_the_same_inputs_give_the_same_bytes(
    graph: Graph, runner: Runner, weights: WeightsSet
) -> None:
    given = inputs_of(graph, weights)
    first = runner.run(*given)[0]
    kept = first.copy()
    runner.run(*inputs_of(graph, weights, seed=9))
    assert np.array_equal(first, kept), "an output is overwritten by the next run"
    assert np.array_equal(runner.run(*given)[0], kept)


def test_threads_do_not_mix_their_frames(
    graph: Graph, runner: Runner, weights: WeightsSet
) -> None:
    given = [inputs_of(graph, weights, seed=seed) for seed in range(4)]
    alone = [runner.run(*x)[0] for x in given]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: runner.run(*x)[0], given))
    for a, b in zip(alone, together, strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_it_says_its_name_and_version(runner: Runner) -> None:
    assert runner.backend in BACKENDS
    assert BACKENDS[runner.backend].version()


def test_opening_and_running_leave_the_graph_alone(
    graph: Graph, runner: Runner, weights: WeightsSet
) -> None:
    import torch

    # One graph is opened by every backend in turn, and must be the same for the last of them.
    assert {p.dtype for p in graph.module.parameters()} == {torch.float32}
    fresh = build_graph(graph.name, weights)
    given = [torch.from_numpy(x) for x in inputs_of(graph, weights)]
    assert torch.allclose(graph.run(*given)[0], fresh.run(*given)[0], atol=1e-6)


def test_weights_that_are_held_short_draw_what_autocast_draws(weights: WeightsSet) -> None:
    import torch

    if reason := BACKENDS["torch-bf16"].missing("cpu"):
        pytest.skip(reason)
    graph = build_graph("draw", weights)
    given = inputs_of(graph, weights, batch=2)
    (made,) = open_graph(graph, "torch-bf16").run(*given)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        network = fold_upsampling(graph.module)
        expected = network(*map(torch.from_numpy, given)).float().numpy()
    assert np.array_equal(made, expected)
