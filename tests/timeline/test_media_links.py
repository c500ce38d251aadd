"""Spellings of media URLs."""

from __future__ import annotations

import pytest

from lipcore.timeline.media_links import url_to_path


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
