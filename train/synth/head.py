"""The morphable head: what of it a camera sees, and the lips that speech moves.

Lengths are the file's own, centimetres: x to the head's left, y up, z out of the face.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from lipcore.errors import ConfigError
from lipcore.types import FloatArray

IntArray = npt.NDArray[np.int64]

FACE, BACK, GUMS, TEETH, EYES = range(5)
_KEPT = {
    "M_Face": FACE, "M_BackHead": BACK, "M_GumsTongue": GUMS, "M_Teeth": TEETH,
    "M_ScleraLeft": EYES, "M_ScleraRight": EYES,
}  # fmt: skip
"""Iris shells lie inside of the eyeballs, lashes are cards for textures that we do not have."""
_VERTICES, _EXPRESSIONS, _IDENTITIES = 26719, 57, 100
_SOCKET = range(11248, 13294)
"""Vertices of the back of the mouth."""
_UPPER_ROW = (5702, 5711, 5533, 6216, 6207)
_LOWER_ROW = (5702, 5966, 5517, 6470, 6207)
"""Vertices that the edges of the inner lips run through, corner to corner."""
_OUTER_ROW = (
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841,
)  # fmt: skip
"""Round the red of the lips."""
PAIRS = 9
"""Points along the inner lips at which the gap is measured, as in ``shapes.measure``."""
_PART_CM = 0.55
"""How far from the inner lips a correction of their gap reaches."""


@dataclass(frozen=True, eq=False)
class Head:
    """The head's visible mesh (V vertices, F triangles) and its shapes."""

    neutral: FloatArray
    """(V, 3)."""
    expressions: FloatArray
    """(57, V, 3) offsets."""
    identities: FloatArray
    """(100, V, 3) offsets."""
    names: tuple[str, ...]
    """Of the expressions."""
    triangles: npt.NDArray[np.int32]
    """(F, 3)."""
    uv: FloatArray
    """(F, 3, 2) texture coordinates of the corners, in 0-1."""
    part: npt.NDArray[np.int8]
    """(V,): ``FACE``, ``BACK``, ``GUMS``, ``TEETH`` or ``EYES``."""
    socket: npt.NDArray[np.bool_]
    """(V,): the back of the mouth."""
    eye_corners: tuple[int, int]
    mouth_corners: tuple[int, int]
    outer_lips: IntArray
    upper: FloatArray
    """(PAIRS, V) how the points along the upper inner lip are made of vertices."""
    lower: FloatArray
    lip_field: FloatArray
    """(V, PAIRS): how far a vertex follows when the gap of a pair is corrected; rows of the
    upper lip are negative, those of the lower positive."""

    def index(self, name: str) -> int:
        """Place of an expression."""
        return self.names.index(name)

    def gaps(self, points: FloatArray) -> FloatArray:
        """(PAIRS,) heights between the inner lips of (V, 3) points; below 0 they cross."""
        rows: FloatArray = (self.upper - self.lower) @ points[:, 1]
        return rows

    def interocular(self, points: FloatArray) -> float:
        """Distance between the outer eye corners."""
        a, b = self.eye_corners
        return float(np.linalg.norm(points[a] - points[b]))


def load_head(path: Path) -> Head:
    """Read the ICT Face Model Light, as an ``.npz``.

    Raises:
        ConfigError: It is absent, damaged, or another head.
    """
    hint = "Give the ICT Face Model Light as an npz file (--head)."
    if not path.is_file():
        raise ConfigError(f"no head is at {path}", hint=hint, path=str(path))
    try:
        with np.load(path, allow_pickle=False) as file:
            data = dict(file)
        return _build(data)
    except (OSError, KeyError, ValueError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path} is not a head that can be used ({error})", hint=hint, path=str(path)
        ) from error


