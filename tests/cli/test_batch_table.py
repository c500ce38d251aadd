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


def test_a_plan_in_a_file_has_a_line_a_job_with_whole_paths(
    check: JobCheck, capsys: pytest.CaptureFixture[str]
) -> None:
    TableListener().planned([check])
    _, line = capsys.readouterr().out.splitlines()
    assert check.job.source.endswith("a [v2]/[/red]/p.mov") and check.job.source in line
    assert str(check.targets[0]) in line


def test_a_plan_on_a_terminal_loses_no_letter(
    check: JobCheck, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "60", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    TableListener().planned([check])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for mark in "[]":
        told = check.job.source + str(check.targets[0])
        assert shown.count(mark) == told.count(mark)
