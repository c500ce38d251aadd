"""``lipcore bench``, as its users run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest

from lipcore.bench.render import RenderBench, StageTime, advise


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lipcore", "bench", *arguments], capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def done_of(ended: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert ended.returncode == 0, ended.stderr
    last: dict[str, object] = json.loads(ended.stdout.splitlines()[-1])
    assert last["event"] == "done"
    return last


def test_a_render_is_measured_by_stage_and_leaves_nothing(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    told = done_of(run(str(portrait_plate), str(spoken_line), "--frames", "1001-1006", "--json"))
    assert told["frames"] == 6
    stages = told["stages"]
    assert isinstance(stages, dict)
    assert list(stages) == ["start", "track", "bank", "speech", "render"]
    for name in ("start", "track", "render"):
        assert stages[name]["wall_s"] > 0 and stages[name]["cpu_s"] > 0, name
    rest = sum(stage["wall_s"] for name, stage in stages.items() if name != "start")
    assert told["frames_a_second"] == pytest.approx(6 / rest, rel=0.01)
    assert told["again_frames_a_second"] >= told["frames_a_second"]  # type: ignore[operator]
    assert isinstance(told["peak_bytes"], int) and told["peak_bytes"] > 100 << 20
    assert told["advice"]
    assert not list(tmp_path.glob("lipcore-bench-*"))


def test_a_stream_plays_a_video_and_keeps_what_came_out(
    shared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out é.mp4"
    clip, line = shared_data / "clips" / "radio10.mp4", shared_data / "speech" / "jfk_en.wav"
    told = done_of(run(
        str(clip), str(line), "--stream", "--side", "128", "--seconds", "1.5", "--latency", "4",
        "--out", str(out), "--json",
    ))  # fmt: skip
    assert told["frames"] == 45  # at 29.97
    assert told["drawn"] > 35  # type: ignore[operator]
    assert (told["width"], told["height"], told["latency_frames"]) == (128, 128, 4)
    assert told["latency_ms_95"] >= told["latency_ms"] > 1000 * 4 / 30 - 1  # type: ignore[operator]
    assert told["cpu_ms"] > told["push_cpu_ms"] > 0  # type: ignore[operator]
    with av.open(str(out)) as file:
        assert sum(1 for _ in file.decode(video=0)) == 45
        assert len(file.streams.audio) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["only plate.mp4"], 2, "a dialogue is missing"),
        (["a.mp4", "b.wav", "--out", "c.mp4"], 2, "--out is of streams"),
        (["absent é.mp4", "b.wav"], 3, "no plate at"),
        (["a.mp4", "b.wav", "--stream", "--side", "63"], 2, "a side of 63 pixels"),
        (["a.mp4", "b.wav", "--stream", "--latency", "0"], 2, "latency_frames is 0"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(
    arguments: list[str], code: int, words: str
) -> None:
    ended = run(*arguments)
    assert ended.returncode == code, ended.stderr
    assert words in ended.stderr and "hint:" in ended.stderr and "Traceback" not in ended.stderr


def bench(**changes: object) -> RenderBench:
    """Two cores, well used, HD."""
    stages = {
        "start": StageTime(5, 5), "track": StageTime(10, 12), "bank": StageTime(5, 8),
        "speech": StageTime(1, 1), "render": StageTime(20, 38),
    }  # fmt: skip
    given = {
        "frames": 100, "width": 1920, "height": 1080, "stages": stages, "peak_bytes": 2 << 30,
        "machine_bytes": 24 << 30, "cores": 2, **changes,
    }  # fmt: skip
    return RenderBench(**given)  # type: ignore[arg-type]


def test_figures_follow_from_the_stages() -> None:
    made = bench()
    assert made.frames_a_second == pytest.approx(100 / 36)
    assert made.again_frames_a_second == pytest.approx(100 / 21)


def test_advice_fits_the_shot_and_the_machine() -> None:
    assert not any("batch" in line or "patch" in line for line in advise(bench()))
    assert any("--deliver patch" in line for line in advise(bench(height=2160)))
    assert any("--processes 4" in line for line in advise(bench(cores=8)))
    few = advise(bench(cores=64, machine_bytes=8 << 30))
    assert any("--processes 3" in line for line in few), "memory is the bound, not cores"
    idle = {name: StageTime(stage.wall_s, 0.1) for name, stage in bench().stages.items()}
    assert "held the render up" in advise(bench(stages=idle))[0]
    assert any("Memory is nearly full" in line for line in advise(bench(machine_bytes=2 << 30)))
