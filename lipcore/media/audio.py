"""Sound: the dialogue for the networks, and the original for the finished picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from lipcore.errors import (
    DialogueError,
    DialogueLengthError,
    DialogueNotFoundError,
    DialogueUnreadableError,
    NoAudioError,
)
from lipcore.types import Dialogue, FloatArray
from lipcore.user_folders import expand_home

SAMPLE_RATE_HZ = 16_000
SHORTEST_S = Fraction(1, 5)

_LAYOUTS = {1: "mono", 2: "stereo"}


def load_dialogue(path: str | Path, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Dialogue:
    """Read a dialogue track, mixed to mono and resampled.

    Args:
        path: A sound file, or a video file whose own sound is taken. Where sound and picture
            of a file do not start together, silence is put in front or the sound is cut, so
            that the first sample belongs to the first frame.
        sample_rate_hz: Rate of the result.

    Returns:
        Samples in [-1, 1] (louder only where the file is); channels have equal weight.

    Raises:
        DialogueNotFoundError: Nothing is at the path.
        DialogueUnreadableError: The file is empty, damaged, or no media.
        NoAudioError: The file has no audio stream.
        DialogueLengthError: Under 0.2 s of sound.
    """
    path = expand_home(path).absolute()
    chunks = [chunk.mean(axis=0, dtype=np.float32) for chunk in _decode(path, sample_rate_hz)]
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
    if len(samples) < SHORTEST_S * sample_rate_hz:
        raise DialogueLengthError(
            f"{path} holds {len(samples) / sample_rate_hz:.2f} s of sound; "
            f"at least {float(SHORTEST_S)} s is needed",
            hint="Give the whole line of dialogue.",
            path=str(path),
            duration_s=len(samples) / sample_rate_hz,
        )
    return Dialogue(samples, sample_rate_hz, path)


def fit_dialogue(
    dialogue: Dialogue,
    duration_s: Fraction,
    *,
    short: Literal["silence", "error"] = "silence",
    long: Literal["trim", "error"] = "trim",
    offset_s: Fraction = Fraction(0),
) -> Dialogue:
    """Move the dialogue in time and bring it to the picture's length.

    Args:
        dialogue: The sound.
        duration_s: Length of the picture.
        short: What to do where the sound ends a frame or more before the picture.
        long: What to do where the picture ends a frame or more before the sound.
        offset_s: Later is positive. Moving makes silence in front, or cuts the beginning;
            neither counts as too short or too long.

    Returns:
        A dialogue of exactly ``round(duration_s * sample_rate_hz)`` samples.

    Raises:
        DialogueLengthError: The length does not fit and the policy says error.
    """
    rate = dialogue.sample_rate_hz
    samples = shift_sound(dialogue.samples[None], rate, offset_s)[0]
    length = Fraction(len(samples), rate)
    for policy, wrong, word in (
        (short, length < duration_s - Fraction(1, 24), "shorter"),
        (long, length > duration_s + Fraction(1, 24), "longer"),
    ):
        if policy == "error" and wrong:
            raise DialogueLengthError(
                f"the dialogue ({float(length):.2f} s) is {word} than the picture "
                f"({float(duration_s):.2f} s)",
                hint="Choose --audio-short silence or --audio-long trim, or another range "
                "with --frames.",
                expected_s=float(duration_s),
                got_s=float(length),
            )
    fitted = fit_length(samples[None], round(duration_s * rate))[0]
    return Dialogue(fitted, rate, dialogue.source)


def read_sound(path: str | Path) -> tuple[FloatArray, int]:
    """Read sound as it is: all channels at the file's own rate, aligned to its first frame.

    Returns:
        ``(channels, samples)`` float32, and the sample rate in Hz.

    Raises:
        DialogueNotFoundError, DialogueUnreadableError, NoAudioError: As ``load_dialogue``.
    """
    path = expand_home(path).absolute()
    rates: list[int] = []
    chunks = list(_decode(path, None, rates))
    if not chunks:
        raise DialogueUnreadableError(
            f"{path} holds no sound that can be decoded",
            hint="Export the dialogue again, as WAV for instance.",
            path=str(path),
        )
    return np.concatenate(chunks, axis=1), rates[0]


def shift_sound(sound: FloatArray, sample_rate_hz: int, offset_s: Fraction) -> FloatArray:
    """Move ``(channels, samples)`` later (silence in front) or earlier (beginning cut)."""
    count = round(offset_s * sample_rate_hz)
    if count >= 0:
        return np.pad(sound, ((0, 0), (count, 0)))
    return sound[:, -count:]


def fit_length(sound: FloatArray, samples: int) -> FloatArray:
    """Trim ``(channels, n)`` to a number of samples, or fill up with silence."""
    missing = max(0, samples - sound.shape[1])
    return np.pad(sound[:, :samples], ((0, 0), (0, missing)))


def sound_start_s(path: Path) -> Fraction | None:
    """When a broadcast WAV says that its first sample was recorded, seconds after midnight.

    Source: EBU Tech 3285, ``TimeReference`` of the ``bext`` chunk. None where the file does
    not say, or cannot be read.
    """
    try:
        with av.open(str(path)) as container:
            count = container.metadata.get("time_reference", "")
            if not count.isdecimal() or not container.streams.audio:
                return None
            return Fraction(int(count), container.streams.audio[0].rate)
    except (av.error.FFmpegError, OSError):
        return None


def _decode(
    path: Path, sample_rate_hz: int | None, rates: list[int] | None = None
) -> Iterator[FloatArray]:
    """``(channels, samples)`` chunks; mono at a given rate, or all channels as they are.

    The rate found is appended to ``rates``. A damaged end is left off.
    """
    if not path.exists():
        raise DialogueNotFoundError(
            f"no dialogue at {path}", hint="Give a sound or video file.", path=str(path)
        )
    if not path.is_file() or path.stat().st_size == 0:
        raise _unreadable(path, "is empty" if path.is_file() else "is no file")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise _unreadable(path, f"cannot be read as sound: {error.strerror}") from error
    with container:
        if not container.streams.audio:
            raise NoAudioError(
                f"{path} has no audio stream",
                hint="Give the dialogue as a file of its own.",
                path=str(path),
            )
        stream = container.streams.audio[0]
        rate = sample_rate_hz or stream.rate
        if rates is not None:
            rates.append(rate)
        try:
            yield from _aligned(_frames(container, stream, rate), _lead_s(container, stream), rate)
        except DialogueError:
            raise
        except (av.error.FFmpegError, ValueError) as error:
            raise _unreadable(path, f"cannot be decoded: {error}") from error


def _frames(container: Any, stream: Any, rate: int) -> Iterator[FloatArray]:
    layout = stream.layout.name if stream.channels else "mono"
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
    decoded = 0
    failed: Exception | None = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError as error:
            failed = error
            continue
        for frame in frames:
            frame.pts = None  # gaps between packets are not to be stretched
            for part in resampler.resample(frame):
                decoded += part.samples
                yield part.to_ndarray().astype(np.float32, copy=False)
    for part in resampler.resample(None):
        yield part.to_ndarray().astype(np.float32, copy=False)
    if decoded == 0 and failed is not None:
        raise failed


def _lead_s(container: Any, stream: Any) -> Fraction:
    """How much later than the picture the sound starts."""
    pictures = [s for s in container.streams.video if not int(s.disposition) & 0x400]
    if not pictures or pictures[0].start_time is None or stream.start_time is None:
        return Fraction(0)
    picture = pictures[0]
    lead: Fraction = stream.start_time * stream.time_base - picture.start_time * picture.time_base
    return lead if abs(lead) < 3600 else Fraction(0)


def _aligned(chunks: Iterator[FloatArray], lead_s: Fraction, rate: int) -> Iterator[FloatArray]:
    lead = round(lead_s * rate)
    for chunk in chunks:
        if lead > 0:
            yield np.zeros((chunk.shape[0], lead), np.float32)
            lead = 0
        if lead < 0:
            cut = min(-lead, chunk.shape[1])
            lead += cut
            yield chunk[:, cut:]
        else:
            yield chunk


def _unreadable(path: Path, what: str) -> DialogueUnreadableError:
    return DialogueUnreadableError(
        f"{path} {what}",
        hint="Play the file in a media player; if it is damaged there too, export it again.",
        path=str(path),
    )
