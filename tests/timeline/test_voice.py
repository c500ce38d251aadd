"""Speech in a dub: where shots need to know, and only there."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipcore.demo.run import say
from lipcore.timeline.voice import find_speech, spoken_s
from lipcore.types import Dialogue


def test_words_are_found_and_noise_is_not() -> None:
    said = say("Mama, papa, my boat is over there.")
    words = said[: len(said) // 3 * 3].reshape(-1, 3).mean(axis=1, dtype=np.float32)
    rng = np.random.default_rng(0)
    hiss = rng.normal(0, 0.01, 3 * 16_000).astype(np.float32)
    hum = (0.1 * np.sin(np.arange(2 * 16_000) * 2 * np.pi * 50 / 16_000)).astype(np.float32)
    dub = Dialogue(np.concatenate([hiss, words, hum, np.zeros(16_000, np.float32), words]))
    lasts = len(words) / 16_000
    begins = (3, 3 + lasts + 3)
    speech = find_speech(dub, [(Fraction(0), dub.duration_s)])
    assert len(speech) >= 2
    for begin in begins:  # 0.3 s of silence at both ends of the words
        found = spoken_s(speech, Fraction(begin), Fraction(begin + lasts))
        assert found == pytest.approx(lasts - 0.6, abs=0.5)
    assert spoken_s(speech, Fraction(0), Fraction(3)) == 0
    assert spoken_s(speech, Fraction(begins[0] + lasts + 0.5), Fraction(begins[1])) == 0

    # A shot hears the same of its own part when nothing else is listened to.
    shot = (Fraction(begins[1]), Fraction(begins[1]) + 1)
    alone = find_speech(dub, [shot])
    assert spoken_s(alone, *shot) == pytest.approx(spoken_s(speech, *shot), abs=0.1)
    assert spoken_s(alone, Fraction(0), Fraction(5)) == 0
    assert find_speech(dub, []) == []
    assert find_speech(Dialogue(np.zeros(0, np.float32)), [shot]) == []
