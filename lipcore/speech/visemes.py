"""Phonemes to mouth shapes, each shaded by its neighbours.

Every phoneme has a target in standard units (0 is the mouth closed at rest, 1 one standard
deviation of a speaker; ``open`` at 1 parts the inner lips by about 0.034 of the distance
between the outer eye corners) and a dominance that rises before it and falls after it. A
moment's shape is the mean of all targets, weighted by their dominance then. Vowels rule the
rounding of the consonants beside them; closures rule the opening and nothing else.

Source: Cohen and Massaro, *Modeling coarticulation in synthetic visual speech*, 1993. We
differ in one point: a blend never quite shuts a mouth, so the opening of m, b and p is
forced to 0 in the middle of the closure, and that of f and v to the lip on the teeth.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lipcore.speech.espeak import Phoneme
from lipcore.types import FloatArray

PARAMETERS = ("open", "wide", "pucker", "upper_lip", "lower_lip")
"""Components that visemes drive; the others stay at 0."""


@dataclass(frozen=True, slots=True)
class Viseme:
    """What a class of sounds looks like."""

    target: tuple[float, float, float, float, float]
    """Of each of ``PARAMETERS``, standard units."""
    opening_dominance: float
    """Of the first parameter: how far the sound has its way against its neighbours."""
    rounding_dominance: float
    """Of the others."""
    reach_s: float
    """Time in which the dominance falls to 1/e beyond the sound's own span."""
    most_opening: float | None = None
    """No more than this opening is left in the middle of the sound; 0 where the lips meet."""

    @property
    def closes(self) -> bool:
        """The lips meet."""
        return self.most_opening == 0


_SILENCE = Viseme((0.0, 0.0, 0.0, 0.0, 0.0), 1.2, 1.0, 0.06)
_CLOSURE = Viseme((0.0, 0.0, 0.0, -0.2, 0.0), 6.0, 0.25, 0.025, most_opening=0.0)
_LIP_TEETH = Viseme((0.35, 0.1, -0.2, 0.5, -1.0), 3.0, 0.8, 0.03, most_opening=0.35)
_TONGUE_TIP = Viseme((0.9, 0.2, 0.0, 0.0, 0.0), 0.8, 0.2, 0.04)
_SIBILANT = Viseme((0.7, 0.5, 0.0, 0.2, 0.2), 1.4, 0.5, 0.04)
_HUSHING = Viseme((0.9, -0.8, 1.2, 0.6, 0.3), 1.4, 1.4, 0.06)
_DENTAL = Viseme((1.0, 0.1, 0.0, 0.1, 0.2), 1.0, 0.3, 0.04)
_BACK = Viseme((1.3, 0.0, 0.0, 0.0, 0.0), 0.4, 0.15, 0.04)
_BREATH = Viseme((1.5, 0.0, 0.0, 0.0, 0.0), 0.2, 0.1, 0.04)
_GLIDE_ROUND = Viseme((0.6, -1.8, 1.8, 0.0, 0.0), 2.0, 2.5, 0.06)
_GLIDE_SPREAD = Viseme((1.0, 0.8, -0.2, 0.0, 0.0), 0.8, 0.7, 0.05)
_R = Viseme((1.0, -0.9, 0.9, 0.2, 0.0), 0.9, 1.0, 0.06)


def _vowel(opening: float, wide: float, pucker: float) -> Viseme:
    return Viseme((opening, wide, pucker, 0.0, 0.0), 1.6, 1.3, 0.07)


_VISEMES: dict[str, Viseme] = {
    **dict.fromkeys("mbpɓɱ", _CLOSURE),
    **dict.fromkeys("fvʋɸ", _LIP_TEETH),
    **dict.fromkeys("tdnlɾɫʈɖɲʎɭɳ", _TONGUE_TIP),
    **dict.fromkeys("szɕʑ", _SIBILANT),
    **dict.fromkeys("ʃʒ", _HUSHING),
    **dict.fromkeys("θð", _DENTAL),
    **dict.fromkeys("kgɡŋxɣqcɟçχʁʔ", _BACK),
    **dict.fromkeys("hɦ", _BREATH),
    **dict.fromkeys("wʍɥ", _GLIDE_ROUND),
    "j": _GLIDE_SPREAD,
    **dict.fromkeys("rɹɻʀ", _R),
    **dict.fromkeys("aɑɐ", _vowel(3.0, 0.3, -0.2)),
    "æ": _vowel(2.8, 1.0, -0.4),
    "ʌ": _vowel(2.2, 0.2, 0.0),
    **dict.fromkeys("ɛe", _vowel(2.0, 0.8, -0.3)),
    **dict.fromkeys("ɪɨᵻ", _vowel(1.5, 0.8, -0.2)),
    "i": _vowel(1.2, 1.4, -0.4),
    **dict.fromkeys("əɚɘ", _vowel(1.4, 0.0, 0.0)),
    **dict.fromkeys("ɜɝ", _vowel(1.5, -0.5, 0.6)),
    **dict.fromkeys("ɔɒ", _vowel(2.2, -1.0, 1.0)),
    **dict.fromkeys("oɤ", _vowel(1.7, -1.4, 1.4)),
    "ʊ": _vowel(1.3, -1.2, 1.2),
    **dict.fromkeys("uɯʉ", _vowel(1.0, -1.8, 1.8)),
    **dict.fromkeys("øœyʏ", _vowel(1.3, -1.4, 1.5)),
}
_MARKS = set("ˈˌːˑ̩̯̃ʰʲʷ̪̥̬ˠˤ˞-.'^*;")


