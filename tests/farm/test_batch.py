"""The queue: real renders in real processes, killed, starved and interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from lipcore.errors import ConfigError
from lipcore.farm.batch import BatchLimits, JobStatus, report, run_batch
from lipcore.farm.check import check_jobs
from lipcore.farm.command_lines import command_lines
from lipcore.farm.jobs import read_jobs


class Heard:
    """Keeps what it was told; ``act`` is called with the jobs each time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.act = lambda jobs: None

    def changed(self, jobs: Sequence[JobStatus]) -> None:
        self.act(jobs)

    def log(self, message: str) -> None:
        self.lines.append(message)


def _jobs(folder: Path, *lines: str) -> Path:
    path = folder / "jobs.yaml"
    text = "".join(f"  - {{plate: plate, dialogue: line.wav, {line}}}\n" for line in lines)
    path.write_text(f"defaults: {{cache: cache, workers: 1}}\njobs:\n{text}", "utf-8")
    return path


def _batch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lipcore", "batch", "jobs.yaml", *arguments], cwd=folder,
        capture_output=True, text=True, timeout=300,
    )


@pytest.mark.slow
def test_a_killed_render_is_tried_again_and_a_hopeless_one_is_not(studio: Path) -> None:
    shutil.copytree(studio / "plate", studio / "torn")
    torn = sorted((studio / "torn").glob("*.exr"))[1]
    torn.write_bytes(torn.read_bytes()[:2000])
    path = _jobs(studio, "out: a, frames: 1001-1003, name: good",
                 "out: b, frames: 1001-1003, name: torn", "out: c, name: late")
    path.write_text(path.read_text().replace("plate: plate, dialogue: line.wav, out: b",
                                             "plate: torn, dialogue: line.wav, out: b"))
    heard, killed = Heard(), threading.Event()

    def kill_first(jobs: Sequence[JobStatus]) -> None:
        if jobs[0].state == "running" and jobs[0].stage and not killed.is_set():
            killed.set()
            out = f"--out={studio / 'a'}".encode()
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if out in words:
                    os.kill(int(folder.name), signal.SIGKILL)

    heard.act = kill_first
    checks = check_jobs(read_jobs(path))
    jobs = run_batch(checks, BatchLimits(processes=1, tries=2, wait_s=0.1), heard)

    found = report(jobs)
    assert [job["state"] for job in found["jobs"]] == ["done", "failed", "done"], heard.lines
    assert found["jobs"][0]["tries"] == 2 and killed.is_set()
    assert any("SIGKILL" in line for line in heard.lines)
    assert found["jobs"][1]["tries"] == 2 and found["jobs"][1]["exit_code"] == 3
    assert torn.name in found["jobs"][1]["message"]
    assert len(list((studio / "c").glob("*.exr"))) == 12
    assert found["jobs"][2]["memory_mib"] > 100


