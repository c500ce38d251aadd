"""``lipcore batch``: a file of jobs, done one after another or a few at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipcore.cli.progress import JsonListener

if TYPE_CHECKING:
    from lipcore.farm.batch import JobStatus
    from lipcore.farm.check import JobCheck


@click.command("batch")
@click.argument("jobs_path", metavar="JOBS", type=click.Path(path_type=Path))
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True,
              help="Jobs at once.")
@click.option("--memory-gib", type=click.FloatRange(0, min_open=True),
              help="Jobs start only while they fit into this. Default: no limit.")
@click.option("--tries", type=click.IntRange(1), default=3, show_default=True,
              help="Of a job that fails of something that may pass.")
@click.option("--wait", "wait_s", type=click.FloatRange(0), default=5.0, show_default=True,
              help="Seconds before the second try; twice as long before each further one.")
@click.option("--report", "report_path", type=click.Path(path_type=Path),
              help="Write how each job ended, as JSON.")
@click.option("--dry-run", is_flag=True, help="Check all jobs, print them, do nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    jobs_path: Path, processes: int, memory_gib: float | None, tries: int, wait_s: float,
    report_path: Path | None, dry_run: bool, as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Do the jobs of a file (YAML), each in a process of its own.

    The file holds jobs:, a list of mappings with plate, dialogue, out and any option of
    `lipcore render` by its long name; defaults: for all of them; relative paths count from
    the file. A job may also have adapt: (minutes, before the render), evaluate: and report:
    (files, after it), or be another command, as kind: conform, adapt, evaluate or report. All
    of it is checked before the first frame. Run it again to go on: frames that are finished
    are kept.
    """
    from lipcore.cli.batch_table import TableListener
    from lipcore.errors import BatchError, OutputNotWritableError
    from lipcore.farm.batch import BatchLimits, report, run_batch
    from lipcore.farm.check import check_jobs, raise_wrong
    from lipcore.farm.jobs import read_jobs
    from lipcore.media.output_files import appearing

    limits = BatchLimits(
        processes, None if memory_gib is None else int(memory_gib * 2**30), tries, wait_s
    )
    if report_path is not None and not report_path.absolute().parent.is_dir():
        # Before hours of rendering, not after them.
        raise OutputNotWritableError(
            f"no folder is at {report_path.absolute().parent}",
            hint="Make it, or choose another --report.", path=str(report_path),
        )
    listener = _JsonBatch() if as_json else TableListener()
    jobs = read_jobs(jobs_path)
    with listener:
        checks = check_jobs(jobs, told=listener.checked)
        raise_wrong(checks, str(jobs_path))
        if dry_run:
            listener.planned(checks)
            return
        ended = run_batch(checks, limits, listener)
    found = report(ended)
    if report_path is not None:
        with appearing(report_path) as temporary:
            temporary.write_text(json.dumps(found, indent=1), "utf-8")
    listener.ended(found)
    if found["failed"]:
        raise BatchError(
            f"{found['failed']} of {len(ended)} jobs failed",
            hint="Mend what their lines say and run the same command: the others are kept.",
            failed=[job.name for job in ended if job.state == "failed"],
        )


class _JsonBatch(JsonListener):
    """One JSON object a line."""

    def __init__(self) -> None:
        super().__init__()
        self._states: dict[str, tuple[str, int]] = {}

    def checked(self, done: int, total: int) -> None:
        """A job's files were read."""
        self.progress("check", done, total)

    def planned(self, checks: Sequence[JobCheck]) -> None:
        """Nothing is rendered: this is what would be."""
        for check in checks:
            self.emit(
                event="job", name=check.job.name, plate=check.job.source, frames=check.about,
                out=str(check.targets[0]),
            )

    def changed(self, jobs: Sequence[JobStatus]) -> None:
        """See ``BatchListener``."""
        for job in jobs:
            state = (job.state, job.tries)
            if self._states.get(job.name) != state:
                self._states[job.name] = state
                self.emit(event="state", name=job.name, state=job.state, tries=job.tries)
        frames = [job for job in jobs if job.stage == "render" and job.state == "running"]
        for job in frames:
            self.progress(job.name, job.done, job.total)

    def ended(self, found: dict[str, object]) -> None:
        """All jobs have ended."""
        self.emit(event="done", **found)
