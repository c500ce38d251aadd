"""How a stream keeps up: a video file played through it in real time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lipcore.bench.render import peak_memory
from lipcore.errors import ConfigError
from lipcore.media.audio import load_dialogue
from lipcore.media.plate import Plate, open_plate
from lipcore.media.writers import FrameWriter, open_writer
from lipcore.pipeline import RenderListener, SilentListener
from lipcore.shapes.live import SAMPLE_RATE_HZ
from lipcore.streaming import LipSyncStream, Picture, StreamConfig
from lipcore.types import FloatArray, Frame, FrameRange, Window

_WARM_UP = 12
"""Frames before time is taken: libraries load and caches fill."""


@dataclass(frozen=True, slots=True)
class StreamBench:
    """A measured stream."""

    frames: int
    drawn: int
    width: int
    height: int
    rate: float
    latency_frames: int
    cpu_ms: float
    """Processor time a frame, all threads."""
    push_cpu_ms: float
    """Of it, what the thread that pushes takes; the rest is drawn beside it."""
    push_ms: float
    """Median time of a push; it must stay under a frame's time."""
    push_ms_95: float
    latency_ms: float
    """Median from when a frame was due to when it was out."""
    latency_ms_95: float
    latency_end_ms: float
    """Median over the last fifth: a stream that falls behind is later and later."""
    peak_bytes: int | None

    @property
    def quiet_rate(self) -> float:
        """Frames a second that two cores carry with nothing else to do."""
        return 1000 / max(self.push_cpu_ms, self.cpu_ms - self.push_cpu_ms, self.cpu_ms / 2)

    @property
    def held(self) -> bool:
        """The stream kept the rate: its latency did not run away. A push may last longer than a
        frame now and then; the next ones make up for it."""
        return self.latency_end_ms < 1000 * (self.latency_frames + 2) / self.rate

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {**dataclasses.asdict(self), "held": self.held, "quiet_rate": self.quiet_rate}


