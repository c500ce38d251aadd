"""Synthetic speech with its mouth shapes: sentences of our own, in many voices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from lipcore.speech.espeak import Voice, speak
from lipcore.speech.visemes import shapes_of_phonemes
from lipcore.types import FloatArray

SENTENCES = (
    "Maybe Bob will bring the big blue map before the meeting begins.",
    "My father found five foxes near the river, and very few of them moved.",
    "Please put the paper cups on top of the piano, not below it.",
    "We were wondering where you would go when the water went away.",
    "She showed us the shiny shoes that the shop was sure to sell.",
    "Each of the teachers chose a cheap chair and a large orange jar.",
    "Those three brothers thought that the weather was worth a thousand words.",
    "The yellow yacht used to yield a view of the young year.",
    "He heard how high the hill was, and hurried home ahead of her.",
    "A good cook could look at a book and put sugar in the pudding.",
    "Go slowly over the old stone road, and don't go home alone.",
    "All the tall walls fall, and the small ball is lost in the hall.",
    "I might buy a light kite, or ride a white bike at night.",
    "Now the loud crowd went round the house and out of the town.",
    "The boy enjoyed the noise of his toys and the oil on the coin.",
    "Ask the last man to pass the glass and the black hat back.",
    "Let every guest get ten red pens, seven desks and a better bed.",
    "The bird heard the first word and turned away from the burning earth.",
    "Keep these green leaves clean, and leave the key beneath the seat.",
    "It is a little bit silly to sit in the middle of this big ship.",
    "Come up, my son, and jump in front of the drum, just for fun.",
    "Two new blue shoes, a few spoons, and the moon in the pool at noon.",
    "Good evening. This is the news at nine, and here is what happened today.",
    "Nobody knows, perhaps, what the market will do tomorrow morning.",
    "Thank you very much. I hope, above all, that we shall meet again.",
    "If people work together, almost everything becomes possible.",
    "Stop! Wait for me, please. I am not as fast as you are.",
    "What a beautiful afternoon for a walk by the sea, isn't it?",
    "The committee will publish its final report by the end of February.",
    "Five, four, three, two, one, zero, and off we go.",
    "Place the white cup with the blue bowl by the red box, please.",
    "We must protect the public from problems that nobody has solved before.",
    "America's families have waited far too long for affordable medicine.",
    "From the first moment, the whole room was full of hope and courage.",
    "Where there is a will, there is a way, or so my mother always said.",
    "Could you give me a hand with the heavy trunk behind the van?",
    "An apple, a pear, some bread, and half a pound of butter.",
    "The quick change of plans upset both the pilot and the passengers.",
    "You should measure the usual pleasure of leisure against its price.",
    "Remember the name of the woman who managed the farm in summer.",
)
"""English; every phoneme of it many times over, closures and pauses among them."""

VOICES = (
    "en-us", "en-us+m2", "en-us+m4", "en-us+m7", "en-us+f1", "en-us+f2", "en-us+f4",
    "en", "en+m3", "en+f3", "en-gb-x-rp", "en-us+klatt2", "en-gb-scotland", "en-gb-scotland+f2",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """A synthetic utterance with its mouth."""

    voice: str
    samples: FloatArray
    """``(samples,)`` at 16 kHz."""
    shapes: FloatArray
    """``(T, C)`` standard units, a row every 10 ms from 0."""


def speak_corpus(names: tuple[str, ...], *, readings: int = 4, seed: int = 0) -> Iterator[Spoken]:
    """Every sentence in several voices, at several speeds and pitches.

    Args:
        names: Components of the basis.
        readings: Of each sentence.
        seed: Of voices, speeds and pitches.
    """
    rng = np.random.default_rng(seed)
    for sentence in SENTENCES:
        for _ in range(readings):
            voice = Voice(
                name=str(rng.choice(VOICES)),
                words_per_minute=int(rng.integers(130, 220)),
                pitch=int(rng.integers(25, 75)),
                pitch_range=int(rng.integers(30, 80)),
            )
            speech = speak(sentence, voice)
            samples = resample_poly(speech.samples, 16_000, speech.sample_rate_hz)
            times = np.arange(1 + len(samples) // 160) / 100
            shapes = shapes_of_phonemes(speech.phonemes, times, names)
            yield Spoken(voice.name, samples.astype(np.float32), shapes)
