"""The shot's own mouths on disk: the lower face of each frame, at the plate's resolution.

One file of float16 pixels in the plate's encoding, with an index beside it. Frames are read
when asked for, so memory does not grow with the shot.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from lipcore.errors import MediaUnreadableError
from lipcore.synthesis.matte import lower_face_window
from lipcore.types import FloatArray, Frame, Window

PIXELS, INDEX = "bank.f16", "bank.npz"
_HELD = 12
_HALF_MAX = 65504.0

HalfArray = npt.NDArray[np.float16]


def to_half(picture: FloatArray) -> HalfArray:
    """Pixels as the bank stores them; what half precision does not reach, at its end."""
    with np.errstate(over="ignore"):
        half: HalfArray = np.clip(picture, -_HALF_MAX, _HALF_MAX).astype(np.float16)
    return np.ascontiguousarray(half)


class BankWriter:
    """Collects the lower faces of a shot; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / PIXELS).open("wb")
        self._rows: list[tuple[int, int, int, int, int, int]] = []

    def add(self, frame: Frame, landmarks: FloatArray, pixel_aspect: float) -> None:
        """Store the lower face of a frame.

        Args:
            frame: The plate's frame.
            landmarks: ``(478, 3)`` in square pixels (x times the pixel aspect).
            pixel_aspect: Of the plate.
        """
        window = lower_face_window(landmarks, frame.window, pixel_aspect)
        if window.width >= 2 and window.height >= 2:
            self.put(frame.number, window, to_half(frame.part(window)))

    def put(self, number: int, window: Window, pixels: HalfArray) -> None:
        """Store a lower face that was cut out before.

        Args:
            number: Of the frame.
            window: Of ``lower_face_window``.
            pixels: ``(h, w, 3)`` of ``to_half``.
        """
        if window.width < 2 or window.height < 2:
            return
        self._rows.append(
            (number, window.x, window.y, window.width, window.height, self._file.tell())
        )
        self._file.write(np.ascontiguousarray(pixels).data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if kind is None:
            rows = np.array(self._rows, np.int64).reshape(-1, 6)
            with (self._folder / INDEX).open("wb") as handle:
                np.savez(handle, rows=rows)


class FrameBank:
    """Reads what a ``BankWriter`` stored; safe for several threads."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / INDEX, allow_pickle=False) as data:
            self._rows: npt.NDArray[np.int64] = data["rows"]
        self._file = (folder / PIXELS).open("rb", buffering=0)
        self._held: OrderedDict[int, FloatArray] = OrderedDict()
        self._lock = threading.Lock()
        size = os.fstat(self._file.fileno()).st_size
        wanted = int((self._rows[:, 3] * self._rows[:, 4]).sum()) * 6
        if size != wanted:
            self._file.close()
            raise OSError(f"{folder / PIXELS} holds {size} bytes, {wanted} are expected")

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Frame numbers in the bank, ascending."""
        return self._rows[:, 0]

    def read(self, position: int) -> tuple[FloatArray, Window]:
        """Pixels ``(h, w, 3)`` float32 and their window, by position in ``numbers``."""
        _, x, y, width, height, offset = (int(v) for v in self._rows[position])
        window = Window(x, y, width, height)
        with self._lock:
            if position in self._held:
                self._held.move_to_end(position)
                return self._held[position], window
        data = self._pixels(width * height * 6, offset)
        picture = np.frombuffer(data, np.float16).reshape(height, width, 3).astype(np.float32)
        with self._lock:
            self._held[position] = picture
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        return picture, window

    def _pixels(self, count: int, offset: int) -> bytes:
        try:
            data = os.pread(self._file.fileno(), count, offset)
            if len(data) == count:
                return data
            told = "it has become shorter"
        except OSError as error:  # a disk or a network mount that has gone
            told = error.strerror or str(error)
        raise MediaUnreadableError(
            f"the shot's frames in the cache cannot be read any more ({told}): {self._file.name}",
            hint="Is the cache's disk still there? Run the same command again: finished frames "
            "are kept.", path=str(self._file.name),
        )

    def close(self) -> None:
        """Close the file; more than once is fine."""
        self._file.close()
