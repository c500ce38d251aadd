"""Text without end: sentences of a small grammar, in any of espeak-ng's English voices."""

from __future__ import annotations

import numpy as np
from scipy.signal import resample_poly

from lipcore.media.audio import SAMPLE_RATE_HZ
from lipcore.speech.espeak import Phoneme, Voice, speak
from lipcore.types import FloatArray

from ..spoken import SENTENCES, VOICES

_WHO = (
    "my brother", "the pilot", "a farmer", "everybody", "our mayor", "the judge", "his aunt",
    "the whole village", "nobody", "a young boy", "the woman in blue", "Mister Webb", "the chef",
    "your people", "both of them", "the old fisherman", "Victoria", "Bob", "a famous painter",
)
_DOES = (
    "moved", "found", "will bring", "wants to buy", "built", "forgot", "should open", "might move",
    "has broken", "saw", "carried", "never liked", "asked for", "painted", "would choose",
    "prefers", "threw away", "gave up", "is above", "put down",
)
_WHAT = (
    "five boxes of apples", "the bridge", "a warm bowl of soup", "the paper map", "two blue shoes",
    "every window", "the broken piano", "a very good book", "the morning paper", "some bread",
    "a piece of cheese", "the big house", "an empty room", "the yellow boat", "a purple umbrella",
    "the last word", "three heavy trunks", "the photograph", "a cup of coffee", "the winter fair",
)
_WHERE = (
    "by the river", "before noon", "in the small town", "for the last time", "above the shop",
    "with a smile", "on the way home", "after the game", "in February", "near the market",
    "without a word", "at five o'clock", "for fun", "among friends", "between two hills", "",
)  # fmt: skip


def draw_sentence(rng: np.random.Generator) -> str:
    """One sentence, by chance."""
    if rng.random() < 0.15:
        return str(rng.choice(SENTENCES))
    words = [str(rng.choice(part)) for part in (_WHO, _DOES, _WHAT, _WHERE)]
    if rng.random() < 0.3:
        words.append(f"and {rng.choice(_WHO)} {rng.choice(_DOES)} {rng.choice(_WHAT)}")
    return " ".join(w for w in words if w).capitalize() + "."


def draw_voice(rng: np.random.Generator) -> Voice:
    """A voice of espeak-ng, its speed and its pitch."""
    return Voice(
        name=str(rng.choice(VOICES)), words_per_minute=int(rng.integers(120, 200)),
        pitch=int(rng.integers(20, 80)), pitch_range=int(rng.integers(30, 80)),
    )


def draw_speech(
    rng: np.random.Generator, seconds: float
) -> tuple[FloatArray, tuple[Phoneme, ...]]:
    """Sentences with pauses between them.

    Args:
        rng: Of the words, the voice and the pauses.
        seconds: Length of the sound.

    Returns:
        (samples,) at 16 kHz in [-1, 1], and its phonemes without gaps; pauses have no symbol.
    """
    voice = draw_voice(rng)
    length = round(seconds * SAMPLE_RATE_HZ)
    sound = np.zeros(length, np.float32)
    phonemes: list[Phoneme] = []
    at = 0.0
    while at < seconds:
        pause = float(rng.uniform(0.2, 0.5) if not at else rng.uniform(0.3, 0.8))
        phonemes.append(Phoneme("", at, min(at + pause, seconds)))
        at += pause
        if at >= seconds:
            break
        said = speak(draw_sentence(rng), voice)
        samples = resample_poly(said.samples, SAMPLE_RATE_HZ, said.sample_rate_hz)
        start = round(at * SAMPLE_RATE_HZ)
        part = samples[: length - start]
        sound[start : start + len(part)] = part
        phonemes += [
            Phoneme(p.symbol, at + p.start_s, min(at + p.end_s, seconds))
            for p in said.phonemes
            if at + p.start_s < seconds
        ]
        at += len(samples) / SAMPLE_RATE_HZ
    sound *= np.float32(rng.uniform(0.3, 0.9) / max(float(np.abs(sound).max()), 1e-3))
    sound += rng.normal(0, 10 ** rng.uniform(-3.4, -2.6), length).astype(np.float32)
    return sound.clip(-1, 1), tuple(phonemes)
