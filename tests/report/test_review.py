"""The review page of real renders: what it says, and what a browser makes of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from lipcore.cache import Cache
from lipcore.errors import OutputNotWritableError
from lipcore.report.finished import find_renders
from lipcore.report.review import name_shots, write_review
from lipcore.report.shot_parts import SCRIPT
from lipcore.report.shot_pictures import Allowance

HOSTILE = "<script>document.title='taken'<&'\">"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def page(rendered: dict[str, Path], cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of all three renders; two have lost something, one has a hostile name."""
    folder = tmp_path_factory.mktemp("rendus")
    shutil.copytree(rendered["full"], folder / HOSTILE.replace("/", "_"))
    for kind in ("patch", "video"):
        shutil.copytree(rendered[kind], folder / kind)
    for path in folder.rglob("*.lipsync.json"):
        facts = json.loads(path.read_text())
        if path.parent.name == "video":
            facts["plate"] = "/gone/plate.####.exr"
        if "patch" in str(path):
            facts["settings"]["dialogue"] = "/gone/<b>line</b>.wav"
        path.write_text(json.dumps(facts))
    out = folder / "page.html"
    told: list[tuple[int, int]] = []
    write_review(
        find_renders([folder]), out, title=HOSTILE, cache=cache,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (36, 36) and told == sorted(told)
    return out


def test_the_page_says_what_it_should(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.search(r"<b>3</b>shots", text) and re.search(r"<b>36</b>frames", text)
    assert "The plate is not there to compare with: no plate at /gone/plate.####.exr." in text
    assert "No dialogue at /gone/&lt;b&gt;line&lt;/b&gt;.wav." in text
    assert "outside the mouth <b>untouched</b>" in text, "full EXR frames keep the plate"
    assert text.count("class=wipe>") == text.count("Difference ×8") > 2
    assert text.count("Matte over the plate") == text.count("class=wipe>")
    assert "Matte over the render" in text, "where the plate is gone"
    # What has something serious comes before what has not.
    assert text.index('id="s1"') < text.index('id="s3"')
    assert len(text) < 3_000_000


def test_nothing_is_loaded_and_names_are_text(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "default-src 'none'" in text and "unsafe-inline'; img-src data:" in text
    assert text.count("<script") == 1 and f"<script>{SCRIPT}</script>" in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"(src|href)=.?(https?:|//|file:)", text)
    assert set(re.findall(r'src="(data:image/jpeg;base64),', text)) == {"data:image/jpeg;base64"}


def test_measures_are_kept(rendered: dict[str, Path], cache: Cache, tmp_path: Path) -> None:
    renders = find_renders([rendered["full"]])
    (first,) = write_review(renders, tmp_path / "a.html", cache=cache)
    told: list[int] = []
    (again,) = write_review(
        renders, tmp_path / "b.html", cache=cache, progress=lambda n, _: told.append(n)
    )
    assert told == [12], "no frame was looked at anew"
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert first.shot is not None and again.shot is not None
    assert first.shot.meshes.outside.max() == 0
    assert first.shot.follows > 0.5 or first.shot.asked_opening.std() < 0.01


def test_a_damaged_frame_is_said_and_the_others_are_shown(
    rendered: dict[str, Path], cache: Cache, tmp_path: Path
) -> None:
    for kind in ("full", "video"):
        shutil.copytree(rendered[kind], tmp_path / kind)
    broken = sorted((tmp_path / "full").rglob("*.exr"))[6]
    broken.write_bytes(broken.read_bytes()[:2000])
    reviewed = write_review(find_renders([tmp_path]), tmp_path / "page.html", cache=cache)
    assert [one.shot is None for one in reviewed] == [True, False]
    assert broken.name in reviewed[0].findings[0].text
    assert "It cannot be looked at" in (tmp_path / "page.html").read_text("utf-8")


def test_a_page_that_has_no_place_is_refused_before_anything_is_measured(
    rendered: dict[str, Path], cache: Cache, tmp_path: Path
) -> None:
    told: list[int] = []
    for out in (tmp_path / "none" / "page.html", tmp_path):
        with pytest.raises(OutputNotWritableError):
            write_review(
                find_renders([rendered["full"]]), out, cache=cache,
                progress=lambda n, _: told.append(n),
            )
    assert told == []


def test_shots_are_named_by_where_they_lie(rendered: dict[str, Path]) -> None:
    folder, names = name_shots(find_renders([rendered["full"].parent]))
    assert folder == rendered["full"].parent.name
    assert len(set(names)) == 3 and any(name.startswith("full/") for name in names)


def test_fifty_shots_fit_into_ten_megabytes() -> None:
    of = Allowance.of(50)
    jpeg = of.frames * (2 * of.picture_bytes + 2 * (of.picture_bytes // 2))
    jpeg += of.strip * max(4_500, of.picture_bytes // 4) + 9_000
    curves = 12_000
    assert 50 * (jpeg * 4 / 3 + curves) < 10e6, "even were every picture as large as it may be"


def test_a_browser_opens_the_page_and_the_wipe_moves(
    page: Path, ask_browser: Callable[[Path, str], list[str]]
) -> None:
    same, width, loaded, before, after, shown = ask_browser(
        page,
        "const i = d.querySelector('.wipe input'), old = i.parentNode.querySelector('.old'),"
        "cut = () => w.getComputedStyle(old).clipPath, a = cut(); i.value = 90;"
        "i.dispatchEvent(new Event('input')); const b = cut();"
        "const r = d.querySelectorAll('.viewer input[type=radio]')[1]; r.click();"
        "const p = r.closest('.viewer').querySelectorAll('.panel');"
        "const s = [...p].map(x => w.getComputedStyle(x).display == 'none' ? 0 : 1).join('');;"
        f"d.title == decodeURIComponent('{quote(HOSTILE)}'), d.documentElement.scrollWidth,"
        "[...d.images].every(x => x.naturalWidth > 0), a, b, s",
    )
    assert same == "true", "a hostile name is only text"
    assert int(width) <= 390 and loaded == "true"
    assert "50%" in before and " 10%" in after, "the script may run, by its hash"
    assert shown.startswith("01")
