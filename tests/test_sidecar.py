"""The facts beside a picture: JSON of each frame, and a snippet that Nuke reads."""

from __future__ import annotations

import json
import re
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipcore.errors import OutputNotWritableError
from lipcore.shapes.basis import ShapeBasis
from lipcore.sidecar import write_sidecars
from lipcore.synthesis.targets import build_targets
from lipcore.tracking.head import canonical_head, crop_transform
from lipcore.types import FaceTrack, FrameRange, PlateInfo, Window
from lipcore.weights import find_weights

WIDTH, HEIGHT, FIRST = 640, 480, 1001


@pytest.fixture(scope="module")
def basis() -> ShapeBasis:
    return ShapeBasis.load(find_weights("base"))


def track_of(count, absent=(), aspect=1.0):
    """A face that moves three pixels a frame to the right, one down."""
    landmarks = np.stack(
        [120 * canonical_head() + (200 + 3 * i, 150 + i, 0) for i in range(count)]
    ).astype(np.float32)
    transforms = np.stack([crop_transform(points) for points in landmarks])
    landmarks[..., 0] /= aspect
    transforms[:, :, 0] *= aspect
    present = np.array([i not in absent for i in range(count)])
    landmarks[~present] = transforms[~present] = np.nan
    frames = FrameRange(FIRST, FIRST + count - 1)
    return FaceTrack(
        3, frames, landmarks, present * np.float32(0.9), present, transforms,
        (FIRST + 2,) if count > 2 else (), aspect,
    )


def info_of(track):
    return PlateInfo(
        Path("/shots/plate.####.exr"), "sequence", track.frames, Fraction(24000, 1001),
        Window(0, 0, WIDTH, HEIGHT), "scene_linear", "half", track.pixel_aspect, "01:00:00:00",
    )


def write(tmp_path, basis, track, *, strength=None, held=frozenset(), picture="out/x.####.exr"):
    count = len(track.frames)
    square = track.landmarks * (track.pixel_aspect, 1, 1)
    values, neutral = basis.measure(square.astype(np.float32))
    asked = values + 0.02
    power = np.ones(count, np.float32) if strength is None else np.array(strength, np.float32)
    targets = build_targets(track, basis, neutral, values, asked, power)
    facts, snippet = write_sidecars(
        tmp_path / "plate", picture=picture, info=info_of(track), track=track, targets=targets,
        names=basis.names, sources={FIRST: ((FIRST + 3, 2 / 3), (FIRST + 9, 1 / 3))}, held=held,
        settings={"seed": 7},
    )
    assert (facts.name, snippet.name) == ("plate.lipsync.json", "plate.lipsync.nk")
    return json.loads(facts.read_text()), snippet.read_text(), targets


def test_every_frame_has_its_facts(tmp_path, basis):
    track = track_of(6, absent=(4,))
    facts, _, targets = write(
        tmp_path, basis, track, strength=[1, 1, 0.5, 0, 1, 1], held=frozenset({FIRST + 1})
    )
    assert facts["frames"] == [FIRST, FIRST + 5]
    assert (facts["rate"], facts["timecode"]) == ("24000/1001", "01:00:00:00")
    assert (facts["width"], facts["height"]) == (WIDTH, HEIGHT)
    assert facts["cuts"] == [FIRST + 2]
    assert facts["format"] == "lipcore-sidecar-2" and facts["picture"] == "x.####.exr"
    assert facts["first_timecode"] == "01:00:00:00" and facts["plate_frames"] is None
    assert (facts["colorspace"], facts["sound_begin_s"]) == ("scene_linear", "0")
    assert facts["components"] == list(basis.names)
    assert facts["settings"] == {"seed": 7}
    rows = facts["per_frame"]
    assert [row["frame"] for row in rows] == list(track.frames)
    assert [row["policy"] for row in rows] == [
        "track", "hold", "track", "track", "passthrough", "track"
    ]  # fmt: skip
    assert [row["strength"] for row in rows] == [1, 1, 0.5, 0, 0, 1]
    assert rows[0]["confidence"] == pytest.approx(0.9)
    assert rows[0]["sources"] == [[FIRST + 3, 0.6667], [FIRST + 9, 0.3333]]
    assert rows[4]["landmarks"] is rows[4]["transform"] is rows[4]["shape"] is None
    assert rows[3]["new_landmarks"] is None  # nothing is drawn at strength 0
    assert np.allclose(rows[2]["landmarks"], track.landmarks[2], atol=0.006)
    assert np.allclose(rows[2]["transform"], track.transforms[2], atol=1e-6)
    assert np.allclose(rows[2]["shape"], targets.values[2], atol=1e-5)


