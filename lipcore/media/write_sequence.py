"""What all writers of one image file a frame share: names, resuming, locks."""

from __future__ import annotations

import abc
import contextlib
import re
from pathlib import Path

from lipcore.errors import MediaError, OutputExistsError
from lipcore.media.locate import frame_path, locate_sequence
from lipcore.media.output_files import FrameLock
from lipcore.media.writers import FrameWriter
from lipcore.types import FrameRange, PlateInfo


class SequenceWriter(FrameWriter):
    """Files that appear whole, each with the hash of what it was made from.

    Raises:
        OutputExistsError: A frame is there from other parameters and ``overwrite`` is off; or
            the output would replace the plate.
        OutputLockedError: Another living process writes some of these frames.
    """

    def __init__(
        self,
        pattern: Path,
        info: PlateInfo,
        *,
        frames: FrameRange,
        parameter_hash: str,
        overwrite: bool,
    ) -> None:
        self.info = info
        self.parameter_hash = parameter_hash
        self._pattern = pattern
        self._frames = frames
        self._whole: dict[int, bool] = {}
        self._lock: FrameLock | None = FrameLock(pattern, frames)
        try:
            check_frames_apart(pattern, info, frames)
            self._check_existing(overwrite)
            self._remove_parts()
        except BaseException:
            self.abandon()
            raise

    @abc.abstractmethod
    def stored_hash(self, path: Path) -> str | None:
        """The parameter hash in a file; MediaError where its header is damaged."""

    @abc.abstractmethod
    def is_whole(self, path: Path) -> bool:
        """The file is, bit for bit, what was written."""

    @abc.abstractmethod
    def release(self) -> None:
        """End helpers of the writer."""

    @property
    def outputs(self) -> tuple[Path, ...]:
        return tuple(self.file_of(number) for number in self._frames)

    def file_of(self, number: int) -> Path:
        return frame_path(self._pattern, number)

    def finished(self, number: int) -> bool:
        if number not in self._whole:
            path = self.file_of(number)
            self._whole[number] = (
                path.exists() and self._hash_or_none(path) == self.parameter_hash
            ) and self.is_whole(path)
        return self._whole[number]

    def close(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        self.release()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _hash_or_none(self, path: Path) -> str | None:
        try:
            return self.stored_hash(path)
        except MediaError:
            return None

    def _remove_parts(self) -> None:
        """Remove what a killed process was writing: by the lock, nobody living is."""
        begun = {f".{path.stem}." for path in self.outputs}
        for part in self._pattern.parent.glob(".*.part*"):
            if re.sub(r"\d+\.part\.\w+$", "", part.name) in begun:
                with contextlib.suppress(OSError):
                    part.unlink()

    def _check_existing(self, overwrite: bool) -> None:
        if overwrite:
            return
        for path in self.outputs:
            if not path.exists():
                continue
            try:
                other = self.stored_hash(path) != self.parameter_hash
            except MediaError:
                continue  # torn: it will be rendered again
            if other:
                raise OutputExistsError(
                    f"{path} is there already and was made from something else",
                    hint="Choose another --out, or replace it with --overwrite.",
                    path=str(path),
                )


def check_frames_apart(pattern: Path, info: PlateInfo, frames: FrameRange) -> None:
    """Check that no frame of an output is one of the plate, by whatever path it is named.

    Raises:
        OutputExistsError: One is.
    """
    if info.kind != "sequence":
        return
    try:
        plate = locate_sequence(info.path)
    except MediaError:
        return
    files = () if plate is None else plate.files.values()
    home, folder = info.path.parent.resolve(), pattern.parent.resolve()
    taken = {home / path.name for path in files}
    taken |= {path.resolve() for path in files if path.is_symlink()}
    for number in frames:
        path = frame_path(pattern, number)
        if folder / path.name in taken:
            raise OutputExistsError(
                f"{path} is a frame of the plate: it would be replaced",
                hint="Choose another folder or name for --out.",
                path=str(path),
            )
