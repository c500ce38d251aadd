"""The shot's mouths on disk: what goes in comes out, at half precision, from any thread."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lipcore.errors import MediaUnreadableError
from lipcore.synthesis.bank import PIXELS, BankWriter, FrameBank
from lipcore.synthesis.matte import lower_face_window
from lipcore.types import Frame, Window

WINDOW = Window(-8, -4, 336, 256)


def frame_of(number, window=WINDOW):
    rng = np.random.default_rng(number)
    return Frame(number, rng.normal(0.3, 1, (*window.shape, 3)).astype(np.float32), window)


@pytest.fixture
def stored(tmp_path, face):
    """30 frames of a moving face, but 1004 where there is none."""
    meshes = {n: face(scale=60, at=(120 + n % 7, 80 + n % 5), open=1.0) for n in range(1001, 1031)}
    del meshes[1004]
    with BankWriter(tmp_path) as writer:
        for number, mesh in meshes.items():
            writer.add(frame_of(number), mesh, 1.0)
    return tmp_path, meshes


def test_pixels_come_back_at_half_precision(stored):
    folder, meshes = stored
    bank = FrameBank(folder)
    assert bank.numbers.tolist() == list(meshes)
    for place, number in enumerate(bank.numbers.tolist()):
        picture, window = bank.read(place)
        assert window == lower_face_window(meshes[number], WINDOW)
        frame = frame_of(number)
        expected = frame.rgb[window.slices_in(frame.window)].astype(np.float16)
        assert picture.dtype == np.float32
        assert np.array_equal(picture, expected.astype(np.float32))
    bank.close()


def test_a_bank_that_goes_while_it_is_used_is_an_error_of_the_plate(stored, monkeypatch):
    folder, _ = stored
    bank = FrameBank(folder)
    os.truncate(folder / PIXELS, 100)
    with pytest.raises(MediaUnreadableError, match="become shorter"):
        bank.read(3)

    def gone(*_):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "pread", gone)
    with pytest.raises(MediaUnreadableError, match="Stale file handle") as caught:
        bank.read(4)
    assert caught.value.exit_code == 3, "which a batch tries again"


def test_values_beyond_half_stay_finite(tmp_path, face):
    frame = frame_of(1001)
    frame.rgb[...] = 1e9
    with BankWriter(tmp_path) as writer:
        writer.add(frame, face(scale=60, at=(120, 80)), 1.0)
    picture, _ = FrameBank(tmp_path).read(0)
    assert picture.max() == 65504


def test_many_threads_read_the_same_bank(stored):
    folder, _ = stored
    bank = FrameBank(folder)
    alone = [bank.read(place)[0].sum() for place in range(len(bank.numbers))]
    order = np.random.default_rng(0).integers(0, len(alone), 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(lambda place: bank.read(place)[0].sum(), order))
    assert sums == [alone[place] for place in order]


def test_few_frames_are_held(stored):
    folder, _ = stored
    bank = FrameBank(folder)
    for place in range(len(bank.numbers)):
        bank.read(place)
    held = bank._held  # the bound on memory is what matters here
    assert len(held) <= 12
    assert bank.read(29 - 1)[0] is bank.read(29 - 1)[0]


@pytest.mark.parametrize("change", [-6, 6])
def test_a_bank_of_another_size_is_refused(stored, change):
    folder, _ = stored
    size = (folder / PIXELS).stat().st_size
    os.truncate(folder / PIXELS, size + change)
    with pytest.raises(OSError, match="are expected"):
        FrameBank(folder)


def test_a_face_beside_the_frame_is_left_out(tmp_path, face):
    with BankWriter(tmp_path) as writer:
        writer.add(frame_of(1001), face(scale=60, at=(2000, 80)), 1.0)
        writer.add(frame_of(1002), face(scale=60, at=(120, 80)), 1.0)
    assert FrameBank(tmp_path).numbers.tolist() == [1002]


def test_an_anamorphic_face_is_cut_where_the_plate_shows_it(tmp_path, face):
    mesh = face(scale=60, at=(240, 80))  # square pixels; the plate shows it at x 120
    with BankWriter(tmp_path) as writer:
        writer.add(frame_of(1001), mesh, 2.0)
    _, window = FrameBank(tmp_path).read(0)
    middle = window.x + window.width / 2
    assert abs(middle - 120) < 6
