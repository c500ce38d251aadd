"""Which graphs hold at which precision, and the way to eight bits by calibration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipcore.runtime.graphs import MASKED_GRAPHS, Graph
from lipcore.runtime.probes import probe
from lipcore.weights import WeightsSet

from .parity import Precision

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.float32,
}
_CALIBRATIONS = 8
_MEASURED = ("openvino", "onnx")
"""Formats whose bfloat16 was measured by OpenVINO; torch's own holds."""


def kept_float(graph: Graph, target: str, precision: Precision) -> str:
    """Why a graph stays float32 where another precision was asked; empty where it follows.

    Args:
        graph: Which.
        target: The format.
        precision: That was asked.
    """
    if precision == "fp32":
        return ""
    if graph.name == "mel":
        return "its logarithm reaches down to -100 dB, which shorter numbers do not hold"
    # The whole frame path holds the pose encoder, too.
    if precision == "bf16" and target in _MEASURED:
        if graph.name in MASKED_GRAPHS:
            return "bfloat16 there moves single pixels of the final picture by 11 to 12 of 255"
        if (graph.name, target) == ("inner_mouth", "onnx"):
            return "bfloat16 throughout moves its picture by 1 of 255 in the mean"
    return ""


def quantize(source: Path, path: Path, graph: Graph, weights: WeightsSet) -> None:
    """An ONNX file in 8 bits: convolutions and products, scales from calibration.

    Args:
        source: The same graph in float32.
        path: The file to write.
        graph: The graph, whose usual inputs set the scales of activations.
        weights: Where it came from.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_name(f"prepared-{path.name}")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(path), _Samples(graph, weights), quant_format=QuantFormat.QDQ,
        per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
    )
    prepared.unlink()


class _Samples:
    """What the calibrator asks for inputs; the faces differ from those of the parity check."""

    def __init__(self, graph: Graph, weights: WeightsSet) -> None:
        self._left: Iterator[dict[str, Any]] = (
            {
                spec.name: np.ascontiguousarray(value.numpy())
                for spec, value in zip(graph.inputs, probe(graph, weights, seed=seed), strict=True)
            }
            for seed in range(1000, 1000 + _CALIBRATIONS)
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next inputs by name."""
        return next(self._left, None)
