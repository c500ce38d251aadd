"""The rating page in a real browser, at a phone's width and a desk's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lipcore.rate.store import read_answers
from lipcore.rate.study import load_study

from .conftest import CLIPS, SYSTEMS, served

pytestmark = pytest.mark.slow
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def _open(chromium: Any, url: str, width: int, complaints: list[str]) -> Any:
    page = chromium.new_context(viewport={"width": width, "height": 844}).new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("request", lambda r: None if r.url.startswith(url) else complaints.append(r.url))
    page.goto(url)
    page.wait_for_selector("[data-step=intro]")
    return page


def _ready(page: Any) -> None:
    """Until the video was played to its end and may be judged."""
    page.wait_for_selector("#form:not(.locked)")


def _go_on(page: Any) -> None:
    before = page.inner_text("#count")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "b => document.body.dataset.step == 'done' ||"
        " document.getElementById('count').innerText != b", arg=before,
    )


def _fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_study_is_rated_on_a_phone_with_keys_and_gone_on_with(
    chromium: Any, write_study: Write, footage: Path
) -> None:
    path = write_study(traps=[{"videos": [str(footage / "s010_plate.mp4")], "answer": 2}])
    study, complaints = load_study(path), []  # type: ignore[var-annotated]
    with served(path) as server:
        page = _open(chromium, server.url, 390, complaints)
        assert page.inner_text("h1") == "Which <b>dub</b>?", "the title is text, not markup"
        assert _fits(page)
        page.click("#start")
        page.wait_for_selector("[data-step=trial]")
        page.keyboard.press("5")
        assert not page.query_selector("input:checked"), "judged before it was seen"
        for trial in range(7):
            _ready(page)
            assert _fits(page)
            assert page.evaluate("document.querySelector('video').error") is None
            trap = not page.is_hidden("#trap")
            page.keyboard.press("Enter")
            assert page.is_disabled("#next"), "sent without answers"
            assert page.inner_text("#count") == f"{trial + 1} of 7"
            for key in ("2", "2", "2") if trap else ("5", "4", "3"):
                page.keyboard.press(key)
            assert page.is_enabled("#next")
            if trial == 3:  # the page is closed unsent, the server ends, both come again
                port = server.port
                server.process.kill()
                server.process.wait()
                with served(path, port):
                    page.reload()
                    page.wait_for_selector("[data-step=intro]")
                    assert page.inner_text("#start") == "Go on with 4 of 7"
                    page.click("#start")
                    for _ in range(4):
                        _ready(page)
                        keys = "543" if page.is_hidden("#trap") else "222"
                        for key in keys:
                            page.keyboard.press(key)
                        _go_on(page)
                    page.wait_for_selector("[data-step=done]")
                break
            _go_on(page)
    # What the browser itself notes about the server that went away is not the page's.
    assert [c for c in complaints if "ERR_CONNECTION" not in c and "Failed to load" not in c] == []
    assert study.answers is not None
    votes = read_answers(study.answers, study).votes
    assert len(votes) == 7 * 3
    for vote in votes:
        given = {"lip_sync": 5, "sharpness": 4, "overall": 3}[vote.scale]
        assert vote.value == (2 if vote.trial.kind == "trap" else given)
    assert {(v.trial.item, v.trial.shown[0]) for v in votes if v.trial.kind == "clip"} == {
        (c, s) for c in CLIPS for s in SYSTEMS
    }


@pytest.mark.parametrize("width", [390, 1280])
def test_pairs_are_compared_with_keys(chromium: Any, write_study: Write, width: int) -> None:
    path = write_study(method="ccr", scales=["overall"], compare="reference", trials=2)
    complaints: list[str] = []
    with served(path) as server:
        page = _open(chromium, server.url, width, complaints)
        page.click("#start")
        for key in ("7", "3"):
            _ready(page)
            assert "The quality of the second compared to the quality of the first" in (
                page.inner_text("#lead")
            )
            shown = page.eval_on_selector_all(
                ".screen", "all => all.filter(s => s.offsetWidth > 0).length"
            )
            assert shown == (1 if width < 700 else 2) and _fits(page)
            page.keyboard.press("f")
            page.keyboard.press(key)
            _go_on(page)
        page.wait_for_selector("[data-step=done]")
    assert complaints == []
    study = load_study(path)
    assert study.answers is not None
    assert [v.value for v in read_answers(study.answers, study).votes] == [3, -1]


@pytest.mark.parametrize("width", [390, 1280])
def test_practice_comes_first_and_says_so(
    chromium: Any, write_study: Write, footage: Path, width: int
) -> None:
    path = write_study(
        scales=["overall"], trials=2, practice=[{"videos": [str(footage / "s020_other.mp4")]}]
    )
    complaints: list[str] = []
    with served(path) as server:
        page = _open(chromium, server.url, width, complaints)
        assert "The first is for practice" in page.inner_text("#what")
        assert "3 short videos" in page.inner_text("#what")
        page.click("#start")
        for count, said in (("Practice 1 of 1", "does not count"), ("1 of 2", "your answers count"),
                            ("2 of 2", "")):  # fmt: skip
            _ready(page)
            assert page.inner_text("#count") == count and _fits(page)
            assert said in (page.inner_text("#practice") if page.is_visible("#practice") else "")
            page.keyboard.press("4")
            _go_on(page)
        page.wait_for_selector("[data-step=done]")
    assert complaints == []
    study = load_study(path)
    assert study.answers is not None
    kept = read_answers(study.answers, study)
    assert [v.trial.kind for v in kept.votes] == ["practice", "clip", "clip"]
    assert kept.assigned == {0: 2}


def test_a_video_that_does_not_play_can_be_left_out(
    chromium: Any, write_study: Write, tmp_path: Path, footage: Path
) -> None:
    shutil.copy(footage / "s010_plate.mp4", tmp_path / "lost.mp4")
    path = write_study(reference="", clips=[{"name": "c", "videos": {"plate": "lost.mp4"}}])
    with served(path) as server:
        (tmp_path / "lost.mp4").write_bytes(b"not a video any more")
        page = _open(chromium, server.url, 390, [])
        page.click("#start")
        page.click("#problem")
        page.wait_for_selector("[data-step=done]")
        study = load_study(path)
        assert study.answers is not None
        kept = read_answers(study.answers, study)
        assert kept.votes == () and [p[2] for p in kept.problems] == ["does not play"]
