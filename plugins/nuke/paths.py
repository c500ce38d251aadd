"""Paths as Nuke users write them: TCL, the project's folder, filters, forward slashes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nuke

from ..client import WorkerError


def resolve(text: str) -> str:
    """A knob's text as an absolute path; ``####`` and ``%04d`` stay.

    Raises:
        WorkerError: Its TCL cannot be evaluated, or it is relative and the script unsaved.
    """
    text = text.strip()
    if "[" in text:
        try:
            text = nuke.tcl("subst", "-nobackslashes", "-novariables", text)
        except RuntimeError as error:
            raise WorkerError(
                f"the TCL in {text} cannot be evaluated ({error})", "Correct the path."
            ) from error
    filtered = nuke.filenameFilter(text)
    text = (filtered or text).replace("\\", "/")
    if not text or _is_absolute(text):
        return text
    folder = nuke.root()["project_directory"].value() or os.path.dirname(nuke.root().name())  # noqa: PTH120
    if "[" in folder:
        folder = nuke.tcl("subst", "-nobackslashes", "-novariables", folder)
    if not _is_absolute(folder):
        raise WorkerError(
            f"{text} is a relative path, and the script has no folder yet",
            "Save the script, set the project directory, or write the whole path.",
        )
    return f"{folder.rstrip('/')}/{text}"


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or re.match(r"[A-Za-z]:[/\\]", path) is not None


def pattern(path: str) -> str:
    """The same path with ``####`` in place of ``%04d``.

    Raises:
        WorkerError: It has no place for frame numbers, or is no EXR.
    """
    path = hashes(path)
    name = path.rsplit("/", 1)[-1]
    if not name.lower().endswith(".exr") or "#" not in name:
        raise WorkerError(
            f"the output {name or path!r} is no EXR sequence",
            "Write it as /shots/a/lipsync.####.exr.",
        )
    return path


def hashes(path: str) -> str:
    """The same path with ``####`` in place of ``%04d``."""
    return re.sub(r"%0(\d)d", lambda m: "#" * int(m[1]), path).replace("%d", "#")


def versioned(path: str, take: int) -> str:
    """The pattern inside of its version's folder."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/v{take:03d}/{name}"


def frame_file(path: str, number: int) -> Path:
    """The file of a frame."""
    return Path(re.sub(
        r"#+", lambda m: f"{'-' if number < 0 else ''}{abs(number):0{len(m[0])}d}", path
    ))  # fmt: skip