def _build(data: dict[str, npt.NDArray[Any]]) -> Head:
    neutral = data["neutral"].astype(np.float32)
    expected = ((_EXPRESSIONS, _VERTICES, 3), (_IDENTITIES, _VERTICES, 3))
    if (data["expressions"].shape, data["identities"].shape) != expected:
        raise ValueError("its meshes are of another size")
    materials = [str(name) for name in data["material_names"]]
    kinds = np.array([_KEPT.get(name, -1) for name in materials])[data["triangle_material"]]
    whole = data["triangles"][kinds >= 0].astype(np.int64)
    used = np.unique(whole)
    place = np.full(_VERTICES, -1, np.int64)
    place[used] = np.arange(len(used))
    triangles = place[whole].astype(np.int32)
    part = np.zeros(len(used), np.int8)
    part[triangles.reshape(-1)] = np.repeat(kinds[kinds >= 0], 3)
    points, shapes = neutral[used], data["expressions"][:, used].astype(np.float32)
    names = tuple(str(name) for name in data["expression_names"])
    upper = _row(points, triangles, place[list(_UPPER_ROW)])
    lower = _row(points, triangles, place[list(_LOWER_ROW)])
    opened = points + 0.6 * shapes[names.index("jawOpen")]
    face = np.flatnonzero(part == FACE)
    corners = [int(face[_nearest(points[face], x)]) for x in (-4.64, 4.64)]
    uv = data["uv"][data["triangle_uv"][kinds >= 0]].astype(np.float32)
    return Head(
        neutral=points,
        expressions=shapes,
        identities=data["identities"][:, used].astype(np.float32),
        names=names,
        triangles=triangles,
        uv=uv - np.floor(uv.mean(axis=1, keepdims=True)),
        part=part,
        socket=np.isin(used, list(_SOCKET)),
        eye_corners=(corners[0], corners[1]),
        mouth_corners=(int(place[_OUTER_ROW[0]]), int(place[_OUTER_ROW[6]])),
        outer_lips=place[list(_OUTER_ROW)],
        upper=upper,
        lower=lower,
        lip_field=_lip_field(opened, upper, lower, np.isin(part, (FACE, BACK))),
    )


def _nearest(points: FloatArray, x: float) -> int:
    """The vertex at the outer corner of an eye: the lids end there."""
    target = np.array([x, 3.1, 8.62], np.float32)
    return int(np.linalg.norm(points - target, axis=1).argmin())


def _row(points: FloatArray, triangles: npt.NDArray[np.int32], through: IntArray) -> FloatArray:
    """(PAIRS, V) weights of points spaced evenly along a row of vertices, ends left out."""
    a, b = triangles.reshape(-1), np.roll(triangles, -1, axis=1).reshape(-1)
    length = np.linalg.norm(points[a] - points[b], axis=1)
    graph = coo_matrix((length, (a, b)), shape=(len(points), len(points))).tocsr()
    chain = [int(through[0])]
    for start, end in pairwise(through):
        _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
        leg = [int(end)]
        while leg[-1] != start:
            leg.append(int(before[leg[-1]]))
        chain += leg[-2::-1]
    x = points[chain, 0]
    order = np.argsort(x)
    at = np.linspace(0.9 * points[through[0], 0], 0.9 * points[through[-1], 0], PAIRS)
    weights = np.zeros((PAIRS, len(points)), np.float32)
    for row, value in enumerate(at):
        right = int(np.clip(np.searchsorted(x[order], value), 1, len(chain) - 1))
        i, j = order[right - 1], order[right]
        share = (value - x[i]) / max(float(x[j] - x[i]), 1e-6)
        weights[row, chain[i]] += 1 - share
        weights[row, chain[j]] += share
    return weights


def _lip_field(
    opened: FloatArray, upper: FloatArray, lower: FloatArray, skin: npt.NDArray[np.bool_]
) -> FloatArray:
    """See ``Head.lip_field``; sides are told apart on the open mouth."""
    field = np.zeros((len(opened), PAIRS), np.float32)
    rows = [upper @ opened, lower @ opened]
    away = np.stack([np.linalg.norm(opened[:, None] - row, axis=2).min(1) for row in rows])
    spacing = float(np.abs(np.diff(rows[0][:, 0])).mean())
    for side, sign in ((0, -1.0), (1, 1.0)):
        mine = skin & (away[side] < away[1 - side]) & (away[side] < 3 * _PART_CM)
        near = np.exp(-((away[side][mine] / _PART_CM) ** 2))
        across = np.abs(opened[mine, None, 0] - rows[side][:, 0]) / spacing
        share = np.maximum(1 - across, 0)
        share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-3)
        field[mine] = 0.5 * sign * near[:, None] * share
    return field
