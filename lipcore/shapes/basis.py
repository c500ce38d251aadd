"""The basis of mouth shapes: eight directions in which lips and jaw of any face move.

A shape is where the lower face's mesh points lie in the pose-free head (``tracking.head``),
less the person's neutral, so that neither pose nor size nor identity is left in it. Each of
the components is a field of displacements over those points; they are orthonormal under an
inner product in which lips count fully, cheeks and jaw little and depth, which a mesh only
guesses, less than the picture plane. A value of 1.0 moves the lips by one interocular unit
(weighted root mean square); speech stays within some hundredths.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from lipcore.errors import ConfigError, WeightsUnreadableError
from lipcore.models.checkpoint import hash_file, load_tensors, save_tensors
from lipcore.tracking import head
from lipcore.types import BoolArray, FloatArray
from lipcore.weights import WeightsSet

KIND = "shape_basis"


def head_points(landmarks: FloatArray) -> FloatArray:
    """Meshes without their pose.

    Args:
        landmarks: ``(N, 478, 3)`` plate pixels; NaN where the face is absent.

    Returns:
        ``(N, 478, 3)`` float32 in head space, interocular units; NaN where absent.
    """
    points = np.full(landmarks.shape, np.nan, np.float32)
    for index in np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2))):
        points[index] = head.fit_pose(landmarks[index]).to_head(landmarks[index])
    return points


@dataclass(frozen=True)
class ShapeBasis:
    """Components of the mouth's motion, the same for every person."""

    names: tuple[str, ...]
    """C names, in the order of the columns of values."""
    components: FloatArray
    """``(C, K, 3)`` displacements a unit of value, interocular units in head space."""
    mean_shape: FloatArray
    """``(K, 3)`` lower face of the mean person, mouth at rest."""
    std: FloatArray
    """``(C,)`` standard deviation of each value within a person who speaks."""
    weights: FloatArray
    """``(K, 3)`` of the inner product, summing to 1."""
    indices: tuple[int, ...]
    """K mesh points, ``tracking.head.lower_face()`` when it was learnt."""
    digest: str = ""
    """SHA-256 of the weights file, as hex."""

    def __post_init__(self) -> None:
        c, k = len(self.names), len(self.indices)
        assert self.components.shape == (c, k, 3)
        assert self.mean_shape.shape == self.weights.shape == (k, 3)
        assert self.std.shape == (c,)

    @classmethod
    def load(cls, weights: WeightsSet) -> ShapeBasis:
        """Read the basis of a set of weights.

        Raises:
            WeightsError: The set has none, or its file is damaged or of another version.
        """
        return cls.read(weights.file(KIND))

    @classmethod
    def read(cls, path: Path) -> ShapeBasis:
        """Read a basis file.

        Raises:
            WeightsError: It is absent, damaged or of another version.
        """
        tensors, header = load_tensors(path, kind=KIND)
        try:
            return cls(
                names=tuple(header["config"]["names"]),
                components=tensors["components"].numpy(),
                mean_shape=tensors["mean_shape"].numpy(),
                std=tensors["std"].numpy(),
                weights=tensors["weights"].numpy(),
                indices=tuple(tensors["indices"].tolist()),
                digest=hash_file(path),
            )
        except (KeyError, AssertionError) as error:
            raise WeightsUnreadableError(
                f"{path} is not a complete shape basis",
                hint="Take the weights that came with this version of lipcore.",
                path=str(path),
            ) from error

    def write(self, path: Path, record: dict[str, object]) -> None:
        """Write the basis with a record of how it was learnt (float32: it is small)."""
        save_tensors(
            path,
            {
                "components": torch.from_numpy(self.components),
                "mean_shape": torch.from_numpy(self.mean_shape),
                "std": torch.from_numpy(self.std),
                "weights": torch.from_numpy(self.weights),
                "indices": torch.tensor(self.indices, dtype=torch.int32),
            },
            kind=KIND,
            config={"names": list(self.names)},
            record=record,
            half=False,
        )

    @property
    def label(self) -> str:
        """What curves write down to say which basis their components belong to."""
        return f"{KIND}:{self.digest[:12]}"

    def column(self, name: str) -> int:
        """Position of a component.

        Raises:
            ConfigError: There is none of that name.
        """
        if name not in self.names:
            raise ConfigError(
                f"no mouth-shape component is named {name!r}",
                hint=f"The components are {', '.join(self.names)}.",
            )
        return self.names.index(name)

    @cached_property
    def _projector(self) -> FloatArray:
        """``(K * 3, C)``: flattened displacements times this are values."""
        weighted: FloatArray = (self.components * self.weights).reshape(len(self.names), -1).T
        return weighted

    def lower(self, landmarks: FloatArray) -> FloatArray:
        """The lower face of meshes, without pose.

        Args:
            landmarks: ``(N, 478, 3)`` plate pixels; NaN where absent.

        Returns:
            ``(N, K, 3)`` in head space; NaN where absent.
        """
        return head_points(landmarks)[:, list(self.indices)]

    def project(self, displacements: FloatArray) -> FloatArray:
        """Values of displacements from a neutral.

        Args:
            displacements: ``(..., K, 3)`` in head space, interocular units.

        Returns:
            ``(..., C)`` float32.
        """
        flat = displacements.reshape(*displacements.shape[:-2], -1)
        values: FloatArray = (flat @ self._projector).astype(np.float32)
        return values

    def offsets(self, values: FloatArray) -> FloatArray:
        """Displacements that values stand for.

        Args:
            values: ``(..., C)``.

        Returns:
            ``(..., K, 3)`` float32 from the neutral, in head space, interocular units.
        """
        moved: FloatArray = np.tensordot(values, self.components, axes=1).astype(np.float32)
        return moved

    def measure(
        self, landmarks: FloatArray, *, neutral: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Mouth shapes of one person's meshes.

        Args:
            landmarks: ``(N, 478, 3)`` plate pixels, z in the same scale; NaN where absent.
            neutral: ``(K, 3)`` the person's neutral; without it, that of these meshes.

        Returns:
            ``(N, C)`` values (NaN where the face is absent), and the ``(K, 3)`` neutral.

        Raises:
            ConfigError: No mesh is there to take a neutral from.
        """
        points = self.lower(landmarks)
        if neutral is None:
            neutral = robust_mean(points)
        return self.project(points - neutral), neutral


def robust_mean(points: FloatArray) -> FloatArray:
    """Mean shape of a shot in which a few frames may be mistracked.

    The mean over the frames whose distance from the median shape is within four times the
    median distance.

    Args:
        points: ``(N, K, 3)``; NaN where absent.

    Returns:
        ``(K, 3)``.

    Raises:
        ConfigError: Every frame is absent.
    """
    seen: BoolArray = np.isfinite(points).all(axis=(1, 2))
    if not seen.any():
        raise ConfigError(
            "no frame shows the face whose mouth shape is wanted",
            hint="Choose frames, or a speaker, with a visible face.",
        )
    present = points[seen]
    distance = np.linalg.norm(present - np.median(present, axis=0), axis=(1, 2))
    keep = distance <= 4.0 * np.median(distance) + 1e-6
    mean: FloatArray = present[keep].mean(axis=0).astype(np.float32)
    return mean
