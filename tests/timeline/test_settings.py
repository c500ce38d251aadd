"""Settings of single shots: in the timeline, and in a file that goes before it."""

from __future__ import annotations

from pathlib import Path

import opentimelineio as otio
import pytest

from lipcore.errors import ConfigError
from lipcore.timeline.settings import ShotSettings, read_settings, settings_of


def test_the_clip_goes_before_what_it_is_nested_in() -> None:
    clip, stack = otio.schema.Clip("a"), otio.schema.Stack("nest")
    stack.metadata["lipcore"] = {"strength": 0.5, "speaker": "left", "version": "1"}
    clip.markers.append(otio.schema.Marker("LipSync strength=1 offset=-2"))
    clip.markers.append(otio.schema.Marker("check the grade"))
    assert settings_of([clip, stack]) == ShotSettings("left", 1.0, -2.0)


def test_a_marker_may_exclude_and_a_file_bring_back(tmp_path: Path) -> None:
    clip = otio.schema.Clip("a")
    clip.markers.append(otio.schema.Marker("lipsync exclude"))
    path = tmp_path / "réglages du plan.yaml"
    path.write_text("12: {exclude: false, speaker: 120,300}\n".replace("120,300", "'120,300'"))
    told = read_settings(path)["12"].over(settings_of([clip]))
    assert told == ShotSettings(speaker="120,300", exclude=False)


def test_the_refiner_may_be_left_out_of_one_shot() -> None:
    clip = otio.schema.Clip("a")
    clip.markers.append(otio.schema.Marker("lipsync refine=0 strength=1"))
    assert settings_of([clip]) == ShotSettings(strength=1.0, refine=0.0)


def test_json_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "shots.json"
    path.write_text('{"0003_interview": {"strength": 0.25}}')
    assert read_settings(path) == {"0003_interview": ShotSettings(strength=0.25)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3: {strenth: 1}", "no setting 'strenth'"), ("3: {strength: 2}", "from 0 to 1"),
        ("3: loud", "no mapping"), ("- a", "holds no shots"), ("a: [", "is not valid YAML"),
        ("3: {exclude: 3}", "exclude"), ("3: {offset: true}", "offset has no value"),
        ("3: {offset: .nan}", "number of frames"), ("3: {refine: 1.5}", "refine must be from"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "shots.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_settings(path)
    assert "shots.yaml" in caught.value.message


@pytest.mark.parametrize("name", ["strength", "speaker", "offset", "refine"])
def test_a_marker_that_leaves_out_the_value_is_an_error(name: str) -> None:
    clip = otio.schema.Clip("a")
    clip.markers.append(otio.schema.Marker(f"lipsync {name}"))
    with pytest.raises(ConfigError, match=f"{name} has no value"):
        settings_of([clip])


def test_a_marker_whose_value_is_not_readable_is_an_error() -> None:
    clip = otio.schema.Clip("a")
    clip.markers.append(otio.schema.Marker("lipsync speaker=[left"))
    with pytest.raises(ConfigError, match=r"the marker 'lipsync speaker=\[left'"):
        settings_of([clip])


def test_a_misspelt_marker_is_an_error() -> None:
    clip = otio.schema.Clip("a")
    clip.markers.append(otio.schema.Marker("lipsync exlude"))
    with pytest.raises(ConfigError, match="lipsync exlude"):
        settings_of([clip])
