"""Plates that are video files, through PyAV."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from lipcore.errors import ConfigError, FrameSizeError, MediaUnreadableError
from lipcore.media.color import check_colorspace
from lipcore.media.planar_frame import ColorTags, PlanarFrame, VideoNative
from lipcore.media.plate import Plate
from lipcore.media.prefetch import Prefetch
from lipcore.media.timecode import is_timecode
from lipcore.media.video_index import VideoIndex, picture_stream, read_index
from lipcore.media.yuv import Plane, YuvLayout, transpose_layout
from lipcore.types import Frame, FrameRange, PlateInfo, Window
from lipcore.user_folders import expand_home

FIRST_FRAME = 1
"""Video files do not number their frames."""

_SAMPLE_BYTES = 1 << 20
_UNTAGGED_HD_LINES = 720
_MATRICES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 7: "bt709", 9: "bt2020", 10: "bt2020"}
_TRANSFERS = {1: "rec709", 6: "rec601", 13: "srgb", 14: "rec709", 15: "rec709", 16: "pq", 18: "hlg"}


@dataclass(frozen=True, slots=True)
class _Turn:
    """How stored pictures are turned to be seen: first transposed, then mirrored."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def apply(self, plane: Plane) -> Plane:
        turned = plane.T if self.transpose else plane
        turned = turned[:, ::-1] if self.mirror_x else turned
        turned = turned[::-1] if self.mirror_y else turned
        return np.ascontiguousarray(turned)


