"""The dialogue as the sound of a finished video."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from lipcore.media.audio import fit_length, shift_sound
from lipcore.types import FloatArray

_CODECS = {".mp4": "aac", ".m4v": "aac", ".mkv": "flac"}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_CHUNK = 1024


class SoundTrack:
    """One sound stream of an output container, brought to the picture's length.

    PCM of 24 bits in ``.mov``, FLAC of 24 bits in ``.mkv``, AAC
    in ``.mp4``.

    Args:
        container: The output, before anything is muxed.
        path: Its name, for the suffix.
        sound: ``(channels, samples)`` and rate in Hz.
        duration_s: Length of the picture.
        offset_s: How much later the sound plays.
    """

    def __init__(
        self,
        container: Any,
        path: Path,
        sound: tuple[FloatArray, int],
        duration_s: Fraction,
        offset_s: Fraction,
    ) -> None:
        samples, rate = sound
        suffix = path.suffix.lower()
        codec = _CODECS.get(suffix, "pcm_s24le")
        wanted = 48000 if codec == "aac" and rate not in _AAC_RATES else rate
        if samples.shape[0] not in _LAYOUTS:
            samples = samples.mean(axis=0, keepdims=True)
        if wanted != rate:
            samples = _resample(samples, rate, wanted)
        samples = shift_sound(samples, wanted, offset_s)
        self._samples = fit_length(samples, round(duration_s * wanted))
        self._rate = wanted
        self._at = 0
        layout = _LAYOUTS[samples.shape[0]]
        self._layout = layout
        self._stream = container.add_stream(codec, rate=wanted, layout=layout)
        self._stream.time_base = Fraction(1, wanted)
        self._planar = codec == "aac"
        if codec == "aac":
            self._stream.bit_rate = 128_000 * samples.shape[0]
            self._stream.format = "fltp"
        else:
            self._stream.format = "s32"

    def packets(self, until_s: Fraction | None) -> Iterator[Any]:
        """Encoded packets up to a time; all that is left where it is None."""
        end = self._samples.shape[1]
        stop = end if until_s is None else min(end, int(until_s * self._rate))
        size = self._stream.codec_context.frame_size or _CHUNK
        while self._at < stop:
            chunk = self._samples[:, self._at : min(self._at + size, end)]
            yield from self._stream.encode(self._frame(chunk))
            self._at += chunk.shape[1]
        if until_s is None:
            yield from self._stream.encode(None)

    def _frame(self, chunk: FloatArray) -> Any:
        if self._planar:
            values: Any = np.ascontiguousarray(np.clip(chunk, -1, 1), np.float32)
            frame = av.AudioFrame.from_ndarray(values, "fltp", self._layout)
        else:
            scaled = np.clip(chunk.T.astype(np.float64) * 2.0**31, -(2.0**31), 2.0**31 - 1)
            whole: Any = scaled.astype(np.int32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(whole, "s32", self._layout)
        frame.sample_rate = self._rate
        frame.pts = self._at
        frame.time_base = Fraction(1, self._rate)
        return frame


def _resample(samples: FloatArray, rate: int, wanted: int) -> FloatArray:
    layout = _LAYOUTS[samples.shape[0]]
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=wanted)
    values: Any = np.ascontiguousarray(samples, np.float32)
    frame = av.AudioFrame.from_ndarray(values, "fltp", layout)
    frame.sample_rate = rate
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray() for part in parts], axis=1).astype(np.float32)
