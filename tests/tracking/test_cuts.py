"""Scene cuts: found between clips, not made up inside them."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.tracking.cuts import CutDetector


def cuts_of(pictures: list[np.ndarray]) -> tuple[int, ...]:
    detector = CutDetector()
    for number, picture in enumerate(pictures):
        detector.begins_scene(number, picture)
    return detector.cuts


def test_clips_put_together_are_cut_where_they_meet(clip) -> None:
    parts = [clip(n, 20) for n in ("markey.mp4", "hill.mp4", "radio34.mp4", "mcguinness.mp4")]
    assert cuts_of([p for part in parts for p in part]) == (20, 40, 60)


def test_a_cut_between_two_takes_on_one_set_is_found(clip) -> None:
    assert cuts_of(clip("grid_bbaf2n.mpg", 20) + clip("grid_swiz3n.mpg", 20)) == (20,)


@pytest.mark.parametrize("name", ["hill.mp4", "radio34.mp4", "ocasio_a.mp4", "portrait1080.mp4"])
def test_a_talking_clip_has_no_cut(clip, name: str) -> None:
    assert cuts_of(clip(name, 60)) == ()


@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_flash_is_no_cut(clip, length: int) -> None:
    pictures = list(clip("markey.mp4", 40))
    for i in range(15, 15 + length):
        pictures[i] = np.clip(pictures[i].astype(int) * 3 + 90, 0, 255).astype(np.uint8)
    assert cuts_of(pictures) == ()


def test_a_fast_pan_is_no_cut(clip) -> None:
    wide = clip("portrait1080.mp4", 1)[0][:640]
    assert cuts_of([wide[:, 12 * i : 12 * i + 640] for i in range(35)]) == ()


def test_a_fade_of_light_is_no_cut(clip) -> None:
    picture = clip("hill.mp4", 1)[0]
    levels = np.linspace(1.0, 0.2, 40)
    assert cuts_of([(picture * level).astype(np.uint8) for level in levels]) == ()


def test_still_pictures_and_black_frames_have_no_cut() -> None:
    assert cuts_of([np.zeros((90, 160, 3), np.uint8)] * 20) == ()


def test_a_scene_of_few_frames_is_kept(clip) -> None:
    parts = clip("markey.mp4", 20) + clip("hill.mp4", 8) + clip("markey.mp4", 20)
    assert cuts_of(parts) == (20, 28)
