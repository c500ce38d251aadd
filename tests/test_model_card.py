"""The pictures of the model card are there, are shown, are small, and ship."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CARD = ROOT / "lipcore" / "weights" / "base" / "model_card.md"


def test_the_cards_pictures_are_whole_small_and_shown_with_words() -> None:
    shown = re.findall(r"!\[([^\]]+)\]\((pictures/[^)]+)\)", CARD.read_text("utf-8"))
    files = sorted(path.name for path in (CARD.parent / "pictures").iterdir())
    assert sorted(Path(target).name for _, target in shown) == files
    assert len(files) >= 3 and all(len(words) > 10 for words, _ in shown)
    for name in files:
        with Image.open(CARD.parent / "pictures" / name) as picture:
            picture.load()
            assert picture.width <= 1700
    assert sum((CARD.parent / "pictures" / name).stat().st_size for name in files) < 600_000


def test_they_are_in_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["lipcore.weights"]
    for path in (CARD.parent / "pictures").iterdir():
        inside = path.relative_to(ROOT / "lipcore" / "weights").as_posix()
        assert any(fnmatch(inside, p) and inside.count("/") == p.count("/") for p in patterns)
