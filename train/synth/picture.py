"""Pictures of a person: camera, light, lens and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lipcore.types import FloatArray

from .head import EYES, GUMS, TEETH, Head
from .person import Person
from .raster import draw

_SAMPLES = 2
"""Samples a pixel along each side."""
_CENTER = (0.0, -1.0, 4.0)
"""What the camera looks at, cm."""


@dataclass(frozen=True, slots=True)
class Lens:
    """What lies between the light and the file."""

    exposure: float
    blur: float
    """Sigma in pixels."""
    noise: float
    """Of 0-1."""
    quality: int
    """Of the JPEG that the footage went through."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Where a person is seen from, and through what."""

    size: int
    """Side of the pictures in pixels."""
    scale: float
    """Pixels a cm, at the eyes."""
    distance: float
    """cm."""
    background: FloatArray
    """(size * 2, size * 2, 3) linear."""
    lens: Lens


def draw_camera(rng: np.random.Generator, *, crop_px: int, interocular: float) -> Camera:
    """A camera and a background, by chance; a face a little larger or smaller than the crop."""
    size = round(1.5 * crop_px / 2) * 2
    side = _SAMPLES * size
    wall = rng.uniform(0.03, 0.5) * np.exp(rng.normal(0, 0.15, 3))
    back = np.tile(wall, (12, 12, 1)) * np.exp(rng.normal(0, rng.uniform(0, 0.7), (12, 12, 1)))
    back = cv2.resize(back.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return Camera(
        size, crop_px / 2.25 / interocular * rng.uniform(0.9, 1.1), rng.uniform(55, 140),
        np.clip(back, 0.002, 1), draw_lens(rng),
    )


def draw_lens(rng: np.random.Generator) -> Lens:
    """A lens, an exposure and a codec, by chance."""
    return Lens(
        float(rng.uniform(0.85, 1.25)), float(rng.uniform(0.0, 0.5)),
        float(rng.uniform(0.002, 0.012)), int(rng.integers(85, 98)),
    )


def take(
    head: Head, person: Person, camera: Camera, points: FloatArray,
    rotation: FloatArray, shift: FloatArray, rng: np.random.Generator,
) -> bytes:
    """One picture.

    Args:
        head: The mesh.
        person: Skin and light.
        camera: The camera.
        points: (V, 3) vertices of this moment, cm.
        rotation: (3, 3) of the head.
        shift: (2,) of the head, cm.
        rng: Of the noise.

    Returns:
        A JPEG, ``camera.size`` square, sRGB.
    """
    seen = (points - np.array(_CENTER, np.float32)) @ rotation.T
    seen[:, :2] += shift
    away = camera.distance - seen[:, 2]
    factor = _SAMPLES * camera.scale * (camera.distance - 4.0) / away
    half = _SAMPLES * camera.size / 2
    screen = np.stack([half + seen[:, 0] * factor, half - seen[:, 1] * factor, away], axis=1)
    normals = _normals(seen, head.triangles)
    vertices = np.concatenate(
        [person.albedo * _light(head, person, points, normals), normals,
         person.shine[:, :1] * _hollow(head, points)[:, None] * np.ones((1, 3)),
         person.grain[:, None], person.shine[:, 1:]], axis=1,
    ).astype(np.float32)  # fmt: skip
    toward = person.lights + np.array([0, 0, 1], np.float32)
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    image = camera.background.copy()
    draw(
        screen.astype(np.float32), head.triangles, head.uv, vertices, person.detail, toward,
        person.light_colors * 4, image,
    )
    light: FloatArray = np.asarray(
        cv2.resize(image, (camera.size, camera.size), interpolation=cv2.INTER_AREA), np.float32
    )
    return develop(light, camera.lens, rng)


def _light(head: Head, person: Person, points: FloatArray, normals: FloatArray) -> FloatArray:
    """(V, 3) what falls on each vertex; light bleeds a little round the edge of shadows."""
    facing = np.clip((normals @ person.lights.T + 0.15) / 1.15, 0, None)
    up = 0.5 + 0.5 * normals[:, 1:2]
    total = facing @ person.light_colors * 1.5
    total = total + up * person.ambient[0] + (1 - up) * person.ambient[1]
    out: FloatArray = total * _hollow(head, points)[:, None]
    return out


def _hollow(head: Head, points: FloatArray) -> FloatArray:
    """(V,) how much of the light reaches a vertex: the mouth is dark behind the lips."""
    row = head.upper[2:-2] @ points
    low = head.lower[2:-2] @ points
    front = float((row[:, 2].mean() + low[:, 2].mean()) / 2)
    gap = max(float((row[:, 1] - low[:, 1]).mean()), 0.0)
    shade = np.ones(len(points), np.float32)
    inner = head.socket | (head.part == GUMS) | (head.part == TEETH)
    depth = np.maximum(front - points[inner, 2], 0)
    top = np.maximum(points[inner, 1] - row[:, 1].max(), 0)
    shade[inner] = np.exp(-depth / (0.9 + 1.3 * gap)) * np.exp(-top / 0.8) * 0.95
    eyes = head.part == EYES
    shade[eyes] = 0.8
    return shade


def _normals(points: FloatArray, triangles: npt.NDArray[np.int32]) -> FloatArray:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(triangles.reshape(-1), np.repeat(faces[:, k], 3), len(points))
         for k in range(3)], axis=1,
    )  # fmt: skip
    length = np.linalg.norm(total, axis=1, keepdims=True)
    out: FloatArray = (total / np.maximum(length, 1e-9)).astype(np.float32)
    return out


def decode(code: bytes) -> npt.NDArray[np.uint8]:
    """(size, size, 3) uint8 of what ``take`` gave."""
    data = np.frombuffer(code, np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def develop(light: FloatArray, lens: Lens, rng: np.random.Generator) -> bytes:
    """Linear light to a picture that a camera wrote and a codec squeezed."""
    if lens.blur > 0.2:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), lens.blur), np.float32)
    shown = np.clip(light * lens.exposure, 0, None)
    shown = shown / (1 + 0.25 * shown)  # a soft shoulder instead of burnt highlights
    shown = np.where(shown < 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    shown = shown + rng.standard_normal(shown.shape, np.float32) * np.float32(lens.noise)
    picture = np.clip(shown * 255, 0, 255).round().astype(np.uint8)
    settings = [cv2.IMWRITE_JPEG_QUALITY, lens.quality]
    return bytes(cv2.imencode(".jpg", picture[..., ::-1], settings)[1].tobytes())
