"""Voices made from recordings of people: Flite and Festival, where they are installed.

Both are programs, run without a shell in a folder of their own. What is said reaches them as
plain words alone (``plain_words``): a text can be neither an option nor Scheme.

Source: the manuals of Flite 2.2 (``-psdur``) and Festival 2.5 (``utt.save.segs``).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lipcore.errors import ConfigError, DependencyError
from lipcore.speech.arpabet import ipa_of
from lipcore.speech.espeak import Phoneme, Speech
from lipcore.types import FloatArray

ENGINES = ("flite", "festival")
_FLITE_VOICES = ("kal16", "awb", "rms", "slt")
"""``kal`` is the 8 kHz form of ``kal16``, and ``awb_time`` can only tell the time."""
_FESTIVAL_VOICES = re.compile(r"(?:kal|ked)_diphone|cmu_us_(?![a-z0-9_]*_hts)[a-z0-9_]+")
"""Those whose phones are American; voices of HTS heed neither stretch nor pitch."""
_LONGEST = 2000
_PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class RecordedVoice:
    """Who speaks, and how."""

    engine: str
    """``flite`` or ``festival``."""
    name: str
    """One of ``recorded_voices(engine)``."""
    stretch: float = 1.0
    """0.5 (twice as fast) to 2."""
    pitch: float = 1.0
    """0.7 to 1.4: of the recorded person's mean."""

    def __post_init__(self) -> None:
        for what, value, low, high in (
            ("stretch", self.stretch, 0.5, 2.0), ("pitch", self.pitch, 0.7, 1.4),
        ):  # fmt: skip
            if not low <= value <= high:
                raise ConfigError(f"{what} is {value}", hint=f"Choose from {low} to {high}.")


@cache
def recorded_voices(engine: str) -> tuple[str, ...]:
    """American voices of an engine on this machine; none where the engine is absent.

    Raises:
        ConfigError: It is no engine.
    """
    if engine not in ENGINES:
        raise ConfigError(
            f"no speech engine is named {engine!r}", hint=f"Choose {' or '.join(ENGINES)}."
        )
    if shutil.which(engine) is None:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        if engine == "flite":
            found = _run(["flite", "-lv"], Path(folder)).partition(":")[2].split()
            return tuple(v for v in _FLITE_VOICES if v in found)
        listed = _festival("(mapcar (lambda (v) (format t \"%s\\n\" v)) (voice.list))", folder)
    return tuple(sorted(v for v in listed.split() if _FESTIVAL_VOICES.fullmatch(v)))


def plain_words(text: str) -> str:
    """A text as ASCII letters, digits and plain punctuation; all else becomes a space.

    Raises:
        ConfigError: Nothing is left to say, or it is too long for one breath of the engines.
    """
    bare = unicodedata.normalize("NFKD", text.replace("’", "'"))
    bare = "".join(c for c in bare if not unicodedata.combining(c))
    words = " ".join(re.sub(r"[^A-Za-z0-9.,;:?!' -]", " ", bare).split())
    if not re.search(r"[A-Za-z0-9]", words):
        raise ConfigError(f"nothing in {text[:40]!r} can be said", hint="Give words.")
    if len(words) > _LONGEST:
        raise ConfigError(
            f"the text has {len(words)} characters", hint=f"Say {_LONGEST} at a time."
        )
    return words


def speak_recorded(text: str, voice: RecordedVoice) -> Speech:
    """Say a text with a recorded voice.

    Args:
        text: What to say, in English.
        voice: Who says it.

    Returns:
        The sound at 16 kHz, and its phonemes.

    Raises:
        ConfigError: The text holds nothing to say, or the voice is not on this machine.
        DependencyError: The engine fails.
    """
    words = plain_words(text)
    if voice.name not in recorded_voices(voice.engine):
        there = recorded_voices(voice.engine)
        raise ConfigError(
            f"{voice.engine} has no voice {voice.name!r} here",
            hint=f"Choose {', '.join(there)}." if there
            else f"Install {voice.engine}, for example: apt install {voice.engine}",
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ends = (_flite if voice.engine == "flite" else _say_in_scheme)(words, voice, folder)
        samples, rate = _sound(folder / "said.wav", voice.engine)
    return Speech(samples, rate, _spans(ends, len(samples) / rate))


def _flite(words: str, voice: RecordedVoice, folder: Path) -> list[tuple[str, float]]:
    """Phones and their ends in seconds; the sound is left in the folder."""
    means = {"kal16": 95.0, "awb": 125.0, "rms": 95.0, "slt": 175.0}
    printed = _run(
        ["flite", "-voice", voice.name, "-psdur", "--setf", f"duration_stretch={voice.stretch:.4f}",
         "--setf", f"int_f0_target_mean={voice.pitch * means[voice.name]:.2f}", "-t", words,
         "-o", "said.wav"], folder,
    )  # fmt: skip
    pairs = [item.rpartition(":") for item in printed.split()]
    try:
        return [(phone, float(end)) for phone, _, end in pairs]
    except ValueError as error:
        raise _failed("flite", printed) from error


def _say_in_scheme(words: str, voice: RecordedVoice, folder: Path) -> list[tuple[str, float]]:
    """As ``_flite``; the words stand between quotes, which they cannot hold."""
    _festival(
        f"""(voice_{voice.name})
        (Parameter.set 'Duration_Stretch {voice.stretch:.4f})
        (set! int_lr_params '((target_f0_mean {105 * voice.pitch:.2f}) (target_f0_std 14)
            (model_f0_mean 170) (model_f0_std 34)))
        (set! said (utt.synth (Utterance Text "{words}")))
        (utt.save.segs said "said.segs")
        (utt.save.wave said "said.wav" 'riff)""",
        str(folder),
    )
    try:
        lines = (folder / "said.segs").read_text("ascii").partition("#")[2].split("\n")[1:]
        rows = [line.split() for line in lines if line.strip()]
        return [(row[2], float(row[0])) for row in rows]
    except (OSError, ValueError, IndexError) as error:
        raise _failed("festival", str(error)) from error


def _festival(scheme: str, folder: str) -> str:
    script = Path(folder) / "say.scm"
    script.write_text(scheme, "ascii")
    return _run(["festival", "-b", script.name], Path(folder))


def _run(command: list[str], folder: Path) -> str:
    """What a program prints; it starts in the folder, and finds no settings of the user."""
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, "HOME": str(folder), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        raise _failed(command[0], said.decode("utf-8", "replace")) from error
    return done.stdout.decode("utf-8", "replace")


def _failed(engine: str, why: str) -> DependencyError:
    line = " ".join(why.split())[:200]
    return DependencyError(
        f"{engine} does not speak ({line})", hint=f"Reinstall {engine}, or choose other voices."
    )


def _sound(path: Path, engine: str) -> tuple[FloatArray, int]:
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (OSError, RuntimeError) as error:
        raise _failed(engine, str(error)) from error
    if samples.ndim != 1 or not len(samples):
        raise _failed(engine, "its sound is empty")
    return np.asarray(samples, np.float32), int(rate)


def _spans(ends: list[tuple[str, float]], duration_s: float) -> tuple[Phoneme, ...]:
    """Phonemes without gaps, from 0 to the end of the sound."""
    spans: list[Phoneme] = []
    at = 0.0
    for phone, end in ends:
        until = min(end, duration_s)
        if until > at:
            spans.append(Phoneme(ipa_of(phone), at, until))
            at = until
    if duration_s > at:
        spans.append(Phoneme("", at, duration_s))
    return tuple(spans)
