"""Video files, rendered in segments so that a killed render goes on where it was."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from lipcore.errors import ConfigError, LipcoreError, OutputError, OutputExistsError
from lipcore.media.output_files import FrameLock, appearing, output_error
from lipcore.media.sound_encode import SoundTrack
from lipcore.media.timecode import advance_timecode
from lipcore.media.video_encode import (
    DEFAULT_CODECS,
    VideoFormat,
    check_codec,
    choose_format,
    finished_planes,
    tag_stream,
    video_frame,
)
from lipcore.media.writers import PARAMETERS, FrameWriter
from lipcore.types import FloatArray, Frame, FrameRange, Patch, PlateInfo

SEGMENT_FRAMES = 48
"""Frames that a killed render may have to do again."""
_STAMP = "parameters.json"
"""What the segments of a folder were made from."""

_AHEAD_S = Fraction(1, 2)


class VideoWriter(FrameWriter):
    """One video file with the dialogue as its sound.

    Frames are encoded into segments in a hidden folder beside the output; ``close`` joins
    them without encoding again, unless only a chunk was asked for. Rate, size (turned
    upright), colour tags, pixel aspect and timecode are the plate's; the sound is trimmed or
    padded to the picture.

    Raises:
        OutputExistsError: The file is there from other parameters, or is the plate.
        OutputLockedError: Another living process writes it.
        ConfigError: The container cannot hold the codec, or a chunk cuts a segment.
    """

    def __init__(
        self,
        path: Path,
        info: PlateInfo,
        *,
        frames: FrameRange,
        parameter_hash: str,
        codec: str | None,
        sound: tuple[FloatArray, int] | None,
        sound_offset_s: Fraction,
        crf: int,
        overwrite: bool,
        chunk: FrameRange | None = None,
    ) -> None:
        check_codec(path, codec, crf)
        self._path, self._info, self._frames, self._chunk = path, info, frames, chunk
        self._codec, self._crf = codec, crf
        self._sound, self._sound_offset_s = sound, sound_offset_s
        self._stamp = f"{PARAMETERS}={parameter_hash} frames={frames}"
        self._folder = path.with_name(f".{path.name}.segments")
        self._form: VideoFormat | None = None
        self._segment: _Segment | None = None
        self._counted: dict[int, bool] = {}
        if chunk is not None:
            self._check_chunk(chunk)
        self._lock: FrameLock | None = FrameLock(path, chunk or frames)
        try:
            self._complete = self._is_complete(overwrite)
            if not self._complete:
                self._prepare_folder()
        except OSError as error:
            self.abandon()
            if isinstance(error, LipcoreError):
                raise
            raise output_error(error, path) from error
        except BaseException:
            self.abandon()
            raise

    @property
    def outputs(self) -> tuple[Path, ...]:
        if self._chunk is None or self._complete:
            return (self._path,)
        starts = range(self._chunk.first, self._chunk.last + 1, SEGMENT_FRAMES)
        return tuple(self._segment_path(start) for start in starts)

    def file_of(self, number: int) -> Path:
        return self._path

    @property
    def notes(self) -> tuple[str, ...]:
        return self._form.notes if self._form else ()

    def finished(self, number: int) -> bool:
        if self._complete:
            return True
        start = self._segment_start(number)
        if start not in self._counted:
            self._counted[start] = self._is_whole(start)
        return self._counted[start]

    def write(
        self, frame: Frame, patch: Patch | None, *, attributes: Mapping[str, str] | None = None
    ) -> None:
        if self._form is None:
            self._form = choose_format(
                self._path, self._info, frame, codec=self._codec, crf=self._crf
            )
        start = self._segment_start(frame.number)
        with self._translated():
            if self._segment is None:
                path = self._segment_path(start)
                self._segment = _Segment(path, start, self._info, self._form)
            expected = self._segment.next_number
            if frame.number != expected:
                raise OutputError(
                    f"frame {frame.number} was written where {expected} is due in {self._path}",
                    hint="Write all frames of a video in order.",
                )
            planes = finished_planes(frame, patch, self._info, self._form)
            self._segment.add(video_frame(planes, self._info.display, self._form))
            if self._segment.next_number == self._segment_end(start):
                self._segment.finish()
                self._segment = None
                self._counted[start] = True

    def close(self) -> None:
        if self._lock is None:
            return
        try:
            if not self._complete:
                due = self._chunk or self._frames
                starts = range(due.first, due.last + 1, SEGMENT_FRAMES)
                absent = [start for start in starts if not self.finished(start)]
                if absent or self._segment is not None:
                    first = self._segment.next_number if self._segment else absent[0]
                    raise OutputError(
                        f"{self._path} is not complete: frame {first} was not written",
                        hint="Run the same command again: finished frames are kept.",
                        path=str(self._path),
                        frame=first,
                    )
                if self._chunk is None:
                    with self._translated():
                        self._join(list(starts))
                    shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            self.abandon()

    def abandon(self) -> None:
        if self._segment is not None:
            self._segment.drop()
            self._segment = None
        with contextlib.suppress(OSError):  # finished segments stay for the next run
            # Another process may be about to write its own chunk there.
            if self._chunk is None and [entry.name for entry in self._folder.iterdir()] == [
                _STAMP
            ]:
                shutil.rmtree(self._folder)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _check_chunk(self, chunk: FrameRange) -> None:
        """A chunk is made of whole segments, so that no two processes write the same one.

        Raises:
            ConfigError: It is not.
        """
        begins = self._segment_start(chunk.first) == chunk.first
        ends = self._segment_end(self._segment_start(chunk.last)) == chunk.last + 1
        if not (begins and ends):
            raise ConfigError(
                f"the chunk {chunk} of a video does not consist of whole segments",
                hint=f"Begin it at {self._frames.first} or a multiple of {SEGMENT_FRAMES} frames "
                f"later, and make it as many frames long, or up to {self._frames.last}.",
            )

    def _segment_start(self, number: int) -> int:
        first = self._frames.first
        return first + (number - first) // SEGMENT_FRAMES * SEGMENT_FRAMES

    def _segment_end(self, start: int) -> int:
        return min(start + SEGMENT_FRAMES, self._frames.last + 1)

    def _segment_path(self, start: int) -> Path:
        codec = self._codec or DEFAULT_CODECS[self._path.suffix.lower()]
        suffix = ".mkv" if codec == "ffv1" else ".mov"
        return self._folder / f"{start}{suffix}"

    def _is_whole(self, start: int) -> bool:
        path = self._segment_path(start)
        try:
            kept = _digest_path(path).read_text("ascii") == _digest(path)
        except (OSError, UnicodeDecodeError):
            return False
        return kept and _count_frames(path) == self._segment_end(start) - start

    def _is_complete(self, overwrite: bool) -> bool:
        if not self._path.exists():
            return False
        check_video_apart(self._path, self._info)
        try:
            with av.open(str(self._path)) as container:
                stamps = {name.lower(): text for name, text in container.metadata.items()}
        except av.error.FFmpegError:
            stamps = {}
        if stamps.get("comment") == self._stamp:
            return _count_frames(self._path) == len(self._frames)  # torn since: made again
        if not overwrite:
            raise OutputExistsError(
                f"{self._path} is there already and was made from something else",
                hint="Choose another --out, or replace it with --overwrite.",
                path=str(self._path),
            )
        return False

    def _prepare_folder(self) -> None:
        """Keep segments of the same parameters, throw others away."""
        while not self._is_stamped():
            if self._folder.exists():
                self._throw_away()
            # The folder appears with its stamp in it: other chunks may begin at this moment.
            making = Path(tempfile.mkdtemp(prefix=f".{self._path.name}.", dir=self._path.parent))
            try:
                (making / _STAMP).write_text(self._segments_stamp(), "utf-8")
                making.chmod(0o777 & ~_umask())
                making.rename(self._folder)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            finally:
                shutil.rmtree(making, ignore_errors=True)

    def _segments_stamp(self) -> str:
        return json.dumps({"stamp": self._stamp, "codec": self._codec, "crf": self._crf})

    def _is_stamped(self) -> bool:
        """Whether the folder's segments were made from the same parameters."""
        try:
            return (self._folder / _STAMP).read_text("utf-8") == self._segments_stamp()
        except OSError:
            return False

    def _throw_away(self) -> None:
        """Remove segments of other parameters, unless somebody is writing them."""
        if self._chunk is None or self._lock is None:  # all frames are this process's
            shutil.rmtree(self._folder)
            return
        self._lock.release()
        self._lock = None
        whole = FrameLock(self._path, self._frames)
        try:
            # Another chunk may have thrown them away meanwhile, and finished its own.
            if self._folder.exists() and not self._is_stamped():
                shutil.rmtree(self._folder)
        finally:
            whole.release()
        self._lock = FrameLock(self._path, self._chunk)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except av.error.FFmpegError as error:
            failure = OSError(error.errno or 0, error.strerror)
            raise output_error(failure, self._path) from error
        except OSError as error:
            if isinstance(error, LipcoreError):
                raise
            raise output_error(error, self._path) from error

    def _join(self, starts: list[int]) -> None:
        rate = self._info.rate
        with appearing(self._path) as temporary:
            container: Any = av.open(str(temporary), "w", container_options=_muxer(self._path))
            try:
                with av.open(str(self._segment_path(starts[0]))) as first:
                    stream = container.add_stream_from_template(first.streams.video[0])
                # Without a rate on the stream, no timecode track is made.
                stream.codec_context.framerate = rate
                stream.time_base = 1 / rate
                container.metadata["comment"] = self._stamp
                timecode = self._timecode()
                if timecode:
                    stream.metadata["timecode"] = timecode
                    container.metadata["timecode"] = timecode
                track = None
                if self._sound is not None:
                    duration_s = len(self._frames) / rate
                    track = SoundTrack(
                        container, self._path, self._sound, duration_s, self._sound_offset_s
                    )
                for packet in self._packets(starts, stream):
                    # Sound goes in beside the picture: the muxer holds back what waits.
                    if track is not None:
                        for sound in track.packets(packet.dts / rate + _AHEAD_S):
                            container.mux(sound)
                    container.mux(packet)
                if track is not None:
                    for sound in track.packets(None):
                        container.mux(sound)
            finally:
                container.close()

    def _packets(self, starts: list[int], stream: Any) -> Iterator[Any]:
        """The packets of all segments, timed in frames of the whole."""
        for start in starts:
            lead = start - self._frames.first
            with av.open(str(self._segment_path(start))) as segment:
                source: Any = segment.streams.video[0]
                scale = source.time_base * self._info.rate
                packet: Any
                for packet in segment.demux(source):
                    if packet.size == 0:
                        continue
                    pts = round(packet.pts * scale) + lead
                    dts = pts if packet.dts is None else round(packet.dts * scale) + lead
                    packet.time_base = 1 / self._info.rate
                    packet.pts, packet.dts, packet.duration = pts, dts, 1
                    packet.stream = stream
                    yield packet

    def _timecode(self) -> str | None:
        if self._info.timecode is None:
            return None
        passed = self._frames.first - self._info.frames.first
        try:
            return advance_timecode(self._info.timecode, passed, self._info.rate)
        except ValueError:
            return None


