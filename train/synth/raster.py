"""A small z-buffer rasteriser, compiled: triangles to samples, samples to light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lipcore.errors import DependencyError
from lipcore.types import FloatArray

try:
    from numba import njit
except ImportError as error:
    raise DependencyError(
        "numba is not installed", hint="Run: pip install 'lipcore[train]'"
    ) from error


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def draw(
    screen: FloatArray, triangles: npt.NDArray[np.int32], uv: FloatArray, vertices: FloatArray,
    detail: FloatArray, half: FloatArray, gloss: FloatArray, image: FloatArray,
) -> FloatArray:
    """Draw a mesh over a picture.

    Args:
        screen: (V, 3) pixels and depth; nearer is smaller.
        triangles: (F, 3) vertices of each; clockwise on the screen faces the camera.
        uv: (F, 3, 2) in 0-1.
        vertices: (V, 11): diffuse red, green, blue, normal x, y, z, gloss red, green, blue,
            how much of the detail it takes, sharpness of its gloss.
        detail: (D, D) factors over the texture, about 1.
        half: (L, 3) halfway vectors of the lights.
        gloss: (L, 3) their colors.
        image: (H, W, 3) what is behind; drawn over.

    Returns:
        (H, W) depth; infinite where nothing was drawn.
    """
    height, width = image.shape[:2]
    depth = np.full((height, width), np.inf, np.float32)
    owner = np.full((height, width), -1, np.int32)
    places = np.zeros((height, width, 2), np.float32)
    for f in range(len(triangles)):
        a, b, c = triangles[f]
        ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
        cx, cy = screen[c, 0], screen[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= -1e-9:
            continue
        x0 = max(int(np.ceil(min(ax, bx, cx) - 0.5)), 0)
        x1 = min(int(np.floor(max(ax, bx, cx) - 0.5)), width - 1)
        y0 = max(int(np.ceil(min(ay, by, cy) - 0.5)), 0)
        y1 = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                px, py = x + 0.5, y + 0.5
                u = ((cx - bx) * (py - by) - (cy - by) * (px - bx)) / area
                v = ((ax - cx) * (py - cy) - (ay - cy) * (px - cx)) / area
                if u < 0 or v < 0 or u + v > 1:
                    continue
                z = u * screen[a, 2] + v * screen[b, 2] + (1 - u - v) * screen[c, 2]
                if z < depth[y, x]:
                    depth[y, x] = z
                    owner[y, x] = f
                    places[y, x, 0] = u
                    places[y, x, 1] = v
    side = detail.shape[0]
    value = np.zeros(11, np.float32)
    for y in range(height):
        for x in range(width):
            f = owner[y, x]
            if f < 0:
                continue
            u, v = places[y, x, 0], places[y, x, 1]
            w = 1 - u - v
            a, b, c = triangles[f]
            for k in range(11):
                value[k] = u * vertices[a, k] + v * vertices[b, k] + w * vertices[c, k]
            tu = (u * uv[f, 0, 0] + v * uv[f, 1, 0] + w * uv[f, 2, 0]) * (side - 2)
            tv = (u * uv[f, 0, 1] + v * uv[f, 1, 1] + w * uv[f, 2, 1]) * (side - 2)
            iu, iv = max(int(tu), 0), max(int(tv), 0)
            fu, fv = tu - iu, tv - iv
            top = detail[iv, iu] * (1 - fu) + detail[iv, iu + 1] * fu
            low = detail[iv + 1, iu] * (1 - fu) + detail[iv + 1, iu + 1] * fu
            grain = 1 + value[9] * (top * (1 - fv) + low * fv - 1)
            n = max(np.sqrt(value[3] ** 2 + value[4] ** 2 + value[5] ** 2), 1e-6)
            for k in range(3):
                image[y, x, k] = value[k] * grain
            for i in range(len(half)):
                d = (value[3] * half[i, 0] + value[4] * half[i, 1] + value[5] * half[i, 2]) / n
                if d > 0:
                    shine = d ** value[10] * grain
                    for k in range(3):
                        image[y, x, k] += value[6 + k] * gloss[i, k] * shine
    return depth
