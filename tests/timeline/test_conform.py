"""A conform with real faces: every record frame carries the picture that it should.

The number of each source frame is burnt into a corner as black and white blocks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
import soundfile
from skimage.io import imsave

from lipcore.demo.run import say
from lipcore.media.plate import open_plate
from lipcore.types import FloatArray

pytestmark = pytest.mark.slow

_BITS, _BLOCK = 8, 6
_COUNT = 40
CUTS = [
    # speed, first source frame, record frames, the source frames that must be seen
    ((), 3, 6, [3, 4, 5, 6, 7, 8]),
    ((2.0,), 5, 5, [5, 7, 9, 11, 13]),
    ((-1.0,), 10, 5, [14, 13, 12, 11, 10]),
    ((0.0,), 20, 4, [20, 20, 20, 20]),
    ((0.5, -2.0), 8, 4, [11, 10, 9, 8]),
]


def burn(picture: FloatArray, number: int) -> FloatArray:
    """The picture with a number in its upper left corner."""
    marked = picture.copy()
    for bit in range(_BITS):
        marked[:_BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = number >> bit & 1
    return marked


def burnt(picture: FloatArray) -> int:
    """The number in a picture's corner."""
    half = _BLOCK // 2
    return sum(
        (picture[half, bit * _BLOCK + half, 0] > 0.5) << bit for bit in range(_BITS)
    )