class _Segment:
    """Some frames on their way into a file of their own."""

    def __init__(self, path: Path, start: int, info: PlateInfo, form: VideoFormat) -> None:
        self._path = path
        self._temporary = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
        self._start = start
        self.next_number = start
        self._container: Any = av.open(str(self._temporary), "w")
        self._stream: Any = self._container.add_stream(
            form.encoder, rate=info.rate, options=dict(form.options)
        )
        context: Any = self._stream.codec_context
        context.width, context.height = info.display.width, info.display.height
        context.pix_fmt = form.encoder_name
        context.time_base = 1 / info.rate
        context.gop_size = SEGMENT_FRAMES
        context.thread_type = "AUTO"
        context.sample_aspect_ratio = Fraction(info.pixel_aspect).limit_denominator(1000)
        tag_stream(context, form)
        self._time_base = 1 / info.rate

    def add(self, frame: Any) -> None:
        frame.pts = self.next_number - self._start
        frame.time_base = self._time_base
        self._container.mux(self._stream.encode(frame))
        self.next_number += 1

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        container, self._container = self._container, None
        try:
            container.close()
            with self._temporary.open("r+b") as file:
                os.fsync(file.fileno())
            # By this a later run knows the segment; so it is there first.
            with appearing(_digest_path(self._path)) as digest:
                digest.write_text(_digest(self._temporary), "ascii")
            self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def drop(self) -> None:
        if self._container is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self._container.close()
            self._container = None
        self._temporary.unlink(missing_ok=True)


def check_video_apart(path: Path, info: PlateInfo) -> None:
    """Check that a video is not the plate, by whatever path it is named.

    Raises:
        OutputExistsError: It is.
    """
    if path.exists() and info.path.exists() and path.samefile(info.path):
        raise OutputExistsError(
            f"{path} is the plate: it would be replaced",
            hint="Choose another --out.",
            path=str(path),
        )


def _digest_path(segment: Path) -> Path:
    return segment.with_name(f"{segment.name}.sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _count_frames(path: Path) -> int:
    """How many frames a video file holds; none where it is damaged."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return sum(packet.size > 0 for packet in container.demux(stream))
    except (av.error.FFmpegError, IndexError):
        return 0


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _muxer(path: Path) -> dict[str, str]:
    if path.suffix.lower() in (".mov", ".mp4", ".m4v"):
        return {"write_tmcd": "1", "movflags": "+faststart"}
    return {}
