"""Chunks of a shot, rendered by processes of their own, give the pixels of a single render."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from lipcore.errors import ConfigError, OutputLockedError
from lipcore.media import write_video
from lipcore.media.output_files import FrameLock
from lipcore.media.plate import Plate, open_plate
from lipcore.media.write_video import VideoWriter
from lipcore.pipeline import render_shot
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange


def _render(arguments: list[object], cache: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "lipcore", "render", *map(str, arguments), "--cache", cache],
        stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.exr")}


@pytest.mark.slow
def test_chunks_at_once_equal_one_render(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    common = [portrait_plate, spoken_line, "--out"]
    assert _render([*common, tmp_path / "any", "--analyse-only"], cache).wait() == 0
    assert not (tmp_path / "any").exists()
    both = [
        _render([*common, tmp_path / "parts", "--chunk", chunk], cache)
        for chunk in ("1001-1005", "1006-1012")
    ]
    for process in both:
        assert process.wait() == 0, process.stderr and process.stderr.read()
    assert not list((tmp_path / "parts").glob("*.json")), "a chunk speaks for the whole"
    parts = _digests(tmp_path / "parts")
    assert len(parts) == 12
    # The last run finds everything, and writes what belongs to the whole.
    shot, config = Shot(portrait_plate, spoken_line), RenderConfig(cache=cache)
    last = render_shot(shot, config, tmp_path / "parts")
    assert last.kept == 12 and last.drawn == 0 and list((tmp_path / "parts").glob("*.json"))
    single = render_shot(shot, config, tmp_path / "single")
    assert single.drawn == 12
    assert parts == _digests(tmp_path / "single") == _digests(tmp_path / "parts")


@pytest.fixture
def opened(portrait_plate: Path) -> Plate:
    return open_plate(portrait_plate)


def _writer(
    path: Path, plate: Plate, chunk: FrameRange | None, key: str = "k"
) -> VideoWriter:
    return VideoWriter(
        path, plate.info, frames=plate.info.frames, parameter_hash=key, codec="ffv1",
        sound=None, sound_offset_s=0, crf=0, overwrite=False, chunk=chunk,
    )  # fmt: skip


def _fill(writer: VideoWriter, plate: Plate, frames: FrameRange) -> None:
    with writer:
        for frame in plate.stream(frames):
            if not writer.finished(frame.number):
                writer.write(frame, None)


def _pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_segments_of_chunks_are_joined_by_a_last_run(
    opened: Plate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_video, "SEGMENT_FRAMES", 4)
    path = tmp_path / "out.mkv"
    late, early = FrameRange(1005, 1012), FrameRange(1001, 1004)
    one, other = _writer(path, opened, late), _writer(path, opened, early)
    _fill(one, opened, late)
    assert not path.exists() and len(one.outputs) == 2
    assert all(p.exists() for p in one.outputs)
    _fill(other, opened, early)
    with _writer(path, opened, None) as last:
        assert all(last.finished(number) for number in opened.info.frames)
    assert path.exists() and not list(tmp_path.glob(".out*"))
    whole = tmp_path / "whole.mkv"
    _fill(_writer(whole, opened, None), opened, opened.info.frames)
    made, wanted = _pictures(path), _pictures(whole)
    assert len(made) == 12
    assert all(np.array_equal(a, b) for a, b in zip(made, wanted, strict=True))


def test_a_chunk_does_not_cut_a_segment(
    opened: Plate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_video, "SEGMENT_FRAMES", 4)
    for chunk in (FrameRange(1001, 1005), FrameRange(1002, 1004)):
        with pytest.raises(ConfigError, match="whole segments"):
            _writer(tmp_path / "out.mkv", opened, chunk)


def test_segments_of_other_parameters_go_only_when_nobody_writes(
    opened: Plate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_video, "SEGMENT_FRAMES", 4)
    path, first, second = tmp_path / "out.mkv", FrameRange(1001, 1004), FrameRange(1005, 1008)
    _fill(_writer(path, opened, first), opened, first)
    lock = FrameLock(path, FrameRange(1009, 1012))
    with pytest.raises(OutputLockedError):
        _writer(path, opened, second, key="new")
    lock.release()
    with _writer(path, opened, first) as same:
        assert same.finished(1001)
    with pytest.raises(BaseException, match="not complete"), _writer(
        path, opened, first, key="new"
    ) as new:
        assert not new.finished(1001)


def test_a_chunk_outside_the_frames_is_refused(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    config = RenderConfig(chunk=FrameRange(1010, 1013))
    with pytest.raises(ConfigError, match="1010-1013"):
        render_shot(Shot(portrait_plate, spoken_line), config, tmp_path / "out")
