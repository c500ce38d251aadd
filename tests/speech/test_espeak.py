from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from lipcore.errors import ConfigError
from lipcore.speech.espeak import Speech, Voice, speak
from lipcore.types import FloatArray

TEXT = "Maybe my five thumbs push the bumpy map. Then, we stop."


@pytest.fixture(scope="module")
def speech() -> Speech:
    return speak(TEXT)


def test_sound_is_mono_float_in_range(speech: Speech) -> None:
    assert speech.samples.dtype == np.float32 and speech.samples.ndim == 1
    assert 0.1 < np.abs(speech.samples).max() <= 1.0
    assert speech.sample_rate_hz == 22_050
    assert 2.5 < len(speech.samples) / speech.sample_rate_hz < 7


def test_phonemes_run_on_without_gaps_to_the_end(speech: Speech) -> None:
    spans = speech.phonemes
    assert spans[0].start_s == 0
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(spans))
    assert all(p.start_s < p.end_s for p in spans)
    assert spans[-1].end_s == pytest.approx(len(speech.samples) / speech.sample_rate_hz)


def test_phonemes_are_those_of_the_text(speech: Speech) -> None:
    said = "".join(p.symbol for p in speech.phonemes)
    assert [c for c in said if c in "mbpfv"] == list("mbmfvmpbmpmpp")


def test_phoneme_times_fit_the_sound(speech: Speech) -> None:
    """Vowels are loud, pauses are silent."""
    def level(start_s: float, end_s: float) -> float:
        part = speech.samples[int(start_s * 22_050) : int(end_s * 22_050)]
        return float(np.sqrt(np.mean(part**2)))

    vowels = [level(p.start_s, p.end_s) for p in speech.phonemes if "ˈ" in p.symbol]
    pauses = [
        level(p.start_s + 0.1, p.end_s - 0.05)
        for p in speech.phonemes
        if not p.symbol and p.end_s - p.start_s > 0.2
    ]
    assert pauses and max(pauses) < 0.05 * min(vowels)


def test_the_same_request_gives_the_same_samples_whatever_came_before(speech: Speech) -> None:
    speak("Bonjour tout le monde", Voice("fr", words_per_minute=250, pitch=90))
    again = speak(TEXT)
    np.testing.assert_array_equal(again.samples, speech.samples)
    assert again.phonemes == speech.phonemes


def test_threads_do_not_disturb_each_other(speech: Speech) -> None:
    results: list[Speech] = []
    threads = [threading.Thread(target=lambda: results.append(speak(TEXT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result.samples, speech.samples)


def test_speed_and_pitch_are_heard(speech: Speech) -> None:
    fast = speak(TEXT, Voice(words_per_minute=260))
    assert len(fast.samples) < 0.8 * len(speech.samples)
    high = speak("Ah, ah, ah, ah.", Voice(pitch=80, pitch_range=0))
    low = speak("Ah, ah, ah, ah.", Voice(pitch=20, pitch_range=0))

    def pitch_hz(samples: FloatArray) -> float:
        part = samples.astype(np.float64)
        spectrum = np.abs(np.fft.rfft(part, 2 * len(part))) ** 2
        lags = np.fft.irfft(spectrum)
        first = 22_050 // 350
        return 22_050 / (first + int(np.argmax(lags[first : 22_050 // 50])))

    assert pitch_hz(high.samples) > 1.2 * pitch_hz(low.samples)


def test_phoneme_mnemonics_are_said_as_they_stand() -> None:
    said = speak("h@l'oU w'3:ld", phonemes=True)
    assert next(p.symbol for p in said.phonemes if p.symbol) == "h"


@pytest.mark.parametrize("text", ["", "   \n", "...", "— —"])
def test_nothing_to_say_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        speak(text)


def test_an_unknown_voice_is_named() -> None:
    for name in ("klingonese", "en-us+klingonese"):
        with pytest.raises(ConfigError, match="klingonese"):
            speak("hello", Voice(name))


@pytest.mark.parametrize("field", ["words_per_minute", "pitch", "pitch_range"])
def test_settings_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        Voice(**{field: 1000})
