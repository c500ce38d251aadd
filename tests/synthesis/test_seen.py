"""Faces that tracking came by are the bank's, bit for bit; what was not kept is not made up."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.synthesis.bank import BankWriter, FrameBank
from lipcore.synthesis.seen import SeenFaces
from lipcore.types import Frame, Window

WINDOW = Window(-8, -4, 336, 256)


def frame_of(number, policy=None):
    rng = np.random.default_rng(number)
    rgb = rng.normal(0.3, 1, (*WINDOW.shape, 3)).astype(np.float32)
    return Frame(number, rgb, WINDOW, policy=policy)


@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_a_bank_of_kept_faces_is_the_bank_of_the_plate(tmp_path, face, aspect):
    meshes = {n: face(scale=50, at=(110 * aspect + n % 7, 80), open=1.0) for n in range(1, 9)}
    (tmp_path / "read").mkdir()
    (tmp_path / "kept").mkdir()
    with SeenFaces(tmp_path / "files") as seen:
        for number, mesh in meshes.items():
            other = face(scale=30, at=(60 * aspect, 60))
            seen.keep(frame_of(number), [other, mesh], aspect)
        with BankWriter(tmp_path / "read") as read, BankWriter(tmp_path / "kept") as kept:
            for number, mesh in meshes.items():
                steady = mesh + np.float32([1.7, -2.2, 0])  # as smoothing moves it
                read.add(frame_of(number), steady, aspect)
                assert seen.holds(number, steady, aspect)
                kept.put(number, *seen.find(number, steady, aspect))
        assert not list((tmp_path / "files").iterdir()), "the file has a name"
    for name in ("bank.f16",):
        a, b = ((tmp_path / folder / name).read_bytes() for folder in ("read", "kept"))
        assert a == b and len(a) > 100_000
    assert FrameBank(tmp_path / "kept").numbers.tolist() == list(meshes)


def test_what_was_not_kept_is_not_found(tmp_path, face):
    mesh = face(scale=50, at=(110, 80))
    with SeenFaces(tmp_path, range(2, 5)) as seen:
        for number in (1, 2):
            seen.keep(frame_of(number), [mesh], 1.0)
        seen.keep(frame_of(3, policy="hold"), [mesh], 1.0)
        seen.keep(frame_of(4), [], 1.0)
        assert [n for n in range(1, 6) if seen.holds(n, mesh, 1.0)] == [2]
        far = mesh + np.float32([12, 0, 0])
        assert seen.find(2, far, 1.0) is None
        assert seen.find(2, mesh, 1.0) is not None


def test_a_folder_without_room_keeps_nothing(tmp_path, face):
    (tmp_path / "file").write_text("")
    mesh = face(scale=50, at=(110, 80))
    with SeenFaces(tmp_path / "file") as seen:
        seen.keep(frame_of(1), [mesh], 1.0)
        assert not seen.holds(1, mesh, 1.0)
