"""Synthetic speakers: their lips are true, and the folder is a function of its settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from lipcore.train.data import Clip, load_clips
from lipcore.train.synth.clip import Cast, SynthConfig, make_segment, split_of
from lipcore.train.synth.head import TEETH, Head, load_head
from lipcore.train.synth.make import synthesize
from lipcore.train.synth.mouth import Habits, Mouth, viseme_track
from lipcore.train.synth.person import draw_person
from lipcore.train.synth.sentences import draw_speech, find_voices

from lipcore.errors import ConfigError, OutputExistsError
from lipcore.shapes.measure import inner_opening
from lipcore.speech.espeak import Phoneme

CONFIG = SynthConfig(speakers=2, seconds=1.6, size=96, val_share=0.5, seed=3)


@pytest.fixture(scope="session")
def head_file(shared_data: Path) -> Path:
    """The morphable head."""
    path = shared_data / "head" / "ict_facekit_light.npz"
    if not path.is_file():
        pytest.skip("the head (../shared/data/head) is not on this machine")
    return path


@pytest.fixture(scope="session")
def head(head_file: Path) -> Head:
    """The head, read."""
    return load_head(head_file)


@pytest.fixture(scope="session")
def folder(head_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two speakers, one of them kept out. Do not write into it."""
    out = tmp_path_factory.mktemp("synth") / "shards"
    synthesize(head_file, out, CONFIG)
    return out


def _clips(folder: Path) -> list[Clip]:
    return [*load_clips([folder], "train"), *load_clips([folder], "val")]


