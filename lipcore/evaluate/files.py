"""Which files an evaluation may be written to. Light to import."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lipcore.errors import ConfigError

SUFFIXES = (".json", ".csv", ".html")
"""Everything, the figures alone, and a page with curves over the frames."""


def check_files(outs: Iterable[Path], per_frame: Path | None) -> None:
    """Check the names of an evaluation's files before anything is measured.

    Args:
        outs: Of the figures.
        per_frame: A ``.csv`` with a row a frame.

    Raises:
        ConfigError: A name ends otherwise.
    """
    for out in outs:
        if out.suffix.lower() not in SUFFIXES:
            raise ConfigError(
                f"{out} is neither .json, .csv nor .html",
                hint="Name the file figures.json, for instance.",
            )
    if per_frame is not None and per_frame.suffix.lower() != ".csv":
        raise ConfigError(f"{per_frame} is no .csv", hint="Name the file frames.csv, for instance.")
