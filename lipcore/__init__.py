"""Lip-sync for film and television: give it a plate and a dialogue track.

    >>> from pathlib import Path
    >>> import lipcore
    >>> shot = lipcore.Shot(Path("plate.####.exr"), Path("line.wav"))
    >>> lipcore.render_shot(shot, lipcore.RenderConfig(), Path("out"))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lipcore.errors import LipcoreError
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange

if TYPE_CHECKING:
    from lipcore.pipeline import RenderResult, render_shot
    from lipcore.streaming import LipSyncStream

__version__ = "0.1.0"
__all__ = [
    "FrameRange",
    "LipSyncStream",
    "LipcoreError",
    "RenderConfig",
    "RenderResult",
    "Shot",
    "render_shot",
]


def __getattr__(name: str) -> Any:
    """The pipeline loads its networks' libraries only when it is asked for."""
    if name in ("RenderResult", "render_shot"):
        from lipcore import pipeline

        return getattr(pipeline, name)
    if name == "LipSyncStream":
        from lipcore.streaming import LipSyncStream

        return LipSyncStream
    raise AttributeError(f"module 'lipcore' has no attribute {name!r}")
