"""Renders to report on: real ones, and figures of shots that were never rendered."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lipcore
from lipcore.report.finished import FinishedRender
from lipcore.report.measure import MeasuredShot, Meshes, Sound
from lipcore.tracking.head import LIPS_INNER_LOWER, LIPS_OUTER_LOWER, canonical_head
from lipcore.types import FloatArray, FrameRange

LOWER_LIP = [*LIPS_INNER_LOWER[1:-1], *LIPS_OUTER_LOWER[1:-1]]


@pytest.fixture(scope="session")
def rendered(
    portrait_plate: Path, spoken_line: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Folders of one line said by the portrait: full EXR frames, patches, and a video."""
    folder, cache = tmp_path_factory.mktemp("rendus d'été"), tmp_path_factory.mktemp("cache")
    shot = lipcore.Shot(portrait_plate, spoken_line)
    outs = {}
    for kind, name in (("full", "full"), ("patch", "patch"), ("video", "film.mkv")):
        out = folder / kind / name
        config = lipcore.RenderConfig(deliver=kind, cache=cache)  # type: ignore[arg-type]
        lipcore.render_shot(shot, config, out)
        outs[kind] = folder / kind
    return outs


def heads(opening: FloatArray) -> FloatArray:
    """``(N, 478, 3)`` faces, 80 pixels between the eyes, whose lips gape as asked."""
    faces = np.stack([canonical_head()] * len(opening)).astype(np.float32)
    upper, lower = [82, 13, 312], [87, 14, 317]
    own = (canonical_head()[lower, 1] - canonical_head()[upper, 1]).mean()
    faces[:, LOWER_LIP, 1] += (opening - own)[:, None]
    return 80 * faces + 200


@pytest.fixture
def shot_of() -> Callable[..., MeasuredShot]:
    """A shot with given figures, at 25 frames a second from 01:00:00:00, frame 1001."""

    def make(opening: FloatArray, sound: Sound | None = None, **facts: Any) -> MeasuredShot:
        count = len(opening)
        figures = {"sharp": 1.0, "outside": 0.0, "no_plate": "", "no_sound": "",
                   "lossless": True, "score": np.ones(count, np.float32), **facts}  # fmt: skip
        plate = heads(np.full(count, 0.02, np.float32))
        sharp = np.full(count, 100, np.float32)
        meshes = Meshes(
            heads(opening), plate, figures["score"], figures["sharp"] * sharp, sharp,
            np.full(count, figures["outside"], np.float32),
        )
        render = FinishedRender(
            sidecar=Path("/shots/x.lipsync.json"), name="x", picture=Path("/shots/x.####.exr"),
            plate=Path("/plates/x.####.exr"), plate_frames=(), colorspace="lin_rec709_scene",
            frames=FrameRange(1001, 1000 + count), rate=Fraction(25), width=640, height=480,
            pixel_aspect=1.0, timecode=facts.get("timecode", "01:00:00:00"), cuts=(),
            dialogue=Path("/sound/line.wav"), sound_begin_s=Fraction(0), settings={},
            policies=facts.get("policies", ("track",) * count),
            confidence=facts.get("confidence", np.ones(count, np.float32)),
            strength=facts.get("strength", np.ones(count, np.float32)), landmarks=plate,
            wanted=heads(facts.get("asked", opening)),
            transforms=np.zeros((count, 2, 3), np.float32),
        )
        return MeasuredShot(
            render, meshes, sound, figures["no_plate"], figures["no_sound"], figures["lossless"]
        )

    return make
