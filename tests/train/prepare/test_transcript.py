"""Transcripts of all kinds, and the words of a segment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lipcore.train.prepare.transcript import (
    find_transcript,
    read_transcript,
    read_words,
    words_of,
)

from lipcore.errors import ConfigError, MediaUnreadableError

SRT = """1
00:00:01,000 --> 00:00:03,000
Good <i>morning</i>,
everyone.

2
00:00:04,000 --> 00:00:05,500
It's l'été &amp; co-operation!
"""
ROLLING = """WEBVTT
Kind: captions

00:00:00.000 --> 00:00:02.000 align:start position:0%
\x20
good<00:00:00.500><c> morning</c><00:00:01.000><c> all</c>

00:00:02.000 --> 00:00:02.010
good morning all

00:00:02.010 --> 00:00:04.000
good morning all
of<00:00:03.000><c> you</c>
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_subtitles_give_the_words_of_a_segment(tmp_path: Path) -> None:
    found = read_transcript(write(tmp_path / "a.srt", SRT))
    assert found.between(0, 10, 10) == "Good morning everyone It's l'été co-operation"
    assert found.between(0, 2.4, 10) == "Good morning"  # by letters, "everyone" is said after
    assert found.between(6, 9, 10) == ""


def test_captions_that_roll_say_each_word_once(tmp_path: Path) -> None:
    found = read_transcript(write(tmp_path / "a.en.vtt", ROLLING))
    assert found.between(0, 4, 4) == "good morning all of you"
    assert found.between(1.2, 2.9, 4) == "all of"


def test_whisper_json_with_and_without_words(tmp_path: Path) -> None:
    words = [{"word": " one", "start": 0.0, "end": 1.0}, {"word": " two", "start": 1.0, "end": 2.0}]
    segments = [{"start": 0, "end": 2, "text": "one two", "words": words},
                {"start": 2, "end": 4, "text": "three four"}]  # fmt: skip
    found = read_transcript(write(tmp_path / "a.json", json.dumps({"segments": segments})))
    assert found.between(0.6, 3.2, 4) == "two three"
    assert read_transcript(write(tmp_path / "b.json", json.dumps(words))).between(0, 1, 2) == "one"


def test_a_text_without_times_belongs_to_its_whole_file_only(tmp_path: Path) -> None:
    found = read_transcript(write(tmp_path / "a.txt", "Lay blue, by N five again."))
    assert found.between(0, 2.9, 3) == "Lay blue by N five again"
    assert found.between(0, 2, 3) is None


@pytest.mark.parametrize(("name", "text"), [("a.srt", "no times"), ("a.json", "{"),
                                            ("a.json", '{"fps": 25}'), ("a.json", "[1]")])
def test_what_is_no_transcript_is_named(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(MediaUnreadableError, match=r"the transcript a\."):
        read_transcript(write(tmp_path / name, text))


def test_it_is_found_beside_its_video(tmp_path: Path) -> None:
    video = tmp_path / "talk.v1.mp4"
    assert find_transcript(video) is None
    for other in ("talk.v1.info.json", "talk.v1.extra.en.vtt", "talk.v11.txt", "talk.srt"):
        write(tmp_path / other, "x")
    assert find_transcript(video) is None
    tagged = write(tmp_path / "talk.v1.en.vtt", ROLLING)
    assert find_transcript(video) == tagged
    plain = write(tmp_path / "talk.v1.json", "[]")
    assert find_transcript(video) == plain


def test_a_list_of_words_is_free_in_form(tmp_path: Path) -> None:
    assert read_words(write(tmp_path / "w", "Blue, WHITE  # colours\nl’été\n")) == (
        "blue", "l'été", "white")  # fmt: skip
    assert words_of("Blue; l'Été!") == ["blue", "l'été"]
    with pytest.raises(ConfigError, match="is empty"):
        read_words(write(tmp_path / "w", "# nothing\n"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_words(tmp_path / "absent")
