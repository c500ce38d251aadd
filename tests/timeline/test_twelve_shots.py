"""Twelve shots of real faces, conformed and played: every record frame shows what it should.

Each picture carries the number of its take and frame. The result is read in two ways: the
frames that the new timeline names, and the whole timeline played by MLT, an editor's engine.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import opentimelineio as otio
import pytest
import soundfile

from lipcore.demo.run import say
from lipcore.media.locate import frame_path
from lipcore.media.plate import open_plate

pytestmark = pytest.mark.slow

_SIZE = 256
_NTSC = 24000 / 1001
Codes = list[tuple[int, int] | None]
EXPECTED: dict[str, tuple[bool, Codes]] = {
    # name: (re-spoken, take and frame of each record frame)
    "01 plain": (True, [(1, n) for n in (3, 4, 5, 6, 7, 8)]),
    "02 double": (True, [(1, n) for n in (5, 7, 9, 11, 13)]),
    "03 reverse": (True, [(1, n) for n in (14, 13, 12, 11, 10)]),
    "04 freeze": (True, [(1, 20)] * 4),
    "05 ntsc": (True, [(2, n) for n in (4, 5, 6, 7, 8, 9)]),
    "06 out": (True, [(1, n) for n in (22, 23, 24, 25, 26, 27)]),
    "07 in": (True, [(2, n) for n in (14, 15, 16, 17, 18, 19)]),
    "08 nest": (True, [(1, n) for n in (2, 4, 6, 8, 10)]),
    "09 exr": (True, [(3, n) for n in (4, 5, 6, 7, 8, 9)]),
    "10 excluded": (False, [(3, n) for n in (12, 13, 14, 15)]),
    "11 silent": (False, [(2, n) for n in range(24, 38)]),
    "12 twos": (True, [(4, n) for n in (4, 4, 6, 6, 8, 8)]),
}
_GAP_AFTER = ("01 plain", 3)
_DISSOLVE = range(33, 37)
"""Record frames that show two shots at once: both sides of the cut from 06 to 07."""


@dataclass(frozen=True)
class Made:
    """The timeline before and after, and what the command said."""

    timeline: Path
    out: Path
    events: list[dict[str, Any]]
    dub: npt.NDArray[np.float32]
    new: Any
    """The new timeline."""


def record() -> list[tuple[str, tuple[int, int] | None, bool]]:
    """For each record frame: the shot (or nothing), its picture, and whether it is new."""
    rows: list[tuple[str, tuple[int, int] | None, bool]] = []
    for name, (spoken, codes) in EXPECTED.items():
        rows += [(name, code, spoken) for code in codes]
        if name == _GAP_AFTER[0]:
            rows += [("", None, False)] * _GAP_AFTER[1]
    return rows


def _time(frame: float, rate: float = 24) -> Any:
    return otio.opentime.RationalTime(frame, rate)


def _span(first: float, count: int, rate: float = 24) -> Any:
    return otio.opentime.TimeRange(_time(first, rate), _time(count))


def _make_takes(folder: Path, shared_data: Path, numbered: SimpleNamespace) -> dict[int, Any]:
    """Four takes of one clip, and how a timeline names each."""
    with open_plate(shared_data / "clips" / "lieu.mp4") as plate:
        faces = [plate.read(plate.info.frames.first + n).rgb for n in range(42)]

    def burnt_in(take: int) -> list[npt.NDArray[np.uint8]]:
        return [numbered.burn(face, take, n) for n, face in enumerate(faces)]

    awkward = folder / "prise n° 3 #é"
    numbered.write_pngs(burnt_in(1), f"{awkward}/a#b.{{n:04d}}.png")
    video = folder / "tournage été #2.mkv"
    numbered.write_video(burnt_in(2), video, Fraction(24000, 1001))
    numbered.write_exrs(burnt_in(3)[:24], f"{folder}/exr/take 3.{{n:04d}}.exr", 1001, hour=10)
    for n, picture in enumerate(burnt_in(4)[:20]):  # every second frame was drawn, from 5
        if n % 2 == 0:
            numbered.write_pngs([picture], f"{folder}/twos/t{{n}}.png", 5 + n)
    sequence = otio.schema.ImageSequenceReference
    return {
        1: sequence(awkward.as_uri(), "a#b.", ".png", 0, 1, 24, 4,
                    available_range=_span(0, 42)),
        2: otio.schema.ExternalReference(
            video.as_uri(), otio.opentime.TimeRange(_time(0, _NTSC), _time(42, _NTSC))),
        3: sequence(f"{folder}/exr", "take 3.", ".exr", 1001, 1, 24, 4,
                    available_range=_span(36000 * 24, 24)),
        4: sequence("twos", "t", ".png", 5, 2, 24, 0, available_range=_span(0, 20)),
    }  # fmt: skip


def _clip(name: str, media: Any, first: float, rate: float = 24) -> Any:
    return otio.schema.Clip(name, media.clone(), _span(first, len(EXPECTED[name][1]), rate))


def _make_timeline(takes: dict[int, Any]) -> Any:
    clips = {
        "01 plain": _clip("01 plain", takes[1], 3),
        "02 double": _clip("02 double", takes[1], 5),
        "03 reverse": _clip("03 reverse", takes[1], 10),
        "04 freeze": _clip("04 freeze", takes[1], 20),
        "05 ntsc": _clip("05 ntsc", takes[2], 4, _NTSC),
        "06 out": _clip("06 out", takes[1], 22),
        "07 in": _clip("07 in", takes[2], 14, _NTSC),
        "09 exr": _clip("09 exr", takes[3], 36000 * 24 + 4),
        "10 excluded": _clip("10 excluded", takes[3], 36000 * 24 + 12),
        "11 silent": _clip("11 silent", takes[2], 24, _NTSC),
        "12 twos": _clip("12 twos", takes[4], 4),
    }
    clips["02 double"].effects.append(otio.schema.LinearTimeWarp(time_scalar=2.0))
    clips["03 reverse"].effects.append(otio.schema.LinearTimeWarp(time_scalar=-1.0))
    clips["04 freeze"].effects.append(otio.schema.FreezeFrame())
    clips["10 excluded"].markers.append(otio.schema.Marker("lipsync exclude"))
    inner = otio.schema.Clip("08 nest", takes[1].clone(), _span(0, 16))
    hidden = otio.schema.Clip("08 hidden", takes[2].clone(), _span(0, 16))
    hidden.enabled = False
    nest = otio.schema.Stack("nest", source_range=_span(2, 5))
    nest.extend([otio.schema.Track("in V1", [inner]), otio.schema.Track("in V2", [hidden])])
    nest.effects.append(otio.schema.LinearTimeWarp(time_scalar=2.0))
    track = otio.schema.Track("V1")
    for name in EXPECTED:
        if name == "07 in":
            track.append(otio.schema.Transition(
                "mix", otio.schema.TransitionTypes.SMPTE_Dissolve, _time(2), _time(2)))
        track.append(nest if name == "08 nest" else clips[name])
        if name == _GAP_AFTER[0]:
            track.append(otio.schema.Gap(source_range=_span(0, _GAP_AFTER[1])))
    made = otio.schema.Timeline("bobine 1", global_start_time=_time(86400))
    made.tracks.append(track)
    return made


def _make_dub(path: Path) -> npt.NDArray[np.float32]:
    """Words over shots 1 to 9, then silence, and words again over the last."""
    words = say("Mama, papa, my boat is over there, about a mile.")[int(0.25 * 48_000) :]
    rows = record()
    quiet = [i for i, row in enumerate(rows) if row[0] in ("10 excluded", "11 silent")]
    dub = np.zeros(len(rows) * 2000, np.float32)
    dub[: quiet[0] * 2000] = words[: quiet[0] * 2000]
    last = (quiet[-1] + 1) * 2000
    dub[last:] = words[2000 * 2 : 2000 * 2 + len(dub) - last]
    soundfile.write(path, dub, 48_000)
    return dub


@pytest.fixture(scope="module")
def made(
    shared_data: Path, numbered: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    folder = tmp_path_factory.mktemp("twelve")
    timeline = folder / "bobine 1.otio"
    takes = _make_takes(folder, shared_data, numbered)
    otio.adapters.write_to_file(_make_timeline(takes), str(timeline))
    dub = _make_dub(folder / "dub.wav")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ended = subprocess.run(
        [sys.executable, "-m", "lipcore", "conform", str(timeline), "--dialogue",
         str(folder / "dub.wav"), "--out", str(folder / "out"), "--handles", "2", "--cache",
         str(folder / "cache"), "--json", "--format", "edl", "--format", "xml"],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert all(path.read_bytes() == was for path, was in before.items())
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    new = otio.adapters.read_from_file(events[-1]["outputs"][0])
    return Made(timeline, folder / "out", events, dub, new)


def test_the_table_says_what_is_done_with_each_shot(made: Made) -> None:
    rows = [event for event in made.events if event["event"] == "shot"]
    actions = {row["name"][5:].replace("_", " "): row["action"] for row in rows}
    assert actions == {
        name: "render" if spoken else
        "pass: excluded by a mark" if "excluded" in name else "pass: no dialogue"
        for name, (spoken, _) in EXPECTED.items()
    }  # fmt: skip
    assert [row["speed"] for row in rows[:4]] == ["1", "2", "-1", "0"]
    assert rows[7]["speed"] == "2"
    # Ten shots are drawn; those of one take whose frames overlap were tracked together.
    assert len(list((made.timeline.parent / "cache").glob("tracks-*"))) == 5


def test_the_new_track_names_the_right_frames_and_imports_into_resolve(
    made: Made, numbered: SimpleNamespace
) -> None:
    old = otio.adapters.read_from_file(str(made.timeline))
    new = made.new
    assert new.name != old.name
    assert new.global_start_time == old.global_start_time
    # The given tracks are as they were, and the new one lies above them.
    assert [t.to_json_string() for t in new.tracks[:-1]] == [
        t.to_json_string() for t in old.tracks
    ]
    rows = record()
    seen: dict[int, tuple[int, int]] = {}
    for clip in new.tracks[-1].find_clips():
        media = clip.media_reference
        # Resolve's rules: bare paths, an available range, source ranges in media timecode.
        assert Path(media.target_url_base).is_dir()
        available, shown = media.available_range, clip.source_range
        assert available.contains(shown)
        assert shown.start_time.rate == available.start_time.rate == media.rate == 24
        first = Path(media.target_url_for_image_number(0))
        with open_plate(first) as plate:
            assert plate.info.frames.first == media.start_frame
            assert len(plate.info.frames) == available.duration.value
            code = plate.info.timecode
            zero = media.start_frame if code is None else otio.opentime.from_timecode(code, 24)
            assert available.start_time.value == getattr(zero, "value", zero)
            assert (code is not None) == ("exr" in clip.name)
        at = int(new.tracks[-1].range_of_child(clip).start_time.value)
        offset = int(shown.start_time.value - available.start_time.value)
        with open_plate(first) as plate:
            for n in range(int(shown.duration.value)):
                picture = plate.read(media.start_frame + offset + n).rgb
                seen[at + n] = numbered.burnt(picture)
    assert seen == {i: code for i, (_, code, spoken) in enumerate(rows) if spoken}


def test_the_mouths_follow_the_dub_in_record_time(made: Made) -> None:
    """What is asked of the mouth at a record frame is what the whole dub asks there."""
    rows = record()
    asked: dict[int, float] = {}
    for name in sorted(path.name for path in (made.out / "shots").iterdir()):
        folder = made.out / "shots" / name
        facts = json.loads(next(folder.glob("*.lipsync.json")).read_text())
        row = next(e for e in made.events if e["event"] == "shot" and e["name"] == name)
        sound, rate = soundfile.read(folder / "dialogue.wav")
        numbers = [f["frame"] for f in facts["per_frame"]]
        # The slice of the dub begins with the first rendered frame, handles included.
        media = next(c for c in made.new.tracks[-1].find_clips()
                     if c.metadata["lipcore"]["shot"] == name)  # fmt: skip
        lead = int(media.source_range.start_time.value
                   - media.media_reference.available_range.start_time.value)  # fmt: skip
        first = row["record"][0] - lead
        whole = made.dub[: len(made.dub) // 3 * 3].reshape(-1, 3).mean(axis=1)
        start = round(first * rate / 24)
        cut = whole[max(0, start) : max(0, start) + len(sound)]
        own = sound[max(0, -start) :]
        both = min(len(own), len(cut))
        assert np.corrcoef(own[:both], cut[:both])[0, 1] > 0.95
        for frame, number in zip(facts["per_frame"], numbers, strict=True):
            points = frame["new_landmarks"]
            record_frame = first + number - numbers[0]
            if points and 0 <= number - numbers[0] - lead < row["record"][1] - row["record"][0] + 1:
                eyes = np.subtract(points[33], points[263])[:2]
                gap = np.subtract(points[14], points[13])[:2]
                asked[record_frame] = float(np.hypot(*gap) / np.hypot(*eyes))
    spoken = {i for i, row in enumerate(rows) if row[2]}
    assert set(asked) == spoken
    # Mouths are open where the dub is loud, more than where it is not.
    loud = np.sqrt(np.mean(made.dub.reshape(-1, 2000) ** 2, axis=1))
    at = sorted(asked)
    opening = np.array([asked[i] for i in at])

    def agreement(shift: int) -> float:
        moved = [loud[min(max(i + shift, 0), len(loud) - 1)] for i in at]
        return float(np.corrcoef(opening, moved)[0, 1])

    best = max(range(-8, 9), key=agreement)
    assert -1 <= best <= 1 and agreement(0) > 0.4


@pytest.mark.skipif(shutil.which("melt") is None, reason="melt (MLT) is not installed")
def test_the_new_timeline_plays_in_an_engine(
    made: Made, numbered: SimpleNamespace, to_mlt: Callable[..., str], tmp_path: Path
) -> None:
    base, given = made.timeline.parent, otio.adapters.read_from_file(str(made.timeline))
    old = _play(to_mlt(given, base, _SIZE), tmp_path)
    new = _play(to_mlt(made.new, base, _SIZE), tmp_path)
    rows = record()
    assert len(old) == len(new) == len(rows)
    changed: dict[str, int] = {}
    for n, (name, code, spoken) in enumerate(rows):
        if n not in _DISSOLVE:
            assert numbered.burnt(old[n]) == numbered.burnt(new[n]) == code, n
        if not spoken:
            assert np.array_equal(old[n], new[n]), n
        else:
            changed[name] = changed.get(name, 0) + (not np.array_equal(old[n], new[n]))
            # The forehead stays, whatever the engine makes of it; it mixes after rounding.
            away = np.abs(old[n][:80].astype(int) - new[n][:80]).max()
            assert away <= (6 if n in _DISSOLVE else 0), n
    assert set(changed) == {name for name, (spoken, _) in EXPECTED.items() if spoken}
    assert all(changed.values())
    # In the dissolve the engine mixes the rendered handles, each frame less of the first.
    before, after = (_rendered(made, name) for name in ("06_out", "07_in"))
    shares = []
    for n in _DISSOLVE:
        a, b = before[n].astype(float), after[n].astype(float)
        share = float(((new[n] - b) * (a - b)).sum() / ((a - b) ** 2).sum())
        assert np.abs(share * a + (1 - share) * b - new[n]).max() < 12
        shares.append(share)
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.5 > shares[-1]


def _rendered(made: Made, name: str) -> dict[int, npt.NDArray[np.uint8]]:
    """A shot's pictures by record frame, handles included."""
    (clip,) = (c for c in made.new.tracks[-1].find_clips()
               if c.metadata["lipcore"]["shot"].endswith(name))  # fmt: skip
    media = clip.media_reference
    at = int(made.new.tracks[-1].range_of_child(clip).start_time.value) - int(
        clip.source_range.start_time.value - media.available_range.start_time.value)
    pattern = Path(media.target_url_base) / f"{media.name_prefix}####{media.name_suffix}"
    with open_plate(frame_path(pattern, media.start_frame)) as plate:
        return {
            at + n - media.start_frame: np.round(plate.read(n).rgb * 255).astype(np.uint8)
            for n in plate.info.frames
        }


def _play(text: str, folder: Path) -> list[npt.NDArray[np.uint8]]:
    """The pictures that MLT shows of a script."""
    script, movie = folder / "play.mlt", folder / "played.mkv"
    script.write_text(text, "utf-8")
    subprocess.run(
        ["melt", "-silent", str(script), "-consumer", f"avformat:{movie}", "vcodec=ffv1",
         "pix_fmt=bgr0", "an=1", "real_time=-1"],
        check=True, capture_output=True, timeout=200,
    )  # fmt: skip
    with av.open(str(movie)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
