from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from lipcore.errors import ConfigError
from lipcore.media.audio import load_dialogue
from lipcore.speech.activity import (
    CHUNK,
    ActivityConfig,
    VoiceDetector,
    speech_envelope,
    speech_probability,
    speech_spans,
)
from lipcore.speech.espeak import speak
from lipcore.types import Dialogue, FloatArray


@pytest.fixture(scope="module")
def sentence() -> FloatArray:
    speech = speak("People believe what they see before they hear it.")
    return resample_poly(speech.samples, 320, 441).astype(np.float32)


def test_speech_between_silences_is_found_where_it_is(sentence: FloatArray) -> None:
    lead, length = 1.5, len(sentence) / 16_000
    samples = np.concatenate([np.zeros(24_000), sentence, np.zeros(32_000)]).astype(np.float32)
    spans = speech_spans(speech_probability(Dialogue(samples)))
    assert len(spans) == 1
    assert abs(spans[0][0] - lead) < 0.25
    assert abs(spans[0][1] - lead - length) < 0.45


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.02])
def test_silence_and_noise_are_not_speech(level: float) -> None:
    noise = np.random.default_rng(0).normal(0, level, 48_000).astype(np.float32)
    assert speech_spans(speech_probability(Dialogue(noise))) == []


def test_music_like_tones_are_not_speech() -> None:
    t = np.arange(48_000) / 16_000
    chord = sum(0.1 * np.sin(2 * np.pi * f * t) for f in (220, 277, 330))
    probability = speech_probability(Dialogue(np.asarray(chord, np.float32)))
    assert sum(b - a for a, b in speech_spans(probability)) < 0.5


def test_real_speech_is_found(shared_data: Path) -> None:
    dialogue = load_dialogue(shared_data / "speech" / "jfk_en.wav")
    spans = speech_spans(speech_probability(dialogue))
    assert 0.5 < sum(b - a for a, b in spans) / float(dialogue.duration_s) <= 1


@pytest.mark.parametrize("surplus", [0, 1, 511])
def test_many_chunks_at_once_are_heard_as_one_after_another(
    shared_data: Path, surplus: int
) -> None:
    said = load_dialogue(shared_data / "speech" / "jfk_en.wav").samples
    rng = np.random.default_rng(surplus)
    noisy = np.resize(said, 700 * CHUNK + surplus) + rng.normal(0, 0.01, 700 * CHUNK + surplus)
    samples = noisy.astype(np.float32)
    together = speech_probability(Dialogue(samples), gain=1.0)
    detector = VoiceDetector()
    apart = [detector.hear(samples[i : i + CHUNK]) for i in range(0, len(samples), CHUNK)]
    assert len(apart) > 512, "a later block must go on where the first one ends"
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert speech_spans(together) == speech_spans(np.asarray(apart, np.float32)) != []


def test_the_envelope_is_zero_in_silence_and_smooth() -> None:
    times = np.arange(0, 6, 0.001)
    config = ActivityConfig()
    shown = speech_envelope([(1.0, 2.0), (4.0, 4.5)], times, config)
    opens = 4.0 - config.before_s - config.opening_s
    shut = 2.0 + config.after_s + config.closing_s
    assert (shown[(times >= 1.0 - config.before_s) & (times <= 2.0 + config.after_s)] == 1).all()
    assert (shown[times < 1.0 - config.before_s - config.opening_s] == 0).all()
    assert (shown[(times > shut) & (times < opens)] == 0).all()
    assert (shown[(times > opens + 0.05) & (times < 4.0)] > 0).all()
    assert np.abs(np.diff(shown)).max() < 0.02


def test_short_pauses_are_bridged_and_clicks_dropped() -> None:
    probability = np.zeros(200, np.float32)
    probability[20:60] = 0.9
    probability[64:100] = 0.9
    probability[150:151] = 0.9
    spans = speech_spans(probability)
    assert spans == [(20 * 0.032, 100 * 0.032)]


def test_hysteresis_holds_through_a_dip() -> None:
    probability = np.full(50, 0.42, np.float32)
    assert speech_spans(probability) == []
    probability[5] = 0.6
    assert speech_spans(probability) == [(5 * 0.032, 50 * 0.032)]


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError):
        ActivityConfig(enter=0.3, leave=0.5)
    with pytest.raises(ConfigError):
        ActivityConfig(closing_s=-1)
    with pytest.raises(ConfigError, match="16000"):
        speech_probability(Dialogue(np.zeros(100, np.float32), 48_000))
