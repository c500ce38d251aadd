"""One person, drawn from a number: head, skin, light, camera, voice and habits."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipcore.types import FloatArray

from .head import BACK, EYES, FACE, GUMS, PAIRS, TEETH, Head
from .mouth import Habits, draw_habits

_SKINS = np.array(
    [[0.80, 0.58, 0.48], [0.72, 0.48, 0.37], [0.60, 0.38, 0.26], [0.44, 0.26, 0.17],
     [0.27, 0.15, 0.10], [0.14, 0.075, 0.05]], np.float32,
)  # fmt: skip
"""Linear Rec.709, light to dark."""
_IRISES = np.array([[0.10, 0.05, 0.02], [0.05, 0.10, 0.16], [0.06, 0.11, 0.05]], np.float32)
_HAIRS = np.array([[0.01, 0.008, 0.007], [0.05, 0.025, 0.012], [0.22, 0.14, 0.06],
                   [0.25, 0.24, 0.23]], np.float32)
_BROWS = (
    (268, 493, 1914, 2044, 1401), (3615, 4240, 4114, 2734, 2509),
)  # fmt: skip
_DETAIL_PX = 1024


@dataclass(frozen=True, eq=False)
class Person:
    """A synthetic speaker (V vertices)."""

    points: FloatArray
    """(V, 3) at rest, cm."""
    albedo: FloatArray
    """(V, 3) linear."""
    shine: FloatArray
    """(V, 2): strength of the gloss, and its sharpness."""
    grain: FloatArray
    """(V,) how much of ``detail`` each takes."""
    detail: FloatArray
    """(D, D) factors over the texture, about 1."""
    habits: Habits
    lights: FloatArray
    """(L, 3) unit vectors towards the lights, y up."""
    light_colors: FloatArray
    """(L, 3)."""
    ambient: FloatArray
    """(2, 3) from above and from below."""


def draw_person(head: Head, rng: np.random.Generator) -> Person:
    """A person, by chance."""
    weights = rng.normal(0, 0.75, len(head.identities)).clip(-1.6, 1.6).astype(np.float32)
    points = head.neutral + np.tensordot(weights, head.identities, axes=1)
    albedo, shine, grain = _paint(head, rng)
    count = int(rng.integers(1, 4))
    lights = rng.normal(0, 1, (count, 3)) * [1.0, 0.5, 0.3] + [0.0, 0.55, 0.9]
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    warm = np.exp(rng.normal(0, 0.10, (count, 1)) * np.array([[1.0, 0.0, -1.2]]))
    power = rng.dirichlet(np.full(count, 2.0))[:, None] * rng.uniform(0.55, 1.05)
    tint = np.exp(rng.normal(0, 0.08) * np.array([1.0, 0.0, -1.2]))
    ambient = np.stack([tint, tint[::-1]]) * rng.uniform([[0.25], [0.12]], [[0.5], [0.3]])
    habits = draw_habits(rng)
    return Person(
        points.astype(np.float32), albedo, shine, grain, _detail(rng), habits,
        lights.astype(np.float32), (warm * power).astype(np.float32), ambient.astype(np.float32),
    )


def _paint(head: Head, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Albedo, gloss and grain of the vertices, painted on the mean head."""
    p = head.neutral
    tone = rng.uniform(0, len(_SKINS) - 1)
    low = int(tone)
    high = min(low + 1, len(_SKINS) - 1)
    skin = _SKINS[low] * (1 - tone + low) + _SKINS[high] * (tone - low)
    albedo = np.tile(skin, (len(p), 1)).astype(np.float32)
    gloss = np.array([rng.uniform(0.02, 0.07), rng.uniform(8, 22)], np.float32)
    shine = np.tile(gloss, (len(p), 1))
    grain = np.where(head.part == FACE, rng.uniform(0.6, 1.3), 0.15).astype(np.float32)
    skinny = np.isin(head.part, (FACE, BACK)) & ~head.socket
    grain *= 0.2 + 0.8 * _step(p[:, 1] + 8.5, 2.0)  # the texture is stretched on the neck
    red = np.exp(-(((np.abs(p[:, 0]) - 4.5) / 2.2) ** 2 + ((p[:, 1] + 0.3) / 2.0) ** 2))
    red += 0.8 * np.exp(-((p[:, 0] / 1.5) ** 2 + ((p[:, 1] - 0.3) / 1.2) ** 2))
    blush = rng.uniform(0, 0.22) * (red * skinny)[:, None]
    albedo *= 1 + blush * np.array([0.4, -0.6, -0.5], np.float32)
    albedo *= (1 + 0.08 * _cloud(rng, p, 2.5) * skinny)[:, None]
    hair = _HAIRS[int(rng.integers(len(_HAIRS)))]
    if rng.random() < 0.75:
        line = rng.uniform(8.8, 10.5) - 0.03 * p[:, 0] ** 2 - 2.2 * (p[:, 2] < 2) * (p[:, 1] > 3)
        _mix(albedo, hair, _step(p[:, 1] + 0.4 * _cloud(rng, p, 0.8) - line, 0.6) * skinny)
    width = rng.uniform(0.18, 0.34)
    for row in _brows(head):
        away = np.abs(p[:, None, :2] - row).max(axis=2).min(axis=1)
        near = _step(width - away, 0.2) * (p[:, 2] > 5) * skinny
        _mix(albedo, hair * 0.8, 0.8 * near)
    if rng.random() < 0.4:
        jaw = _step(-2.2 - p[:, 1], 0.8) * _step(p[:, 1] + 9.5, 1.0) * _step(p[:, 2] - 3, 1.5)
        _mix(albedo, hair * 0.7 + skin * 0.1, rng.uniform(0.1, 0.55) * jaw * skinny)
    lips = _lips(head) * skinny
    red_share, pale, violet = rng.uniform([0.85, 0.42, 0.42], [1.1, 0.68, 0.68])
    # Green and blue go together: tan lips on tan teeth have no edge that anybody could see.
    pink = np.array([red_share, 0.9 * pale, 0.9 * pale * (0.8 + 0.6 * violet)])
    _mix(albedo, skin * pink, lips)
    albedo *= 1 - lips[:, None] * _rim(head)[:, None] * np.array([0.45, 0.6, 0.55])
    shine[:, 0] += 0.09 * lips
    shine[:, 1] += 14 * lips
    grain *= 1 - 0.6 * lips
    _mouth_parts(head, rng, albedo, shine)
    _eyes(head, rng, albedo, shine)
    return albedo.astype(np.float32), shine, grain


