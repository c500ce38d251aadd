"""What a study's file may say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lipcore.errors import ConfigError, MediaNotFoundError
from lipcore.rate.study import load_study

Write = Callable[..., Path]


def test_a_study_is_read_with_whole_paths(write_study: Write) -> None:
    study = load_study(write_study())
    assert study.systems == ("plate", "ours", "other") and len(study.stimuli) == 6
    assert all(video.is_absolute() for video in study.videos)
    assert study.answers is not None and study.answers.name == "étude.answers.sqlite"
    pairs = load_study(write_study(method="ccr"))
    assert len(pairs.stimuli) == 6
    assert len(load_study(write_study(method="ccr", compare="reference")).stimuli) == 4


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"practice": [{"videos": ["a.mp4", "b.mp4"]}]}, "practice trial shows 1"),
        ({"methd": "acr"}, "methd"),
        ({"method": "dcr"}, "dcr"),
        ({"scales": ["overall", "overall"]}, "scales"),
        ({"scales": ["beauty"]}, "beauty"),
        ({"reference": "truth"}, "truth"),
        ({"trials": 7}, "trials is 7"),
        ({"clips": []}, "needs clips"),
        ({"traps": [{"videos": ["a.mp4"], "answer": 6}]}, "asks for 6"),
        ({"gold": [{"videos": ["a.mp4"], "expect": {"overall": [0, 2]}}]}, "expects 0 to 2"),
        ({"gold": [{"videos": ["a.mp4", "b.mp4"], "expect": {"overall": [1, 2]}}]}, "shows 1"),
        ({"scales": ["overall"], "gold": [{"videos": ["a.mp4"], "expect": {"lip_sync": [1, 2]}}]},
         "lip_sync"),
        ({"method": "ccr", "reference": "", "compare": "reference"}, "needs a reference"),
    ],
)  # fmt: skip
def test_a_wrong_study_is_told_where(
    write_study: Write, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study(write_study(**settings))
    assert told in caught.value.message and caught.value.hint


def test_a_missing_video_is_named(write_study: Write) -> None:
    with pytest.raises(MediaNotFoundError, match="gone"):
        load_study(write_study(clips=[{"name": "c", "videos": {"plate": "gone.mp4"}}]))


def test_answers_belong_to_a_study_wherever_it_lies(footage: Path, tmp_path: Path) -> None:
    text = "title: t\nmethod: acr\nclips:\n- {name: s010, videos: {plate: s010_plate.mp4}}\n"
    prints = []
    for name in ("here", "there"):
        shutil.copytree(footage, tmp_path / name)
        (tmp_path / name / "s.yaml").write_text(text)
        prints.append(load_study(tmp_path / name / "s.yaml").fingerprint())
    (tmp_path / "there/s.yaml").write_text(text.replace("s010_plate", "s010_ours"))
    assert prints[0] == prints[1] != load_study(tmp_path / "there/s.yaml").fingerprint()
