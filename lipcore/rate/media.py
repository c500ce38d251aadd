"""Videos as browsers play them: taken as they are, or encoded anew into the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from lipcore.cache import Cache, make_key
from lipcore.errors import MediaUnreadableError

_CONTAINERS = {"mp4": "video/mp4", "webm": "video/webm"}
_CODECS = {
    "mp4": ({"h264", "av1"}, {"aac", "mp3", None}),
    "webm": ({"vp8", "vp9", "av1"}, {"opus", "vorbis", None}),
}  # fmt: skip
_PIXELS = {"yuv420p", "yuvj420p"}
_CRF = "12"
_SOUND_HZ = 48_000
_FORM = 1
"""Of what is in the cache; another number leaves what an older version encoded behind."""


def media_type(path: Path) -> str:
    """The type by which a playable video is sent."""
    return _CONTAINERS["webm" if path.suffix.lower() == ".webm" else "mp4"]


def playable_videos(
    videos: Sequence[Path],
    cache: Cache | None = None,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[Path, Path]:
    """Each video, and the file that browsers can play: itself, or H.264 in the cache.

    Args:
        videos: Files that FFmpeg reads.
        cache: Where encoded ones are kept; None takes the user's.
        progress: Called with (done, total).

    Raises:
        MediaUnreadableError: A file is no video.
        OutputError: The cache cannot be written.
    """
    cache, out = cache or Cache(), {}
    for done, video in enumerate(videos, 1):
        if browser_plays(video):
            out[video] = video
        else:
            folder, _ = cache.entry(
                "rate-video", make_key("rate-video", _FORM, _content(video)),
                lambda making, video=video: _encode(video, making / "video.mp4"),  # type: ignore[misc]
            )
            out[video] = folder / "video.mp4"
        progress(done, len(videos))
    return out


def browser_plays(path: Path) -> bool:
    """Whether today's browsers play a file as it is.

    Raises:
        MediaUnreadableError: It is no video.
    """
    try:
        with av.open(str(path)) as file:
            if not file.streams.video:
                raise _unreadable(path, "it has no picture")
            picture = file.streams.video[0].codec_context
            sounds = file.streams.audio
            sound = sounds[0].codec_context.name if sounds else None
            kind = {".mp4": "mp4", ".m4v": "mp4", ".webm": "webm"}.get(path.suffix.lower())
            if kind is None:
                return False
            pictures, known = _CODECS[kind]
            sound = {"mp3float": "mp3", "libopus": "opus"}.get(str(sound), sound)
            name = {"libdav1d": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(
                picture.name, picture.name
            )
            return name in pictures and sound in known and picture.pix_fmt in _PIXELS
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, MediaUnreadableError):
            raise
        raise _unreadable(path, str(error)) from error


def _encode(path: Path, out: Path) -> None:
    """H.264 and AAC, as good as a browser can be shown."""
    try:
        with (
            av.open(str(path)) as source,
            av.open(str(out), "w", options={"movflags": "+faststart"}) as target,
        ):
            _Encoder(source, target).run()
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, f"it cannot be encoded for browsers: {error}") from error


class _Encoder:
    def __init__(self, source: Any, target: Any) -> None:
        self._source, self._target = source, target
        self._picture = source.streams.video[0]
        self._picture.thread_type = "AUTO"
        self._sound = source.streams.audio[0] if source.streams.audio else None
        context = self._picture.codec_context
        self._video = target.add_stream(
            "libx264", rate=self._picture.average_rate or Fraction(25),
            options={"crf": _CRF, "preset": "fast"},
        )
        self._video.width, self._video.height = context.width & ~1, context.height & ~1
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = self._picture.time_base
        self._is_rgb = str(context.pix_fmt).startswith(("rgb", "bgr", "gbr", "pal", "0rgb", "arg"))
        tags = self._video.codec_context
        for tag in ("color_primaries", "color_trc", "colorspace"):
            setattr(tags, tag, 1 if self._is_rgb else getattr(context, tag))
        tags.color_range = 1
        if self._sound is not None:
            self._audio = target.add_stream("aac", rate=_SOUND_HZ, layout="stereo")
            self._audio.bit_rate = 256_000
            self._resampler = av.AudioResampler("fltp", "stereo", _SOUND_HZ)

    def run(self) -> None:
        streams = [s for s in (self._picture, self._sound) if s is not None]
        for frame in self._source.decode(*streams):
            if isinstance(frame, av.VideoFrame):
                shown = frame.reformat(
                    self._video.width, self._video.height, "yuv420p", dst_color_range="MPEG",
                    dst_colorspace="ITU709" if self._is_rgb else None,
                )
                shown.pict_type = 0
                self._target.mux(self._video.encode(shown))
            else:
                for part in self._resampler.resample(frame):
                    self._target.mux(self._audio.encode(part))
        self._target.mux(self._video.encode())
        if self._sound is not None:
            for part in self._resampler.resample(None):
                self._target.mux(self._audio.encode(part))
            self._target.mux(self._audio.encode())


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: Path, why: str) -> MediaUnreadableError:
    return MediaUnreadableError(
        f"{path} cannot be shown ({why})",
        hint="Give videos: lipcore render ... --out NAME.mp4 writes one.", path=str(path),
    )