def _mouth_parts(
    head: Head, rng: np.random.Generator, albedo: FloatArray, shine: FloatArray
) -> None:
    p = head.neutral
    albedo[head.socket] = [0.22, 0.06, 0.05]
    gums, teeth = head.part == GUMS, head.part == TEETH
    albedo[gums] = np.array([0.42, 0.15, 0.14]) * rng.uniform(0.75, 1.2)
    white = np.array([0.72, 0.68, 0.58 - rng.uniform(0, 0.14)]) * rng.uniform(0.75, 1.05)
    albedo[teeth] = white
    back = np.clip((p[:, 2] - 5) / 5, 0.25, 1)  # molars lie in the shadow of the cheeks
    albedo[gums | teeth] *= back[gums | teeth, None]
    shine[gums | teeth] = [0.10, 40]


def _eyes(head: Head, rng: np.random.Generator, albedo: FloatArray, shine: FloatArray) -> None:
    p = head.neutral
    iris = _IRISES[int(rng.integers(len(_IRISES)))] * rng.uniform(0.7, 1.4)
    for left in (True, False):
        ball = np.flatnonzero((head.part == EYES) & ((p[:, 0] > 0) == left))
        middle = (p[ball].max(0) + p[ball].min(0)) / 2
        away = np.linalg.norm((p[ball] - middle)[:, :2], axis=1)
        front = p[ball, 2] > middle[2]
        color = np.tile(np.array([0.62, 0.58, 0.55], np.float32), (len(ball), 1))
        _mix(color, iris, _step(0.66 - away, 0.08) * front)
        _mix(color, np.full(3, 0.004), _step(0.26 - away, 0.06) * front)
        albedo[ball] = 0.85 * color
        shine[ball] = [0.35, 160]


def _brows(head: Head) -> list[FloatArray]:
    """Points along each brow; its vertices come first in the file, so their numbers hold."""
    rows = []
    for brow in _BROWS:
        ends = head.neutral[list(brow), :2]
        t = np.linspace(0, len(brow) - 1, 40)
        x, y = (np.interp(t, range(len(brow)), ends[:, k]) for k in (0, 1))
        rows.append(np.stack([x, y + 0.1], axis=1))
    return rows


def _lips(head: Head) -> FloatArray:
    """(V,) 1 on the red of the lips, and behind it."""
    p = head.neutral
    outline = (p[head.outer_lips, :2] * 100).astype(np.float32)[:, None]
    inside = np.array(
        [cv2.pointPolygonTest(outline, (float(x * 100), float(y * 100)), True) for x, y in p[:, :2]]
    )
    return _step(inside / 100, 0.12) * (p[:, 2] > 6)


def _rim(head: Head) -> FloatArray:
    """(V,) 1 where the lips turn inwards, wet and dark, falling to 0 within two millimetres."""
    p = head.neutral
    along = np.linspace(0, PAIRS - 1, 8 * PAIRS)
    rows = [row @ p for row in (head.upper, head.lower)]
    line = np.concatenate(
        [np.stack([np.interp(along, range(PAIRS), row[:, k]) for k in range(3)], 1) for row in rows]
    )
    away = np.linalg.norm(p[:, None] - line, axis=2).min(axis=1)
    out: FloatArray = np.exp(-((away / 0.13) ** 2)).astype(np.float32)
    return out


def _detail(rng: np.random.Generator) -> FloatArray:
    """Pores, blotches and freckles."""
    total = np.zeros((_DETAIL_PX, _DETAIL_PX), np.float32)
    for cells, share in ((16, 0.05), (64, 0.05), (256, 0.06), (1024, 0.09)):
        noise = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        total += share * cv2.resize(noise, (_DETAIL_PX,) * 2, interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        for x, y in rng.uniform(0.2, 0.8, (int(rng.integers(20, 250)), 2)) * _DETAIL_PX:
            cv2.circle(total, (int(x), int(y)), int(rng.integers(1, 4)), (-0.25,), -1)
    return 1 + cv2.GaussianBlur(total, (0, 0), 0.8)


def _cloud(rng: np.random.Generator, points: FloatArray, size: float) -> FloatArray:
    """(V,) smooth chance over space, about -1 to 1."""
    waves = rng.normal(0, 1 / size, (12, 3))
    phases = rng.uniform(0, 2 * np.pi, 12)
    total: FloatArray = np.sin(points @ waves.T + phases).sum(axis=1) / 3
    return total


def _step(value: FloatArray, width: float) -> FloatArray:
    """0 below, 1 above, smooth over a width."""
    t = np.clip(value / width + 0.5, 0, 1)
    out: FloatArray = t * t * (3 - 2 * t)
    return out


def _mix(colors: FloatArray, other: FloatArray, share: FloatArray) -> None:
    colors += share[:, None] * (other - colors)
