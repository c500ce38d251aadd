"""OpenVINO is asked to compute, and not to report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from lipcore.export.formats import write_graph

from lipcore.cache import Cache
from lipcore.runtime.backends import BACKENDS, open_graph
from lipcore.runtime.graphs import build_graph
from lipcore.runtime.probes import probe
from lipcore.runtime.with_openvino import OpenVinoRunner, convert
from lipcore.weights import find_weights

pytest.importorskip("openvino")


def test_nothing_is_reported_to_anybody(
    tiny_networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package brings a module that sends what is converted, unless somebody opts out."""
    telemetry = pytest.importorskip("openvino_telemetry").Telemetry
    told: list[object] = []
    for name in ("init", "start_session", "send_event", "end_session"):
        monkeypatch.setattr(telemetry, name, lambda *args, **kinds: told.append(args))
    weights = find_weights(tiny_networks)
    graph = build_graph("inner_mouth", weights)
    inputs = tuple(
        torch.zeros(spec.sized(batch=2, **graph.usual)) for spec in graph.inputs
    )
    assert len(convert(graph, inputs).outputs) == 1
    for precision in ("fp32", "int8"):
        assert write_graph(graph, tmp_path, "openvino", precision, weights).is_file()
    assert told == []


def test_a_doubled_grid_is_computed_on_the_small_one(tiny_networks: Path) -> None:
    graph = build_graph("face_decoder", find_weights(tiny_networks))
    inputs = tuple(torch.zeros(spec.sized(batch=2, **graph.usual)) for spec in graph.inputs)
    kinds = [node.get_type_name() for node in convert(graph, inputs).get_ops()]
    assert "ConvolutionBackpropData" in kinds and "Interpolate" not in kinds


@pytest.mark.parametrize("backend", ["openvino", "openvino-bf16"])
def test_more_sizes_than_get_a_network_of_their_own(tiny_networks: Path, backend: str) -> None:
    if reason := BACKENDS[backend].missing("cpu"):
        pytest.skip(reason)
    weights = find_weights(tiny_networks)
    graph = build_graph("draw", weights)
    runner = open_graph(graph, backend, cache=Cache())
    assert isinstance(runner, OpenVinoRunner)
    for batch in [*range(1, runner.OWN_SIZES + 3), 1]:
        given = probe(graph, weights, batch=batch, seed=batch)
        (made,) = runner.run(*(x.numpy() for x in given))
        expected = graph.run(*given)[0].numpy()
        assert made.shape == expected.shape
        assert np.abs(made - expected).max() < (0.05 if "bf16" in backend else 1e-4)


def test_the_mask_of_the_pose_encoder_does_not_move_in_bf16() -> None:
    if reason := BACKENDS["openvino-bf16"].missing("cpu"):
        pytest.skip(reason)
    weights = find_weights("base")  # larger pictures: what is rounded grows with them
    graph = build_graph("pose_encoder", weights)
    runner = open_graph(graph, "openvino-bf16", cache=Cache())
    crops, _ = probe(graph, weights, batch=8)
    shares = torch.rand((8, 3), generator=torch.Generator().manual_seed(0))
    middle, nose, half = (torch.tensor([0.45, 0.5, 0.3]) + shares / 10).T
    boxes = torch.stack([middle, nose, half, torch.zeros(8)], dim=1)
    (made,) = runner.run(crops.numpy(), boxes.numpy())
    expected = graph.run(crops, boxes)[0].numpy()
    assert np.abs(made - expected).max() < 0.02 * np.abs(expected).max()
