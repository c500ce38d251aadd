"""Recorded voices: their sounds are where they say, and no text is a command."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfiltfilt

from lipcore.errors import ConfigError
from lipcore.speech.arpabet import ipa_of
from lipcore.speech.espeak import Phoneme, Speech
from lipcore.speech.recorded import (
    ENGINES,
    RecordedVoice,
    plain_words,
    recorded_voices,
    speak_recorded,
)
from lipcore.speech.visemes import visemes_of

TEXT = "Maybe my puppy Bob will map a happy pub. Then, papa may be above."


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if not recorded_voices(name):
        pytest.skip(f"{name} is not on this machine")
    return name


def _levels(speech: Speech, moved_s: float) -> tuple[list[float], list[float]]:
    """Sound above 1 kHz, which shut lips hold back, during closures and in vowels' middles."""
    rate = speech.sample_rate_hz
    band = butter(4, 1000, "high", fs=rate, output="sos")
    high = np.concatenate([sosfiltfilt(band, speech.samples), np.zeros(rate)])

    def level(p: Phoneme) -> float:
        start, length = p.start_s + moved_s, p.end_s - p.start_s
        first, last = (int((start + share * length) * rate) for share in (0.2, 0.7))
        return float(np.sqrt((high[first : last + 1] ** 2).mean()))

    shut = [level(p) for p in speech.phonemes if p.symbol in {"p", "b", "m"}]
    vowels = [level(p) for p in speech.phonemes if p.symbol[:1] in set("ɑæʌɔaəeiuɪɛoɝ")]
    return shut, vowels


@pytest.mark.parametrize("stretch", [0.85, 1.0, 1.3])
def test_the_sound_is_weak_where_the_lips_are_said_to_be_shut(engine: str, stretch: float) -> None:
    for name in recorded_voices(engine):
        speech = speak_recorded(TEXT, RecordedVoice(engine, name, stretch, pitch=1.1))
        shut, vowels = _levels(speech, 0.0)
        assert len(shut) == 17, name
        assert np.mean(shut) < 0.3 * np.median(vowels), name
        assert max(shut) < np.median(vowels), name


def test_closures_are_timed_to_two_hundredths_of_a_second_to_the_end(engine: str) -> None:
    moves = np.arange(-12, 13) / 100
    for name in recorded_voices(engine):
        speech = speak_recorded(3 * (TEXT + " "), RecordedVoice(engine, name))
        levels = np.array([_levels(speech, float(move))[0] for move in moves])
        for third in np.array_split(levels, 3, axis=1):  # a drift would show in the last
            assert abs(moves[third.mean(axis=1).argmin()]) < 0.021, name


def test_phonemes_run_on_without_gaps_to_the_end(engine: str) -> None:
    speech = speak_recorded(TEXT, RecordedVoice(engine, recorded_voices(engine)[0]))
    spans = speech.phonemes
    assert spans[0].start_s == 0 and spans[0].symbol == ""
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(spans))
    assert all(p.start_s < p.end_s for p in spans)
    assert spans[-1].end_s == pytest.approx(len(speech.samples) / speech.sample_rate_hz)
    assert [c for p in spans for c in p.symbol if c in "mbp"] == list("mbmppbbmpppbppmbb")
    assert 0.1 < np.abs(speech.samples).max() <= 1
    assert sum(v.viseme.closes for v in visemes_of(spans)) == 17


def test_the_same_request_gives_the_same_sound_and_stretch_lengthens_it(engine: str) -> None:
    name = recorded_voices(engine)[0]
    first, again, slow, high = (
        speak_recorded(TEXT, RecordedVoice(engine, name, stretch, pitch))
        for stretch, pitch in ((1, 1), (1, 1), (1.4, 1), (1, 1.3))
    )
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.phonemes == again.phonemes
    assert 1.2 < len(slow.samples) / len(first.samples) < 1.6
    assert not np.array_equal(high.samples[:20_000], first.samples[:20_000])


@pytest.mark.parametrize("text", [
    'quit") (system "touch ../made") ("',
    "$(touch made); `touch made` | touch made & touch made",
    "-o made -voice nobody",
    "\\\" (quit)\n(system \"touch made\")",
    "été naïve ’tis\x00\x07",
])  # fmt: skip
def test_a_text_is_said_and_never_obeyed(
    engine: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'a "folder" (quit) é'
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(folder)
    speech = speak_recorded(text, RecordedVoice(engine, recorded_voices(engine)[0]))
    assert sum(bool(p.symbol) for p in speech.phonemes) > 4
    assert list(tmp_path.rglob("*")) == [folder]


@settings(max_examples=300)
@given(st.text())
def test_words_are_plain_whatever_the_text(text: str) -> None:
    try:
        words = plain_words(text)
    except ConfigError:
        return
    assert words.isascii() and words.isprintable()
    assert not set(words) & set("\"\\()[]{}<>$`|&#*/=")


def test_what_cannot_be_said_is_one_clear_line(engine: str) -> None:
    with pytest.raises(ConfigError, match="nothing in"):
        speak_recorded("!!!", RecordedVoice(engine, recorded_voices(engine)[0]))
    with pytest.raises(ConfigError, match="has no voice 'nobody'"):
        speak_recorded("hello", RecordedVoice(engine, "nobody"))
    with pytest.raises(ConfigError, match="no speech engine"):
        speak_recorded("hello", RecordedVoice("loud", "nobody"))
    with pytest.raises(ConfigError, match="stretch is 3"):
        RecordedVoice(engine, "kal16", stretch=3)
    with pytest.raises(ConfigError, match="not ARPAbet"):
        ipa_of("qq")
