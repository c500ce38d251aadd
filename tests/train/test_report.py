"""The page of prepared data: complete, closed to the outside, and safe from its own names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lipcore.train.report import write_report
from lipcore.train.shards import ShardWriter, write_manifest

from lipcore.errors import TrainingError
from lipcore.report.page import bars

from .conftest import CROP, MARGIN, draw_clip

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=document.title='taken'>"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Two clips and a rejected one; a person and a file have names that are programs."""
    folder = tmp_path / "données"
    clip = draw_clip("b", 1, "bob", "val")
    with ShardWriter(folder, "drawn") as writer:
        writer.add(draw_clip("a", 0, "ann", "train"))
        writer.add(replace(clip, facts={**clip.facts, "identity": HOSTILE}))
    write_manifest(folder, writer.clips, crop_px=CROP, margin_px=MARGIN)
    rejected = [{"source": f"{HOSTILE}.mp4", "reason": "no face & no sound"}]
    (folder / "rejected.json").write_text(json.dumps(rejected))
    return folder


def test_the_page_says_what_the_data_hold(prepared: Path, tmp_path: Path) -> None:
    write_report([prepared], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert re.search(r"<b>4</b>clips", text) and re.search(r"<b>3</b>people", text)
    assert "<td>train</td><td class=n>3</td><td class=n>2</td>" in text
    assert text.count("data:image/jpeg;base64,") == 3 + 4 * 6  # people, and a strip of each clip
    assert "Yaw of the head" in text
    assert "No transcripts" in text and "Nothing was left out" in text
    assert not re.search(r"(src|href)=.?https?:", text)


def test_words_and_reasons_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "spoken"
    with ShardWriter(folder, "drawn") as writer:
        for name, said in (("a", "Lay blue, lay"), ("b", "blue AGAIN"), ("c", None)):
            clip = draw_clip(name, 0, name, "train")
            more = {"plate_px": [3840, 2160], "plate_rate": "30000/1001", "yaw_deg": 3.0}
            more |= {} if said is None else {"transcript": said}
            writer.add(replace(clip, facts={**clip.facts, **more}))
    write_manifest(folder, writer.clips, crop_px=CROP, margin_px=MARGIN)
    entries = [
        {"source": f"{i}.mp4", "frames": "1-9", "face": "1",
         "reason": f"the face is too small ({i} px, at least 64 px is asked for); and more"}
        for i in range(210)
    ]  # fmt: skip
    (folder / "rejected.json").write_text(json.dumps(entries))
    write_report([folder], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "5 words, 3 different ones, in 2 clips with a transcript" in text
    assert "The most frequent: lay 2, blue 2, again 1" in text
    assert "<title>3840x2160: 3</title>" in text and "<title>29.97: 3</title>" in text
    assert "<td>the face is too small</td><td class=n>210</td>" in text
    assert "<td>9.mp4, frames 1-9</td>" in text and "10 more are not shown" in text


def test_of_many_names_the_most_frequent_are_drawn() -> None:
    drawn = bars("Words", {f"w{i}": 100 - i for i in range(50)})
    assert drawn.count("<rect") == 20 and "most frequent of 50" in drawn
    assert "w19: 81" in drawn and "w20:" not in drawn


def test_names_are_text_and_nothing_else(hostile: Path, tmp_path: Path) -> None:
    write_report([hostile], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text and "no face &amp; no sound" in text


def test_a_browser_opens_the_page(
    hostile: Path, tmp_path: Path, ask_browser: Callable[[Path, str], list[str]]
) -> None:
    page = tmp_path / "page.html"
    write_report([hostile], page)
    title, width, loaded = ask_browser(
        page, "d.title, d.documentElement.scrollWidth, [...d.images].every(i => i.naturalWidth > 0)"
    )
    assert title == "Training data: données"
    assert int(width) <= 390 and loaded == "true"


def test_a_folder_that_is_not_prepared_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing"):
        write_report([tmp_path / "nothing"], tmp_path / "page.html")
