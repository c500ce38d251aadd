"""OpenVINO is asked to compute, and not to report."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lipcore.export.formats import write_graph

from lipcore.runtime.graphs import build_graph
from lipcore.runtime.with_openvino import convert
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
