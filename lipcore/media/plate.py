"""A plate: numbered frames with one size, one rate and one encoding, however they are stored.

with open_plate("shots/a/plate.####.exr") as plate:
    for frame in plate.stream(plate.info.frames):
        ...
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from lipcore.errors import MissingFrameError
from lipcore.types import Frame, FrameRange, PlateInfo

MissingPolicy = Literal["error", "hold", "black"]
"""What stands in for an absent frame: an error, the nearest earlier frame (else the nearest
later one), or a black one."""

DEFAULT_RATE = Fraction(24)
"""Of image sequences that state none."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedTracking:
    """A take whose faces are tracked once for all plates that show frames of it."""

    take: Plate
    frames: FrameRange
    """The take's frames that are tracked."""
    numbers: tuple[int, ...]
    """The take's frame for each frame that is wanted; all lie in ``frames``."""


class Plate(abc.ABC):
    """The one interface to every kind of plate; also a context manager.

    A plate is used by one thread at a time; ``stream`` decodes ahead in a thread of its own.
    """

    @property
    @abc.abstractmethod
    def info(self) -> PlateInfo:
        """What is known of the plate without reading all of it."""

    @abc.abstractmethod
    def read(self, number: int) -> Frame:
        """Decode one frame.

        Args:
            number: As in ``info.frames``.

        Raises:
            MissingFrameError: The frame is outside the plate, or absent under the policy
                ``error``.
            MediaUnreadableError: The frame's data is damaged.
            FrameSizeError: The frame has another size than the plate.
        """

    @abc.abstractmethod
    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        """Decode ``frames`` in order, a few ahead of the caller; memory is bounded.

        Raises:
            MissingFrameError, MediaUnreadableError, FrameSizeError: As ``read`` does, at the
                frame concerned.
        """

    @abc.abstractmethod
    def content_key(self) -> str:
        """A hash of what the plate holds, the same for a copy in another folder."""

    def shared_tracking(self, frames: FrameRange) -> SharedTracking | None:
        """Where faces are tracked in place of this plate's own frames; None: in these.

        Args:
            frames: The frames of this plate that are wanted.
        """
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of files, threads and processes; more than once is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def require(self, number: int) -> None:
        """Check that a number lies inside the plate.

        Raises:
            MissingFrameError: It does not.
        """
        if number not in self.info.frames:
            raise MissingFrameError(
                f"frame {number} is outside the plate {self.info.path} ({self.info.frames})",
                hint="Ask for frames that the plate has (--frames).",
                path=str(self.info.path),
                frame=number,
            )


def stream_numbers(plate: Plate, numbers: Sequence[int]) -> Iterator[Frame]:
    """Some frames of a plate, in stretches that are streamed.

    Args:
        plate: The plate.
        numbers: Ascending.

    Raises:
        MissingFrameError, MediaUnreadableError, FrameSizeError: As ``Plate.stream`` does.
    """
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            if i > start:
                yield from plate.stream(FrameRange(numbers[start], numbers[i - 1]))
            start = i


def open_plate(
    path: str | Path,
    *,
    rate: Fraction | None = None,
    colorspace: str | None = None,
    missing: MissingPolicy = "error",
) -> Plate:
    """Open a video file or an image sequence.

    Args:
        path: A video file; a sequence as ``name.####.exr`` or ``name.%04d.exr``; a folder
            that holds exactly one sequence; or one frame's name, which stands for the whole
            sequence around it. A lone image is a plate of one frame.
        rate: Frames a second, instead of what the file says (24 where a sequence is silent).
        colorspace: The encoding, instead of what the file says: see ``media.color``.
        missing: What stands in for absent frames of a sequence.

    Raises:
        MediaNotFoundError: Nothing is at the path.
        MediaUnreadableError: The file is damaged, empty, or not a picture.
        FrameSizeError: Frames differ in size.
        ConfigError: The folder holds several sequences, or the rate is not above 0.
        ColorError: No color space has this name.
    """
    # Decoders load only when a plate is opened: importing this module stays cheap.
    from lipcore.media.locate import locate_sequence

    found = locate_sequence(Path(path))
    if found is not None:
        from lipcore.media.sequence import SequencePlate

        return SequencePlate(found, rate=rate, colorspace=colorspace, missing=missing)
    from lipcore.media.video import VideoPlate

    return VideoPlate(Path(path), rate=rate, colorspace=colorspace)
