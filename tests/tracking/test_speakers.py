"""Speakers kept apart through crossings, and chosen by words or by a pixel."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.errors import ConfigError, NoFaceError
from lipcore.tracking.head import HeadPose, canonical_head
from lipcore.tracking.speakers import looks, looks_distance, select_speaker
from lipcore.tracking.tracker import TrackingConfig
from lipcore.types import FaceTrack, FrameRange

QUICK = TrackingConfig(search_every=1000)


def centers(track: FaceTrack) -> np.ndarray:
    points = track.landmarks[:, :468, :2]
    return (points.min(1) + points.max(1)) / 2


def face_box(track: FaceTrack, row: int) -> np.ndarray:
    points = track.landmarks[row, :468, :2]
    return np.concatenate([points.min(0), points.max(0)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [("markey.mp4", "hill.mp4"), ("grid_swwp2s.mpg", "grid_lbax4n.mpg")]
)
def test_two_people_who_cross_keep_their_numbers(names, clip, plate_of, paste) -> None:
    count = 60
    heads = []
    for name in names:
        pictures = clip(name, count)
        (track, *_) = plate_of(pictures).track(QUICK)
        heads.append((pictures, track))
    paths = (
        [(520 - 400 * i / count, 180) for i in range(count)],
        [(120 + 400 * i / count, 190) for i in range(count)],
    )
    frames = []
    for i in range(count):
        canvas = np.full((360, 640, 3), (70, 80, 90), np.uint8)
        for (pictures, track), path in zip(heads, paths, strict=True):
            canvas = paste(canvas, pictures[i], *path[i], 110, face_box(track, i))
        frames.append(canvas)
    tracks = plate_of(frames).track(QUICK)
    assert len(tracks) == 2
    for track in tracks:
        which = 0 if np.linalg.norm(centers(track)[0] - paths[0][0]) < 60 else 1
        rows = np.flatnonzero(track.present)
        off = np.linalg.norm(centers(track)[rows] - np.array(paths[which])[rows], axis=1)
        assert rows[0] == 0 and rows[-1] == count - 1
        assert np.median(off) < 15 and (off > 60).mean() < 0.05
    assert {t.track_id for t in tracks} == {1, 2}


def test_two_people_side_by_side_are_two_tracks_for_the_whole_shot(clip, plate_of) -> None:
    left, right = clip("markey.mp4", 15), clip("hill.mp4", 15)
    plate = plate_of([np.hstack([a, b]) for a, b in zip(left, right, strict=True)])
    tracks = plate.track(QUICK)
    assert [t.present.all() for t in tracks] == [True, True]
    assert select_speaker(tracks, "left").track_id == 1
    assert select_speaker(tracks, "right").track_id == 2
    assert select_speaker(tracks, "700,250").track_id == 2


def test_looks_tell_people_apart(clip, plate_of) -> None:
    from lipcore.tracking.landmarks import MeshFinder, roi_of_landmarks
    from lipcore.tracking.view import picture_view

    finder = MeshFinder()
    people = {}
    for name in ("markey.mp4", "hill.mp4", "mcguinness.mp4", "lieu.mp4"):
        pictures = clip(name, 30)
        track = plate_of(pictures).track(QUICK)[0]
        people[name] = [
            looks(finder.find(picture_view(pictures[i]), roi_of_landmarks(track.landmarks[i])).crop)
            for i in (0, 15, 29)
        ]
    finder.close()
    for name, own in people.items():
        assert max(looks_distance(own[0], other) for other in own) < 1.0
        for other_name, others in people.items():
            if other_name != name:
                assert min(looks_distance(own[0], other) for other in others) > 1.0


def track_at(track_id: int, x: float, width: float, present: list[bool]) -> FaceTrack:
    scale = width / float(np.ptp(canonical_head()[:468, 0]))
    pose = HeadPose(scale, np.eye(3, dtype=np.float32), np.array([x, 300, 0], np.float32))
    seen = np.array(present)
    marks = np.full((len(seen), 478, 3), np.nan, np.float32)
    marks[seen] = pose.to_plate(canonical_head())
    return FaceTrack(
        track_id,
        FrameRange(1001, 1000 + len(seen)),
        marks,
        seen.astype(np.float32),
        seen,
        np.full((len(seen), 2, 3), np.nan, np.float32),
    )


TRACKS = [
    track_at(1, 200, 80, [True, True, True, True]),
    track_at(2, 900, 120, [True, True, True, False]),
    track_at(3, 500, 200, [True, False, False, False]),
]


@pytest.mark.parametrize(
    ("speaker", "frame", "wanted"),
    [
        ("largest", None, 2),
        ("largest", 1001, 3),
        ("largest", 1004, 1),
        ("left", None, 1),
        ("right", None, 2),
        ("right", 1004, 1),
        ("520,310", None, 3),
        ("520,310", 1002, 1),
        ("5000,300", None, 2),
        ("track:3", None, 3),
    ],
)
def test_a_speaker_is_chosen(speaker: str, frame: int | None, wanted: int) -> None:
    assert select_speaker(TRACKS, speaker, frame).track_id == wanted


def test_an_unknown_track_lists_those_that_exist() -> None:
    with pytest.raises(NoFaceError, match=r"track:1 .*track:2 .*track:3 \(frames 1001-1001"):
        select_speaker(TRACKS, "track:7")


@pytest.mark.parametrize("speaker", ["", "biggest", "1,2,3", "track:", "x,y"])
def test_what_names_no_speaker_is_refused(speaker: str) -> None:
    with pytest.raises(ConfigError, match="names no speaker"):
        select_speaker(TRACKS, speaker)


def test_no_face_in_the_asked_frame_says_so() -> None:
    with pytest.raises(NoFaceError, match="frame 1099"):
        select_speaker(TRACKS, "largest", 1099)
    with pytest.raises(NoFaceError, match="no tracks"):
        select_speaker([], "left")