@dataclass(frozen=True, slots=True)
class TimedViseme:
    """A viseme and its span in seconds."""

    viseme: Viseme
    start_s: float
    end_s: float


def visemes_of(phonemes: Iterable[Phoneme]) -> list[TimedViseme]:
    """Visemes of phonemes; a diphthong or an affricate becomes two, each with its share."""
    timed: list[TimedViseme] = []
    for phoneme in phonemes:
        letters = [c for c in unicodedata.normalize("NFD", phoneme.symbol) if c not in _MARKS]
        known = [_VISEMES[c] for c in letters if c in _VISEMES]
        if letters and not known:
            known = [_BACK]  # an exotic sound, made behind the lips like most of them
        parts = known or [_SILENCE]
        edges = np.linspace(phoneme.start_s, phoneme.end_s, len(parts) + 1).tolist()
        timed += [
            TimedViseme(viseme, start, end)
            for viseme, start, end in zip(parts, edges[:-1], edges[1:], strict=True)
        ]
    return timed


def shapes_of_phonemes(
    phonemes: Sequence[Phoneme], times_s: npt.ArrayLike, names: Sequence[str]
) -> FloatArray:
    """Mouth shapes of speech whose phonemes are known.

    Args:
        phonemes: In order, without gaps.
        times_s: ``(N,)`` moments; before and after the speech the mouth is closed.
        names: Components of the basis; the columns of the result.

    Returns:
        ``(N, names)`` standard units; ``open`` is 0 in the middle of every closure.
    """
    times = np.asarray(times_s, np.float64)
    timed = visemes_of(phonemes)
    end = timed[-1].end_s if timed else 0.0
    timed = [TimedViseme(_SILENCE, -1e3, 0.0), *timed, TimedViseme(_SILENCE, end, 1e9)]
    weighted = np.zeros((len(times), len(PARAMETERS)))
    total = np.full((len(times), len(PARAMETERS)), 1e-9)
    least = np.full(len(times), np.inf)
    for item in timed:
        strength = np.array([item.viseme.opening_dominance] + [item.viseme.rounding_dominance] * 4)
        outside = np.maximum(np.maximum(item.start_s - times, times - item.end_s), 0.0)
        near = np.flatnonzero(outside < 12 * item.viseme.reach_s)
        dominance = strength * np.exp(-outside[near, None] / item.viseme.reach_s)
        weighted[near] += dominance * np.array(item.viseme.target)
        total[near] += dominance
    blended = weighted / total
    for item in timed:
        if item.viseme.most_opening is not None:
            above = np.maximum(blended[:, 0] - item.viseme.most_opening, 0)
            least = np.minimum(least, blended[:, 0] - above * _closure(times, item))
    blended[:, 0] = np.minimum(blended[:, 0], least)
    shapes = np.zeros((len(times), len(names)), np.float32)
    for column, name in enumerate(PARAMETERS):
        shapes[:, list(names).index(name)] = blended[:, column]
    return shapes


def _closure(times: npt.NDArray[np.float64], item: TimedViseme) -> npt.NDArray[np.float64]:
    """1 while the lips touch, 0 away from it: the lips part 20 ms before the sound's end."""
    edge = 0.045
    until = max(item.end_s - 0.02, item.start_s + 0.01)
    away = np.maximum(np.maximum(item.start_s - times, times - until), 0.0) / edge
    shut: npt.NDArray[np.float64] = 0.5 + 0.5 * np.cos(np.pi * np.minimum(away, 1.0))
    return shut
