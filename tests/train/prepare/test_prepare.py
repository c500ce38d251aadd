"""Preparing real clips: alone, two faces at once, portrait, 4K, killed, and of no use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from lipcore.train.data import load_clips
from lipcore.train.prepare import PrepareConfig, QualityBounds, prepare
from lipcore.train.prepare.part import _sound_of
from lipcore.train.prepare.spans import Span

from lipcore.errors import ConfigError, OutputLockedError, TrainingError
from lipcore.provenance.watermark import decode, text_bits

from .test_spans import track_of

SMALL = PrepareConfig(crop_px=64, margin_px=4, shortest_s=1, longest_s=2)


def remux(
    picture: Path, sound: Path, path: Path, *, delay_s: float = 0, until_s: float = 99
) -> None:
    """The picture of one clip with the sound of another, moved; nothing is encoded again."""
    with av.open(str(picture)) as a, av.open(str(sound)) as b, av.open(str(path), "w") as made:
        streams = a.streams.video[0], b.streams.audio[0]
        outs = [made.add_stream_from_template(s) for s in streams]
        for source, stream, out in zip((a, b), streams, outs, strict=True):
            for packet in source.demux(stream):
                if packet.dts is None or float(packet.pts * packet.time_base) >= until_s:
                    continue
                if stream.type == "audio":
                    moved = round(delay_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
                packet.stream = out
                made.mux(packet)


def redraw(
    source: Path, path: Path, draw: Callable[[int, np.ndarray], np.ndarray], until_s: float = 99
) -> None:
    """A clip with other pictures, drawn from its own, and its own sound."""
    with av.open(str(source)) as a, av.open(str(path), "w") as made:
        picture, sound = a.streams.video[0], a.streams.audio[0]
        out = made.add_stream("mpeg4", rate=picture.average_rate)
        out.bit_rate = 60_000_000  # blocks of compression would pass for detail
        out.height, out.width = draw(0, next(pictures_of(source))).shape[:2]
        heard = made.add_stream_from_template(sound)
        for packet in a.demux(picture, sound):
            if packet.dts is None or float(packet.pts * packet.time_base) >= until_s:
                continue
            if packet.stream is sound:
                packet.stream = heard
                made.mux(packet)
                continue
            for frame in packet.decode():
                number = round(float(frame.time) * float(picture.average_rate))
                shown = draw(number, frame.to_ndarray(format="rgb24"))
                made.mux(out.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        made.mux(out.encode(None))


def pictures_of(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def rejected(out: Path) -> list[dict[str, str]]:
    return json.loads((out / "rejected.json").read_text("utf-8"))


@pytest.mark.slow
def test_a_real_clip_becomes_crops_landmarks_sound_and_words(
    shared_data: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "clips", tmp_path / "out é"
    (source / "him").mkdir(parents=True)
    clip = shared_data / "clips" / "radio10.mp4"
    remux(clip, clip, source / "him" / "été 1.mkv", until_s=1.2)
    (source / "him" / "été 1.srt").write_text(
        "1\n00:00:00,000 --> 00:00:00,600\nGood morning,\n\n"
        "2\n00:00:00,600 --> 00:00:01,100\neverybody else.\n"
    )
    (source / "broken.mp4").write_bytes(b"not a video")
    config = replace(SMALL, crop_px=128, margin_px=8, watermark="ab", hold_out=("him",))
    said: list[str] = []
    steps: list[tuple[int, int]] = []
    prepare(source, out, config, tell=said.append, progress=lambda *step: steps.append(step))
    assert steps == [(0, 2), (1, 2), (2, 2)]
    assert [line.split(":")[0] for line in said] == ["broken.mp4", "him/été 1.mkv"]
    (clip,) = load_clips([out], "val")
    assert clip.identity == "him" and clip.rate == 25
    # 36 frames at 29.97 are 1.2 s; the sound is as long.
    assert len(clip.crops) == clip.frames == 30
    assert len(clip.sound) == clip.frames * 640
    assert clip.crops[0].shape == (144, 144, 3)
    # The mouth lies in the lower middle of the canonical crop.
    assert (abs(clip.mouths[:, 0] - 0.5) < 0.1).all()
    assert ((clip.mouths[:, 1] > 0.55) & (clip.mouths[:, 1] < 0.85)).all()
    facts = json.loads(bytes(clip.sample.bytes_of("json")))
    assert facts["transcript"] == "Good morning everybody else" and facts["plate_px"] == [512, 512]
    assert 0.1 < facts["sharpness"] < 0.3 and facts["face_px"] > 200 and facts["yaw_deg"] < 15
    # The native crop shows the same at the plate's own size, and both bear the mark.
    native = clip.sample.video("native.avi")
    side = facts["native_px"]
    assert len(native) == clip.frames and native[3].shape == (side, side, 3)
    eyes = np.linalg.norm(clip.plate_landmarks[3, 33, :2] - clip.plate_landmarks[3, 263, :2])
    assert side == pytest.approx(eyes * 2.25 * 144 / 128, rel=0.05)
    smaller = cv2.resize(native[3], (144, 144), interpolation=cv2.INTER_AREA)
    assert np.abs(smaller.astype(int) - clip.crops[3]).mean() < 6
    for picture in (clip.crops[3], native[3]):
        assert decode(picture, 16).tolist() == list(text_bits("ab"))
    (entry,) = rejected(out)
    assert entry["source"] == "broken.mp4" and "cannot be read" in entry["reason"]
    # The second time nothing is made, and the same is known.
    tar = out / clip.sample.shard.name
    before = tar.stat().st_mtime_ns, (out / "manifest.json").read_bytes()
    prepare(source, out, config)
    assert (tar.stat().st_mtime_ns, (out / "manifest.json").read_bytes()) == before
    assert rejected(out) == [entry]
    # A word that is not said leaves the clip out, and its shard with it.
    with pytest.raises(TrainingError, match="nothing of the sources") as caught:
        prepare(source, out, replace(config, words=("absent",)))
    assert "rejected.json" in caught.value.hint and not tar.exists()
    assert "none of the 1 words" in rejected(out)[1]["reason"]


@pytest.mark.slow
def test_of_two_faces_the_one_that_speaks_is_kept_and_its_offset_taken_out(
    shared_data: Path, tmp_path: Path
) -> None:
    clips, source, out = shared_data / "clips", tmp_path / "clips", tmp_path / "out"
    source.mkdir()
    one = clips / "mcguinness.mp4"
    listening = pictures_of(clips / "markey.mp4")

    def beside(number: int, picture: np.ndarray) -> np.ndarray:
        return np.concatenate([cv2.resize(next(listening), (524, 524)), picture], axis=1)

    redraw(one, tmp_path / "duet.mkv", beside)
    remux(tmp_path / "duet.mkv", one, source / "late.mkv", delay_s=0.24)
    config = PrepareConfig(crop_px=64, margin_px=4, native=False, shortest_s=4, val_share=0.0)
    facts = prepare(source, out, config)["clips"]
    assert list(facts) == ["late"] and facts["late"]["faces"] == 2
    # The clip's own offset is -2 (as its manifest says), and 0.24 s are 6 frames.
    assert facts["late"]["offset_frames"] == pytest.approx(4, abs=1)
    assert facts["late"]["sync_confidence"] > 0.3
    (clip,) = load_clips([out], "train")
    assert (clip.plate_landmarks[:, :, 0] > 500).all()  # the one on the right
    (entry,) = rejected(out)
    assert "another face speaks" in entry["reason"] or "not this mouth's" in entry["reason"]


@pytest.mark.slow
def test_portrait_4k_and_footage_that_is_too_bad(shared_data: Path, tmp_path: Path) -> None:
    clips, source, out = shared_data / "clips", tmp_path / "clips", tmp_path / "out"
    source.mkdir()
    redraw(clips / "portrait1080.mp4", source / "tall.mkv", lambda n, p: p, until_s=1.2)

    def wide(number: int, picture: np.ndarray) -> np.ndarray:
        frame = np.full((2160, 3840, 3), 90, np.uint8)
        frame[60:2108, 900:2948] = cv2.resize(picture, (2048, 2048), interpolation=cv2.INTER_CUBIC)
        return frame

    redraw(clips / "radio10.mp4", source / "wide.mkv", wide, until_s=1.1)
    for name, draw in (
        ("dark", lambda n, p: (p * 0.15).astype(np.uint8)),
        ("soft", lambda n, p: cv2.GaussianBlur(p, (0, 0), 8)),
        ("small", lambda n, p: np.pad(cv2.resize(p, (128, 128), interpolation=cv2.INTER_AREA),
                                      ((100, 100), (100, 100), (0, 0)))),
        ("burnt", lambda n, p: np.clip(p * 2.5, 0, 255).astype(np.uint8)),
    ):  # fmt: skip
        redraw(clips / "radio10.mp4", source / f"{name}.mkv", draw, until_s=1.1)
    bounds = QualityBounds(least_face_px=90)
    facts = prepare(source, out, replace(SMALL, measure_sync=False, quality=bounds))["clips"]
    assert sorted(facts) == ["tall", "wide"]
    assert facts["tall"]["plate_px"] == [1080, 1920] and facts["wide"]["plate_px"] == [3840, 2160]
    assert facts["wide"]["face_px"] > 800 and facts["wide"]["native_px"] > 1000
    reasons = {entry["source"]: entry["reason"] for entry in rejected(out)}
    told = {"dark": "too dark (luma", "soft": "out of focus or enlarged (sharpness 0.0",
            "small": "90 are needed", "burnt": "burnt out"}  # fmt: skip
    for name, reason in told.items():
        assert reason in reasons[f"{name}.mkv"], reasons


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(shared_data: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "clips", tmp_path / "out"
    source.mkdir()
    clip = shared_data / "clips" / "radio10.mp4"
    for name in "abcd":
        remux(clip, clip, source / f"{name}.mkv", until_s=1.1)
    command = [sys.executable, "-m", "lipcore", "data", "prepare", str(source), "--out", str(out),
               "--crop-px", "64", "--no-native", "--shortest", "1", "--jobs", "2", "--json",
               "--val-share", "0", "--no-measure-sync"]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, text=True)
    records = out / "records"
    while running.poll() is None and not (records.is_dir() and list(records.glob("*.json"))):
        time.sleep(0.01)
    with pytest.raises(OutputLockedError, match="another process prepares into"):
        prepare(source, out, SMALL)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate(timeout=60)
    # The workers end with their parent: nothing of its session is left.
    for _ in range(600):
        try:
            os.killpg(running.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("workers outlived their parent")
    (out / ".a.tar.1.tmp").write_bytes(b"half a tar")
    finished = {p: p.stat().st_mtime_ns for p in records.glob("*.json")}
    assert finished
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert events[-1] == {"event": "done", "train": 4, "val": 0}
    assert {"event": "log", "message": f"{len(finished)} of 4 were finished before: kept"} in events
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    assert not [p for p in out.iterdir() if p.name.startswith(".")]
    assert sorted(p.name for p in out.glob("*.tar")) == ["a.tar", "b.tar", "c.tar", "d.tar"]
    assert (out / "b.tar").stat().st_size > 20_000


@pytest.mark.slow
def test_long_files_are_prepared_in_parts(shared_data: Path, tmp_path: Path) -> None:
    """As parts of two seconds: other settings than any user's, the same code."""
    source, out = tmp_path / "clips", tmp_path / "out"
    source.mkdir()
    clip = shared_data / "clips" / "klobuchar.mp4"
    remux(clip, clip, source / "talk.mkv", until_s=4.0)
    config = replace(SMALL, part_s=2, native=False, measure_sync=False, val_share=0.0)
    facts = prepare(source, out, config)["clips"]
    assert sorted(facts) == ["talk", "talk_p2"] and facts["talk"]["shard"] == "talk.tar"
    assert [facts[k]["start_s"] for k in sorted(facts)] == [0.0, 2.0]
    first, second = load_clips([out], "train")
    assert first.frames == 50
    # The second part goes on where the first one ends: the same head a frame later.
    jump = np.abs(second.plate_landmarks[0] - first.plate_landmarks[-1]).max()
    assert jump < 12
    (out / "talk_p2.tar").unlink()
    stamp = (out / "talk.tar").stat().st_mtime_ns
    prepare(source, out, config)
    assert (out / "talk_p2.tar").is_file() and (out / "talk.tar").stat().st_mtime_ns == stamp


def test_sound_that_lags_is_moved_earlier() -> None:
    sound = np.arange(48_000, dtype=np.float32)
    track = track_of(np.ones(60, bool))

    def heard(first: int, offset: float) -> np.ndarray:
        numbers = np.arange(first, first + 10) + 1
        return _sound_of(sound, Span(track, numbers, Fraction(25), Fraction(first, 25)), offset)

    assert heard(0, 3)[0] == 3 * 640 and len(heard(0, 3)) == 6400
    early = heard(0, -2)
    assert early[: 2 * 640].max() == 0 and early[2 * 640 + 5] == 5 and len(early) == 6400
    assert heard(10, 0)[0] == 6400
    ends = heard(70, 0)  # where the sound ends before the picture
    assert len(ends) == 6400 and ends[3199] == 47_999 and ends[3200:].max() == 0


def test_no_processes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 processes"):
        prepare(tmp_path, tmp_path / "out", jobs=0)
