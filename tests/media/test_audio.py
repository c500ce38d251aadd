"""Dialogue from sound and video files."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import soundfile

from lipcore.errors import (
    DialogueLengthError,
    DialogueNotFoundError,
    DialogueUnreadableError,
    NoAudioError,
)
from lipcore.media.audio import fit_dialogue, load_dialogue, read_sound
from lipcore.types import Dialogue


def tone(rate, seconds, channels=1, hertz=440.0):
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


@pytest.mark.parametrize(("rate", "channels"), [(48000, 1), (44100, 2), (8000, 1), (96000, 6)])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_any_rate_and_channel_count(tmp_path, rate, channels, suffix):
    path = tmp_path / f"à la ligne #1{suffix}"
    soundfile.write(path, tone(rate, 2.0, channels), rate)
    dialogue = load_dialogue(path)
    assert dialogue.sample_rate_hz == 16000
    assert abs(len(dialogue.samples) - 32000) <= 2
    middle = dialogue.samples[4000:28000]
    peak = np.abs(np.fft.rfft(middle)).argmax() * 16000 / len(middle)
    assert peak == pytest.approx(440, abs=2)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.01)


def test_resampling_keeps_out_what_cannot_be_there(tmp_path):
    path = tmp_path / "high.wav"
    soundfile.write(path, tone(48000, 1.0, hertz=12000.0), 48000)
    assert np.abs(load_dialogue(path).samples[2000:-2000]).max() < 0.01


def test_errors(tmp_path, make_video):
    with pytest.raises(DialogueNotFoundError):
        load_dialogue(tmp_path / "absent.wav")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is no sound at all, " * 50)
    for name in ("empty.wav", "text.wav"):
        with pytest.raises(DialogueUnreadableError, match=name):
            load_dialogue(tmp_path / name)
    with pytest.raises(NoAudioError):
        load_dialogue(make_video(tmp_path / "mute.mp4"))
    soundfile.write(tmp_path / "short.wav", tone(16000, 0.1), 16000)
    with pytest.raises(DialogueLengthError, match=r"0\.10 s"):
        load_dialogue(tmp_path / "short.wav")


def test_sound_that_starts_later_than_the_picture_stays_later(tmp_path, make_video):
    path = make_video(tmp_path / "late.mkv", codec="ffv1", count=50, sound_lead_s=0.4)
    samples = load_dialogue(path).samples
    first = int(np.flatnonzero(np.abs(samples) > 0.05)[0])
    assert first / 16000 == pytest.approx(0.4, abs=0.01)


def test_original_sound_is_exact(tmp_path):
    rng = np.random.default_rng(0)
    whole = rng.integers(-32768, 32767, (5000, 2), np.int16)
    soundfile.write(tmp_path / "a.wav", whole, 44100, subtype="PCM_16")
    sound, rate = read_sound(tmp_path / "a.wav")
    assert rate == 44100
    assert np.array_equal(sound, (whole.T / 32768).astype(np.float32))


def test_fit_trims_pads_and_moves():
    dialogue = Dialogue(np.arange(1, 1601, dtype=np.float32))  # 0.1 s
    longer = fit_dialogue(dialogue, Fraction(1, 5))
    assert len(longer.samples) == 3200
    assert not longer.samples[1600:].any()
    shorter = fit_dialogue(dialogue, Fraction(1, 20))
    assert np.array_equal(shorter.samples, dialogue.samples[:800])
    later = fit_dialogue(dialogue, Fraction(1, 10), offset_s=Fraction(1, 100))
    assert later.samples[:160].sum() == 0 and later.samples[160] == 1
    earlier = fit_dialogue(dialogue, Fraction(1, 10), offset_s=Fraction(-1, 100))
    assert earlier.samples[0] == 161 and len(earlier.samples) == 1600
    with pytest.raises(DialogueLengthError, match="shorter"):
        fit_dialogue(dialogue, Fraction(1), short="error")
    with pytest.raises(DialogueLengthError, match="longer"):
        fit_dialogue(dialogue, Fraction(1, 100), long="error")


@pytest.mark.slow
def test_one_hour(tmp_path):
    path = tmp_path / "hour.wav"
    block = (tone(16000, 60.0) * 32767).astype(np.int16)
    with soundfile.SoundFile(path, "w", 16000, 1, "PCM_16") as file:
        for _ in range(60):
            file.write(block)
    assert load_dialogue(path).duration_s == 3600
