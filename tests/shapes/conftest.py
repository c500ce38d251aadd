"""Fixtures of the mouth-shape tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import lipcore.weights
from lipcore.shapes.basis import ShapeBasis
from lipcore.tracking import head
from lipcore.types import FloatArray
from lipcore.weights import WeightsSet


@pytest.fixture(scope="session")
def base_weights() -> WeightsSet:
    return WeightsSet("base", Path(lipcore.weights.__file__).parent / "base")


@pytest.fixture(scope="session")
def basis(base_weights: WeightsSet) -> ShapeBasis:
    return ShapeBasis.load(base_weights)


@pytest.fixture(scope="session")
def talking(basis: ShapeBasis) -> tuple[FloatArray, FloatArray]:
    """Meshes ``(60, 478, 3)`` of a frontal head, 200 px between the eyes, whose mouth moves by
    known values ``(60, C)`` with mean 0."""
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, (60, len(basis.names))).astype(np.float32) * basis.std
    values -= values.mean(axis=0)
    faces = np.repeat(head.canonical_head()[None], 60, axis=0)
    faces[:, list(basis.indices)] = basis.mean_shape + basis.offsets(values)
    return faces * 200 + np.array([640, 360, 0], np.float32), values


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only wait for their own threads on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
