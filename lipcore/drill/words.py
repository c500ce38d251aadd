"""The words of a drill, and which of them the lips cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from lipcore.errors import ConfigError
from lipcore.speech.espeak import Phoneme, Voice, speak
from lipcore.speech.visemes import visemes_of

MOST_WORDS = 200
_LONGEST = 80


def read_words(path: Path) -> tuple[str, ...]:
    """Words or short sentences, one a line; empty lines and those that begin with # do not count.

    Raises:
        ConfigError: The file cannot be read, or holds fewer than 2 words, or more than 200.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the words in {path} cannot be read ({error})",
            hint="Give a text file in UTF-8, a word or a short sentence a line.", path=str(path),
        ) from error
    lines = [" ".join(line.split()) for line in text.splitlines()]
    words = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not 2 <= len(words) <= MOST_WORDS:
        raise ConfigError(
            f"{path} holds {len(words)} different words, and a drill takes 2 to {MOST_WORDS}",
            hint="Write a word or a short sentence a line.", path=str(path),
        )
    for word in words:
        if len(word) > _LONGEST:
            raise ConfigError(
                f"{word[:30]!r}... is longer than {_LONGEST} characters",
                hint="Make it shorter, or two of it.", path=str(path),
            )
    return words


def look_alikes(words: Sequence[str], voice: Voice) -> tuple[frozenset[int], ...]:
    """For each word, the places of the others that look the same on the lips.

    Two look the same where their sounds belong to the same classes of visible speech, one
    after the other (``pat``, ``bat``, ``mat``).

    Raises:
        ConfigError: A word holds nothing to say, or the voice is unknown.
    """
    looks = [_look(speak(word, voice).phonemes) for word in words]
    return tuple(
        frozenset(k for k, other in enumerate(looks) if other == own and k != place)
        for place, own in enumerate(looks)
    )


def _look(phonemes: Sequence[Phoneme]) -> tuple[object, ...]:
    shown = (item.viseme for item in visemes_of([p for p in phonemes if p.symbol]))
    return tuple(viseme for viseme, _ in groupby(shown))