@pytest.mark.slow
def test_a_terminated_batch_goes_on_where_it_was(studio: Path) -> None:
    _jobs(studio, "out: a")
    process = subprocess.Popen(
        [sys.executable, "-m", "lipcore", "batch", "jobs.yaml", "--json"], cwd=studio,
        stdout=subprocess.PIPE, text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["stage"] == "001_plate":
            process.terminate()
            break
    process.communicate(timeout=120)
    assert process.returncode == 143
    finished = {p: p.stat().st_mtime_ns for p in (studio / "a").glob("*.exr")}
    assert 0 < len(finished) < 12
    assert not list((studio / "a").glob(".*")), "parts or locks were left"

    ended = _batch(studio, "--json", "--report", "report.json")
    assert ended.returncode == 0, ended.stderr
    (job,) = json.loads((studio / "report.json").read_text())["jobs"]
    assert job["kept"] == len(finished) and job["drawn"] == 12 - len(finished)
    assert all(p.stat().st_mtime_ns == told for p, told in finished.items())


def test_nothing_starts_while_a_job_cannot_be_done(studio: Path) -> None:
    _jobs(studio, "out: a", "out: b, dialogue-2: x", "out: c, frames: 1-5")
    ended = _batch(studio)
    assert ended.returncode == 2
    assert "job 2 has no setting 'dialogue_2'" in ended.stderr
    _jobs(studio, "out: a", "out: a", "out: c, frames: 1-5")
    ended = _batch(studio)
    assert ended.returncode == 2 and "2 things are wrong" in ended.stderr
    assert "002_plate writes" in ended.stderr and "frames 1-5" in ended.stderr
    assert not (studio / "a").exists()


def test_a_report_that_cannot_be_written_is_said_at_once(studio: Path) -> None:
    _jobs(studio, "out: a")
    ended = _batch(studio, "--report", "nowhere/report.json")
    assert ended.returncode == 6 and "nowhere" in ended.stderr
    assert not (studio / "a").exists()


def test_an_output_of_other_settings_is_not_tried_again(studio: Path) -> None:
    shutil.copytree(studio / "plate", studio / "a")  # frames that no render of this job made
    jobs = run_batch(
        check_jobs(read_jobs(_jobs(studio, "out: a"))), BatchLimits(tries=3, wait_s=60), Heard()
    )
    assert [(j.state, j.tries, j.exit_code) for j in jobs] == [("failed", 1, 6)], jobs[0].message
    assert jobs[0].error == "OutputExistsError"


def test_parts_of_one_sequence_may_be_jobs_of_their_own(studio: Path) -> None:
    path = _jobs(studio, "out: a, frames: 1001-1006, name: x", "out: a, frames: 1007-1012")
    assert [check.error for check in check_jobs(read_jobs(path))] == [None, None]


def test_memory_decides_how_many_run_at_once(studio: Path) -> None:
    """Three jobs that would fit two at a time, if only one were let through the limit."""
    path = _jobs(studio, "out: a, frames: 1001", "out: b, frames: 1001", "out: c, frames: 1001")
    checks = check_jobs(read_jobs(path))
    assert checks[0].memory_bytes > 900 << 20
    most = 0
    heard = Heard()

    def count(jobs: Sequence[JobStatus]) -> None:
        nonlocal most
        most = max(most, sum(job.state == "running" for job in jobs))

    heard.act = count
    limits = BatchLimits(processes=3, memory_bytes=int(checks[0].memory_bytes * 1.5), tries=1)
    jobs = run_batch(checks, limits, heard)
    assert [job.state for job in jobs] == ["done"] * 3 and most == 1


@pytest.mark.parametrize("wrong", [{"processes": 0}, {"tries": 0}, {"memory_bytes": 0}])
def test_limits_have_bounds(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        BatchLimits(**wrong)


def test_a_render_that_is_terminated_keeps_whole_frames(studio: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lipcore", "render", "plate", "line.wav", "--out", "a",
         "--cache", "cache", "--json"], cwd=studio, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("stage") == "render":
            process.terminate()
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143 and "the same command goes on" in errors
    assert not [p.name for p in (studio / "a").iterdir() if p.name.startswith(".")]


@pytest.mark.slow
def test_what_comes_after_a_render_and_other_kinds_are_done_too(studio: Path) -> None:
    path = studio / "jobs.yaml"
    path.write_text(
        "defaults: {cache: cache}\njobs:\n"
        "  - {plate: plate, dialogue: line.wav, out: a, frames: 1005-1008, name: first, "
        "report: looked at/a.html, evaluate: looked at/a.json}\n"
        "  - {kind: evaluate, render: plate, against: plate, dialogue: line.wav, "
        "out: same/same.csv}\n",
        "utf-8",
    )
    first, second = run_batch(check_jobs(read_jobs(path)), BatchLimits(), Heard())
    assert (first.state, second.state) == ("done", "done"), (first.message, second.message)
    assert (first.tries, second.tries) == (1, 1) and first.facts["drawn"] == 4
    assert Path(first.outputs[0]).suffix == ".exr", "the picture comes first"
    assert (studio / "looked at" / "a.html").exists() and (studio / "same" / "same.csv").exists()
    told = json.loads((studio / "looked at" / "a.json").read_text("utf-8"))
    # A part of the shot is compared with the plate's same frames: nothing is new outside.
    assert [row["frame"] for row in told["per_frame"]] == [1005, 1006, 1007, 1008]
    outside = next(f for f in told["figures"] if "outside" in f["name"])
    assert outside["value"] == 0


def test_an_adaptation_is_made_once_of_one_plate(studio: Path) -> None:
    (studio / "jobs.yaml").write_text(
        "jobs: [{plate: plate, dialogue: line.wav, out: a, adapt: 3, synthesis: adapted}]"
    )
    (check,) = check_jobs(read_jobs(studio / "jobs.yaml"))
    adapt, render = command_lines(check)
    made = studio / "a" / ".lipcore_001_plate" / "adapted.safetensors"
    assert [adapt.stage, render.stage] == ["adapt", "render"]
    assert "--minutes=3.0" in adapt.words and f"--out={made}" in adapt.words
    assert f"--weights=base+{made}" in render.words
    adapt.before()
    assert made.parent.is_dir() and not adapt.done()
    made.write_bytes(b"weights")
    assert not adapt.done(), "of another run"
    adapt.after()
    assert adapt.done() and command_lines(check)[0].done()
    os.utime(next((studio / "plate").glob("*.exr")), (1, 1))
    assert not command_lines(check)[0].done(), "the plate is another"
