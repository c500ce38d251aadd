"""espeak-ng as a library: text to speech, with the time of every phoneme.

The library and its voices come from the ``espeakng-loader`` package; nothing is installed on
the system. It keeps its state in globals, so one lock guards it, and every call loads it
afresh and lets it go (10 ms): the same request gives the same samples, whatever was said
before.

Source: espeak-ng's ``speak_lib.h`` (1.52).
"""

from __future__ import annotations

import _ctypes
import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lipcore.errors import ConfigError, DependencyError
from lipcore.types import FloatArray

_OUTPUT_SYNCHRONOUS = 2
_PHONEME_EVENTS = 0x0001
_PHONEME_IPA = 0x0002
_DONT_EXIT = 0x8000
_UTF8 = 1
_PHONEME_INPUT = 0x100
_BY_CHARACTER = 1
_EVENT_END_OF_LIST = 0
_EVENT_PHONEME = 7
_RATE, _VOLUME, _PITCH, _PITCH_RANGE = 1, 2, 3, 4
_LONGEST_DATA_PATH = 159  # espeak-ng holds it in a buffer of 160 bytes and cuts silently

_LOCK = threading.Lock()


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One sound of the speech."""

    symbol: str
    """In the International Phonetic Alphabet, stress marks included; empty for a pause."""
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Synthetic speech and what is said when."""

    samples: FloatArray
    """``(samples,)`` in [-1, 1]."""
    sample_rate_hz: int
    phonemes: tuple[Phoneme, ...]
    """In order, without gaps, from 0 to the end of the sound."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks, and how."""

    name: str = "en-us"
    """espeak-ng voice: a language (``en-us``, ``fr``), or one with a variant (``en-us+f3``)."""
    words_per_minute: int = 160
    """80 to 450."""
    pitch: int = 50
    """0 to 99."""
    pitch_range: int = 50
    """0 (flat) to 99."""

    def __post_init__(self) -> None:
        for what, value, low, high in (
            ("words_per_minute", self.words_per_minute, 80, 450),
            ("pitch", self.pitch, 0, 99),
            ("pitch_range", self.pitch_range, 0, 99),
        ):
            if not low <= value <= high:
                raise ConfigError(
                    f"{what} is {value}", hint=f"Choose a number from {low} to {high}."
                )


@contextmanager
def _fresh_library() -> Iterator[tuple[Any, int]]:
    """The library in its first state, and its sample rate in Hz."""
    with _LOCK:
        library, rate = _load_library()
        try:
            yield library, rate
        finally:
            library.espeak_Terminate()
            if sys.platform == "win32":
                _ctypes.FreeLibrary(library._handle)
            else:
                _ctypes.dlclose(library._handle)


def _load_library() -> tuple[Any, int]:
    try:
        import espeakng_loader
    except ImportError as error:
        raise DependencyError(
            "espeak-ng is not installed", hint="Run: pip install espeakng-loader"
        ) from error
    data = str(espeakng_loader.get_data_path())
    if len(data.encode()) > _LONGEST_DATA_PATH:
        raise DependencyError(
            f"espeak-ng cannot use its voices: their path is longer than {_LONGEST_DATA_PATH} "
            "bytes",
            hint="Make the virtual environment in a folder with a shorter path.",
            path=data,
        )
    try:
        library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    except OSError as error:
        raise DependencyError(
            f"espeak-ng's library does not load ({error})",
            hint="Run: pip install --force-reinstall espeakng-loader",
        ) from error
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
        ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    rate = library.espeak_Initialize(
        _OUTPUT_SYNCHRONOUS,
        0,
        str(Path(data).parent).encode(),
        _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT,
    )
    if rate <= 0:
        raise DependencyError(
            "espeak-ng does not start: its voices are missing or damaged",
            hint="Run: pip install --force-reinstall espeakng-loader",
            path=data,
        )
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    return library, int(rate)


def speak(text: str, voice: Voice | None = None, *, phonemes: bool = False) -> Speech:
    """Say a text.

    Args:
        text: What to say; Unicode.
        voice: Who says it.
        phonemes: The text is espeak-ng's phoneme mnemonics (``h@l'oU``), not words.

    Returns:
        The sound at the library's rate (22,050 Hz), and its phonemes.

    Raises:
        ConfigError: The text is empty, holds nothing to say, or the voice is unknown.
        DependencyError: espeak-ng is not installed, or does not start.
    """
    voice = voice or Voice()
    if not text.strip():
        raise ConfigError("there is no text to say", hint="Give a sentence.")
    with _fresh_library() as (library, rate):
        _check_variant(voice)
        chunks, marks = _synthesize(library, text, voice, phonemes)
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
    if not any(symbol for _, symbol in marks):
        raise ConfigError(f"nothing in {text[:40]!r} can be said", hint="Give words.")
    duration = len(samples) / rate
    starts = [min(sample / rate, duration) for sample, _ in marks]
    if not starts or starts[0] > 0:
        starts, marks = [0.0, *starts], [(0, ""), *marks]
    ends = [*starts[1:], duration]
    spans = tuple(
        Phoneme(symbol, start, end)
        for (_, symbol), start, end in zip(marks, starts, ends, strict=True)
        if end > start
    )
    return Speech(samples, rate, spans)


def _check_variant(voice: Voice) -> None:
    """espeak-ng itself passes over a variant that it does not know."""
    import espeakng_loader

    _, plus, variant = voice.name.partition("+")
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    if plus and variant not in {p.name for p in folder.iterdir()}:
        raise ConfigError(
            f"espeak-ng has no voice variant {variant!r}",
            hint="Choose m1 to m8 or f1 to f5.",
        )


def _synthesize(
    library: Any, text: str, voice: Voice, phonemes: bool
) -> tuple[list[FloatArray], list[tuple[int, str]]]:
    """Samples in chunks, and (first sample, symbol) of each phoneme."""
    chunks: list[FloatArray] = []
    marks: list[tuple[int, str]] = []

    def receive(samples: Any, count: int, events: Any) -> int:
        if count > 0:
            pcm = np.ctypeslib.as_array(samples, shape=(count,))
            chunks.append(pcm.astype(np.float32) / 32768.0)
        index = 0
        while events[index].type != _EVENT_END_OF_LIST:
            if events[index].type == _EVENT_PHONEME:
                raw = bytes(events[index].id.string)
                symbol = raw.split(b"\0", 1)[0].decode("utf-8", errors="ignore")
                marks.append((int(events[index].sample), symbol.strip("_:| ")))
            index += 1
        return 0

    callback: Callable[..., int] = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
        raise ConfigError(
            f"espeak-ng has no voice {voice.name!r}",
            hint="Name a language such as en-us, en, fr or de, with +m1 to +m8 or +f1 to +f5.",
        )
    for parameter, value in (
        (_RATE, voice.words_per_minute),
        (_VOLUME, 100),
        (_PITCH, voice.pitch),
        (_PITCH_RANGE, voice.pitch_range),
    ):
        library.espeak_SetParameter(parameter, value, 0)
    encoded = f"[[{text}]]".encode() if phonemes else text.encode()
    flags = _UTF8 | (_PHONEME_INPUT if phonemes else 0)
    library.espeak_Synth(encoded, len(encoded) + 1, 0, _BY_CHARACTER, 0, flags, None, None)
    library.espeak_Synchronize()
    return chunks, marks
