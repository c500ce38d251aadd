"""The files of a training run: checkpoints that a kill cannot spoil, logs, sample pictures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lipcore.errors import DependencyError, OutputNotWritableError, TrainingError

from .data import Clip
from .pictures import write_grid


class RunFolder:
    """A folder with ``last.ckpt``, the one before it, ``metrics.jsonl``, ``samples`` and the
    event files of TensorBoard.

    Raises:
        OutputNotWritableError: The folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "last.ckpt"
        self.previous = path / "previous.ckpt"
        self._board: Any = None
        try:
            (path / "samples").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputNotWritableError(
                f"{path} cannot be made ({error})", hint="Choose another folder.", path=str(path)
            ) from error

    @property
    def holds_run(self) -> bool:
        """Whether there is a checkpoint, damaged or not."""
        return self.checkpoint.exists() or self.previous.exists()

    def write_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint; at every moment a whole one lies in the folder."""
        temporary = self.checkpoint.with_name(".last.tmp")
        with temporary.open("wb") as handle:
            torch.save(dict(state), handle)
            handle.flush()
            os.fsync(handle.fileno())
        if self.checkpoint.exists():
            self.checkpoint.replace(self.previous)
        temporary.replace(self.checkpoint)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read_checkpoint(self) -> dict[str, Any]:
        """The last checkpoint, or the one before it where the last is damaged or not in place.

        Raises:
            TrainingError: There is none, or none can be read.
        """
        damage: Exception | None = None
        for path in (self.checkpoint, self.previous):
            if not path.is_file():
                continue
            try:
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                return state
            except Exception as error:  # torch raises a dozen kinds for damaged files
                damage = damage or error
        if damage is None:
            raise TrainingError(
                f"{self.path} holds no run to go on with", hint="Leave --resume out.",
                path=str(self.path),
            )
        raise TrainingError(
            f"{self.checkpoint} is damaged ({damage})", hint="Begin again in another folder.",
            path=str(self.checkpoint),
        ) from damage

    def go_on_from(self, step: int) -> None:
        """Drop what was logged after ``step``: those steps are made again."""
        metrics = self.path / "metrics.jsonl"
        if metrics.exists():
            kept = [line for line in metrics.read_text(encoding="utf-8").splitlines()
                    if _step_of(line) <= step]
            temporary = metrics.with_name(".metrics.tmp")
            temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
            temporary.replace(metrics)
        self._open_board(step + 1)

    def log(self, part: str, step: int, minutes: float, values: Mapping[str, float]) -> None:
        """Add one line to ``metrics.jsonl``, and the same values to TensorBoard."""
        line = {"part": part, "step": step, "minutes": round(minutes, 3), **values}
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
        board = self._open_board(None)
        for name, value in values.items():
            board.add_scalar(f"{part}/{name}", value, step)
        board.flush()

    def draw(self, step: int, grid: Tensor) -> None:
        """Write a grid (R, K, 3, H, W) in [-1, 1] as PNG and for TensorBoard."""
        write_grid(self.path / "samples" / f"{step:06d}.png", grid)
        rows, columns, channels, height, width = grid.shape
        picture = ((grid.float().clamp(-1, 1) + 1) / 2).permute(2, 0, 3, 1, 4)
        board = self._open_board(None)
        board.add_image(
            "samples", picture.reshape(channels, rows * height, columns * width).cpu(), step
        )
        board.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _open_board(self, purge_step: int | None) -> Any:
        if self._board is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise DependencyError(
                    "training needs the package tensorboard",
                    hint="Install it with: pip install 'lipcore[train]'",
                ) from error
            self._board = SummaryWriter(  # type: ignore[no-untyped-call]
                str(self.path), purge_step=purge_step
            )
        return self._board


def _step_of(line: str) -> float:
    """The step of a logged line; infinite where a kill cut the line short."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def data_fingerprint(clips: Iterable[Clip]) -> str:
    """SHA-256 over the manifests of the folders that clips come from, as hex."""
    digest = hashlib.sha256()
    manifests = {clip.sample.shard.parent / "manifest.json" for clip in clips}
    for content in sorted(path.read_bytes() for path in manifests):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def code_fingerprint() -> str:
    """SHA-256 over the sources of the networks and recipes, as hex."""
    import lipcore.models

    digest = hashlib.sha256()
    for folder in (Path(lipcore.models.__path__[0]), Path(__file__).parent):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
