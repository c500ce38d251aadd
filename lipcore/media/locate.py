"""Which files a plate's path stands for: frame numbers, patterns and folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lipcore.errors import ConfigError, MediaNotFoundError, MediaUnreadableError
from lipcore.media.exr_format import MAGIC
from lipcore.user_folders import expand_home

IMAGE_SUFFIXES = (
    ".exr", ".sxr", ".dpx", ".cin", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".tga", ".bmp",
    ".jp2", ".hdr", ".webp",
)  # fmt: skip

_MARK = re.compile(r"%0?(\d*)d|(?<!#)#+(?!#)|(?<!@)@{2,}(?!@)")
_NUMBER = re.compile(r"-?\d+(?=\D*$)")
_SIGNATURES = (MAGIC, b"SDPX", b"XPDS", b"II*\0", b"MM\0*", b"\x89PNG\r\n", b"\xff\xd8\xff")


@dataclass(frozen=True, slots=True)
class FoundSequence:
    """The files of a sequence."""

    pattern: Path
    """Absolute, with ``#`` for each digit of the padding; a lone image has none."""
    files: Mapping[int, Path]
    """Frame number to file, ascending."""

    @property
    def name(self) -> str:
        """The sequence's name without number, padding and suffix."""
        stem = self.pattern.name.removesuffix(self.pattern.suffix)
        return re.sub(r"[._-]*#+$", "", stem) or "plate"


def locate_sequence(path: Path) -> FoundSequence | None:
    """The image sequence that a path stands for; None where it is a file of another kind.

    Args:
        path: A pattern with ``####``, ``%04d`` or ``@@@@``, a folder, or an image file. A file
            that exists under exactly this name is taken as it is, whatever signs it holds.

    Raises:
        MediaNotFoundError: Nothing is at the path.
        MediaUnreadableError: The path is an empty file, or neither file nor folder.
        ConfigError: The folder holds several sequences.
    """
    path = expand_home(path).absolute()
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.exists():
            return _around_file(path)
        found = _by_pattern(path)
    except PermissionError as error:
        raise MediaUnreadableError(
            f"{path} may not be read", hint="Check the permissions.", path=str(path)
        ) from error
    if found is None:
        raise MediaNotFoundError(
            f"no plate at {path}",
            hint="Give a video file, a sequence as name.####.exr or name.%04d.exr, a folder, "
            "or one frame of a sequence.",
            path=str(path),
        )
    return found


def frame_path(pattern: Path, number: int) -> Path:
    """The file of a frame: the last run of ``#`` becomes the padded number.

    A negative number keeps its sign in front of the padded digits.
    """
    marks = list(re.finditer(r"#+", pattern.name))
    if not marks:
        return pattern
    mark = marks[-1]
    digits = f"{'-' if number < 0 else ''}{abs(number):0{len(mark[0])}d}"
    return pattern.with_name(pattern.name[: mark.start()] + digits + pattern.name[mark.end() :])


def _is_image(path: Path) -> bool:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(8).startswith(_SIGNATURES)


def _around_file(path: Path) -> FoundSequence | None:
    if not path.is_file():
        raise MediaUnreadableError(
            f"{path} is neither a file nor a folder", hint="Give a media file.", path=str(path)
        )
    if path.stat().st_size == 0:
        raise MediaUnreadableError(
            f"{path} is empty", hint="Copy or render the file again.", path=str(path)
        )
    if not _is_image(path):
        return None
    number = _NUMBER.search(path.stem)
    # A sequence's number ends its name; "t01_v2.exr" next to "t01_v3.exr" is versions, not
    # frames, and is read as such only where nothing follows the digits.
    if number is None or number.end() != len(path.stem) or path.suffix == "":
        return FoundSequence(path, {_lone_number(path): path})
    digits = number[0]
    before = path.stem[: number.start()]
    if digits.startswith("-") and re.search(r"\w$", before):
        # "plate-0042": a dash after the name joins, it is no sign.
        before, digits = before + "-", digits[1:]
    return _collect(path.parent, before, path.suffix)


def _lone_number(path: Path) -> int:
    number = _NUMBER.search(path.stem)
    joined = number is not None and number.end() == len(path.stem)
    return int(number[0].lstrip("-")) if number is not None and joined else 1


def _by_pattern(path: Path) -> FoundSequence | None:
    marks = list(_MARK.finditer(path.name))
    if not marks or not path.parent.is_dir():
        return None
    mark = marks[-1]
    return _collect(path.parent, path.name[: mark.start()], path.name[mark.end() :])


def _collect(folder: Path, before: str, after: str) -> FoundSequence | None:
    """All files ``before<number>after`` of a folder, whatever their padding."""
    name = re.compile(re.escape(before) + r"(-?\d+)" + re.escape(after))
    files: dict[int, Path] = {}
    widths = []
    for file in sorted(folder.iterdir()):
        match = name.fullmatch(file.name)
        if match and file.is_file():
            number = int(match[1])
            if number in files:
                raise ConfigError(
                    f"frame {number} is there twice: {files[number].name} and {file.name}",
                    hint="Remove one of the two files.",
                    path=str(folder),
                )
            files[number] = file
            widths.append(len(match[1].lstrip("-")))
    if not files:
        return None
    pattern = folder / f"{before}{'#' * min(widths)}{after}"
    return FoundSequence(pattern, dict(sorted(files.items())))


def _in_folder(folder: Path) -> FoundSequence:
    groups: dict[tuple[str, str], list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if not file.is_file() or file.name.startswith("."):
            continue
        if file.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        number = _NUMBER.search(file.stem)
        joined = number is not None and number.end() == len(file.stem)
        before = file.stem[: number.start()] if number is not None and joined else file.stem
        if number is not None and number[0].startswith("-") and re.search(r"\w$", before):
            before += "-"
        groups.setdefault((before, file.suffix), []).append(file)
    if not groups:
        raise MediaNotFoundError(
            f"the folder {folder} holds no images",
            hint="Give a folder with one image sequence, or the video file itself.",
            path=str(folder),
        )
    if len(groups) > 1:
        names = [f"{before}####{after}" for before, after in groups]
        shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
        raise ConfigError(
            f"the folder {folder} holds {len(names)} sequences: {shown}",
            hint="Name the one you mean.",
            path=str(folder),
        )
    found = _around_file(next(iter(groups.values()))[0])
    assert found is not None  # the suffix was an image's
    return found
