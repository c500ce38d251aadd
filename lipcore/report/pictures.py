"""Plate and render side by side, frame by frame, in the same numbers and the same light."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from lipcore.composite import merge
from lipcore.errors import ColorError, MediaError, MediaUnreadableError
from lipcore.media.color import ColorTransform
from lipcore.media.decoder import IsolatedDecoder
from lipcore.media.exr_format import read_header
from lipcore.media.plate import Plate
from lipcore.media.sequence import SequenceNative
from lipcore.media.write_exr import PATCH_CHANNELS
from lipcore.report.finished import FinishedRender
from lipcore.synthesis.matte import mouth_matte, mouth_window
from lipcore.tracking.align import to_square
from lipcore.tracking.view import FrameView
from lipcore.types import FloatArray, Frame, FrameRange, Patch, Window


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """One frame, as the plate has it and as it was rendered."""

    index: int
    """Its place in the render, from 0."""
    before: Frame | None
    """None where the plate is not there."""
    after: Frame


def drawn_matte(
    render: FinishedRender, index: int, bounds: Window
) -> tuple[Window, FloatArray] | None:
    """The matte of a frame, made again from the sidecar's landmarks; None where nothing was drawn.

    Args:
        render: From its sidecar.
        index: The frame's place in the render, from 0.
        bounds: The frame's data window.

    Returns:
        Its window, and ``(height, width)`` 0-1.
    """
    wanted = render.wanted[index]
    if not np.isfinite(wanted).all():
        return None
    aspect = render.pixel_aspect
    old, new = to_square(render.landmarks[index], aspect), to_square(wanted, aspect)
    feather = float(render.settings.get("feather", 0.1))
    window = mouth_window(old, new, bounds, feather=feather, pixel_aspect=aspect)
    if not window.width or not window.height:
        return None
    alpha, _ = mouth_matte(old, new, window, feather=feather, pixel_aspect=aspect)
    return window, alpha


class RenderPictures:
    """The pictures of a render and of its plate; a context manager.

    Raises:
        MediaError, ColorError: The rendered picture cannot be read, or is a patch whose plate
            is not there.
    """

    def __init__(self, render: FinishedRender) -> None:
        self._render = render
        self._decoder: IsolatedDecoder | None = None
        self.no_plate = ""
        """Why the plate cannot be shown; empty where it is."""
        self._before: Plate | None = None
        self._after = render.open_picture()
        try:
            try:
                self._before = render.open_plate()
            except (MediaError, ColorError) as error:
                self.no_plate = error.message
                if render.is_patch:
                    raise
            except OSError as error:  # a name that no file can have, or a folder not to be read
                self.no_plate = f"{render.plate} cannot be looked for ({error.strerror})"
                if render.is_patch:
                    raise MediaUnreadableError(self.no_plate, path=str(render.plate)) from error
            have, first = self._after.info.frames, render.frames.first
            self._shift = have.first - first if self._after.info.kind == "video" else 0
            for number in (first, render.frames.last):
                if number + self._shift not in have:
                    raise MediaUnreadableError(
                        f"{render.picture} has frames {have}, and not all that its sidecar "
                        f"tells of ({render.frames})", hint="Render the shot to its end.",
                    )
            self._colors()
        except BaseException:
            self.close()
            raise

    def _colors(self) -> None:
        own = self._after if self._before is None else self._before
        self.before_color = ColorTransform.of_plate(own)
        same = self._render.is_patch or self._after.info.colorspace == own.info.colorspace
        self.same_encoding = same
        """Pixels of plate and render mean the same, and may be compared as they are."""
        self.after_color = self.before_color if same else ColorTransform.of_plate(self._after)

    @property
    def lossless(self) -> bool:
        """The rendered file keeps every pixel of the plate that is not drawn anew."""
        return self.same_encoding and self._after.info.kind == "sequence" and (
            self._before is not None and self._before.info.kind == "sequence"
        )

    def content_key(self) -> str:
        """A hash of what both hold."""
        before = "" if self._before is None else self._before.content_key()
        return f"{before} {self._after.content_key()}"

    def stream(self) -> Iterator[FramePair]:
        """All frames of the render in order.

        Raises:
            MediaError: A frame cannot be read.
        """
        frames = self._render.frames
        shifted = FrameRange(frames.first + self._shift, frames.last + self._shift)
        with contextlib.closing(self._stream_of(self._after, shifted)) as after:
            if self._before is None:
                for index, frame in enumerate(after):
                    yield FramePair(index, None, self._whole(frame, None))
                return
            with contextlib.closing(self._stream_of(self._before, frames)) as before:
                for index, (old, new) in enumerate(zip(before, after, strict=True)):
                    yield FramePair(index, old, self._whole(new, old))

    @staticmethod
    def _stream_of(plate: Plate, frames: FrameRange) -> Generator[Frame, None, None]:
        yield from plate.stream(frames)

    def read(self, index: int) -> FramePair:
        """One frame, by its place in the render."""
        number = self._render.frames.first + index
        old = None if self._before is None else self._before.read(number)
        return FramePair(index, old, self._whole(self._after.read(number + self._shift), old))

    def view_before(self, pair: FramePair) -> FrameView | None:
        """The plate's frame, to be cut; None where it is not there."""
        if pair.before is None:
            return None
        return FrameView(pair.before, self.before_color, self._render.pixel_aspect)

    def view_after(self, pair: FramePair) -> FrameView:
        """The rendered frame, to be cut."""
        return FrameView(pair.after, self.after_color, self._render.pixel_aspect)

    def matte(self, pair: FramePair) -> tuple[Window, FloatArray] | None:
        """Where the mouth is new, 0-1, and the window it covers: as it is stored beside the
        picture, else made again from the sidecar's landmarks; None where nothing was drawn."""
        stored = self._stored(pair.after, PATCH_CHANNELS[3:])
        if stored is not None:
            return stored[0], stored[1][0]
        return drawn_matte(self._render, pair.index, pair.after.window)

    def _whole(self, frame: Frame, plate: Frame | None) -> Frame:
        """The rendered frame under the plate's number; a patch is merged over its plate."""
        if not self._render.is_patch:
            return frame.numbered(frame.number - self._shift)
        assert plate is not None  # checked when opened
        stored = self._stored(frame, ("A",))
        if stored is None:
            return Frame(plate.number, plate.rgb, plate.window, frame.native, plate.policy)
        window, (alpha,) = stored
        patch = Patch(window, frame.rgb, alpha, np.zeros_like(alpha))
        merged = merge(plate.rgb, plate.window, patch, np.float32)
        return Frame(plate.number, merged, plate.window, frame.native, plate.policy)

    def _stored(
        self, frame: Frame, channels: tuple[str, ...]
    ) -> tuple[Window, list[FloatArray]] | None:
        """Channels of the rendered EXR file, and their window; None where it lacks them."""
        native = frame.native
        if not isinstance(native, SequenceNative) or native.path.suffix.lower() != ".exr":
            return None
        if self._render.is_patch:
            channels = ("A",)
        part = read_header(native.path).parts[native.part]
        if not {c.name for c in part.channels}.issuperset(channels):
            return None
        self._decoder = self._decoder or IsolatedDecoder()
        image = self._decoder.decode(
            native.path, part=native.part, channels=channels, window=part.data
        )
        x, y = part.data.x - part.display.x, part.data.y - part.display.y
        window = Window(x, y, part.data.width, part.data.height)
        return window, [image.channel(name).astype(np.float32) for name in channels]

    def close(self) -> None:
        """Let go of both; more than once is fine."""
        for plate in (self._after, self._before):
            if plate is not None:
                plate.close()
        if self._decoder is not None:
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
