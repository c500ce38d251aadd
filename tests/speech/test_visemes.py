from __future__ import annotations

import numpy as np
import pytest

from lipcore.speech.espeak import Phoneme, speak
from lipcore.speech.visemes import PARAMETERS, shapes_of_phonemes, visemes_of

NAMES = (*PARAMETERS, "shift", "smile", "tilt")


def _word(symbols: str, each_s: float = 0.12) -> list[Phoneme]:
    return [Phoneme(s, i * each_s, (i + 1) * each_s) for i, s in enumerate(symbols)]


@pytest.mark.parametrize("closure", ["m", "b", "p"])
@pytest.mark.parametrize("vowel", ["a", "i", "u", "æ"])
def test_lips_meet_in_every_closure(closure: str, vowel: str) -> None:
    word = _word(f"{vowel}{closure}{vowel}")
    times = np.linspace(0, 0.36, 361)
    opening = shapes_of_phonemes(word, times, NAMES)[:, 0]
    inside = (times > 0.13) & (times < 0.21)
    assert (opening[inside] == 0).all()
    assert opening[times < 0.06].max() > 0.5 and opening[times > 0.28].max() > 0.5


@pytest.mark.parametrize("sound", ["f", "v"])
@pytest.mark.parametrize("vowel", ["a", "i", "u", "æ"])
def test_the_lip_reaches_the_teeth_in_every_f_and_v(sound: str, vowel: str) -> None:
    word = _word(f"{vowel}{sound}{vowel}", 0.07)  # short: a blend alone would stay open
    times = np.linspace(0.08, 0.11, 31)
    opening = shapes_of_phonemes(word, times, NAMES)[:, 0]
    assert opening.min() > 0.1 and opening.max() < 0.36


def test_closures_of_real_speech_are_shut() -> None:
    speech = speak("Maybe my five thumbs push the bumpy map.")
    for phoneme in speech.phonemes:
        if phoneme.symbol in {"m", "b", "p"}:
            middle = [(phoneme.start_s + max(phoneme.end_s - 0.02, phoneme.start_s + 0.01)) / 2]
            assert shapes_of_phonemes(speech.phonemes, middle, NAMES)[0, 0] < 0.02


def test_vowels_differ_as_they_should() -> None:
    def middle(vowel: str) -> dict[str, float]:
        shape = shapes_of_phonemes(_word(f"t{vowel}t"), [0.18], NAMES)[0]
        return dict(zip(NAMES, shape.tolist(), strict=True))

    a, i, u = middle("a"), middle("i"), middle("u")
    assert a["open"] > i["open"] > 0 and a["open"] > u["open"] > 0
    assert i["wide"] > a["wide"] > u["wide"]
    assert u["pucker"] > 0.8 > 0.2 > a["pucker"] > i["pucker"]


def test_rounding_reaches_into_the_consonant_before() -> None:
    before_u = shapes_of_phonemes(_word("tu"), [0.06], NAMES)[0]
    before_i = shapes_of_phonemes(_word("ti"), [0.06], NAMES)[0]
    assert before_u[1] < before_i[1] - 0.4


def test_silence_is_closed() -> None:
    word = [Phoneme("", 0, 1), *[Phoneme(p.symbol, p.start_s + 1, p.end_s + 1) for p in
                                 _word("mama")], Phoneme("", 1.48, 2.5)]
    shapes = shapes_of_phonemes(word, [-5.0, 0.2, 2.3, 9.0], NAMES)
    np.testing.assert_allclose(shapes, 0, atol=0.01)


def test_diphthongs_move() -> None:
    assert len(visemes_of([Phoneme("ˈaʊ", 0, 0.3)])) == 2
    shapes = shapes_of_phonemes([Phoneme("ˈaʊ", 0, 0.3)], [0.06, 0.26], NAMES)
    assert shapes[0, 0] > shapes[1, 0] and shapes[0, 2] < shapes[1, 2]


def test_marks_and_exotic_sounds_do_not_break_it() -> None:
    spans = [Phoneme("ˈɑ̃ː", 0, 0.2), Phoneme("ǂ", 0.2, 0.3), Phoneme("tʃ", 0.3, 0.4)]
    assert np.isfinite(shapes_of_phonemes(spans, np.linspace(0, 0.5, 20), NAMES)).all()
    assert shapes_of_phonemes([], [0.0, 1.0], NAMES).shape == (2, 8)


@pytest.mark.parametrize("voice", ["fr", "de", "es"])
def test_every_sound_of_other_languages_has_a_viseme(voice: str) -> None:
    from lipcore.speech.espeak import Voice

    text = "Bonjour, guten Tag, buenos dias: radio, piano, opera, problema."
    shapes = shapes_of_phonemes(speak(text, Voice(voice)).phonemes, np.arange(0, 3, 0.02), NAMES)
    assert shapes[:, 0].max() > 1.2 and shapes[:, 0].min() == 0
