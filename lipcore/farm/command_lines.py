"""A job of a file as calls of ``lipcore`` on this machine, one after another.

    [adapt] -> render -> [evaluate] -> [report], or the one command of another kind
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lipcore.farm.check import JobCheck
from lipcore.farm.jobs import Job
from lipcore.farm.kinds import AdaptSettings, CommandJob, EvaluateSettings, ReportSettings, words_of
from lipcore.media.locate import locate_sequence
from lipcore.media.output_files import appearing, make_parent
from lipcore.plan import CheckedRender
from lipcore.shot_sound import begin_of
from lipcore.weights import find_weights


@dataclass(frozen=True, slots=True)
class CommandLine:
    """One call."""

    stage: str
    """The command's name."""
    words: tuple[str, ...]
    """Of ``lipcore``, the command first."""
    before: Callable[[], None] = lambda: None
    """What must be there first."""
    after: Callable[[], None] = lambda: None
    """What is noted when it has succeeded."""
    done: Callable[[], bool] = lambda: False
    """An earlier batch has done it, and doing it again would give something else."""


def command_lines(check: JobCheck) -> list[CommandLine]:
    """The calls of a job that can be done."""
    job = check.job
    if isinstance(job, CommandJob):
        before = _parents(check.targets)
        if isinstance(job.settings, AdaptSettings):
            return [_adapt_line(job.settings, tuple(job.arguments()))]
        return [CommandLine(job.kind, tuple(job.arguments()), before)]
    assert isinstance(check.checked, CheckedRender)
    return _render_lines(job, check.checked)


def _render_lines(job: Job, checked: CheckedRender) -> list[CommandLine]:
    given, target = job.settings, checked.target
    render, lines = job.arguments(), []
    if given.adapt is not None:
        adapted = target.parent / f".lipcore_{job.name}" / "adapted.safetensors"
        settings = AdaptSettings(
            given.plate, str(adapted), given.adapt, given.frames, given.speaker, given.colorspace,
            given.weights, given.device, given.cache,
        )
        lines.append(_adapt_line(settings, ("adapt", *words_of(settings, "adapt"))))
        render = [word for word in render if not word.startswith("--weights=")]
        # It takes the place of one that was given; networks laid over the set stay.
        render.append(f"--weights={find_weights(given.weights).unadapted().name}+{adapted}")
    lines.append(CommandLine("render", tuple(render)))
    if given.evaluate is not None:
        begin = begin_of(job.shot, job.config, checked.info, checked.frames) * checked.info.rate
        judged = EvaluateSettings(
            str(target), given.plate, (given.evaluate,), given.dialogue,
            float(begin) if given.dialogue is not None else 0.0, given.speaker, given.rate,
            cache=given.cache,
        )
        words = ("evaluate", *words_of(judged, "evaluate"))
        lines.append(CommandLine("evaluate", words, _parents((Path(given.evaluate),))))
    if given.report is not None:
        page = ReportSettings((str(target),), given.report, cache=given.cache)
        words = ("report", *words_of(page, "report"))
        lines.append(CommandLine("report", words, _parents((Path(given.report),))))
    return lines


def _adapt_line(given: AdaptSettings, words: tuple[str, ...]) -> CommandLine:
    """An adaptation, which is made once: made again it is another, and so would the render be."""
    out = Path(given.out)
    noted = out.with_name(f".{out.name}.made.json")
    made_from = json.dumps([words, _stamps(Path(given.plate))])

    def done() -> bool:
        try:
            return out.is_file() and noted.read_text("utf-8") == made_from
        except (OSError, UnicodeDecodeError):
            return False

    def note() -> None:
        with appearing(noted) as temporary:
            temporary.write_text(made_from, "utf-8")

    return CommandLine("adapt", words, _parents((out,)), note, done)


def _stamps(plate: Path) -> list[list[object]]:
    """Names, sizes and times of a plate's files: another plate is learnt anew."""
    found = locate_sequence(plate)
    files = [plate] if found is None else list(found.files.values())
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def _parents(paths: tuple[Path, ...]) -> Callable[[], None]:
    def make() -> None:
        for path in paths:
            make_parent(path)

    return make
