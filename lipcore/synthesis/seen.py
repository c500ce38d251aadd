"""Lower faces as tracking comes by them, so that the bank need not decode the shot again.

Where a face lies is known for good only when the whole shot was tracked and smoothed. So a
little more than seems to be needed is set aside of each face, at half precision as the bank
stores it; what turns out to be too little is read from the plate after all.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from lipcore.synthesis.bank import HalfArray, to_half
from lipcore.synthesis.matte import lower_face_window
from lipcore.synthesis.warp import interocular_px
from lipcore.types import FloatArray, Frame, FrameRange, Window

_MARGIN = 0.1
"""Of the window on each side, interocular units: smoothing moves a face by less."""


class SeenFaces:
    """The lower faces of a shot in a file without a name; a context manager.

    Args:
        folder: Where the file is made when the first face is kept; it needs as much room as the
            bank. Where there is none, less is kept, and more is read again.
        frames: Faces in other frames are of no interest; None keeps all.
    """

    def __init__(self, folder: Path, frames: Sequence[int] | FrameRange | None = None) -> None:
        self._folder = folder
        self._wanted = None if frames is None else frozenset(frames)
        self._open = contextlib.ExitStack()
        self._file: IO[bytes] | None = None
        self._full = False
        self._bounds: dict[int, Window] = {}
        self._kept: dict[int, list[tuple[Window, int]]] = {}

    def keep(self, frame: Frame, faces: Sequence[FloatArray], pixel_aspect: float) -> None:
        """Set the faces of a frame aside.

        Args:
            frame: The plate's frame.
            faces: ``(478, 3)`` of each face, in square pixels (x times the pixel aspect).
            pixel_aspect: Of the plate.
        """
        absent = self._wanted is not None and frame.number not in self._wanted
        if self._full or absent or frame.policy is not None:
            return
        self._bounds[frame.number] = frame.window
        kept = self._kept[frame.number] = []
        for landmarks in faces:
            window = lower_face_window(landmarks, frame.window, pixel_aspect)
            more = _MARGIN * interocular_px(landmarks)
            window = _grown(window, more / pixel_aspect, more).intersect(frame.window)
            if window.width < 2 or window.height < 2:
                continue
            try:
                kept.append((window, self._write(to_half(frame.part(window)))))
            except OSError:  # a full disk; what was kept so far is good
                self._full = True
                return

    def holds(self, number: int, landmarks: FloatArray, pixel_aspect: float) -> bool:
        """Whether ``find`` has an answer."""
        return self._place(number, landmarks, pixel_aspect) is not None

    def find(
        self, number: int, landmarks: FloatArray, pixel_aspect: float
    ) -> tuple[Window, HalfArray] | None:
        """The lower face of a frame, as the bank stores it.

        Args:
            number: Of the frame.
            landmarks: ``(478, 3)`` where the face turned out to be, in square pixels.
            pixel_aspect: Of the plate.

        Returns:
            The window of the bank and ``(h, w, 3)`` its pixels; None where they were not all
            kept.
        """
        place = self._place(number, landmarks, pixel_aspect)
        if place is None or self._file is None:
            return None
        window, outer, offset = place
        # Whole rows of what was kept, and of them the columns.
        self._file.seek(offset + (window.y - outer.y) * outer.width * 6)
        data = self._file.read(window.height * outer.width * 6)
        rows = np.frombuffer(data, np.float16).reshape(window.height, outer.width, 3)
        return window, rows[:, window.slices_in(outer)[1]]

    def _place(
        self, number: int, landmarks: FloatArray, pixel_aspect: float
    ) -> tuple[Window, Window, int] | None:
        """What is asked for, what was kept around it, and where that lies in the file."""
        if number not in self._bounds:
            return None
        window = lower_face_window(landmarks, self._bounds[number], pixel_aspect)
        for outer, offset in self._kept[number]:
            if window.intersect(outer) == window:
                return window, outer, offset
        return None

    def _write(self, pixels: HalfArray) -> int:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._open.enter_context(
                tempfile.TemporaryFile(  # noqa: SIM115 -- `_open` closes it
                    dir=self._folder, prefix=".seen-"
                )
            )
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(pixels.data)
        return offset

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()


def _grown(window: Window, x: float, y: float) -> Window:
    across, down = int(np.ceil(x)), int(np.ceil(y))
    return Window(
        window.x - across, window.y - down, window.width + 2 * across, window.height + 2 * down
    )
