"""What is said in a video, as a file beside it tells: .txt, .srt, .vtt, or .json as Whisper and
WhisperX write it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipcore.errors import ConfigError, MediaUnreadableError

SUFFIXES = (".json", ".vtt", ".srt", ".txt")
"""In the order in which they are looked for: those with times of words first."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_CUE = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}")
_INLINE = re.compile(rf"<{_CLOCK}>")
_WHOLE = 0.9
"""A text without times belongs to a segment that is so much of its file."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Words said one after another; times in seconds of the file."""

    start_s: float
    end_s: float
    text: str

    def words(self) -> Iterator[tuple[float, str]]:
        """Each word, with the middle of its time: spread evenly by letters."""
        found = list(_WORD.finditer(self.text))
        letters = sum(len(word[0]) for word in found)
        before = 0
        for word in found:
            middle = (before + len(word[0]) / 2) / letters
            before += len(word[0])
            yield self.start_s + middle * (self.end_s - self.start_s), word[0]


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a file: cues in order, or a text without times."""

    cues: tuple[Cue, ...] = ()
    text: str = ""

    def between(self, start_s: float, end_s: float, length_s: float) -> str | None:
        """The words of a segment.

        Args:
            start_s: Where it starts, in seconds of the file.
            end_s: Where it ends.
            length_s: Length of the file.

        Returns:
            None where it cannot be known: the text has no times, and the segment is only a
            part of its file.
        """
        if self.cues:
            timed = (word for cue in self.cues for word in cue.words())
            return " ".join(word for at, word in timed if start_s <= at < end_s)
        whole = end_s - start_s >= _WHOLE * length_s
        return " ".join(_WORD.findall(self.text)) if whole else None


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters, without punctuation."""
    return [word.casefold().replace("’", "'") for word in _WORD.findall(text)]


def read_words(path: Path) -> tuple[str, ...]:
    """A list of words: any text; what stands behind ``#`` is a note.

    Raises:
        ConfigError: The file cannot be read, or holds no words.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the word list {path} cannot be read ({error})",
            hint="Give a text file in UTF-8, a word on each line.", path=str(path),
        ) from error
    words = tuple(sorted({word for line in lines for word in words_of(line.partition("#")[0])}))
    if not words:
        raise ConfigError(f"the word list {path} is empty", hint="Write a word on each line.")
    return words


def find_transcript(video: Path) -> Path | None:
    """The file beside a video that tells what is said: ``name.srt``, or ``name.en.srt``."""
    for suffix in SUFFIXES:
        plain = video.with_suffix(suffix)
        if plain.is_file():
            return plain
        starts = f"{video.stem}."
        tagged = sorted(
            p for p in video.parent.iterdir()
            if p.suffix == suffix and p.name.startswith(starts) and p.stem.count(".")
            == video.stem.count(".") + 1 and not p.name.endswith(".info.json")
        )  # fmt: skip
        if tagged:
            return tagged[0]
    return None


def read_transcript(path: Path) -> Transcript:
    """Read one.

    Raises:
        MediaUnreadableError: It is not what its suffix says.
    """
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix == ".json":
            return _from_json(json.loads(text))
        if path.suffix == ".txt":
            return Transcript(text=text)
        cues = tuple(_cues(text.splitlines()))
        if text.strip() and not cues:
            raise ValueError("no line holds times as 00:00:01.000 --> 00:00:02.000")
        return Transcript(cues)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise MediaUnreadableError(
            f"the transcript {path.name} cannot be read ({error})",
            hint="Mend it or remove it.", path=str(path),
        ) from error


def _cues(lines: Sequence[str]) -> Iterator[Cue]:
    """The cues of SubRip or WebVTT.

    Captions that roll repeat the line before; only what bears times inside of the line is new
    there (as automatic captions of video sites have it).
    """
    rolls = any(_INLINE.search(line) for line in lines)
    at = 0
    while at < len(lines):
        found = _CUE.match(lines[at])
        at += 1
        if found is None:
            continue
        start, end = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
        body = []
        while at < len(lines) and lines[at] and not _CUE.match(lines[at]):  # " " is a line too
            body.append(lines[at])
            at += 1
        if rolls:
            for line in body:
                if _INLINE.search(line):
                    yield from _timed(line, start, end)
        elif body:
            yield Cue(start, end, _plain(" ".join(body)))


def _timed(line: str, start: float, end: float) -> Iterator[Cue]:
    parts = _INLINE.split(line)
    texts, clocks = parts[::5], [_seconds(parts[i : i + 4]) for i in range(1, len(parts), 5)]
    for text, first, last in zip(texts, [start, *clocks], [*clocks, end], strict=True):
        if _plain(text):
            yield Cue(first, last, _plain(text))


def _seconds(clock: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in clock)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")


def _plain(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>|\{\\[^}]*\}", "", text)).strip()


def _from_json(values: Any) -> Transcript:
    """``{"segments": [{"start", "end", "text", "words"?}]}``, a list of such or of words, or
    ``{"text"}``."""
    entries = values.get("segments", values.get("words")) if isinstance(values, dict) else values
    if entries is None:
        return Transcript(text=str(values["text"]))
    cues: list[Cue] = []
    for entry in entries:
        words = [w for w in entry.get("words") or [] if "start" in w and "end" in w]
        for item in words or [entry]:
            text = str(item.get("word", item.get("text", ""))).strip()
            cues.append(Cue(float(item["start"]), float(item["end"]), text))
    return Transcript(tuple(cues))
