"""A shot is decoded once before it is drawn: the bank takes what tracking came by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lipcore.analysis import analyse
from lipcore.cache import Cache
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.shapes.basis import ShapeBasis
from lipcore.synthesis.bank import PIXELS
from lipcore.synthesis.seen import SeenFaces
from lipcore.timeline.retimed_plate import RetimedPlate
from lipcore.types import Frame, FrameRange
from lipcore.weights import find_weights


class Counting(Plate):
    """A plate that counts what is decoded."""

    def __init__(self, inner: Plate) -> None:
        self._inner, self.decoded = inner, 0
        self.info, self.read = inner.info, inner.read
        self.content_key, self.close = inner.content_key, inner.close

    info = read = content_key = close = None  # type: ignore[assignment]

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        for frame in self._inner.stream(frames):
            self.decoded += 1
            yield frame


def banked(plate: Plate, frames: FrameRange, folder: Path) -> bytes:
    """The pixels of the bank that an analysis leaves in an empty cache."""
    analysis = analyse(
        plate, frames, speaker="largest", color=ColorTransform.of_plate(plate),
        basis=ShapeBasis.load(find_weights("base")), cache=Cache(folder),
        progress=lambda *_: None,
    )  # fmt: skip
    analysis.bank.close()
    assert not list(folder.glob(".*")), "something of the analysis is left over"
    (pixels,) = folder.glob(f"bank-*/{PIXELS}")
    return pixels.read_bytes()


@pytest.mark.parametrize("clip", ["markey.mp4", "hill.mp4"])
def test_a_shot_is_decoded_once_and_the_bank_is_the_same(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: str
) -> None:
    frames = FrameRange(5, 44)
    with open_plate(shared_data / "clips" / clip) as inner:
        plate = Counting(inner)
        once = banked(plate, frames, tmp_path / "once")
        assert len(frames) <= plate.decoded <= 1.1 * len(frames)
        plate.decoded = 0
        monkeypatch.setattr(SeenFaces, "keep", lambda *_: None)
        assert banked(plate, frames, tmp_path / "twice") == once
        assert plate.decoded == 2 * len(frames)


def test_a_bank_of_which_half_was_kept_is_the_same(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = FrameRange(1, 30)
    keep = SeenFaces.keep
    with open_plate(shared_data / "clips" / "markey.mp4") as plate:
        whole = banked(plate, frames, tmp_path / "whole")

        def keep_some(seen: SeenFaces, frame: Frame, *more: object) -> None:
            if frame.number % lost:
                keep(seen, frame, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(SeenFaces, "keep", keep_some)
        for lost in (2, 5):  # more than the bank looks up one by one, and fewer
            assert banked(plate, frames, tmp_path / f"every {lost}") == whole


def test_a_take_that_is_tracked_for_several_plates_is_decoded_once(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = (*range(20, 2, -1), *(7, 7, 9, 11, 13))
    frames = FrameRange(101, 100 + len(numbers))
    made = []
    for name in ("kept", "read"):
        take = Counting(open_plate(shared_data / "clips" / "markey.mp4"))
        whole = FrameRange(1, 30)
        with RetimedPlate(take, numbers, 101, take.info.rate, tracked=whole) as plate:
            made.append(banked(plate, frames, tmp_path / name))
        assert take.decoded == 30
        monkeypatch.setattr(SeenFaces, "keep", lambda *_: None)
    assert made[0] == made[1]
    assert np.frombuffer(made[0], np.float16).size > 0
