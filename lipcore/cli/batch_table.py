"""The table of a running batch, for people."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click
from rich.console import Console
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from lipcore.cli.progress import STAGES

if TYPE_CHECKING:
    from lipcore.farm.batch import JobStatus
    from lipcore.farm.check import JobCheck

_MARKS = {"waiting": "", "running": "cyan", "retrying": "yellow", "done": "green",
          "failed": "red", "stopped": "yellow"}
_ROWS = 30
"""More jobs than this, and those that wait or are done are only counted."""
_PIPED_WIDTH = 20_000
"""Characters of a line that goes into a file: two of the longest paths, and more."""


class TableListener:
    """A live table on stderr; what was decided goes above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4)
        self._shown: Table | str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        if self._shown and not self._console.is_interactive:
            self._console.print()  # in a log, the table's last line ends, too

    def checked(self, done: int, total: int) -> None:
        """A job's files were read."""
        self._show(f"checked {done} of {total} jobs" if done < total else "")

    def planned(self, checks: Sequence[JobCheck]) -> None:
        """Nothing is rendered: this is what would be."""
        names = ("job", "frames", "plate", "out")
        table = Table(*(Column(name, overflow="fold") for name in names), box=None)
        for check in checks:
            told = (check.job.name, check.about, check.job.source, str(check.targets[0]))
            table.add_row(*map(Text, told))  # paths may hold what would be markup
        console = Console(highlight=False)
        if not console.is_terminal:  # a line a job, for programs that look for paths
            console.width = _PIPED_WIDTH
        console.print(table)

    def changed(self, jobs: Sequence[JobStatus]) -> None:
        """See ``BatchListener``."""
        self._show(_table(jobs))

    def _show(self, what: Table | str) -> None:
        self._shown = what
        if what and not self._live.is_started:
            self._live.start()
        self._live.transient = not what  # nothing leaves no line behind
        self._live.update(what, refresh=not what)

    def log(self, message: str) -> None:
        """See ``BatchListener``."""
        self._console.print(message, markup=False, soft_wrap=True)

    def ended(self, found: dict[str, Any]) -> None:
        """All jobs have ended."""
        for job in found["jobs"]:
            what = job["picture"] if job["state"] == "done" else job["message"]
            click.echo(f"{job['state']:<7} {job['name']}  {what}")
            if job["hint"] and job["state"] == "failed":
                click.echo(f"        hint: {job['hint']}")
        click.echo(f"{found['done']} done, {found['failed']} failed")


def _table(jobs: Sequence[JobStatus]) -> Table:
    table = Table("job", "state", "try", "stage", "frames", box=None)
    shown = jobs
    if len(jobs) > _ROWS:
        shown = [job for job in jobs if job.state not in ("waiting", "done")][:_ROWS]
    for job in shown:
        running = job.state == "running"
        table.add_row(
            job.name, f"[{_MARKS[job.state] or 'default'}]{job.state}", str(job.tries or ""),
            STAGES.get(job.stage, job.stage) if running else "",
            f"{job.done}/{job.total}" if running and job.total else "",
        )
    done = sum(job.state == "done" for job in jobs)
    failed = sum(job.state == "failed" for job in jobs)
    table.caption = f"{done} done, {failed} failed, {len(jobs)} in all"
    return table