class VideoPlate(Plate):
    """A video file; its frames are numbered from 1.

    The picture is turned as the file's display matrix says. Planes become RGB by the file's
    matrix and range tags; without tags, BT.601 below 720 lines and BT.709 from there on,
    limited range. Interlaced pictures stay interlaced. A file of variable rate is shown on a
    constant grid (see ``video_index.read_index``).
    """

    def __init__(
        self, path: Path, *, rate: Fraction | None = None, colorspace: str | None = None
    ) -> None:
        if rate is not None and rate <= 0:
            raise ConfigError(
                f"a rate of {rate} frames a second is not above 0", hint="Set --rate."
            )
        self._path = expand_home(path).absolute()
        self._decoding: _Decoding | None = None
        try:
            self._index = read_index(self._path, rate=rate)
            if not self._index.shown:
                raise _unreadable(self._path, "holds no video frame")
            if self._index.torn:
                self._index = self._drop_torn_end(self._index)
            self._info = self._inspect(rate, colorspace)
        except (av.error.FFmpegError, LookupError, OSError, ValueError) as error:
            self.close()
            if isinstance(error, MediaUnreadableError | ConfigError) or not isinstance(
                error, av.error.FFmpegError | LookupError | OSError
            ):
                raise
            what = (
                "has no video stream"
                if isinstance(error, LookupError)
                else f"cannot be read as video: {getattr(error, 'strerror', None) or error}"
            )
            raise _unreadable(self._path, what) from error
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> PlateInfo:
        return self._info

    def read(self, number: int) -> Frame:
        self.require(number)
        picture = self._index.shown[number - FIRST_FRAME]
        if self._decoding is None or not self._decoding.reaches(picture):
            self._restart(picture)
        assert self._decoding is not None
        try:
            found = self._decoding.get(picture)
            if found is None and not self._decoding.from_start:
                # Seeking went wrong, as it does in some containers: count from the start.
                self._restart(None)
                found = self._decoding.get(picture)
        except (av.error.FFmpegError, OSError) as error:
            raise self._lost(number) from error
        if found is None:
            raise self._lost(number)
        return self._frame(number, found)

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        self.require(frames.first)
        self.require(frames.last)
        return iter(Prefetch(lambda: self._decode_range(frames)))

    def content_key(self) -> str:
        facts = self._path.stat()
        digest = hashlib.blake2b(b"video", digest_size=16)
        digest.update(f"{facts.st_size}:{facts.st_mtime_ns}:{self._index.rate}".encode())
        with self._path.open("rb") as file:
            digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(0, facts.st_size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
        return digest.hexdigest()

    def close(self) -> None:
        if self._decoding is not None:
            self._decoding.close()
            self._decoding = None

    def _decode_range(self, frames: FrameRange) -> Iterator[Frame]:
        # A decoder of its own: `read` may be called while frames are streamed.
        own = VideoPlate.__new__(VideoPlate)
        own._path, own._index, own._decoding = self._path, self._index, None
        own._info, own._turn, own._tags = self._info, self._turn, self._tags
        try:
            for number in frames:
                yield own.read(number)
        finally:
            own.close()

    def _restart(self, picture: int | None) -> None:
        self.close()
        seek = None if picture is None else self._index.seek_time(picture)
        self._decoding = _Decoding(self._path, self._index, seek)

    def _lost(self, number: int) -> MediaUnreadableError:
        return _unreadable(self._path, f"cannot be decoded at frame {number}")

    def _drop_torn_end(self, index: VideoIndex) -> VideoIndex:
        """Leave off the last pictures where the file was cut short inside them."""
        for last in range(len(index.times) - 1, max(-1, len(index.times) - 17), -1):
            decoding = _Decoding(self._path, index, index.seek_time(last))
            try:
                if decoding.get(last) is not None:
                    break
            except av.error.FFmpegError:
                continue
            finally:
                decoding.close()
        else:
            raise _unreadable(self._path, "cannot be decoded: its pictures are damaged")
        shown = tuple(picture for picture in index.shown if picture <= last)
        return replace(index, times=index.times[: last + 1], shown=shown)

    def _inspect(self, rate: Fraction | None, colorspace: str | None) -> PlateInfo:
        with av.open(str(self._path)) as container:
            stream = picture_stream(container)
            frame = next(container.decode(stream))
            aspect = Fraction(stream.sample_aspect_ratio or 1)
            timecode = _timecode(container, stream)
            has_audio = bool(container.streams.audio)
        self._turn = _turn_of(frame)
        self._tags = ColorTags(
            frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range == 2
        )
        width, height = frame.width, frame.height
        if self._turn.transpose:
            width, height, aspect = height, width, 1 / aspect if aspect else aspect
        bits = max(component.bits for component in frame.format.components)
        return PlateInfo(
            path=self._path,
            kind="video",
            frames=FrameRange(FIRST_FRAME, FIRST_FRAME + len(self._index.shown) - 1),
            rate=self._index.rate,
            display=Window(0, 0, width, height),
            colorspace=check_colorspace(colorspace) if colorspace else _colorspace(frame),
            pixel_type={8: "uint8", 10: "uint10", 12: "uint12"}.get(bits, "uint16"),
            pixel_aspect=float(aspect) if aspect > 0 else 1.0,
            timecode=timecode,
            has_audio=has_audio,
            rate_source="option" if rate else "file",
        )

    def _frame(self, number: int, picture: Any) -> Frame:
        planes, layout = planes_of(picture)
        planes = tuple(self._turn.apply(plane) for plane in planes)
        if self._turn.transpose:
            layout = transpose_layout(layout)
        display = self._info.display
        if planes[0].shape != display.shape:
            height, width = planes[0].shape
            raise FrameSizeError(
                f"frame {number} of {self._path} is {width}x{height}, but the plate is "
                f"{display.width}x{display.height}",
                hint="Transcode the file to one picture size.",
                path=str(self._path),
                frame=number,
            )
        return PlanarFrame(number, VideoNative(planes, layout, self._tags), display)


class _Decoding:
    """A walk through the pictures of a file, from some point on."""

    def __init__(self, path: Path, index: VideoIndex, seek: int | None) -> None:
        self._index = index
        self._container = av.open(str(path))
        self._stream = picture_stream(self._container)
        self.from_start = seek is None
        if seek is not None:
            self._container.seek(seek, stream=self._stream, backward=True)
        self._pictures = self._walk()
        self._place = -1
        self._last: Any = None

    def reaches(self, picture: int) -> bool:
        """Going on is the cheapest way to the picture."""
        if picture == self._place:
            return True
        if picture < self._place or self._place < 0:
            return False
        seek = self._index.seek_time(picture)
        here = self._index.times[self._place]
        return seek is None or seek <= here

    def get(self, picture: int) -> Any:
        """The decoded picture, or None if the file does not give it."""
        if picture == self._place:
            return self._last
        for place, frame in self._pictures:
            if place > picture:
                return None
            self._place, self._last = place, frame
            if place == picture:
                return frame
        return None

    def close(self) -> None:
        self._pictures.close()
        self._container.close()

    def _walk(self) -> Any:
        count = 0
        for frame in self._decode():
            place = self._index.picture(frame.pts) if self._index.timed else None
            if place is None:
                if not self.from_start:
                    continue  # shown before the point that was asked for, or untimed
                place = count
            count = place + 1
            yield place, frame

    def _decode(self) -> Any:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    continue  # decoders go on after a damaged packet
        except av.error.EOFError:
            return


def planes_of(picture: Any) -> tuple[tuple[Plane, ...], YuvLayout]:
    """The planes of a decoded picture and what they mean; alpha is left out."""
    layout, name = _layout_of(picture)
    if picture.format.name != name:
        picture = picture.reformat(format=name)
    planes = []
    for index in range(1 if layout.matrix == "gray" else 3):
        plane = picture.planes[index]
        items = np.frombuffer(plane, layout.dtype)
        row = plane.line_size // layout.dtype.itemsize
        planes.append(items.reshape(-1, row)[: plane.height, : plane.width].copy())
    return tuple(planes), layout


def _layout_of(picture: Any) -> tuple[YuvLayout, str]:
    """The layout, and the planar format without alpha that holds it exactly."""
    form = picture.format
    name: str = form.name
    bits = max(component.bits for component in form.components)
    bits = next((deep for deep in (8, 10, 12, 16) if bits <= deep), 16)
    suffix = "" if bits == 8 else f"{bits}le"
    full = picture.color_range == 2 or name.startswith("yuvj")
    if form.is_rgb or form.has_palette:
        return YuvLayout("rgb", bits, True), f"gbrp{suffix}"
    if len(form.components) < 3:
        return YuvLayout("gray", bits, full), f"gray{suffix}"
    matrix = _MATRICES.get(picture.colorspace)
    if matrix is None:
        matrix = "bt601" if picture.height < _UNTAGGED_HD_LINES else "bt709"
    x_shift = _shift(picture.width, form.chroma_width(picture.width))
    y_shift = _shift(picture.height, form.chroma_height(picture.height))
    layout = YuvLayout(matrix, bits, full, x_shift, y_shift)
    if name.startswith("yuvj") or (name.startswith("yuva") and not name.endswith("be")):
        return layout, name
    sampling = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411"}.get(
        (x_shift, y_shift), "444"
    )
    return layout, f"yuv{sampling}p{suffix}"


