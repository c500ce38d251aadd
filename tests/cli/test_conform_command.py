"""``lipcore conform`` as a process: tables of real timelines, and clear reasons."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

Ended = subprocess.CompletedProcess[str]
Command = Callable[..., Ended]


def _rows(ended: Ended) -> list[dict[str, Any]]:
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert events[-1]["event"] == "plan"
    return events[:-1]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("multiple_track.otio", [], [(0, 2, 3, 5), (3, 6, 2, 5), (7, 15, 100, 108),
                                     (16, 18, 103, 105)]),
        ("simple_cut.otio", [], [(0, 2, 3, 5), (3, 8, 2, 7), (9, 12, 0, 3), (13, 18, 100, 105)]),
        ("transition.otio", [], [(0, 2, 3, 5), (3, 8, 2, 7), (9, 12, 3, 6), (13, 18, 100, 105)]),
        ("25fps.edl", ["--rate", "25"], [(0, 160, 90000, 90160), (161, 360, 90000, 90199),
                                         (361, 446, 90000, 90085), (447, 495, 90000, 90048)]),
        ("dissolve_test.edl", [], [(0, 8, 86501, 86509), (9, 18, 86600, 86609),
                                   (19, 19, 86610, 86610)]),
        ("premiere_example.xml", [], [(13, 14, 0, 1), (15, 955, 108000, 108940),
                                      (956, 1163, 133, 340), (1164, 1245, 18, 99)]),
        ("multi_audio.edl", [], []),
        ("clip_example.otio", [], [(8, 10, 3, 5)]),
        ("img_seq_media_reference.otio", [], [(0, 158, 900000, 900158)]),
    ],
)  # fmt: skip
def test_the_table_of_a_sample(
    name: str, arguments: list[str], expected: list[tuple[int, ...]], shared_data: Path,
    lipcore_command: Command,
) -> None:
    timeline = shared_data / "otio" / name
    rows = _rows(lipcore_command("conform", timeline, "--dry-run", "--json", *arguments))
    assert [(*row["record"], *row["source"]) for row in rows] == expected
    assert all(row["action"].startswith("pass: ") for row in rows)  # their media do not exist


def test_speeds_of_an_aaf(shared_data: Path, lipcore_command: Command) -> None:
    timeline = shared_data / "otio" / "linear_speed_effects.aaf"
    rows = _rows(lipcore_command("conform", timeline, "--dry-run", "--json"))
    assert [row["speed"] for row in rows[:8]] == [
        "1", "1/2", "1/3", "1/4", "2", "1", "2/3", "1/2"
    ]
    assert rows[0]["record_in"] == "01:00:00:00"


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("screening_example.otio", [], "newer than OpenTimelineIO"),
        ("25fps.edl", ["--rate", "24"], "does not count at 24"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    name: str, arguments: list[str], told: str, shared_data: Path, lipcore_command: Command
) -> None:
    ended = lipcore_command("conform", shared_data / "otio" / name, "--dry-run", *arguments)
    assert ended.returncode == 2
    assert told in ended.stderr.splitlines()[0]
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_table_for_each_language(shared_data: Path, lipcore_command: Command) -> None:
    timeline, dub = shared_data / "otio" / "simple_cut.otio", shared_data / "speech" / "jfk_en.wav"
    ended = lipcore_command("conform", timeline, "--dry-run", "--json",
                            "--dialogue", f"en={dub}", "--dialogue", f"zh-Hant={dub}")  # fmt: skip
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    plans = [event["language"] for event in events if event["event"] == "plan"]
    assert plans == ["en", "zh-Hant"]
    untagged = lipcore_command("conform", timeline, "--dry-run", "--dialogue", dub,
                               "--dialogue", f"en={dub}")  # fmt: skip
    assert untagged.returncode == 2 and "language tag" in untagged.stderr


def test_a_wrong_dub_is_told_before_anything_is_written(
    shared_data: Path, tmp_path: Path, lipcore_command: Command
) -> None:
    timeline, dub = shared_data / "otio" / "simple_cut.otio", shared_data / "speech" / "jfk_en.wav"
    ended = lipcore_command("conform", timeline, "--dialogue", f"en={dub}", "--dialogue",
                            "de=gone é.wav", "--out", tmp_path / "out")  # fmt: skip
    assert ended.returncode == 4 and "gone é.wav" in ended.stderr.splitlines()[0]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, lipcore_command: Command
) -> None:
    span = otio.opentime.TimeRange(otio.opentime.RationalTime(1001, 24),
                                   otio.opentime.RationalTime(12, 24))  # fmt: skip
    media = otio.schema.ExternalReference(str(portrait_plate))
    track = otio.schema.Track("V1", [otio.schema.Clip("a", media, span)])
    made = otio.schema.Timeline("cut", tracks=[track])
    otio.adapters.write_to_file(made, str(tmp_path / "cut.otio"))
    (tmp_path / "out").write_text("a file is in the way")
    ended = lipcore_command("conform", tmp_path / "cut.otio", "--dialogue", spoken_line,
                            "--out", tmp_path / "out")  # fmt: skip
    assert ended.returncode == 6 and "Traceback" not in ended.stderr, ended.stderr
    assert "hint: Choose another --out" in ended.stderr


def test_a_track_that_is_not_there_is_told_with_those_that_are(
    shared_data: Path, lipcore_command: Command
) -> None:
    timeline = shared_data / "otio" / "premiere_example.xml"
    ended = lipcore_command("conform", timeline, "--dialogue", "track:DX", "--dry-run")
    assert ended.returncode == 4 and "no sound track 'DX'" in ended.stderr
    assert "hint: It has: 1 " in ended.stderr


@pytest.mark.parametrize(
    ("options", "marker", "code", "told"),
    [
        (["--synthesis", "latent", "--refine"], "lipsync", 8, "hold no refiner"),
        (["--synthesis", "latent"], "lipsync refine=0.5", 8, "hold no refiner"),
        (["--refine", "0.5"], "lipsync", 2, "nothing to refine"),
    ],
)
def test_a_refiner_that_is_not_there_is_told_before_anything_is_written(
    options: list[str], marker: str, code: int, told: str, portrait_plate: Path,
    spoken_line: Path, tmp_path: Path, lipcore_command: Command,
) -> None:
    span = otio.opentime.TimeRange(otio.opentime.RationalTime(1001, 24),
                                   otio.opentime.RationalTime(12, 24))  # fmt: skip
    clip = otio.schema.Clip("a", otio.schema.ExternalReference(str(portrait_plate)), span)
    clip.markers.append(otio.schema.Marker(marker))
    made = otio.schema.Timeline("cut", tracks=[otio.schema.Track("V1", [clip])])
    otio.adapters.write_to_file(made, str(tmp_path / "cut.otio"))
    ended = lipcore_command("conform", tmp_path / "cut.otio", "--dialogue", spoken_line,
                            "--out", tmp_path / "out", *options)  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert told in ended.stderr and "lipcore train refiner_base" in ended.stderr
    assert not (tmp_path / "out").exists()
