"""Whether the jobs of a file can be done: everything but the pictures is read first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lipcore.errors import ConfigError, LipcoreError
from lipcore.farm.check_commands import CheckedCommand, check_command, check_learnable
from lipcore.farm.jobs import AnyJob, merge_problems
from lipcore.farm.kinds import CommandJob, EvaluateSettings
from lipcore.media.writers import VIDEO_SUFFIXES
from lipcore.plan import CheckedRender, check_render

_START_BYTES = 900 << 20
"""Of a render that holds no frames yet, networks and libraries included."""
_COMMAND_BYTES = 2 << 30
"""Of a job that is no render: it reads pictures of a size that its check does not look at."""
_FRAMES_HELD = 6
"""Beside those that are drawn: read ahead, and waiting to be written."""


@dataclass(frozen=True, slots=True)
class JobCheck:
    """What reading a job's files told."""

    job: AnyJob
    checked: CheckedRender | CheckedCommand | None
    error: LipcoreError | None
    """Why the job cannot be done."""

    @property
    def memory_bytes(self) -> int:
        """What it may take, on the safe side."""
        if isinstance(self.job, CommandJob):
            return _COMMAND_BYTES
        if not isinstance(self.checked, CheckedRender):
            return _START_BYTES
        window = self.checked.info.display
        frame = window.width * window.height * 3 * 4
        return _START_BYTES + (self.job.config.workers + _FRAMES_HELD) * frame

    @property
    def about(self) -> str:
        """How much there is to do, in words."""
        if isinstance(self.checked, CheckedRender):
            return str(self.checked.frames)
        return "" if self.checked is None else self.checked.about

    @property
    def targets(self) -> tuple[Path, ...]:
        """What is written: the picture, or a command's results, first; then what comes after."""
        if isinstance(self.job, CommandJob):
            given = self.job.settings
            outs = given.out if isinstance(given, EvaluateSettings) else (given.out,)
            return tuple(map(Path, outs))
        picture = self.checked.target if isinstance(self.checked, CheckedRender) else self.job.out
        after = (self.job.settings.evaluate, self.job.settings.report)
        return (picture, *(Path(path) for path in after if path is not None))


def check_jobs(
    jobs: list[AnyJob], *, told: Callable[[int, int], None] = lambda done, total: None
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
            checks.append(JobCheck(job, _check(job), None))
        except LipcoreError as error:
            checks.append(JobCheck(job, None, error))
        told(done, len(jobs))
    clashes = dict(_clashes(checks))
    return [
        JobCheck(c.job, c.checked, clashes[c.job.name]) if c.job.name in clashes else c
        for c in checks
    ]


def _check(job: AnyJob) -> CheckedRender | CheckedCommand:
    if isinstance(job, CommandJob):
        return check_command(job)
    checked = check_render(job.shot, job.config, job.out)
    if job.settings.adapt is not None:
        check_learnable(checked.frames)
    return checked


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
        for target in check.targets if check.checked is not None else ():
            others = taken.setdefault(target, [])
            other = next((o for o in others if _at_once(check, o, target)), None)
            if other is not None:
                yield check.job.name, ConfigError(
                    f"job {check.job.name} writes {target}, and so does {other.job.name}",
                    hint="Give each job an output of its own.", path=str(target),
                )
                break
            others.append(check)


def _at_once(one: JobCheck, other: JobCheck, target: Path) -> bool:
    """Whether two jobs would write the same file: parts of one sequence lie beside each other."""
    if not (isinstance(one.checked, CheckedRender) and isinstance(other.checked, CheckedRender)):
        return True
    if target != one.checked.target or target != other.checked.target:
        return True
    mine, theirs = one.checked.frames, other.checked.frames
    apart = mine.last < theirs.first or theirs.last < mine.first
    return not apart or target.suffix.lower() in VIDEO_SUFFIXES
