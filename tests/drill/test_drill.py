"""A drill from words to a quiz that somebody takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from lipcore.drill.make import frame_face, make_drill
from lipcore.drill.page import Question, drill_page
from lipcore.drill.words import look_alikes, read_words
from lipcore.errors import ConfigError, MediaNotFoundError, NoFaceError
from lipcore.speech.espeak import Voice

WORDS = ("pat", "thank you", "bat")


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("à lire")
    words = folder / "mots.txt"
    words.write_text("# a drill\n\n" + "\n".join((*WORDS, "pat")) + "\n", "utf-8")
    made = make_drill(words, folder / "out", voice=Voice("en-us+f3", words_per_minute=200))
    assert made.drawn == 3 and made.page == folder / "out" / "index.html"
    again = make_drill(words, folder / "out", voice=Voice("en-us+f3", words_per_minute=200))
    assert again.drawn == 0, "clips that are there are kept"
    return made.page


def _clips(page: Path) -> list[dict[str, object]]:
    found = re.search(r'<script id=words type="application/json">(.*?)</script>',
                      page.read_text("utf-8"), re.DOTALL)  # fmt: skip
    assert found is not None
    return list(json.loads(found[1]))


@pytest.mark.slow
def test_the_portrait_moves_its_lips_and_nothing_else(drill: Path) -> None:
    told = _clips(drill)
    assert [q["word"] for q in told] == list(WORDS)
    assert [q["alike"] for q in told] == [[2], [], [0]], "pat and bat look the same"
    for clip in sorted((drill.parent / "clips").glob("*.mp4")):
        with av.open(str(clip)) as file:
            assert file.streams.audio, "the sound is for afterwards"
            shown = np.stack([f.to_ndarray(format="gray") for f in file.decode(video=0)])
        change = np.abs(shown.astype(float) - shown[0]).max(axis=0)
        assert shown.shape[1:] == (600, 600)
        assert change[330:440, 200:400].max() > 60, "the mouth stays shut"
        assert np.percentile(change[:200], 99) < 12, "hair and eyes do not move"


@pytest.mark.slow
def test_somebody_takes_the_quiz(drill: Path, ask_browser: Callable[..., list[str]]) -> None:
    press = (
        "const key = (k) => w.dispatchEvent(new w.KeyboardEvent('keydown', {key: k}));"
        "const one = (id) => d.getElementById(id);"
        "const play = (right) => { const src = one('clip').getAttribute('src');"
        " const words = JSON.parse(one('words').textContent);"
        " const word = words.find((x) => x.clip === src).word;"
        " const texts = [...one('options').children].map((b) => b.lastChild.textContent);"
        " const at = texts.indexOf(word); key('Enter'); key('9');"
        " const same = one('options').textContent;"
        " key(String((right ? at : (at + 1) % texts.length) + 1));"
        " seen.push(texts.length, at >= 0, one('clip').muted, same.includes(word));"
        " key('Enter'); };"
        "const seen = []; const fits = d.documentElement.scrollWidth <= 390;"
        "play(true); play(false); play(true); const first = one('result').textContent;"
        "one('again-missed').click(); play(true)"
    )
    first, second, fits, seen = ask_browser(
        drill, f"{press};; first, one('result').textContent, fits, seen.join(' ')"
    )
    assert (first, second, fits) == ("2 of 3", "1 of 1", "true")
    kinds = np.array(seen.split()).reshape(-1, 4)
    assert set(kinds[:, 0]) <= {"2", "3"} and "2" in kinds[:, 0], "look-alikes are not offered"
    assert (kinds[:, 1:] == "true").all(), "the answer is offered, the clip silent"


def test_the_page_loads_nothing_and_trusts_no_word() -> None:
    hostile = "</script><script>document.title='taken'</script>"
    text = drill_page("<t>", [Question(hostile, b"x", ()), Question("b", b"y", (0,))])
    assert "</script><script>document" not in text and "<t>" not in text
    assert "media-src data:" in text and "http://" not in text and "https://" not in text


def test_words_that_look_alike() -> None:
    words = ("pat", "bat", "mat", "fan", "van", "thank you", "go")
    found = look_alikes(words, Voice("en-us"))
    assert [sorted(f) for f in found] == [[1, 2], [0, 2], [0, 1], [4], [3], [], []]


def test_words_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mots.txt"
    for text, told in (
        ("one\n\n# two\none\n", "1 different"), ("a\n" + "x" * 90, "longer than 80"),
        ("\n".join(map(str, range(201))), "201 different"),
    ):  # fmt: skip
        path.write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=told) as caught:
            read_words(path)
        assert caught.value.hint
    path.write_bytes(b"\xff\xfe\x00")
    for wrong in (path, tmp_path / "none.txt", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_words(wrong)


def test_portraits_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFoundError):
        frame_face(tmp_path / "none.jpg")
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((300, 400, 3), 90, np.uint8))
    with pytest.raises(NoFaceError):
        frame_face(tmp_path / "wall.png")


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "lipcore", "drill", str(tmp_path / "none.txt")],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 2 and "\nhint: " in ended.stderr
    assert list(tmp_path.iterdir()) == []
