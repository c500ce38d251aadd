"""When somebody speaks in a dub, as far as the shots of a timeline need to know."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lipcore.speech.activity import level_gain, speech_probability, speech_spans
from lipcore.types import Dialogue

_CHUNK = 512
"""Samples of the detector's step."""
_QUIET = 0.003
"""RMS below which a dub is silent, -50 dB: nobody is looked for there."""
_LONGEST, _RUN_UP = 1_875, 62
"""Chunks that one thread listens to, a minute, and those before that are heard along with them."""
_AROUND_S = 0.5
"""So much before and after is listened to, too: the detector needs a run-up."""


def find_speech(
    dub: Dialogue, spans: Iterable[tuple[Fraction, Fraction]]
) -> list[tuple[float, float]]:
    """Where a dub speaks, seconds, ascending.

    The detector runs only where the dub is not silent and a shot may need to know: an hour of
    it would take longer than all else in a plan.

    Args:
        dub: At 16 kHz.
        spans: The seconds that are of interest, ``(start, end)``.
    """
    count = -(-len(dub.samples) // _CHUNK)
    probability = np.zeros(count, np.float32)
    gain = level_gain(dub.samples)

    def listen(piece: tuple[int, int, int]) -> None:
        early, first, end = piece
        part = Dialogue(dub.samples[early * _CHUNK : end * _CHUNK])
        probability[first:end] = speech_probability(part, gain=gain)[first - early :]

    pieces = _pieces(_wanted(dub, spans, count))
    # The detector runs outside of Python's lock, one stretch on each core.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(listen, pieces):
            pass
    return speech_spans(probability)


def spoken_s(speech: list[tuple[float, float]], start_s: Fraction, end_s: Fraction) -> float:
    """How many seconds of a span are speech."""
    first, last = float(start_s), float(end_s)
    return sum(max(0.0, min(b, last) - max(a, first)) for a, b in speech)


def _wanted(
    dub: Dialogue, spans: Iterable[tuple[Fraction, Fraction]], count: int
) -> npt.NDArray[np.bool_]:
    """The chunks to listen to."""
    whole = len(dub.samples) // _CHUNK
    framed = dub.samples[: whole * _CHUNK].reshape(whole, _CHUNK)
    loud = np.ones(count, bool)  # a last chunk that is not whole is always listened to
    loud[:whole] = np.einsum("bs,bs->b", framed, framed) / _CHUNK > _QUIET**2
    asked = np.zeros(count, bool)
    for start, end in spans:
        begin = max(0, int(start * dub.sample_rate_hz) // _CHUNK)
        asked[begin : int(end * dub.sample_rate_hz) // _CHUNK + 1] = True
    around = round(_AROUND_S * dub.sample_rate_hz / _CHUNK)
    return _widened(loud & _widened(asked, around), around)


def _widened(flags: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    """True within ``by`` places of a True."""
    sums = np.concatenate([[0], np.cumsum(np.pad(flags, by))])
    wide: npt.NDArray[np.bool_] = sums[2 * by + 1 :] > sums[: -2 * by - 1]
    return wide


def _pieces(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Runs of True as (where to begin to listen, first, end), long ones cut into several."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    pieces: list[tuple[int, int, int]] = []
    for start, stop in edges.reshape(-1, 2).tolist():
        pieces += [
            (max(start, first - _RUN_UP), first, min(stop, first + _LONGEST))
            for first in range(start, stop, _LONGEST)
        ]
    return pieces
