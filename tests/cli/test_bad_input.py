"""Bad input to every command, and output that nobody reads: one line, no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Ended = subprocess.CompletedProcess[str]
NOBODY = "~nosuchuser/a"


def _assert_refused(ended: Ended, code: int, word: str) -> None:
    """An error of one line and its hint, and nothing before them."""
    error, hint = ended.stderr.splitlines()
    assert error.startswith("error: ") and word in error, ended.stderr
    assert hint.startswith("hint: "), ended.stderr
    assert ended.returncode == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["track", f"{NOBODY}.mov"],
        ["render", f"{NOBODY}.mov", "LINE", "--out", "out"],
        ["render", "PLATE", f"{NOBODY}.wav", "--out", "out"],
        ["render", "PLATE", "LINE", "--out", NOBODY],
        ["render", "PLATE", "LINE", "--out", NOBODY, "--dry-run"],
        ["shapes", f"{NOBODY}.wav", "--out", "a.json"],
        ["adapt", f"{NOBODY}.mov", "--out", "a.safetensors"],
        ["evaluate", f"{NOBODY}.mov", "--against", "PLATE"],
        ["report", NOBODY],
        ["bench", f"{NOBODY}.mov", "LINE"],
        ["batch", "JOBS"],
        ["plugins", "install", "nuke", "--target", NOBODY],
    ],
    ids=" ".join,
)
def test_nobody_has_no_home_folder(
    arguments: list[str], portrait_plate: Path, spoken_line: Path, tmp_path: Path,
    lipcore_command: Callable[..., Ended],
) -> None:  # fmt: skip
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text(f"jobs: [{{plate: {NOBODY}, dialogue: a.wav, out: b}}]")
    given = {"PLATE": portrait_plate, "LINE": spoken_line, "JOBS": jobs}
    ended = lipcore_command(*(given.get(word, word) for word in arguments), cwd=tmp_path)
    error = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(error) == 1 and "~nosuchuser" in error[0], ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["track", "PLATE", "--json", "none/a.json"], 6, "no folder is at"),
        (["track", "PLATE", "--sheet", "."], 6, "is a folder"),
        (["evaluate", "PLATE", "--against", "PLATE", "--out", "none/a.json"], 6, "no folder is at"),
        (["shapes", "LINE", "--out", "none/a.json"], 6, "no folder is at"),
        (["shapes", "LINE", "--out", "a.txt"], 2, "a.txt"),
        (["adapt", "PLATE", "--out", "a.txt"], 2, "a.txt"),
        (["adapt", "PLATE", "--out", "a.safetensors", "--device", "lamp"], 2, "no device"),
        (["bench", "PLATE", "LINE", "--stream", "--seconds", "0"], 2, "seconds"),
        (["data", "prepare", ".", "--out", "a", "--rate", "0"], 2, "not a frame rate"),
        (["rate", "report", "empty.yaml"], 2, "holds nothing where settings"),
    ],
)
def test_what_cannot_be_is_said_before_the_work(
    arguments: list[str], code: int, word: str, portrait_plate: Path, spoken_line: Path,
    tmp_path: Path, lipcore_command: Callable[..., Ended],
) -> None:  # fmt: skip
    (tmp_path / "empty.yaml").touch()
    given = {"PLATE": portrait_plate, "LINE": spoken_line}
    ended = lipcore_command(*(given.get(part, part) for part in arguments), cwd=tmp_path)
    _assert_refused(ended, code, word)


def test_memory_that_runs_out_is_an_error_of_its_own(
    spoken_line: Path, tmp_path: Path, lipcore_command: Callable[..., Ended]
) -> None:
    ended = lipcore_command(
        "shapes", spoken_line, "--rate", "24", "--frames", "1-999999999999999",
        "--out", tmp_path / "a.json",
    )  # fmt: skip
    _assert_refused(ended, 11, "memory ran out")


def test_an_error_comes_without_a_bar_that_never_began(
    tmp_path: Path, lipcore_command: Callable[..., Ended]
) -> None:
    (tmp_path / "a.mp4").write_text("no film")
    ended = lipcore_command("render", tmp_path / "a.mp4", "a.wav", "--out", tmp_path / "out")
    _assert_refused(ended, 3, "a.mp4")
    (tmp_path / "jobs.yaml").write_text("jobs: [{plate: a.mp4, dialogue: a.wav, out: b}]")
    _assert_refused(lipcore_command("batch", tmp_path / "jobs.yaml"), 3, "a.mp4")


def test_json_of_track_is_a_file_not_stdout(
    tmp_path: Path, lipcore_command: Callable[..., Ended]
) -> None:
    ended = lipcore_command("track", tmp_path / "none.mov", "--json", tmp_path / "a.json")
    _assert_refused(ended, 3, "none.mov")
    assert not ended.stdout


def test_curves_of_a_plate_leave_stdout_to_the_result(
    portrait_plate: Path, tmp_path: Path, lipcore_command: Callable[..., Ended]
) -> None:
    out = tmp_path / "curves.json"
    ended = lipcore_command("shapes", portrait_plate, "--frames", "1001-1003", "--out", out)
    assert ended.returncode == 0, ended.stderr
    (line,) = ended.stdout.splitlines()
    assert line.startswith(f"{out}: frames 1001-1003")


@pytest.mark.parametrize("option", ["--frames=1001-1004", "--deliver=patch"])
def test_a_stream_refuses_options_of_renders(
    option: str, lipcore_command: Callable[..., Ended]
) -> None:
    _assert_refused(lipcore_command("bench", "--stream", option), 2, option.partition("=")[0])


@pytest.mark.parametrize("option", ["--side=128", "--latency=4", "--seconds=3"])
def test_a_render_refuses_options_of_streams(
    option: str, lipcore_command: Callable[..., Ended]
) -> None:
    _assert_refused(lipcore_command("bench", option), 2, option.partition("=")[0])


def _read_one_line(environment: dict[str, str], *arguments: object) -> Ended:
    """Run ``lipcore ARGUMENTS | head -1``."""
    command = [sys.executable, "-m", "lipcore", *map(str, arguments)]
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        line = running.stdout.readline()
        running.stdout.close()
        told = running.stderr.read()
        code = running.wait(timeout=300)
    return Ended(command, code, line, told)


def test_a_render_whose_progress_nobody_reads_ends_quietly(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    ended = _read_one_line(
        {**environment, "LIPCORE_CACHE": str(tmp_path / "cache")}, "render", portrait_plate,
        spoken_line, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert ended.stdout.startswith('{"event"')
    assert not ended.stderr
    assert ended.returncode == 1


def test_an_error_that_nobody_reads_keeps_its_exit_code(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = (
        f'"{sys.executable}" -m lipcore render "{tmp_path}/none.mov" a.wav --out b --json'
        " | true; exit ${PIPESTATUS[0]}"
    )
    ended = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    _assert_refused(ended, 3, "none.mov")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [("render nosuch.mov a.wav --out b --json", 3, "nosuch.mov"),
     ("weights list", 6, "no space"), ("--help", 6, "no space")],
)
def test_a_full_disk_behind_stdout_is_told_on_stderr(
    words: str, code: int, told: str, environment: dict[str, str]
) -> None:
    ended = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m lipcore {words} > /dev/full'], env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    _assert_refused(ended, code, told)


def test_a_closed_stdout_stops_nothing(environment: dict[str, str]) -> None:
    for words in ("weights list --json", "--version"):
        ended = subprocess.run(
            ["bash", "-c", f'"{sys.executable}" -m lipcore {words} >&-'], env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, "")
