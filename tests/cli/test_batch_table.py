"""What the table of a batch shows of paths that rich would take for markup."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipcore.cli.batch_table import TableListener
from lipcore.farm.check import JobCheck
from lipcore.farm.jobs import read_jobs


@pytest.fixture
def check(tmp_path: Path) -> JobCheck:
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text(
        "jobs:\n- {plate: 'a [v2]/[/red]/p.mov', dialogue: d.wav, out: '[bold]/o.mov'}\n", "utf-8"
    )
    (job,) = read_jobs(jobs)
    return JobCheck(job, None, None)


def test_a_plan_shows_whole_paths(check: JobCheck, capsys: pytest.CaptureFixture[str]) -> None:
    TableListener().planned([check])
    shown = "".join(capsys.readouterr().out.split())
    for piece in ("[v2]", "[/red]", "[bold]"):
        assert piece in shown, piece
