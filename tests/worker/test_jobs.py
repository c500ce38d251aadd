"""Many jobs, bad jobs, cancelled jobs: the worker lives, and ends when it should."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so
import pytest

from .conftest import Event, Pipes

pytestmark = pytest.mark.slow


def read(path: Path) -> np.ndarray:
    pixels = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)
    assert isinstance(pixels, np.ndarray)
    return pixels


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"


def wait_until_gone(pid: int) -> bool:
    for _ in range(300):
        if gone(pid):
            return True
        time.sleep(0.1)
    return False


def open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def render(plate: Path, line: Path, out: Path, **more: Any) -> Event:
    return {"plate": str(plate), "dialogue": str(line), "out": str(out), **more}


def test_a_render_tells_its_frames_and_equals_the_library(
    worker: Pipes, portrait_plate: Path, spoken_line: Path, tmp_path: Path, cache: Path
) -> None:
    from lipcore import FrameRange, RenderConfig, Shot, render_shot

    worker.send({"id": "r", "method": "render", "params": render(
        portrait_plate, spoken_line, tmp_path / "a b é", frames="1001-1004")})  # fmt: skip
    events = []
    while not events or events[-1]["event"] not in ("result", "error"):
        events.append(worker.event())
    assert events[-1]["event"] == "result", events[-1]
    assert [e["event"] for e in events[:2]] == ["queued", "started"]
    done = [e for e in events if e["event"] == "frame-done"]
    assert [e["frame"] for e in done] == [1001, 1002, 1003, 1004]
    last = [e for e in events if e["event"] == "progress"][-1]
    assert (last["stage"], last["done"], last["total"]) == ("render", 4, 4)
    shot = Shot(portrait_plate, spoken_line, frames=FrameRange(1001, 1004))
    render_shot(shot, RenderConfig(cache=cache), tmp_path / "own")
    for event in done:
        assert np.array_equal(
            read(Path(event["path"])), read(tmp_path / "own" / Path(event["path"]).name)
        )
    tracked = worker.ask("track", plate=str(portrait_plate), frames="1001-1004")
    assert tracked["cached"] is True  # the render has looked already
    box = tracked["tracks"][0]["boxes"][0]
    assert 0 < box[0] < box[2] < 640 and 0 < box[1] < box[3] < 480
    assert worker.end() == 0


@pytest.mark.parametrize("stage", ["started", "track", "bank", "log", "frame-done"])
def test_a_cancelled_job_leaves_whole_frames_and_can_go_on(
    worker: Pipes, portrait_plate: Path, spoken_line: Path, tmp_path: Path, stage: str
) -> None:
    asked = render(
        portrait_plate, spoken_line, tmp_path / "out", settings={"cache": str(tmp_path / "c")}
    )
    worker.send({"id": "a", "method": "render", "params": asked})
    while True:
        event = worker.event()
        assert event["event"] not in ("result", "error"), event
        if stage in (event["event"], event.get("stage")):
            break
    assert worker.ask("cancel", job="a")["cancelled"] == ["a"]
    assert worker.until("a", "cancelled", "result", "error")["event"] == "cancelled"
    left = list((tmp_path / "out").glob("*.exr"))
    assert len(left) < 12
    for path in left:
        assert np.isfinite(read(path)).all()
    if stage == "frame-done":
        assert left
        worker.send({"id": "b", "method": "render", "params": asked})
        final = worker.until("b", "result", "error")
        assert final["event"] == "result" and final["kept"] == len(left)
    assert not list((tmp_path / "out").glob(".*"))
    assert worker.ask("status")["running"] is None


def test_the_worker_ends_with_its_parent(tmp_path: Path, portrait_plate: Path) -> None:
    """The client is killed in the middle of a job, while a child of it keeps the pipe open."""
    script = (
        "import subprocess, sys, time\n"
        "w = subprocess.Popen([sys.executable, '-m', 'lipcore', 'worker'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "holder = subprocess.Popen(['sleep', '60'], pass_fds=[w.stdin.fileno()])\n"
        "w.stdin.write(sys.argv[1].encode() + b'\\n'); w.stdin.flush()\n"
        "while b'started' not in w.stdout.readline(): pass\n"
        "print(w.pid, holder.pid, flush=True); time.sleep(600)\n"
    )
    asked = json.dumps({"id": "t", "method": "track", "params": {
        "plate": str(portrait_plate), "cache": str(tmp_path)}})  # fmt: skip
    client = subprocess.Popen(
        [sys.executable, "-c", script, asked], stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    pid, holder = (int(word) for word in client.stdout.readline().split())
    client.send_signal(signal.SIGKILL)
    client.wait()
    client.stdout.close()
    try:
        assert wait_until_gone(pid)
    finally:
        os.kill(holder, signal.SIGKILL)


def test_the_worker_ends_when_its_pipe_closes_in_the_middle_of_a_job(
    worker: Pipes, portrait_plate: Path, tmp_path: Path
) -> None:
    worker.send({"id": "t", "method": "track", "params": {
        "plate": str(portrait_plate), "cache": str(tmp_path)}})  # fmt: skip
    worker.until("t", "started")
    assert worker.end() == 0


def test_what_is_queued_is_finished_when_asked(worker: Pipes) -> None:
    for n in range(3):
        worker.send({"id": str(n), "method": "track", "params": {"plate": "/none.mov"}})
    worker.send({"id": "x", "method": "shutdown", "params": {"finish": True}})
    worker.send({"id": "late", "method": "track", "params": {"plate": "/none.mov"}})
    assert worker.until("late", "error")["message"] == "the worker is closing"
    assert worker.until("2", "error")["error"] == "MediaNotFoundError"
    assert worker.process.wait(30) == 0


def test_two_hundred_jobs(
    worker: Pipes, portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> None:
    """Good ones, bad ones, cancelled ones, garbage, a full disk: no death, no leak."""
    two = {"frames": "1001-1002"}
    out = tmp_path / "out"
    begin: Event = {}
    ended = {"result": 0, "error": 0, "cancelled": 0}
    for n in range(200):
        job, kind = f"job-{n}", n % 10
        if kind == 0:
            worker.send(b"\x00garbage \xff" * (n + 1))
        if kind == 3:
            params = render(portrait_plate, spoken_line, out, **two)
            worker.send({"id": job, "method": "render", "params": params})
        elif kind == 5:
            params = render(portrait_plate, spoken_line, tmp_path / f"c{n}", **two)
            worker.send({"id": job, "method": "render", "params": params})
            worker.until(job, "started")
            worker.send({"id": f"x{n}", "method": "cancel", "params": {"job": job}})
        elif kind == 7:
            worker.send({"id": job, "method": "track", "params": {"plate": str(spoken_line)}})
        elif kind in (4, 6, 9):
            worker.send({"id": job, "method": "track", "params": {"plate": f"/no/{n}.mov"}})
        elif n in (8, 98):  # the disk is full while this one writes
            old = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (100_000, -1))
            params = render(portrait_plate, spoken_line, tmp_path / f"full{n}", **two)
            worker.send({"id": job, "method": "render", "params": params})
            full = worker.until(job, "result", "error", "cancelled")
            assert (full["event"], full.get("error")) == ("error", "DiskFullError"), full
            assert not list((tmp_path / f"full{n}").glob("*.exr"))
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, old)
            ended["error"] += 1
            continue
        else:
            params = {"plate": str(portrait_plate), **two}
            worker.send({"id": job, "method": "track", "params": params})
        ended[worker.until(job, *ended)["event"]] += 1
        if n == 59:
            begin = {**worker.ask("status"), "files": open_files(worker.pid)}
    end = worker.ask("status")
    assert end["done"] == sum(ended.values()) == 200
    assert ended["result"] >= 90 and ended["error"] == 82, ended
    assert end["threads"] <= begin["threads"]
    assert open_files(worker.pid) <= begin["files"]
    assert end["memory_mb"] - begin["memory_mb"] < 60, (begin, end)
    assert worker.end() == 0
