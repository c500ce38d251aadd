"""Learn the basis of mouth shapes from the meshes of people who speak.

Principal components of the lower face's motion span the space; a rotation inside that space
turns them into directions that an artist can name: each is the mean motion that goes along
with a measured quantity (opening, width, protrusion ...), made orthogonal to those before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from lipcore.errors import ConfigError, TrainingError
from lipcore.shapes.basis import ShapeBasis, head_points
from lipcore.shapes.measure import opening_of, width_of
from lipcore.tracking import head
from lipcore.types import FloatArray

from .data import load_clips

DoubleArray = npt.NDArray[np.float64]

_LIPS = tuple(
    sorted(
        {
            *head.LIPS_OUTER_UPPER,
            *head.LIPS_OUTER_LOWER,
            *head.LIPS_INNER_UPPER,
            *head.LIPS_INNER_LOWER,
        }
    )
)


@dataclass(frozen=True, slots=True)
class ShapeBasisConfig:
    """How the basis is learnt."""

    lip_reach: float = 0.06
    """Distance from the lips, interocular, at which a point's weight has fallen to 0.6."""
    far_weight: float = 0.06
    """Weight of points far from the lips; lip points have 1."""
    depth_weight: float = 0.25
    """Weight of z against x and y: a mesh only guesses depth."""
    drift_s: float = 1.2
    """Slower motion is taken for pose error, not for speech (standard deviation, seconds)."""
    rate: float = 25.0
    """Frames a second of the meshes, about: it only sets what counts as drift."""
    most_frames: int = 300
    """A clip counts as if it had at most this many frames."""

    def __post_init__(self) -> None:
        if min(self.lip_reach, self.drift_s, self.rate, self.most_frames) <= 0:
            raise ConfigError("lip_reach, drift_s, rate and most_frames are above 0")
        if min(self.far_weight, self.depth_weight) <= 0:
            raise ConfigError("far_weight and depth_weight are above 0", hint="Small will do.")


def _lateral(points: FloatArray) -> FloatArray:
    moved: FloatArray = points[:, list(_LIPS), 0].mean(axis=1)
    return moved


def _protrusion(points: FloatArray) -> FloatArray:
    """Lips in front of the chin and narrow: what a pucker is, with no trust in depth alone."""
    forward = points[:, list(head.JAW_LINE), 2].mean(1) - points[:, list(_LIPS), 2].mean(1)
    inner = points[:, head.LIPS_INNER_UPPER[-1], 0] - points[:, head.LIPS_INNER_UPPER[0], 0]
    narrow: FloatArray = forward - inner
    return narrow


def _upper_lip(points: FloatArray) -> FloatArray:
    raised: FloatArray = -points[:, list(head.LIPS_INNER_UPPER[2:-2]), 1].mean(axis=1)
    return raised


def _lower_lip(points: FloatArray) -> FloatArray:
    lowered: FloatArray = points[:, list(head.LIPS_INNER_LOWER[2:-2]), 1].mean(axis=1)
    from_chin: FloatArray = lowered - points[:, head.CHIN, 1]
    return from_chin


def _smile(points: FloatArray) -> FloatArray:
    middle = points[:, list(head.INNER_LIP_MIDDLE), 1].mean(axis=1)
    raised: FloatArray = middle - points[:, list(head.MOUTH_CORNERS), 1].mean(axis=1)
    return raised


def _tilt(points: FloatArray) -> FloatArray:
    left, right = head.MOUTH_CORNERS
    lowered: FloatArray = points[:, right, 1] - points[:, left, 1]
    return lowered


GUIDES = (
    ("open", opening_of),
    ("wide", width_of),
    ("pucker", _protrusion),
    ("upper_lip", _upper_lip),
    ("lower_lip", _lower_lip),
    ("shift", _lateral),
    ("smile", _smile),
    ("tilt", _tilt),
)
"""Names of the components, and the quantity with which each grows."""


def inner_product_weights(config: ShapeBasisConfig) -> FloatArray:
    """``(K, 3)`` weights of the lower face's points, summing to 1."""
    canon = head.canonical_head()
    points, lips = canon[list(head.lower_face())], canon[list(_LIPS)]
    near = np.linalg.norm(points[:, None, :2] - lips[None, :, :2], axis=2).min(axis=1)
    per_point = config.far_weight + (1 - config.far_weight) * np.exp(
        -0.5 * (near / config.lip_reach) ** 2
    )
    weights = per_point[:, None] * np.array([1.0, 1.0, config.depth_weight])
    return np.asarray(weights / weights.sum(), np.float32)