@pytest.fixture(scope="module")
def take(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A numbered PNG sequence from 0, in a folder whose name needs care."""
    folder = tmp_path_factory.mktemp("media") / "prise n° 3 #é"
    folder.mkdir()
    with open_plate(shared_data / "clips" / "lieu.mp4") as plate:
        for number in range(_COUNT):
            picture = burn(plate.read(plate.info.frames.first + number).rgb, number)
            eight = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
            imsave(folder / f"a#b.{number:04d}.png", eight, check_contrast=False)
    return folder


@pytest.fixture(scope="module")
def timeline(take: Path) -> Path:
    """The cuts with a gap before the third, all of it nested once, at 24 frames a second."""
    track = otio.schema.Track("V1")
    for index, (speeds, first, count, _) in enumerate(CUTS):
        if index == 2:
            track.append(otio.schema.Gap(source_range=_span(0, 3)))
        media = otio.schema.ImageSequenceReference(
            target_url_base=take.as_uri(), name_prefix="a#b.", name_suffix=".png", start_frame=0,
            rate=24, frame_zero_padding=4, available_range=_span(0, _COUNT),
        )  # fmt: skip
        clip = otio.schema.Clip(f"cut {index}", media, _span(first, count))
        for speed in speeds:
            effect = otio.schema.FreezeFrame() if speed == 0 else otio.schema.LinearTimeWarp(
                time_scalar=speed)  # fmt: skip
            clip.effects.append(effect)
        track.append(clip)
    stack = otio.schema.Stack("nest")
    stack.append(track)
    made = otio.schema.Timeline("reel 1")
    made.tracks.append(otio.schema.Track("V1", [stack]))
    path = take.parent / "reel.otio"
    otio.adapters.write_to_file(made, str(path))
    return path


@pytest.fixture(scope="module")
def dub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dub") / "dub.wav"
    sound = say("Mama, papa, my boat is over there.")
    soundfile.write(path, sound[int(0.2 * 48_000) :][: 48_000 * 2], 48_000)
    return path


def _span(first: int, count: int) -> Any:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, 24), otio.opentime.RationalTime(count, 24)
    )


def _conform(
    timeline: Path, dub: Path | str, out: Path, cache: Path, *more: str
) -> list[dict[str, Any]]:
    ended = subprocess.run(
        [sys.executable, "-m", "lipcore", "conform", str(timeline), "--dialogue", str(dub),
         "--out", str(out), "--handles", "2", "--cache", str(cache), "--json", *more],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_every_record_frame_carries_its_picture(
    timeline: Path, take: Path, dub: Path, tmp_path: Path
) -> None:
    before = timeline.read_bytes()
    events = _conform(timeline, dub, tmp_path / "out", tmp_path / "cache")
    assert timeline.read_bytes() == before
    rows = [event for event in events if event["event"] == "shot"]
    assert [row["action"] for row in rows] == ["render"] * len(CUTS)
    made = otio.adapters.read_from_file(events[-1]["outputs"][0])
    assert [track.name for track in made.tracks] == ["V1", "lipsync"]
    lipsync = made.tracks[-1]
    assert [type(child).__name__ for child in lipsync] == [
        "Clip", "Clip", "Gap", "Clip", "Clip", "Clip"
    ]
    for clip, (_, _, count, sources) in zip(lipsync.find_clips(), CUTS, strict=True):
        media = clip.media_reference
        assert "file:" not in media.target_url_base
        first = media.start_frame + int(
            clip.source_range.start_time.value - media.available_range.start_time.value
        )
        assert clip.duration().value == count == len(sources)
        pattern = f"{media.name_prefix}####{media.name_suffix}"
        with open_plate(Path(media.target_url_base) / pattern) as plate:
            shown = [plate.read(first + n).rgb for n in range(count)]
        assert [burnt(picture) for picture in shown] == sources
        with open_plate(take) as plate:
            originals = [plate.read(number).rgb for number in sources]
        # The upper half of the head stays bit for bit; some mouth is new.
        assert all(
            np.array_equal(a[:90], b[:90]) for a, b in zip(shown, originals, strict=True)
        )
        assert not all(np.array_equal(a, b) for a, b in zip(shown, originals, strict=True))

    pictures = sorted((tmp_path / "out" / "shots").rglob("*.png"))
    times = [path.stat().st_mtime_ns for path in pictures]
    pictures[3].unlink()
    again = _conform(timeline, dub, tmp_path / "out", tmp_path / "cache")
    assert again[-1]["event"] == "done"
    changed = [p for p, t in zip(pictures, times, strict=True) if p.stat().st_mtime_ns != t]
    assert changed == [pictures[3]]

    only = _conform(timeline, dub, tmp_path / "out", tmp_path / "cache", "--only", "2")
    assert [event["action"] for event in only if event["event"] == "shot"] == [
        "keep: rendered before", "render", *["keep: rendered before"] * 3
    ]
    kept = otio.adapters.read_from_file(only[-1]["outputs"][0])
    assert [c.name for c in kept.tracks[-1].find_clips()] == [c.name for c in lipsync.find_clips()]


def test_a_dub_in_another_language_has_its_own_folder_and_track(
    timeline: Path, dub: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "shots.yaml"
    settings.write_text("1: {strength: 0}\n2: {exclude: true}\n4: {exclude: true}\n"
                        "5: {exclude: true}\n3: {speaker: right, offset: 1}\n")  # fmt: skip
    events = _conform(timeline, f"pt-BR={dub}", tmp_path / "out", tmp_path / "cache",
                      "--settings", str(settings))  # fmt: skip
    made = Path(events[-1]["outputs"][0])
    assert made == tmp_path / "out" / "pt-BR" / "reel_lipsync_pt-BR.otio"
    track = otio.adapters.read_from_file(str(made)).tracks[-1]
    assert track.name == "lipsync pt-BR"
    assert track.metadata["lipcore"]["language"] == "pt-BR"
    first, third = track.find_clips()
    assert first.metadata["lipcore"]["settings"] == {"strength": 0.0}
    assert third.metadata["lipcore"]["settings"] == {"speaker": "right", "offset": 1.0}
    picture = sorted((made.parent / "shots").glob("0001*/*.png"))[3]
    with open_plate(picture) as new, open_plate(timeline.parent / "prise n° 3 #é") as old:
        number = int(burnt(new.read(1004).rgb))
        # Strength 0 is the plate, bit for bit.
        assert np.array_equal(new.read(1004).rgb, old.read(number).rgb)


def test_an_interrupted_conform_renders_nothing_twice(
    timeline: Path, dub: Path, tmp_path: Path
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    with subprocess.Popen(
        [sys.executable, "-m", "lipcore", "conform", str(timeline), "--dialogue", str(dub),
         "--out", str(out), "--handles", "2", "--cache", str(cache), "--json"],
        stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            event = json.loads(line)
            if event["event"] == "log" and event["message"].startswith("shot 0002"):
                running.kill()
                break
    left = {path: path.stat().st_mtime_ns for path in (out / "shots").rglob("*.png")
            if not path.name.startswith(".")}  # fmt: skip
    assert not list(out.glob("*.otio"))
    again = _conform(timeline, dub, out, cache)
    assert again[-1]["event"] == "done"
    pictures = [p for p in (out / "shots").rglob("*.png") if not p.name.startswith(".")]
    assert len(pictures) > len(left) > 0
    assert {path: path.stat().st_mtime_ns for path in left} == left
    whole = _conform(timeline, dub, tmp_path / "other", cache)
    assert whole[-1]["event"] == "done"
    for path in pictures:
        twin = tmp_path / "other" / path.relative_to(out)
        assert twin.read_bytes() == path.read_bytes()