def test_new_landmarks_are_in_the_plates_own_pixels(tmp_path, basis):
    facts, _, targets = write(tmp_path, basis, track_of(2, aspect=2.0))
    drawn = np.array(facts["per_frame"][1]["new_landmarks"])
    assert drawn.shape == (478, 2)
    assert np.allclose(drawn * (2, 1), targets.wanted[1, :, :2], atol=0.02)


def curves_of(snippet):
    """Every curve in a snippet as {frame: value}."""
    found = []
    for text in re.findall(r"\{curve ([^}]*)\}", snippet):
        keys, number = {}, 0
        for word in text.split():
            if word.startswith("x"):
                number = int(word[1:])
            else:
                keys[number] = float(word)
                number += 1
        found.append(keys)
    return found


def test_nuke_counts_rows_from_the_bottom(tmp_path, basis):
    track = track_of(5, absent=(2,))
    _, snippet, _ = write(tmp_path, basis, track)
    assert snippet.count("{") == snippet.count("}")
    across, up = curves_of(snippet)[-2:]  # the mouth's centre
    assert list(across) == list(up) == [FIRST, FIRST + 1, FIRST + 3, FIRST + 4]
    for number in across:
        x, y = track.at(number)[[61, 291], :2].mean(0)
        assert across[number] == pytest.approx(x, abs=0.001)
        assert up[number] == pytest.approx(HEIGHT - y, abs=0.001)
    assert up[FIRST + 4] < up[FIRST]  # the face moves down


def test_the_corner_pin_holds_the_crop(tmp_path, basis):
    track = track_of(3)
    _, snippet, _ = write(tmp_path, basis, track)
    curves = curves_of(snippet)[:8]
    corners = [(0, 1), (1, 1), (1, 0), (0, 0)]  # Nuke's order: from the bottom left, around
    for k, corner in enumerate(corners):
        x, y = curves[2 * k][FIRST + 1], HEIGHT - curves[2 * k + 1][FIRST + 1]
        back = track.transforms[1, :, :2] @ (x, y) + track.transforms[1, :, 2]
        assert np.allclose(back, corner, atol=1e-4)


def test_the_snippet_reads_the_picture(tmp_path, basis):
    _, snippet, _ = write(tmp_path, basis, track_of(3), picture=r"C:\out\a b.####.exr")
    assert 'file "C:/out/a b.####.exr"' in snippet
    assert f" first {FIRST}\n last {FIRST + 2}" in snippet


def test_a_face_that_is_never_there_leaves_only_the_read(tmp_path, basis):
    track = track_of(3)
    _, snippet, _ = write(tmp_path, basis, track)
    nothing = track_of(3, absent=(0, 1, 2))
    values = np.full((3, len(basis.names)), np.nan, np.float32)
    targets = build_targets(
        nothing, basis, basis.mean_shape, values, values, np.ones(3, np.float32)
    )
    facts, empty = write_sidecars(
        tmp_path / "none", picture="x.mov", info=info_of(nothing), track=nothing, targets=targets,
        names=basis.names, sources={}, held=frozenset(), settings={},
    )
    assert json.loads(facts.read_text())["per_frame"][0]["policy"] == "passthrough"
    assert "CornerPin2D" in snippet
    assert empty.read_text().count("{") == empty.read_text().count("}") == 1


def test_memory_does_not_grow_with_the_frames(tmp_path, basis):
    peaks = []
    for count in (20, 200):
        track = track_of(count)
        values, neutral = basis.measure(track.landmarks)
        targets = build_targets(track, basis, neutral, values, values, np.ones(count, np.float32))
        tracemalloc.start()
        write_sidecars(
            tmp_path / "plate", picture="x.mov", info=info_of(track), track=track,
            targets=targets, names=basis.names, sources={}, held=frozenset(), settings={},
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 180 * 4_000  # a row's text alone is over 15 kB


def test_a_folder_that_takes_no_files_is_said(tmp_path, basis):
    (tmp_path / "plate.lipsync.json").mkdir()
    with pytest.raises(OutputNotWritableError):
        write(tmp_path, basis, track_of(2))
    assert [p.name for p in tmp_path.iterdir()] == ["plate.lipsync.json"]
