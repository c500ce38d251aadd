"""A render on a machine whose memory runs out."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

from lipcore.errors import OutOfMemoryError
from lipcore.media.plate import open_plate
from lipcore.media.writers import open_writer
from lipcore.pipeline import render_frames
from lipcore.shot import RenderConfig
from lipcore.types import Frame, Patch


class Heard:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, stage: str, done: int, total: int) -> None:
        pass

    def log(self, message: str) -> None:
        self.lines.append(message)


class Starved:
    """A renderer for which only so many frames at a time fit into memory."""

    name = "shot"
    sources: ClassVar[dict[int, tuple[tuple[int, float], ...]]] = {}

    def __init__(self, most: int) -> None:
        self._places = threading.Semaphore(most)

    def render(self, frame: Frame) -> Patch | None:
        if not self._places.acquire(blocking=False):
            raise MemoryError
        time.sleep(0.05)
        self._places.release()
        return None


def _render(plate_path: Path, out: Path, most: int) -> tuple[list[int], list[str]]:
    """Frames that were passed on, and what was said."""
    heard = Heard()
    with open_plate(plate_path) as plate, open_writer(
        out, plate.info, frames=plate.info.frames, parameter_hash="k"
    ) as writer:
        done = render_frames(
            plate, plate.info.frames, Starved(most), None, writer, RenderConfig(workers=4), heard
        )
    return done.passed, heard.lines


def test_fewer_frames_are_drawn_at_once(portrait_plate: Path, tmp_path: Path) -> None:
    passed, lines = _render(portrait_plate, tmp_path, most=1)
    assert passed == list(range(1001, 1013)), "each once and in order"
    assert len(list(tmp_path.glob("*.exr"))) == 12
    told = [f"memory ran out: {n} frames are drawn at once from here on" for n in (2, 1)]
    assert lines and lines == told[: len(lines)]


def test_where_not_even_one_fits_the_frame_is_named(portrait_plate: Path, tmp_path: Path) -> None:
    with pytest.raises(OutOfMemoryError, match="at frame 1001") as caught:
        _render(portrait_plate, tmp_path, most=0)
    assert caught.value.exit_code == 11 and "finished frames are kept" in caught.value.hint
