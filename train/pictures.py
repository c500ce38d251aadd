"""Sample pictures of a training run, as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO
from torch import Tensor


def write_grid(path: Path, grid: Tensor) -> None:
    """Write pictures (rows, columns, 3, H, W) in [-1, 1] as one PNG."""
    rows, columns, channels, height, width = grid.shape
    picture = grid.float().clamp(-1, 1).permute(0, 3, 1, 4, 2)
    picture = picture.reshape(rows * height, columns * width, channels)
    pixels = ((picture + 1) * 127.5).round().byte().cpu().numpy()
    buffer = OpenImageIO.ImageBuf(np.ascontiguousarray(pixels))
    buffer.write(str(path))
