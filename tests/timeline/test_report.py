"""The page of a conform: what was rendered, what was not, and why."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>"


def _span(first: int, count: int) -> Any:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, 24), otio.opentime.RationalTime(count, 24)
    )


@pytest.fixture(scope="module")
def page(
    portrait_plate: Path, spoken_line: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A reel from 01:00:00:00 of the portrait, reversed, and of a clip that is not there."""
    folder = tmp_path_factory.mktemp("reel")
    frame = sorted(portrait_plate.parent.rglob("*.exr"))[0]
    media = otio.schema.ImageSequenceReference(
        target_url_base=frame.parent.as_uri(), name_prefix=frame.name[: -len("1001.exr")],
        name_suffix=".exr", start_frame=1001, rate=24, frame_zero_padding=4,
        available_range=_span(1001, 12),
    )  # fmt: skip
    clip = otio.schema.Clip("portrait", media, _span(1002, 8))
    clip.effects.append(otio.schema.LinearTimeWarp(time_scalar=-1.0))
    gone = otio.schema.Clip(HOSTILE, otio.schema.ExternalReference("gone.mov"), _span(0, 4))
    start = otio.opentime.RationalTime(24 * 3600, 24)
    reel = otio.schema.Timeline(HOSTILE, global_start_time=start)
    reel.tracks.append(otio.schema.Track("V1", [clip, gone]))
    otio.adapters.write_to_file(reel, str(folder / "reel.otio"))
    ended = subprocess.run(
        [sys.executable, "-m", "lipcore", "conform", str(folder / "reel.otio"), "--dialogue",
         str(spoken_line), "--out", str(folder / "out"), "--handles", "1", "--cache",
         str(folder / "cache"), "--json"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    stages = [e for e in events if e["event"] == "progress" and e["stage"] == "report"]
    assert stages[-1]["done"] == stages[-1]["total"] == 10
    path = folder / "out" / "reel_lipsync.html"
    assert str(path) in events[-1]["outputs"]
    return path


def test_the_page_tells_of_every_shot(page: Path) -> None:
    text = page.read_text("utf-8")
    for number, name in ((2, "shots"), (1, "rendered"), (1, "passed through")):
        assert f"<b>{number}</b>{name}" in text
    assert "record 01:00:00:00 to 01:00:00:07" in text and "speed -1" in text
    assert "frames 1009 to 1002" in text
    assert re.search(r"<td>passed through: not found: .*gone\.mov</td>", text)
    # The plate is looked at in the order that the timeline shows it in.
    assert "outside the mouth <b>untouched</b>" in text
    assert "Lips and sound" in text and text.count("data:image/jpeg;base64,") == 7


def test_the_page_loads_and_runs_nothing(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "<script" not in text and "script-src" not in text and "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert not re.search(r"(src|href)=.?(https?:|//|file:)", text)


def test_a_browser_opens_the_page(
    page: Path, ask_browser: Callable[[Path, str], list[str]]
) -> None:
    sections, width, loaded = ask_browser(
        page, "d.querySelectorAll('section').length, d.documentElement.scrollWidth,"
        "[...d.images].every(i => i.naturalWidth > 0)",
    )  # fmt: skip
    assert sections == "1" and int(width) <= 390 and loaded == "true"