def _shards(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.tar"))}


@pytest.mark.parametrize("seed", range(4))
def test_lips_meet_at_rest_and_in_closures_whoever_speaks(head: Head, seed: int) -> None:
    person = draw_person(head, np.random.default_rng(seed))
    mouth = Mouth(head, person.points, person.habits)
    unit = head.interocular(person.points)
    for upper_lip in (0.0, -0.2):
        viseme = np.array([0, 0, 0, upper_lip, 0], np.float32)
        points, opening, _ = mouth.place(viseme, mouth.weights(viseme), 0.0)
        assert abs(opening) < 1e-4
        assert np.abs(head.gaps(points)).max() < 1e-3 * unit


def test_lips_open_as_asked_and_round_and_spread(head: Head) -> None:
    mouth = Mouth(head, head.neutral, Habits())
    at = {}
    for name, viseme in (("a", [3, 0.3, -0.2, 0, 0]), ("u", [1, -1.8, 1.8, 0, 0]),
                         ("i", [1.2, 1.4, -0.4, 0, 0])):
        shape = np.array(viseme, np.float32)
        at[name] = mouth.place(shape, mouth.weights(shape), 0.0)[1:]
    assert at["a"][0] == pytest.approx(3 * 0.034, abs=0.003)
    assert at["a"][0] > 2 * at["i"][0] > 0
    assert at["u"][1] < at["a"][1] < at["i"][1]


@pytest.mark.parametrize("closure", ["m", "b", "p"])
def test_a_closure_between_open_vowels_is_closed(head: Head, closure: str) -> None:
    person = draw_person(head, np.random.default_rng(1))
    mouth = Mouth(head, person.points, person.habits)
    spoken = (Phoneme("a", 0, 0.2), Phoneme(closure, 0.2, 0.29), Phoneme("a", 0.29, 0.5))
    times = np.arange(0, 0.5, 0.01, dtype=np.float32)
    track = viseme_track(spoken, times, person.habits)
    opening = np.array([mouth.place(v, mouth.weights(v), 0.0)[1] for v in track])
    during = (times > 0.17) & (times < 0.29)
    assert opening[during].min() < 1e-3
    assert opening[times < 0.12].max() > 0.05
    assert opening[times > 0.34].max() > 0.05


@pytest.mark.parametrize("sound", ["f", "v"])
@pytest.mark.parametrize("seed", range(3))
def test_the_lip_is_on_the_teeth_in_f_and_v(head: Head, sound: str, seed: int) -> None:
    person = draw_person(head, np.random.default_rng(seed))
    mouth = Mouth(head, person.points, person.habits)
    spoken = (Phoneme("a", 0, 0.2), Phoneme(sound, 0.2, 0.29), Phoneme("a", 0.29, 0.5))
    track = viseme_track(spoken, np.array([0.22 - person.habits.lead_s], np.float32), person.habits)
    points, opening, _ = mouth.place(track[0], mouth.weights(track[0]), 0.0)
    asked = 0.35 * person.habits.opening * 0.034
    assert opening == pytest.approx(asked, abs=2e-4)
    # The edge of the upper front teeth is not above the lower lip: nothing dark between them.
    teeth = points[(head.part == TEETH) & (np.abs(points[:, 0]) < 0.6)]
    upper = teeth[teeth[:, 1] > np.median(teeth[:, 1])]
    lip = (head.lower @ points)[3:6, 1].mean()
    assert upper[:, 1].min() < lip + 0.02


@pytest.mark.parametrize("asked", [0.0, 0.1, 0.2, 0.35, 0.6, 1.5])
def test_small_openings_are_as_asked_too(head: Head, asked: float) -> None:
    mouth = Mouth(head, head.neutral, Habits())
    viseme = np.array([asked, 0, 0, 0, 0], np.float32)
    _, opening, _ = mouth.place(viseme, mouth.weights(viseme), 0.0)
    assert opening == pytest.approx(asked * 0.034, abs=2e-4)


def test_recorded_voices_speak_where_they_are() -> None:
    there = find_voices("auto")
    assert there[0] == "espeak" and find_voices("espeak") == ("espeak",)
    with pytest.raises(ConfigError, match="no voice 'loud'"):
        find_voices("espeak,loud")
    recorded = there[1:]
    if not recorded:
        pytest.skip("neither Flite nor Festival is on this machine")
    assert find_voices(f"{recorded[0]},espeak") == ("espeak", recorded[0])
    for voice in recorded:
        sound, phonemes = draw_speech(np.random.default_rng(2), 2.0, (voice,))
        again, _ = draw_speech(np.random.default_rng(2), 2.0, (voice,))
        np.testing.assert_array_equal(sound, again)
        assert phonemes[0].symbol == "" and phonemes[-1].end_s == pytest.approx(2.0)
        assert all(a.end_s == pytest.approx(b.start_s) for a, b in pairwise(phonemes))
        assert sum(bool(p.symbol) for p in phonemes) > 8


@pytest.mark.slow
def test_silence_is_closed_and_open_vowels_open(folder: Path) -> None:
    for clip in _clips(folder):
        assert clip.truth is not None
        at = (np.arange(clip.frames) + 0.5) / float(clip.rate)
        opening = clip.truth["opening"]
        first_end = float(clip.truth["phoneme_times_s"][0, 1])
        assert clip.truth["phonemes"][0] == ""
        assert np.abs(opening[at < first_end - 0.35]).max(initial=0) < 0.01
        assert opening.max() > 0.03
        assert opening.min() > -1e-3


@pytest.mark.slow
def test_tracked_lips_follow_the_truth(folder: Path) -> None:
    for clip in _clips(folder):
        assert clip.truth is not None
        tracked = inner_opening(clip.plate_landmarks)
        assert np.corrcoef(tracked, clip.truth["opening"])[0, 1] > 0.9
        assert np.isfinite(clip.landmarks).all()
        assert clip.crop(0).shape == (3, 96, 96)
        assert abs(len(clip.sound) / 16_000 - clip.frames / 25) < 0.01


@pytest.mark.slow
def test_people_differ_and_none_is_on_both_sides(folder: Path) -> None:
    train, val = load_clips([folder], "train"), load_clips([folder], "val")
    assert {c.identity for c in train}.isdisjoint({c.identity for c in val})
    first, second = (np.asarray(c.crop(0)) for c in (train[0], val[0]))
    assert np.abs(first - second).mean() > 0.05


def test_the_share_kept_out_is_kept_whatever_the_number() -> None:
    sides = [split_of(n, 0.2) for n in range(40)]
    assert sides.count("val") == 8
    assert split_of(7, 0.0) == "train"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_however_many_processes(
    head: Head, head_file: Path, folder: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    synthesize(head_file, again, replace(CONFIG, jobs=2))
    assert _shards(again) == _shards(folder)
    other = make_segment(Cast(head), 0, SynthConfig(seconds=0.6, size=64, seed=4), "")
    this = make_segment(Cast(head), 0, SynthConfig(seconds=0.6, size=64, seed=3), "")
    assert not np.array_equal(other.sound, this.sound)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_shards(
    head_file: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    command = [
        sys.executable, "-m", "lipcore", "data", "synth", "--head", str(head_file), "--out",
        str(out), "--speakers", "2", "--seconds", "1.6", "--size", "96", "--val-share", "0.5",
        "--seed", "3", "--jobs", "2", "--voices", "espeak", "--json",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not list(out.glob("synth-*.tar")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(600):  # the workers end with their parent
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("workers outlived their parent")
    finished = {path: path.stat().st_mtime_ns for path in out.glob("synth-*.tar")}
    assert finished
    subprocess.run(command, check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert _shards(out) == _shards(folder)


def test_other_settings_do_not_mix_into_a_folder(head_file: Path, folder: Path) -> None:
    with pytest.raises(OutputExistsError, match="other settings"):
        synthesize(head_file, folder, SynthConfig(speakers=1, seconds=1.6, size=96, seed=9))


def test_a_missing_or_broken_head_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no head is at"):
        load_head(tmp_path / "none.npz")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 not a head")
    done = subprocess.run(
        [sys.executable, "-m", "lipcore", "data", "synth", "--head", str(broken), "--out",
         str(tmp_path / "out")], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "not a head" in done.stderr
    assert "Traceback" not in done.stderr
