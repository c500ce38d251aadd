"""Mattes that hold out what passes before the mouth: hands, microphones, another's shoulder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lipcore.errors import FrameSizeError, MediaUnreadableError, MissingFrameError
from lipcore.media.decoder import DecodedImage, IsolatedDecoder
from lipcore.media.exr_format import read_header
from lipcore.media.locate import FoundSequence, locate_sequence
from lipcore.media.plate import Plate, open_plate
from lipcore.types import FloatArray, FrameRange, Patch, Window

_ALPHA = ("A", "a", "alpha", "Alpha")


class HoldOut:
    """A matte beside a plate; a context manager, used by one thread at a time.

    Its values are taken as they are stored: alpha where the files have one that says
    something on the first frame, else the first colour channel. Above 1 counts as 1.

    Args:
        path: As a plate's. A lone image holds for all frames.
        display: Of the plate that it belongs to.

    Raises:
        MediaError: It cannot be read.
        FrameSizeError: It is not of the plate's size.
    """

    def __init__(self, path: Path, display: Window) -> None:
        self._path = path
        self._display = display
        self._plate: Plate = open_plate(path)
        self._decoder = IsolatedDecoder()
        try:
            if self._plate.info.display.shape != display.shape:
                own = self._plate.info.display
                raise FrameSizeError(
                    f"the matte {path} is {own.width}x{own.height}, the plate "
                    f"{display.width}x{display.height}",
                    hint="Render the matte at the plate's size.",
                    path=str(path),
                    expected=f"{display.width}x{display.height}",
                    got=f"{own.width}x{own.height}",
                )
            self._files: FoundSequence | None = locate_sequence(path)
            self._still: FloatArray | None = None
            self._alpha = self._files is not None and self._alpha_speaks(self._files)
            if self._files is not None and len(self._files.files) == 1:
                self._still = self._image(next(iter(self._files.files.values())))
        except BaseException:
            self.close()
            raise

    def content_key(self) -> str:
        """A hash of what the matte holds."""
        return self._plate.content_key()

    def require(self, frames: FrameRange) -> None:
        """Check that every frame has its matte.

        Raises:
            MissingFrameError: The first that has none.
        """
        if self._still is not None:
            return
        there = self._plate.info.frames if self._files is None else self._files.files
        absent = next((number for number in frames if number not in there), None)
        if absent is not None:
            raise self._missing(absent)

    def _missing(self, number: int) -> MissingFrameError:
        return MissingFrameError(
            f"the matte {self._path} has no frame {number}",
            hint="Render the matte over all frames of the shot.",
            path=str(self._path),
            frame=number,
        )

    def close(self) -> None:
        """Let go of files and processes."""
        self._plate.close()
        self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, number: int) -> FloatArray:
        """``(height, width)`` 0-1 over the display window: 1 where the plate is to stay.

        Raises:
            MissingFrameError: The matte has no such frame.
            MediaUnreadableError: The frame is damaged.
        """
        if self._still is not None:
            return self._still
        if self._files is None:
            frame = self._plate.read(number)
            return self._placed(frame.rgb[..., 0], frame.window)
        if number not in self._files.files:
            raise self._missing(number)
        return self._image(self._files.files[number])

    def _alpha_speaks(self, found: FoundSequence) -> bool:
        """Whether alpha is there, and not just opaque."""
        path = next(iter(found.files.values()))
        alpha = next((n for n in self._names(path) if n in _ALPHA), None)
        if alpha is None:
            return False
        return bool((_unit(self._decode(path, alpha), alpha) < 1).any())

    def _names(self, path: Path) -> list[str]:
        if path.suffix.lower() in (".exr", ".sxr"):
            return [channel.name for channel in read_header(path).parts[0].channels]
        return self._decoder.decode(path).names

    def _decode(self, path: Path, channel: str) -> DecodedImage:
        return self._decoder.decode(path, channels=(channel,))

    def _image(self, path: Path) -> FloatArray:
        names = self._names(path)
        alpha = [n for n in names if n in _ALPHA]
        colour = [n for n in names if n in ("R", "r", "red", "Y")] or names
        chosen = (alpha if self._alpha and alpha else colour)[:1]
        if not chosen:
            raise MediaUnreadableError(
                f"the matte {path} has no channel", hint="Render it again.", path=str(path)
            )
        image = self._decode(path, chosen[0])
        shifted = Window(
            image.data.x - image.display.x, image.data.y - image.display.y,
            image.data.width, image.data.height,
        )
        return self._placed(_unit(image, chosen[0]), shifted)

    def _placed(self, values: FloatArray, window: Window) -> FloatArray:
        """Over the display window; 0 outside of the data window."""
        out = np.zeros(self._display.shape, np.float32)
        common = window.intersect(Window(0, 0, self._display.width, self._display.height))
        cut = values[common.slices_in(window)]
        out[common.slices_in(Window(0, 0, *reversed(self._display.shape)))] = cut
        return np.clip(np.nan_to_num(out, nan=0.0), 0, 1)


def _unit(image: DecodedImage, channel: str) -> FloatArray:
    """Samples of a channel, 0-1 where they are whole numbers."""
    values: npt.NDArray[Any] = image.channel(channel)
    if np.issubdtype(values.dtype, np.integer):
        top = np.float32(np.iinfo(values.dtype).max)
        return values.astype(np.float32) / top
    return values.astype(np.float32)


def hold_out(patch: Patch, matte: FloatArray) -> Patch:
    """A patch with the matte taken out of it.

    Args:
        patch: The new mouth.
        matte: ``(height, width)`` 0-1 over the display window.

    Returns:
        The patch, its alpha and premultiplied colour times ``1 - matte``.
    """
    display = Window(0, 0, matte.shape[1], matte.shape[0])
    kept = np.ones(patch.window.shape, np.float32)
    common = patch.window.intersect(display)
    kept[common.slices_in(patch.window)] = 1 - matte[common.slices_in(display)]
    return Patch(
        patch.window, patch.rgb * kept[..., None], patch.alpha * kept,
        np.where(kept > 0.5, patch.hard, np.float32(0)),
    )


def with_mattes(
    numbers: Iterable[int], matte: HoldOut | None
) -> Iterator[FloatArray | None]:
    """The matte of each frame, in order; None for each where there is no matte."""
    for number in numbers:
        yield None if matte is None else matte.read(number)
