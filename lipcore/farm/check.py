"""Whether the jobs of a file can be done: everything but the pictures is read first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lipcore.errors import ConfigError, LipcoreError
from lipcore.farm.jobs import Job, merge_problems
from lipcore.media.writers import VIDEO_SUFFIXES
from lipcore.plan import CheckedRender, check_render

_START_BYTES = 900 << 20
"""Of a render that holds no frames yet, networks and libraries included."""
_FRAMES_HELD = 6
"""Beside those that are drawn: read ahead, and waiting to be written."""


@dataclass(frozen=True, slots=True)
class JobCheck:
    """What reading a job's files told."""

    job: Job
    checked: CheckedRender | None
    error: LipcoreError | None
    """Why the job cannot be done."""

    @property
    def memory_bytes(self) -> int:
        """What a render of it may take, on the safe side."""
        if self.checked is None:
            return _START_BYTES
        window = self.checked.info.display
        frame = window.width * window.height * 3 * 4
        return _START_BYTES + (self.job.config.workers + _FRAMES_HELD) * frame


def check_jobs(
    jobs: list[Job], *, told: Callable[[int, int], None] = lambda done, total: None
) -> list[JobCheck]:
    """Read plates' headers, dialogues, curves and settings of all jobs.

    Args:
        jobs: From ``read_jobs``.
        told: Called with jobs done and their number.

    Returns:
        A check for each job, in order; those that would write a file of an earlier one are
        wrong.
    """
    checks = []
    for done, job in enumerate(jobs, 1):
        try:
            checks.append(JobCheck(job, check_render(job.shot, job.config, job.out), None))
        except LipcoreError as error:
            checks.append(JobCheck(job, None, error))
        told(done, len(jobs))
    clashes = dict(_clashes(checks))
    return [
        JobCheck(c.job, c.checked, clashes[c.job.name]) if c.job.name in clashes else c
        for c in checks
    ]


def raise_wrong(checks: list[JobCheck], where: str) -> None:
    """Refuse jobs of which one cannot be done.

    Raises:
        LipcoreError: All that is wrong, each with the name of its job.
    """
    wrong: list[LipcoreError] = []
    for check in checks:
        if check.error is not None:
            check.error.message = f"job {check.job.name}: {check.error.message}"
            wrong.append(check.error)
    if wrong:
        raise merge_problems(wrong, where)


def _clashes(checks: list[JobCheck]) -> Iterator[tuple[str, ConfigError]]:
    """Names of jobs whose output is an earlier one's, and the error."""
    taken: dict[Path, list[JobCheck]] = {}
    for check in checks:
        if check.checked is None:
            continue
        target, frames = check.checked.target, check.checked.frames
        for other in taken.get(target, ()):
            assert other.checked is not None
            theirs = other.checked.frames
            apart = frames.last < theirs.first or theirs.last < frames.first
            if apart and target.suffix.lower() not in VIDEO_SUFFIXES:
                continue
            yield check.job.name, ConfigError(
                f"job {check.job.name} writes {target}, and so does {other.job.name}",
                hint="Give each job an output of its own.", path=str(target),
            )
            break
        else:
            taken.setdefault(target, []).append(check)
