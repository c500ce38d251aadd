"""Spellings of media URLs."""

from __future__ import annotations

from pathlib import Path

import opentimelineio as otio
import pytest

from lipcore.timeline.media_links import (
    LinkOptions,
    MediaFinder,
    parse_path_map,
    url_to_path,
)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/a/b.mov", "/a/b.mov"),
        ("takes/b.mov", "takes/b.mov"),
        ("file:///a%20b/c.mov", "/a b/c.mov"),
        ("file:///a/take#3.mov", "/a/take#3.mov"),
        ("file:///a/take%233.mov", "/a/take#3.mov"),
        ("file:///caf%C3%A9/é.mov", "/café/é.mov"),
        ("file://localhost/a.mov", "/a.mov"),
        ("file://localhost/D%3a/m/a.mov", "D:/m/a.mov"),
        ("file:///D:/m/a.mov", "D:/m/a.mov"),
        ("file://D:/m/a.mov", "D:/m/a.mov"),
        ("file://server/share/a.mov", "//server/share/a.mov"),
        ("file:/a.mov", "/a.mov"),
        ("D:\\m\\a.mov", "D:\\m\\a.mov"),
    ],
)
def test_spellings(url: str, path: str) -> None:
    assert url_to_path(url) == path


def _finder(tmp_path: Path, *search: str, path_map: tuple[str, ...] = ()) -> MediaFinder:
    places = tuple(tmp_path / name for name in search)
    return MediaFinder(LinkOptions(tmp_path, places, parse_path_map(path_map)))


def _file(url: str) -> otio.schema.Clip:
    return otio.schema.Clip("c", otio.schema.ExternalReference(url))


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("pairs", "url", "found"),
    [
        (("/vol/a=NEW",), "file:///vol/a/b.mov", True),
        (("/vol/a/=NEW",), "/vol/a/b.mov", True),
        (("/vol/a=NEW",), "/vol/ab.mov", False),
        (("D:\\m=NEW",), "file:///d:/m/b.mov", True),
        (("d:/M=NEW",), "D:\\m\\b.mov", True),
        (("//server/share=NEW",), "file://server/share/b.mov", True),
        (("/x=/y", "/vol=NEW"), "file:///vol/b.mov", True),
    ],
)
def test_path_maps(tmp_path: Path, pairs: tuple[str, ...], url: str, found: bool) -> None:
    _touch(tmp_path / "neu é" / "b.mov")
    mapped = tuple(pair.replace("NEW", str(tmp_path / "neu é")) for pair in pairs)
    media = _finder(tmp_path, path_map=mapped).find(_file(url))
    assert media.path == (tmp_path / "neu é" / "b.mov" if found else None)
    assert media.problem == ("" if found else f"not found: {url_to_path(url)}")


def test_files_and_sequences_are_found_below_search_folders(tmp_path: Path) -> None:
    _touch(tmp_path / "s" / "day 1" / "a#1.mov", tmp_path / "s" / "x" / "b2.1001.exr",
           tmp_path / "s" / "x" / "c.mov", tmp_path / "s" / "y" / "c.mov")  # fmt: skip
    finder = _finder(tmp_path, "s")
    assert finder.find(_file("file:///gone/a%231.mov")).path == tmp_path / "s/day 1/a#1.mov"
    for name in ("b2.%04d.exr", "b2.####.exr", "b2.[1001-1009].exr"):
        assert finder.find(_file(f"/gone/{name}")).path == tmp_path / "s/x/b2.%04d.exr"
    sequence = otio.schema.ImageSequenceReference("file:///gone", "b", ".exr", 1, 1, 24, 4)
    assert finder.find(otio.schema.Clip("c", sequence)).problem == "not found: /gone/b*.exr"
    sequence.name_prefix = "b2."
    assert finder.find(otio.schema.Clip("c", sequence)).path == tmp_path / "s/x/b2.%04d.exr"
    twice = finder.find(_file("/gone/c.mov"))
    assert twice.problem == "not found: /gone/c.mov; 2 of this name with --search"
    assert finder.find(otio.schema.Clip("a#1")).path == tmp_path / "s/day 1/a#1.mov"
    made = otio.schema.GeneratorReference(name="bars")
    assert finder.find(otio.schema.Clip("g", made)).problem == "a generator (bars)"