def _shift(size: int, chroma: int) -> int:
    return next((shift for shift in range(3) if -(-size >> shift) == chroma), 0)


def _turn_of(frame: Any) -> _Turn:
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None or len(bytes(data)) != 36:
        return _Turn()
    a, b, _, c, d = struct.unpack("<9i", bytes(data))[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _Turn(False, a < 0, d < 0)
    return _Turn(True, c < 0, b < 0)


def _colorspace(frame: Any) -> str:
    tagged = _TRANSFERS.get(frame.color_trc)
    if tagged:
        return tagged
    if frame.format.is_rgb:
        return "srgb"
    return "rec601" if frame.height < _UNTAGGED_HD_LINES else "rec709"


def _timecode(container: Any, stream: Any) -> str | None:
    sources = [stream.metadata, container.metadata]
    sources += [other.metadata for other in container.streams if other.type == "data"]
    for source in sources:
        # Matroska writes its tags in capitals.
        for name, text in source.items():
            if name.lower() == "timecode" and is_timecode(str(text)):
                return str(text)
    return None


def _unreadable(path: Path, what: str) -> MediaUnreadableError:
    return MediaUnreadableError(
        f"{path} {what}",
        hint="Play the file in a media player; if it is damaged there too, export it again.",
        path=str(path),
    )
