"""Faces whose landmarks are known exactly, and a picture of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lipcore.shapes.basis import ShapeBasis
from lipcore.tracking.head import canonical_head, crop_transform
from lipcore.types import FaceTrack, FloatArray, FrameRange
from lipcore.weights import find_weights

Face = Callable[..., FloatArray]


def _turn(yaw: float, pitch: float, roll: float) -> FloatArray:
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


@pytest.fixture(scope="session")
def basis() -> ShapeBasis:
    return ShapeBasis.load(find_weights("base"))


@pytest.fixture(scope="session")
def face(basis: ShapeBasis) -> Face:
    """Landmarks ``(478, 3)`` in square pixels of a head whose mouth is given in standard
    deviations of the basis (``open``, ``wide`` ... by name)."""

    def make(
        *,
        scale: float = 160.0,
        at: tuple[float, float] = (320.0, 200.0),
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        **mouth: float,
    ) -> FloatArray:
        head = canonical_head().astype(np.float64).copy()
        values = np.zeros(len(basis.names), np.float32)
        for name, amount in mouth.items():
            values[basis.column(name)] = amount * basis.std[basis.column(name)]
        head[list(basis.indices)] = basis.mean_shape + basis.offsets(values)
        points = scale * head @ _turn(yaw, pitch, roll).T + np.array([*at, 0.0])
        return points.astype(np.float32)

    return make


@pytest.fixture(scope="session")
def random_mouth(basis: ShapeBasis) -> Callable[[np.random.Generator], dict[str, float]]:
    """A mouth as strong as speech gets, as arguments of ``face``."""

    def draw(rng: np.random.Generator) -> dict[str, float]:
        return dict(zip(basis.names, rng.uniform(-2.5, 2.5, len(basis.names)), strict=True))

    return draw


@pytest.fixture(scope="session")
def make_track() -> Callable[..., FaceTrack]:
    """A track of the landmarks of frames (None where the face is absent)."""

    def make(
        meshes: list[FloatArray | None],
        *,
        first: int = 1001,
        cuts: tuple[int, ...] = (),
        pixel_aspect: float = 1.0,
    ) -> FaceTrack:
        count = len(meshes)
        landmarks = np.full((count, 478, 3), np.nan, np.float32)
        transforms = np.full((count, 2, 3), np.nan, np.float32)
        for i, mesh in enumerate(meshes):
            if mesh is not None:
                landmarks[i] = mesh / (pixel_aspect, 1, 1)
                transforms[i] = crop_transform(mesh)
                transforms[i, :, 0] *= pixel_aspect
        present = np.array([mesh is not None for mesh in meshes])
        return FaceTrack(
            0, FrameRange(first, first + count - 1), landmarks, present.astype(np.float32),
            present, transforms, cuts, pixel_aspect,
        )

    return make