def measure_stream(
    video: Path,
    dialogue: Path,
    *,
    side: int = 256,
    config: StreamConfig | None = None,
    seconds: float = 20.0,
    out: Path | None = None,
    cache: Path | None = None,
    listener: RenderListener | None = None,
) -> StreamBench:
    """Play a video through a stream as a camera would, in real time.

    Args:
        video: The plate that is enrolled, and then played; its shorter side becomes ``side``.
        dialogue: What its person shall say.
        side: Shorter side of the pictures, even, in pixels.
        config: Of the stream.
        seconds: How long to play; a shorter video is played to and fro.
        out: A video file to write what came out into, with the sound; it is encoded on the
            same cores.
        cache: Folder of the cache.
        listener: Told of the stage ``stream``.

    Raises:
        ConfigError: The side is odd or too small.
        LipcoreError: As ``LipSyncStream``.
    """
    if side < 64 or side % 2:
        raise ConfigError(f"a side of {side} pixels is odd or below 64", hint="Give 256.")
    config, listener = config or StreamConfig(), listener or SilentListener()
    sound = load_dialogue(dialogue).samples
    with open_plate(video) as plate:
        rate, size = plate.info.rate, _size(plate, side)
        listener.log("enrolling: the video is tracked once")
        with LipSyncStream(video, size=size, rate=rate, config=config, cache=cache) as stream:
            count = max(_WARM_UP + 1, round(seconds * rate))
            pictures = _play(plate, size, count)
            writer = None if out is None else _writer(out, plate, size, count, dialogue)
            try:
                found = _run(stream, pictures, sound, count, writer, listener)
            except BaseException:
                if writer is not None:
                    writer.abandon()
                raise
            if writer is not None:
                writer.close()
    drawn, cpu_s, push_s, pushes, delays = found
    timed = max(1, count - _WARM_UP)
    push, push_95 = (1000 * float(np.quantile(pushes, q)) for q in (0.5, 0.95))
    delay, delay_95 = (1000 * float(np.quantile(delays, q)) for q in (0.5, 0.95))
    delay_end = 1000 * float(np.median(delays[-max(1, len(delays) // 5) :]))
    return StreamBench(
        count, drawn, *size, float(rate), config.latency_frames,
        1000 * cpu_s / timed, 1000 * push_s / timed, push, push_95, delay, delay_95,
        delay_end, peak_memory(),
    )  # fmt: skip


def _run(
    stream: LipSyncStream,
    pictures: Iterator[Picture],
    sound: FloatArray,
    count: int,
    writer: FrameWriter | None,
    listener: RenderListener,
) -> tuple[int, float, float, list[float], list[float]]:
    """(frames drawn; once warm: processor seconds of all and of pushing, pushes, delays)."""
    rate = stream.rate
    drawn, cpu, begin, pushing = 0, 0.0, 0.0, 0.0
    pushes: list[float] = []
    delays: list[float] = []
    for index, picture in enumerate(pictures):
        if index == _WARM_UP:
            cpu, begin = time.process_time(), time.monotonic() - float(index / rate)
        due = begin + float(index / rate)
        if index >= _WARM_UP:
            time.sleep(max(0.0, due - time.monotonic()))
        first, last = (int(n * SAMPLE_RATE_HZ / rate) for n in (index, index + 1))
        start, own = time.monotonic(), time.thread_time()
        done = stream.push(picture, _looped(sound, first, last))
        end = time.monotonic()
        if index >= _WARM_UP:
            pushes.append(end - start)
            pushing += time.thread_time() - own
        if done is not None:
            drawn += done.drawn
            if done.number >= _WARM_UP:
                delays.append(end - begin - float(done.number / rate))
            _write(writer, done.number, done.picture)
        listener.progress("stream", index + 1, count)
    cpu = time.process_time() - cpu
    for done in stream.finish():
        drawn += done.drawn
        _write(writer, done.number, done.picture)
    return drawn, cpu, pushing, pushes, delays or [0.0]


def _play(plate: Plate, size: tuple[int, int], count: int) -> Iterator[Picture]:
    """The plate's frames at a size, to and fro, decoded as they are asked for."""
    given = 0
    kept: list[Picture] = []
    for frame in plate.stream(plate.info.frames):
        small = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
        kept.append((np.clip(small, 0, 1) * 255 + 0.5).astype(np.uint8))
        yield kept[-1]
        given += 1
        if given == count:
            return
    turn = [*range(len(kept) - 2, 0, -1), *range(len(kept))]
    while given < count:
        for place in turn[: count - given]:
            yield kept[place]
            given += 1


def _looped(sound: FloatArray, first: int, last: int) -> FloatArray:
    if not len(sound):
        return np.zeros(last - first, np.float32)
    looped: FloatArray = sound[np.arange(first, last) % len(sound)]
    return looped


def _size(plate: Plate, side: int) -> tuple[int, int]:
    display = plate.info.display
    scale = side / min(display.width, display.height)
    width, height = (2 * round(n * scale / 2) for n in (display.width, display.height))
    return width, height


def _writer(
    out: Path, plate: Plate, size: tuple[int, int], count: int, dialogue: Path
) -> FrameWriter:
    samples = load_dialogue(dialogue).samples
    total = round(count / plate.info.rate * SAMPLE_RATE_HZ)
    frames = FrameRange(0, count - 1)
    info = dataclasses.replace(
        plate.info, kind="sequence", frames=frames, display=Window(0, 0, *size),
        colorspace="rec709", pixel_type="uint8", timecode=None, has_audio=False, missing=(),
    )  # fmt: skip
    return open_writer(
        out, info, frames=frames, parameter_hash="stream", deliver="video", overwrite=True,
        sound=(_looped(samples, 0, total)[None], SAMPLE_RATE_HZ),
    )  # fmt: skip


def _write(writer: FrameWriter | None, number: int, picture: Picture) -> None:
    if writer is not None and not writer.finished(number):
        rgb = picture.astype(np.float32) / np.float32(255)
        window = Window(0, 0, picture.shape[1], picture.shape[0])
        writer.write(Frame(number, rgb, window), None)

