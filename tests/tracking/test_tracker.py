"""Whole shots: what is found, what is bridged, what is an error."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipcore.errors import ConfigError, FaceTooSmallError, NoFaceError
from lipcore.tracking.align import to_square, track_pose
from lipcore.tracking.head import apply_similarity
from lipcore.tracking.tracker import TrackingConfig


def width_of(track, row: int = 0) -> float:
    return float(np.ptp(track.landmarks[row, :468, 0]))


@pytest.mark.parametrize("name", ["klobuchar.mp4", "grid_pwij3p.mpg", "ocasio_b.mp4"])
def test_a_talking_head_is_followed_in_every_frame(name: str, clip, plate_of) -> None:
    (track,) = plate_of(clip(name, 25)).track()
    assert track.present.all() and track.cuts == ()
    assert np.isfinite(track.landmarks).all() and track.confidence.min() > 0.9
    crops = apply_similarity(track.transforms, track.landmarks[..., :2])
    assert np.abs(crops[:, 168].mean(0) - [0.5, 0.3]).max() < 0.1  # the nose bridge


def test_a_turning_head_in_a_portrait_video_is_followed(clip, plate_of) -> None:
    (track,) = plate_of(clip("portrait1080.mp4", 25)).track()
    assert track.present.all() and 150 < width_of(track) < 240


def test_a_small_face_in_4k_is_found(clip, plate_of) -> None:
    head = clip("markey.mp4", 3)
    scale = 30 / 282  # the face is 282 px wide in the clip
    plate = []
    for picture in head:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        canvas = np.full((2160, 3840, 3), (90, 100, 110), np.uint8)
        canvas[1301 : 1301 + small.shape[0], 2511 : 2511 + small.shape[1]] = small
        plate.append(canvas)
    (track,) = plate_of(plate).track()
    assert track.present.all() and 27 < width_of(track) < 33
    big = plate_of(head).track()[0].landmarks[..., :2]
    off = track.landmarks[..., :2] - (big * scale + [2511, 1301])
    assert np.abs(off).mean() < 0.7


def test_a_close_up_that_overflows_the_frame_is_found(clip, plate_of) -> None:
    pictures = [cv2.resize(p[110:420, 100:420], (1280, 1240)) for p in clip("markey.mp4", 4)]
    (track,) = plate_of(pictures).track()
    assert track.present.all() and width_of(track) > 1000


def test_a_face_that_is_too_small_is_an_error_with_its_size(clip, plate_of) -> None:
    small = cv2.resize(clip("markey.mp4", 1)[0], None, fx=0.073, fy=0.073, interpolation=3)
    canvas = np.full((540, 960, 3), (90, 100, 110), np.uint8)
    canvas[200 : 200 + small.shape[0], 400 : 400 + small.shape[1]] = small
    with pytest.raises(FaceTooSmallError) as caught:
        plate_of([canvas] * 3).track()
    assert 18 <= float(caught.value.facts["width_px"]) < 24
    assert "pixels wide" in caught.value.message and caught.value.hint


def test_noise_holds_no_face(plate_of) -> None:
    random = np.random.default_rng(0)
    noise = [random.integers(0, 255, (360, 640, 3)).astype(np.uint8) for _ in range(4)]
    with pytest.raises(NoFaceError, match="1001-1004"):
        plate_of(noise).track()


def test_a_landscape_holds_no_face(clip, plate_of) -> None:
    trees = [p[:480] for p in clip("portrait1080.mp4", 25)[:4]]
    with pytest.raises(NoFaceError):
        plate_of(trees).track()


def test_a_short_gap_is_bridged_and_a_long_one_is_not(clip, plate_of) -> None:
    pictures = [p.copy() for p in clip("hill.mp4", 45)]
    for i in (8, 9, 10, *range(20, 32)):
        pictures[i][60:460, 60:460] = 80  # a hand before the face
    (track,) = plate_of(pictures).track(TrackingConfig(cut_threshold=0.9))
    assert track.present[8:11].all() and (track.confidence[8:11] <= 0.5).all()
    assert (track.confidence[8:11] > 0).all()
    assert not track.present[20:32].any() and np.isnan(track.landmarks[20:32]).all()
    assert np.isnan(track.transforms[20:32]).all() and (track.confidence[20:32] == 0).all()
    assert track.present[:20].all() and track.present[32:].all()


def test_a_face_that_enters_late_is_found_where_it_is(clip, plate_of) -> None:
    pictures = list(clip("markey.mp4", 30))
    empty = np.full_like(pictures[0], 90)
    (track,) = plate_of([empty] * 10 + pictures[:15]).track()
    assert not track.present[:10].any() and track.present[13:].all()


def test_a_cut_begins_a_new_person_and_the_first_one_comes_back(clip, plate_of) -> None:
    a, b = clip("markey.mp4", 30), clip("hill.mp4", 45)
    tracks = plate_of(a[:12] + b[:12] + a[12:24]).track()
    assert all(t.cuts == (1013, 1025) for t in tracks)
    first, second = sorted(tracks, key=lambda t: t.track_id)
    assert np.flatnonzero(first.present).tolist() == [*range(12), *range(24, 36)]
    assert np.flatnonzero(second.present).tolist() == [*range(12, 24)]


def test_overscan_shifts_landmarks_by_the_window(clip, plate_of) -> None:
    pictures = clip("klobuchar.mp4", 25)[:4]
    (here,) = plate_of(pictures).track()
    (there,) = plate_of(pictures, origin=(-37, 21)).track()
    moved = there.landmarks - here.landmarks
    np.testing.assert_allclose(moved[..., 0], -37, atol=0.1)
    np.testing.assert_allclose(moved[..., 1], 21, atol=0.1)


def test_an_anamorphic_plate_gives_the_same_head(clip, plate_of) -> None:
    pictures = clip("markey.mp4", 30)[:4]
    squeezed = [cv2.resize(p, (256, 512), interpolation=cv2.INTER_AREA) for p in pictures]
    (plain,) = plate_of(pictures).track()
    (track,) = plate_of(squeezed, pixel_aspect=2.0).track()
    off = to_square(track.landmarks, 2.0)[..., :2] - plain.landmarks[..., :2]
    assert np.abs(off).mean() < 1.5
    a, b = track_pose(plain, 1001), track_pose(track, 1001)
    assert abs(a.scale / b.scale - 1) < 0.02
    crop_a = apply_similarity(plain.transforms, plain.landmarks[..., :2])
    crop_b = apply_similarity(track.transforms, track.landmarks[..., :2])
    assert np.abs(crop_a - crop_b).mean() < 0.01


def test_noise_on_a_frozen_frame_hardly_moves_the_landmarks(clip, plate_of) -> None:
    random = np.random.default_rng(0)
    picture = clip("markey.mp4", 30)[0].astype(float)
    noisy = [
        np.clip(picture + random.normal(0, 5, picture.shape), 0, 255).astype(np.uint8)
        for _ in range(20)
    ]
    (track,) = plate_of(noisy).track()
    eyes = np.linalg.norm(track.landmarks[0, 33, :2] - track.landmarks[0, 263, :2])
    jitter = track.landmarks[..., :2].std(axis=0).mean() / eyes
    assert jitter < 0.002


def test_dead_pixels_do_not_stop_tracking(clip, plate_of) -> None:
    pictures = clip("klobuchar.mp4", 25)[:3]
    plate = plate_of(pictures)
    whole = plate.read

    def with_dead_pixels(number: int):
        frame = whole(number)
        frame.rgb[100, 120] = np.nan
        frame.rgb[40, 200] = np.inf
        return frame

    plate.read = with_dead_pixels
    (track,) = plate.track()
    assert track.present.all() and np.isfinite(track.landmarks).all()


def test_the_same_plate_gives_the_same_tracks(clip, plate_of) -> None:
    pictures = clip("grid_pwij3p.mpg", 25)[:8]
    (a,), (b,) = plate_of(pictures).track(), plate_of(pictures).track()
    np.testing.assert_array_equal(a.landmarks, b.landmarks)


def test_progress_and_cancel(clip, plate_of) -> None:
    from lipcore.tracking.tracker import track_plate

    class StopError(Exception):
        pass

    plate, told = plate_of(clip("klobuchar.mp4", 25)[:5]), []

    def cancel() -> None:
        if len(told) == 2:
            raise StopError

    class Color:
        tracking_picture = staticmethod(lambda rgb: (np.clip(rgb, 0, 1) * 255).astype(np.uint8))

    with pytest.raises(StopError):
        track_plate(
            plate,
            plate.info.frames,
            color=Color(),
            cancel=cancel,
            progress=lambda done, total: told.append((done, total)),
        )
    assert told == [(1, 5), (2, 5)]


@pytest.mark.parametrize(
    "bad", [{"detect_every": 0}, {"min_score": 1.5}, {"bridge_frames": -1}, {"cut_threshold": 0.0}]
)
def test_settings_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        TrackingConfig(**bad)
