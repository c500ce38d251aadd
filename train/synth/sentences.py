"""Text without end: sentences of a small grammar, in any English voice that is installed."""

from __future__ import annotations

import numpy as np
from scipy.signal import resample_poly

from lipcore.errors import ConfigError
from lipcore.media.audio import SAMPLE_RATE_HZ
from lipcore.speech.espeak import Phoneme, Speech, Voice, speak
from lipcore.speech.recorded import ENGINES, RecordedVoice, recorded_voices, speak_recorded
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


def find_voices(asked: str = "auto") -> tuple[str, ...]:
    """The voices that a word for them stands for.

    Args:
        asked: ``auto`` for all that is here, or ``espeak``, ``flite``, ``festival`` and single
            recorded voices such as ``flite:slt``, with commas between.

    Returns:
        ``espeak`` (all of its own) and recorded voices as ``engine:name``, in a fixed order.

    Raises:
        ConfigError: There is no such engine or voice here.
    """
    there = ("espeak", *(f"{e}:{name}" for e in ENGINES for name in recorded_voices(e)))
    if asked.strip() == "auto":
        return there
    chosen: set[str] = set()
    for word in (w.strip() for w in asked.split(",")):
        meant = {v for v in there if word in (v, v.partition(":")[0])}
        if not meant:
            install = word.partition(":")[0]
            raise ConfigError(
                f"no voice {word!r} is on this machine",
                hint=f"Install {install} (Debian: apt install {install}), or choose from: "
                f"{', '.join(there)}." if install in ENGINES and not recorded_voices(install)
                else f"Choose from: auto, {', '.join(there)}.",
            )
        chosen |= meant
    return tuple(v for v in there if v in chosen)


def draw_voice(rng: np.random.Generator, voices: tuple[str, ...]) -> Voice | RecordedVoice:
    """A voice, its speed and its pitch.

    Args:
        rng: Of the choice.
        voices: From ``find_voices``. espeak-ng, which is many, gets half of the speakers.
    """
    recorded = [v for v in voices if v != "espeak"]
    if recorded and ("espeak" not in voices or rng.random() < 0.5):
        engine, _, name = str(rng.choice(recorded)).partition(":")
        return RecordedVoice(
            engine, name, stretch=float(rng.uniform(0.8, 1.35)), pitch=float(rng.uniform(0.8, 1.25))
        )
    return Voice(
        name=str(rng.choice(VOICES)), words_per_minute=int(rng.integers(120, 200)),
        pitch=int(rng.integers(20, 80)), pitch_range=int(rng.integers(30, 80)),
    )


def draw_speech(
    rng: np.random.Generator, seconds: float, voices: tuple[str, ...] = ("espeak",)
) -> tuple[FloatArray, tuple[Phoneme, ...]]:
    """Sentences with pauses between them.

    Args:
        rng: Of the words, the voice and the pauses.
        seconds: Length of the sound.
        voices: Whose, from ``find_voices``.

    Returns:
        (samples,) at 16 kHz in [-1, 1], and its phonemes without gaps; pauses have no symbol.
    """
    voice = draw_voice(rng, voices)
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
        said = _say(draw_sentence(rng), voice)
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


def _say(text: str, voice: Voice | RecordedVoice) -> Speech:
    return speak(text, voice) if isinstance(voice, Voice) else speak_recorded(text, voice)
