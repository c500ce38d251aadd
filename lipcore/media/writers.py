"""Writing finished frames: what every writer promises, and which writer an output takes."""

from __future__ import annotations

import abc
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from lipcore.errors import ConfigError, OutputNotWritableError
from lipcore.media.locate import IMAGE_SUFFIXES
from lipcore.shot import Deliver
from lipcore.types import FloatArray, Frame, FrameRange, Patch, PlateInfo
from lipcore.user_folders import expand_home

PARAMETERS = "lipcore:parameters"
"""Attribute that holds the parameter hash of a finished frame."""

VIDEO_SUFFIXES = (".mov", ".mp4", ".m4v", ".mkv")
_OTHER_VIDEO = (".mxf", ".avi", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".ogv")
VIDEO_CODECS = ("prores4444", "prores422hq", "dnxhr_hqx", "h264", "ffv1")

_PATTERN = re.compile(r"#+|%0?\d*d|@{2,}")


class FrameWriter(abc.ABC):
    """Takes frames in ascending order and makes the output of them; a context manager.

    Leaving the context after an error keeps what is finished, for the next run to resume;
    ``close`` completes the output.
    """

    @property
    @abc.abstractmethod
    def outputs(self) -> tuple[Path, ...]:
        """The files that the output consists of: one video, or one image a frame."""

    @abc.abstractmethod
    def file_of(self, number: int) -> Path:
        """The file that will hold a frame: the frame's own, or the video."""

    @property
    @abc.abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What the user should know: whatever is stored otherwise than in the plate."""

    @abc.abstractmethod
    def finished(self, number: int) -> bool:
        """The frame is there whole, made from the same parameters: no need to write it."""

    @abc.abstractmethod
    def write(
        self, frame: Frame, patch: Patch | None, *, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Write one frame.

        Args:
            frame: As the plate gave it, with its ``native``.
            patch: The new mouth, in the plate's encoding; None leaves the plate as it is.
            attributes: Text to store with the frame, where the format takes it.

        Raises:
            DiskFullError: No space is left.
            OutputNotWritableError: The file system refuses.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Complete the output and let go of it; more than once is fine."""

    @abc.abstractmethod
    def abandon(self) -> None:
        """Let go of the output as it is; finished frames stay for a later run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()


def open_writer(
    out: str | Path,
    info: PlateInfo,
    *,
    frames: FrameRange,
    parameter_hash: str,
    deliver: Deliver | None = None,
    codec: str | None = None,
    sound: tuple[FloatArray, int] | None = None,
    sound_offset_s: Fraction = Fraction(0),
    crf: int = 16,
    overwrite: bool = False,
    chunk: FrameRange | None = None,
) -> FrameWriter:
    """Choose and open the writer for an output.

    Args:
        out: A folder (a sequence or a video named after the plate is put inside), a pattern
            such as ``name.####.exr``, or a video file, whose suffix picks container and
            codec: ``.mov`` ProRes 4444, ``.mp4`` H.264, ``.mkv`` FFV1.
        info: The plate.
        frames: Which frames the output consists of.
        parameter_hash: Everything that the pixels depend on; frames already there under the
            same hash are kept, under another one they are an error.
        deliver: What is written; None is ``full``, which for video plates means a video.
            ``video`` makes a video of an image sequence, too.
        codec: One of ``VIDEO_CODECS``, instead of the container's default.
        sound: ``(channels, samples)`` and rate, as ``read_sound`` gives; for videos.
        sound_offset_s: How much later the sound plays.
        crf: Quality of H.264: 0 is lossless, 51 the worst.
        overwrite: Replace what is there from other parameters.
        chunk: The part of ``frames`` that this process writes, beside others that write the
            rest; a video is joined by a last run without a chunk. None writes all.

    Raises:
        ConfigError: The output's name and ``deliver`` or ``codec`` do not go together, or a
            chunk of a video is not made of whole segments.
        OutputExistsError: Frames are there from other parameters, or the plate itself is.
        OutputLockedError: Another living process writes the same frames.
        OutputNotWritableError: The folder does not accept files.
    """
    deliver = deliver or "full"
    target = plan_output(Path(out), info, deliver=deliver, codec=codec)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritableError(
            f"the folder {target.parent} cannot be made: {error.strerror}",
            hint="Choose another --out, or ask for write access.",
            path=str(target.parent),
        ) from error
    if target.suffix.lower() in VIDEO_SUFFIXES:
        from lipcore.media.write_video import VideoWriter

        return VideoWriter(
            target, info, frames=frames, parameter_hash=parameter_hash, codec=codec,
            sound=sound, sound_offset_s=sound_offset_s, crf=crf, overwrite=overwrite, chunk=chunk,
        )  # fmt: skip
    if target.suffix.lower() == ".exr":
        from lipcore.media.write_exr import ExrWriter

        return ExrWriter(
            target, info, frames=chunk or frames, parameter_hash=parameter_hash,
            patch_only=deliver == "patch", overwrite=overwrite,
        )  # fmt: skip
    from lipcore.media.write_image import ImageWriter

    return ImageWriter(
        target, info, frames=chunk or frames, parameter_hash=parameter_hash, overwrite=overwrite
    )


def check_apart(target: Path, info: PlateInfo, frames: FrameRange) -> None:
    """Check that an output, as ``plan_output`` gives it, would not replace the plate.

    Raises:
        OutputExistsError: It would.
    """
    if target.suffix.lower() in VIDEO_SUFFIXES:
        from lipcore.media.write_video import check_video_apart

        check_video_apart(target, info)
    else:
        from lipcore.media.write_sequence import check_frames_apart

        check_frames_apart(target, info, frames)


def plan_output(out: Path, info: PlateInfo, *, deliver: Deliver, codec: str | None = None) -> Path:
    """The video file, or the pattern with ``####``, that ``open_writer`` will write.

    Raises:
        ConfigError: The output's name and ``deliver`` or ``codec`` do not go together.
    """
    out = expand_home(out).absolute()
    if codec is not None and codec not in VIDEO_CODECS:
        raise ConfigError(
            f"no codec is called {codec!r}", hint=f"Choose one of {', '.join(VIDEO_CODECS)}."
        )
    suffix = out.suffix.lower()
    if suffix in _OTHER_VIDEO and not out.is_dir():
        raise ConfigError(
            f"{suffix} files cannot be written",
            hint=f"Give --out a name that ends in one of {', '.join(VIDEO_SUFFIXES)}.",
        )
    if out.is_dir() or (suffix not in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)):
        return _in_folder(out, info, deliver, codec)
    if suffix in VIDEO_SUFFIXES:
        if deliver == "patch":
            raise ConfigError(
                "a patch is delivered as EXR, not as video",
                hint="Give --out a folder or a name such as mouth.####.exr.",
            )
        return out
    if deliver == "video":
        raise ConfigError(
            f"{out.name} is no video file",
            hint=f"Give --out a name that ends in one of {', '.join(VIDEO_SUFFIXES)}.",
        )
    if deliver == "patch" and suffix != ".exr":
        raise ConfigError(
            "a patch is delivered as EXR", hint="Give --out a name such as mouth.####.exr."
        )
    marks = list(_PATTERN.finditer(out.name))
    if not marks:
        return out.with_name(f"{out.stem}.####{out.suffix}")
    mark = marks[-1]
    text = mark[0]
    width = len(text) if text[0] in "#@" else int(re.sub(r"\D", "", text) or 1)
    # Signs left of the last pattern are part of the name.
    return out.with_name(out.name[: mark.start()] + "#" * width + out.name[mark.end() :])


def _in_folder(folder: Path, info: PlateInfo, deliver: Deliver, codec: str | None) -> Path:
    stem = info.path.stem if info.kind == "video" else re.sub(r"[._-]*#+$", "", info.path.stem)
    stem = stem or "plate"
    if deliver == "patch":
        return folder / f"{stem}_mouth.####.exr"
    if info.kind == "sequence" and deliver == "full":
        suffix = info.path.suffix.lower()
        if suffix in (".jpg", ".jpeg"):
            suffix = ".png"  # a second JPEG generation would change every pixel
        elif suffix not in (".exr", ".dpx", ".tif", ".tiff", ".png"):
            suffix = ".exr" if info.pixel_type in ("half", "float") else ".tif"
        return folder / f"{stem}.####{suffix}"
    by_codec = {"h264": ".mp4", "ffv1": ".mkv"}
    if codec is not None:
        container = by_codec.get(codec, ".mov")
    else:
        plain = info.kind == "sequence" or info.pixel_type == "uint8"
        container = ".mp4" if plain and info.path.suffix.lower() != ".mov" else ".mov"
    return folder / f"{stem}_lipsync{container}"
