"""A render as it lies on the disk: its sidecar, its picture, its plate and its dialogue."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lipcore.errors import ConfigError, MediaNotFoundError, MediaUnreadableError
from lipcore.media.locate import locate_sequence
from lipcore.media.plate import Plate, open_plate
from lipcore.media.writers import VIDEO_SUFFIXES
from lipcore.rates import read_fraction
from lipcore.sidecar import FORMAT, SUFFIX
from lipcore.timeline.retimed_plate import RetimedPlate
from lipcore.types import LANDMARK_COUNT, FloatArray, FrameRange
from lipcore.user_folders import expand_home


@dataclass(frozen=True, slots=True, eq=False)
class FinishedRender:
    """What a sidecar says of a render of N frames, and where its picture is."""

    sidecar: Path
    name: str
    picture: Path
    """A video, or a sequence's pattern."""
    plate: Path
    plate_frames: tuple[int, ...]
    """Of a retimed take, its frame for each of ``frames``; else empty."""
    colorspace: str
    """Of the plate."""
    frames: FrameRange
    rate: Fraction
    width: int
    height: int
    pixel_aspect: float
    timecode: str | None
    """Of the first rendered frame."""
    cuts: tuple[int, ...]
    dialogue: Path | None
    """None where curves drove the mouth."""
    sound_begin_s: Fraction
    settings: dict[str, Any]
    policies: tuple[str, ...]
    confidence: FloatArray
    strength: FloatArray
    landmarks: FloatArray
    """``(N, 478, 3)`` of the plate, its own pixels; NaN where no face is."""
    wanted: FloatArray
    """``(N, 478, 3)`` that the new mouth should have; NaN where nothing is drawn. Its z is the
    plate's."""
    transforms: FloatArray
    """``(N, 2, 3)`` from the plate's pixels to the canonical crop; NaN where no face is."""

    @property
    def is_patch(self) -> bool:
        """The picture is the mouth alone."""
        return bool(self.settings.get("deliver") == "patch")

    def open_picture(self) -> Plate:
        """The rendered picture.

        Raises:
            MediaError, ColorError: It cannot be read.
        """
        return open_plate(self.picture, rate=self.rate)

    def open_plate(self) -> Plate:
        """The plate, numbered like the render.

        Raises:
            MediaError, ColorError: It is not there any more, or is another one.
        """
        path = self._found(self.plate)
        missing = self.settings.get("missing_frame")
        opened = open_plate(
            path, rate=None if self.plate_frames else self.rate, colorspace=self.colorspace,
            missing=missing if missing in ("hold", "black") else "error",
        )
        try:
            self._check(opened)
        except MediaUnreadableError:
            opened.close()
            raise
        if self.plate_frames:
            return RetimedPlate(opened, self.plate_frames, self.frames.first, self.rate)
        return opened

    def find_dialogue(self) -> Path | None:
        """The dialogue where the sidecar says, else beside it; None where curves drove."""
        return None if self.dialogue is None else self._found(self.dialogue)

    def _found(self, path: Path) -> Path:
        beside = self.sidecar.parent / path.name
        return beside if not _is_there(path) and _is_there(beside) else path

    def _check(self, opened: Plate) -> None:
        display, have = opened.info.display, opened.info.frames
        needed = self.plate_frames or (self.frames.first, self.frames.last)
        if (display.width, display.height) != (self.width, self.height):
            what = (f"is {display.width}x{display.height} now and was "
                    f"{self.width}x{self.height} when it was rendered")  # fmt: skip
        elif min(needed) not in have or max(needed) not in have:
            what = f"has frames {have} now, and the render shows {min(needed)}-{max(needed)}"
        else:
            return
        raise MediaUnreadableError(
            f"the plate {opened.info.path} {what}", hint="Put the plate of the render back.",
            path=str(opened.info.path),
        )


def find_renders(given: Sequence[Path]) -> list[FinishedRender]:
    """The renders that paths stand for, in the order given, each once.

    Args:
        given: Folders (searched to any depth), videos, sequence patterns, frames, or sidecars.

    Raises:
        MediaNotFoundError: Nothing is there, or no sidecar is beside it.
        MediaUnreadableError: A sidecar or a picture is damaged, or not ours.
        ConfigError: Nothing was given.
    """
    if not given:
        raise ConfigError("no render was given", hint="Give the folder or video of a render.")
    sidecars: dict[Path, None] = {}
    for path in given:
        for found in _sidecars(expand_home(path).absolute()):
            sidecars[found.resolve()] = None
    return [read_render(path) for path in sidecars]


def relink(
    renders: Sequence[FinishedRender], *, plate: Path | None, dialogue: Path | None
) -> list[FinishedRender]:
    """The same renders; of a single one, its media where they are said to be.

    Args:
        renders: As found.
        plate: Its plate, on this machine; None leaves what the sidecar says.
        dialogue: Likewise; ignored where curves drove the mouth.

    Raises:
        ConfigError: There are several renders.
    """
    if plate is None and dialogue is None:
        return list(renders)
    if len(renders) != 1:
        raise ConfigError(
            f"a plate or dialogue was named for {len(renders)} renders",
            hint="Name them for one render alone.",
        )
    (one,) = renders
    spoken = dialogue if dialogue is not None and one.dialogue is not None else one.dialogue
    return [replace(one, plate=plate or one.plate, dialogue=spoken)]