def learn_shape_basis(
    clips: Mapping[str, FloatArray], config: ShapeBasisConfig | None = None
) -> tuple[ShapeBasis, dict[str, object]]:
    """Learn the basis.

    Args:
        clips: Name of a clip -> ``(N, 478, 3)`` raw meshes of one person, every frame seen.
        config: How.

    Returns:
        The basis, and a record with the variance that it explains.

    Raises:
        TrainingError: Too little motion to learn from.
    """
    config = config or ShapeBasisConfig()
    if sum(len(meshes) for meshes in clips.values()) < 200:
        raise TrainingError("a shape basis needs at least 200 frames of speech")
    indices = head.lower_face()
    weights = inner_product_weights(config)
    root = np.sqrt(weights.astype(np.float64)).reshape(-1)
    motions: list[DoubleArray] = []
    quantities: list[DoubleArray] = []
    counts: list[DoubleArray] = []
    rests: list[DoubleArray] = []
    for meshes in clips.values():
        smooth = savgol_filter(meshes.astype(np.float64), 5, 2, axis=0).astype(np.float32)
        points = head_points(smooth)
        measured = np.stack([guide(points) for _, guide in GUIDES], axis=1).astype(np.float64)
        lower = points[:, list(indices)].astype(np.float64)
        rests.append(lower[measured[:, 0] <= np.quantile(measured[:, 0], 0.2)].mean(axis=0))
        motions.append(_without_drift(lower.reshape(len(lower), -1), config) * root)
        quantities.append(_without_drift(measured, config))
        n = len(meshes)
        counts.append(np.full(n, min(n, config.most_frames) / n))
    motion, quantity = np.concatenate(motions), np.concatenate(quantities)
    count = np.concatenate(counts)[:, None]
    values, vectors = np.linalg.eigh((motion * count).T @ motion)
    space = vectors[:, ::-1][:, : len(GUIDES)]
    rotation = _name_directions((motion @ space) * np.sqrt(count), quantity * np.sqrt(count))
    scores = motion @ space @ rotation
    components = (space @ rotation / root[:, None]).T.reshape(len(GUIDES), len(indices), 3)
    share = (count * scores**2).sum(0) / values.sum()
    basis = ShapeBasis(
        names=tuple(name for name, _ in GUIDES),
        components=components.astype(np.float32),
        mean_shape=np.mean(rests, axis=0).astype(np.float32),
        std=np.sqrt((count * scores**2).sum(0) / count.sum()).astype(np.float32),
        weights=weights,
        indices=indices,
    )
    record: dict[str, object] = {
        "clips": sorted(clips),
        "frames": len(motion),
        "variance_explained": round(float(share.sum()), 4),
        "variance_by_component": [round(float(s), 4) for s in share],
    }
    return basis, record


def held_out_variance(
    basis: ShapeBasis, meshes: FloatArray, config: ShapeBasisConfig | None = None
) -> float:
    """Share of the weighted motion of unseen meshes ``(N, 478, 3)`` that the basis holds."""
    config = config or ShapeBasisConfig()
    smooth = savgol_filter(meshes.astype(np.float64), 5, 2, axis=0).astype(np.float32)
    lower = basis.lower(smooth).astype(np.float64)
    moved = _without_drift(lower.reshape(len(lower), -1), config).reshape(lower.shape)
    kept = basis.offsets(basis.project(moved.astype(np.float32)))
    lost = (basis.weights * (moved - kept) ** 2).sum()
    return float(1 - lost / (basis.weights * moved**2).sum())


def _without_drift(signal: DoubleArray, config: ShapeBasisConfig) -> DoubleArray:
    """Frames along the first axis, less their slow part."""
    slow = gaussian_filter1d(signal, config.drift_s * config.rate, axis=0, mode="nearest")
    fast: DoubleArray = signal - slow
    centred: DoubleArray = fast - fast.mean(axis=0)
    return centred


def _name_directions(scores: DoubleArray, quantities: DoubleArray) -> DoubleArray:
    """Orthonormal directions, each the motion that goes with its quantity.

    The first two, opening and width, are the mean motion a unit of the one with the other
    held still. Every further direction is the covariance of the scores with the part of its
    quantity that those before it do not explain. Each is made orthogonal to those before it
    (Gram-Schmidt), and its sign makes its quantity grow.

    Args:
        scores: ``(frames, C)`` on the principal components.
        quantities: ``(frames, C)`` measured, one a direction.

    Returns:
        ``(C, C)``: columns are directions.
    """
    directions: list[DoubleArray] = []
    partial = np.linalg.lstsq(quantities[:, :2], scores, rcond=None)[0]
    for index, quantity in enumerate(quantities.T):
        rest = quantity.copy()
        if directions:
            known = scores @ np.stack(directions, axis=1)
            rest -= known @ np.linalg.lstsq(known, rest, rcond=None)[0]
        direction = partial[index] if index < len(partial) else scores.T @ rest
        for other in directions:
            direction = direction - other * (other @ direction)
        directions.append(direction / np.linalg.norm(direction))
    return np.stack(directions, axis=1)


class ShapeBasisRun:
    """Learns the basis from prepared folders (see ``data.py``).

    Args:
        config: How.
        data: Its ``train`` split teaches, its ``val`` split says how much of the motion of
            unseen people the basis holds.

    Raises:
        TrainingError: The folder was not prepared, or a split is empty.
    """

    kind = "shape_basis"

    def __init__(self, config: ShapeBasisConfig, data: Sequence[Path]) -> None:
        self.config = config
        self.seen = {c.name: c.plate_landmarks for c in load_clips(data, "train")}
        self.unseen = {c.name: c.plate_landmarks for c in load_clips(data, "val")}

    def run(self, out: Path) -> dict[str, float]:
        """Learn, score, and write ``shape_basis.safetensors``."""
        basis, record = learn_shape_basis(self.seen, self.config)
        shares = {
            name: round(held_out_variance(basis, meshes, self.config), 4)
            for name, meshes in self.unseen.items()
        }
        record["variance_held_out"] = shares
        basis.write(out / f"{self.kind}.safetensors", record)
        return {"variance_held_out": float(np.mean(list(shares.values())))}
