"""Wav2Lip runs as its authors run it, whatever its weights hold."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from lipcore.analysis import cover, find_tracks
from lipcore.cache import Cache
from lipcore.errors import NoFaceError
from lipcore.evaluate.baseline import draw_face, face_boxes, mel_windows, render_wav2lip
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.models.mel import MelConfig, MelFrontEnd
from lipcore.models.published.wav2lip import Wav2Lip
from lipcore.types import Dialogue, FaceTrack, FrameRange


def track_of(landmarks: np.ndarray) -> FaceTrack:
    count = len(landmarks)
    there = np.isfinite(landmarks[:, 0, 0])
    return FaceTrack(
        1, FrameRange(1, count), landmarks.astype(np.float32), there.astype(np.float32), there,
        np.zeros((count, 2, 3), np.float32),
    )  # fmt: skip


def test_boxes_are_the_published_means() -> None:
    faces = np.zeros((9, 478, 3))
    for i in range(9):
        faces[i, 0, :2], faces[i, 1:, :2] = (10 * i, 20), (10 * i + 50, 80)
    boxes = face_boxes(track_of(faces), 100, 85)
    low = np.array([10 * i for i in range(9)])
    high = np.minimum(low + 50, 100)
    for i in range(9):
        five = slice(i, i + 5) if i + 5 <= 9 else slice(4, 9)
        assert boxes[i].tolist() == [int(low[five].mean()), 20, int(high[five].mean()), 85]


@pytest.mark.parametrize("rate", [24.0, 25.0, 50.0])
def test_each_frame_hears_sixteen_steps_from_its_beginning(rate: float) -> None:
    sound = (np.random.default_rng(0).normal(size=16_000) * 0.1).astype(np.float32)
    windows = mel_windows(Dialogue(sound), round(rate), rate)
    steps = MelFrontEnd(MelConfig(hop=200))(torch.from_numpy(sound)[None])[0].numpy()
    assert windows.shape == (round(rate), 80, 16)
    assert np.array_equal(windows[3], steps[:, int(3 * 80 / rate) :][:, :16])
    assert np.array_equal(windows[-1], steps[:, -16:])
    short = mel_windows(Dialogue(sound[:800]), 3, rate)
    assert short.shape == (3, 80, 16) and (short[:, :, -1] == -4).all()


def test_the_lower_half_is_hidden_and_colours_keep_their_order() -> None:
    class Echo(Wav2Lip):
        def forward(self, mel: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
            assert mel.shape == (1, 1, 80, 16)
            assert (faces[:, :3, 48:] == 0).all() and (faces[:, 3:, 48:] > 0).any()
            return faces[:, 3:]

    face = np.random.default_rng(1).integers(1, 255, (96, 96, 3), dtype=np.uint8)
    again = draw_face(Echo(), face, np.zeros((80, 16), np.float32))
    assert np.abs(again.astype(int) - face).max() <= 1


def test_a_shot_is_drawn_inside_the_box_alone(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    with open_plate(portrait_plate) as plate:
        frames = FrameRange(1001, 1005)
        tracks, _, _ = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate), cache=Cache(tmp_path / "cache"),
            progress=lambda *_: None,
        )
        track = cover(tracks[0], frames)
        sound = fit_dialogue(load_dialogue(spoken_line), Fraction(5, 24))
        out = tmp_path / "wav2lip.mkv"
        render_wav2lip(plate, track, sound, out, Wav2Lip().eval(), key="k")
        color = ColorTransform.of_plate(plate)
        with open_plate(out) as made:
            assert len(made.info.frames) == 5
            new = made.read(made.info.frames.first).rgb
        old = color.tracking_picture(plate.read(1001).rgb)
        x0, y0, x1, y1 = face_boxes(track, 640, 480)[0].astype(int)
        changed = np.abs(new * 255 - old).max(axis=-1) > 12
        rows, columns = np.nonzero(changed)
        assert changed[y0:y1, x0:x1].mean() > 0.5
        assert rows.min() >= y0 - 2 and rows.max() <= y1 + 1
        assert columns.min() >= x0 - 2 and columns.max() <= x1 + 1
        lost = track.landmarks.copy()
        lost[2] = np.nan
        with pytest.raises(NoFaceError, match="needs a face"):
            render_wav2lip(plate, track_of(lost), sound, out, Wav2Lip(), key="k")