def _sidecars(path: Path) -> list[Path]:
    if path.name.endswith(SUFFIX) and path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(p for p in path.rglob(f"*{SUFFIX}") if not p.name.startswith("."))
        if found:
            return found
        raise MediaNotFoundError(
            f"no render is in {path}", path=str(path),
            hint=f"A render leaves a file NAME{SUFFIX} beside its picture; keep them together.",
        )
    found = _beside(path)
    if len(found) == 1:
        return found
    raise MediaNotFoundError(
        f"no sidecar (*{SUFFIX}) of {path} is beside it", path=str(path),
        hint="Was this rendered by lipcore? Its sidecar must lie beside the picture.",
    )


def _beside(path: Path) -> list[Path]:
    """The sidecar of a picture; of frames named by numbers alone, the only one in the folder."""
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        stem = path.stem
    else:
        sequence = locate_sequence(path)
        if sequence is None:
            raise MediaUnreadableError(
                f"{path} is no picture that lipcore renders", path=str(path),
                hint="Give a folder, a video, or a sequence as name.####.exr.",
            )
        stem = re.sub(r"[._]?-?\d+$", "", next(iter(sequence.files.values())).stem)
    if not stem:
        return sorted(path.parent.glob(f"*{SUFFIX}"))
    named = path.with_name(f"{stem}{SUFFIX}")
    return [named] if named.is_file() else []


def read_render(sidecar: Path) -> FinishedRender:
    """Read a sidecar.

    Raises:
        MediaUnreadableError: It is damaged, or of a form that this version does not know.
        MediaNotFoundError: Its picture is not beside it.
    """
    try:
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"its form is {facts['format']!r}")
        return _render_of(sidecar, facts)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, ZeroDivisionError,
            RecursionError) as error:  # fmt: skip
        if isinstance(error, MediaNotFoundError | ConfigError):
            raise
        raise MediaUnreadableError(
            f"{sidecar} is not a sidecar that can be read ({type(error).__name__}: {error})",
            hint="Render the shot again: finished frames are kept, and the sidecar is written.",
            path=str(sidecar),
        ) from error


def _render_of(sidecar: Path, facts: dict[str, Any]) -> FinishedRender:
    frames = FrameRange(*map(int, facts["frames"]))
    rows, settings = facts["per_frame"], dict(facts["settings"])
    if [row["frame"] for row in rows] != list(frames):
        raise ValueError("its rows are not its frames")
    name = sidecar.name.removesuffix(SUFFIX)
    landmarks = _points(rows, "landmarks", (LANDMARK_COUNT, 3))
    wanted = landmarks.copy()
    wanted[..., :2] = _points(rows, "new_landmarks", (LANDMARK_COUNT, 2))
    shown = facts["plate_frames"]
    dialogue = settings.get("dialogue")
    rate = read_fraction(facts["rate"])
    if rate <= 0 or (shown and len(shown) != len(frames)):
        raise ValueError("its rate or its plate's frames are wrong")
    return FinishedRender(
        sidecar=sidecar, name=name, picture=_picture(sidecar.parent, name, facts["picture"]),
        plate=Path(facts["plate"]), plate_frames=tuple(map(int, shown or ())),
        colorspace=facts["colorspace"], frames=frames, rate=rate,
        width=int(facts["width"]), height=int(facts["height"]),
        pixel_aspect=float(facts["pixel_aspect"]), timecode=facts["first_timecode"],
        cuts=tuple(map(int, facts["cuts"])), dialogue=None if dialogue is None else Path(dialogue),
        sound_begin_s=read_fraction(facts["sound_begin_s"]), settings=settings,
        policies=tuple(str(row["policy"]) for row in rows),
        confidence=np.array([float(row["confidence"]) for row in rows], np.float32),
        strength=np.array([float(row["strength"]) for row in rows], np.float32),
        landmarks=landmarks, wanted=wanted, transforms=_points(rows, "transform", (2, 3)),
    )


def _points(rows: Sequence[dict[str, Any]], key: str, shape: tuple[int, int]) -> FloatArray:
    out = np.full((len(rows), *shape), np.nan, np.float32)
    for i, row in enumerate(rows):
        if row[key] is not None:
            out[i] = np.asarray(row[key], np.float32).reshape(shape)
            if not np.isfinite(out[i]).all():
                raise ValueError(f"{key} of frame {row['frame']} are no numbers")
    return out


def _picture(folder: Path, name: str, stated: str) -> Path:
    path = folder / Path(stated).name
    if _is_there(path):
        return path
    raise MediaNotFoundError(
        f"the picture of {name}, {path.name}, is not in {folder}", path=str(folder),
        hint="Keep a render's sidecar and its picture together.",
    )


def _is_there(path: Path) -> bool:
    """Also of names that no file can have: sidecars may come from anywhere."""
    try:
        return path.exists() or locate_sequence(path) is not None
    except (OSError, ConfigError):
        return False
