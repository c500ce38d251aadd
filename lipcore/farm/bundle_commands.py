"""The steps of jobs that are no single render.

    conform    Render (a task for one shot, or a few) -> Assemble -> [Report]
    adapt      Track -> Adapt
    evaluate   Evaluate
    report     Report

The shots of a conform are rendered by as many machines as there are; ``Assemble`` goes over all
of them, renders what is missing, and writes the timelines. A long shot is one task: the render of
one shot is cut up by frames where it is a job of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipcore.farm.check import JobCheck
from lipcore.farm.check_commands import CheckedCommand
from lipcore.farm.kinds import (
    AdaptSettings,
    CommandJob,
    ConformSettings,
    EvaluateSettings,
    ReportSettings,
    split_dub,
)
from lipcore.farm.template import Parameters, in_chunks, literal, make_step

Steps = list[dict[str, Any]]
_RULES = "--rules={{Session.PathMappingRulesFile}}"
"""How a farm's path mapping reaches paths that stand inside of a timeline."""
_LONG_SHOT_FRAMES = 500
"""A task of a conform may take as long as one of so many frames, for each of its shots."""


def command_steps(
    check: JobCheck, parameters: Parameters, task_s: int, frame_s: int
) -> tuple[str, Steps, int]:
    """The steps of a job, and its parameters.

    Args:
        check: The job, whose files have been read.
        parameters: Are added to.
        task_s: A task may take so long, and
        frame_s: so much for each frame or look at one.

    Returns:
        (what the job does, for people; its steps; how many tasks the one has that is cut up).

    Raises:
        ConfigError: A value of it cannot stand in a template.
    """
    assert isinstance(check.job, CommandJob) and isinstance(check.checked, CheckedCommand)
    given, made = check.job.settings, _Command(check.job, check.checked, parameters, task_s)
    if isinstance(given, ConformSettings):
        return made.conform(given, frame_s)
    if isinstance(given, AdaptSettings):
        return made.adapt(given, frame_s)
    if isinstance(given, EvaluateSettings):
        return made.evaluate(given, frame_s)
    return made.report(given, frame_s)


class _Command:
    def __init__(
        self, job: CommandJob, checked: CheckedCommand, parameters: Parameters, task_s: int
    ) -> None:
        self._job, self._checked, self._p, self._task_s = job, checked, parameters, task_s

    def conform(self, given: ConformSettings, frame_s: int) -> tuple[str, Steps, int]:
        p, out = self._p, Path(given.out)
        words = {"timeline": [p.file("Timeline", given.timeline, "The timeline.")]}
        words["dialogue"] = []
        for number, text in enumerate(given.dialogue, 1):
            tag, file, other = split_dub(text)
            many = "" if len(given.dialogue) == 1 else str(number)
            stands = literal(other) if file is None else p.file(
                f"Dialogue{many}", file, "A dub, laid at the timeline's start."
            )  # fmt: skip
            words["dialogue"].append(literal(tag) + stands)
        words["search"] = [
            p.folder(f"Search{number}", folder, "Where media is looked for.")
            for number, folder in enumerate(given.search, 1)
        ]
        if given.settings is not None:
            words["settings"] = [p.file("Settings", given.settings, "Settings of single shots.")]
        for name in ("path_map", "skip_track", "format"):
            words[name] = [literal(value) for value in getattr(given, name)]
        for name in ("rate", "handles", "strength", "synthesis", "refine", "overwrite"):
            value = getattr(given, name)
            if value != ConformSettings.__dataclass_fields__[name].default:
                words[name] = [literal("true" if value is True else str(value))]
        if given.weights != "base":
            words["weights"] = ["+".join(p.weights(given.weights))]
        words["out"] = [p.folder("OutDir", out, "Where shots and timelines go.", "OUT")]
        words |= self._work(out.parent)
        self._add_media()
        shots = self._checked.shots
        p.text("Shots", _ranges(shots), "Numbers of the shots to render.")
        p.text("ChunkSize", "1", "Shots a task.", "INT")
        options = [_RULES, *_said(words)]
        seconds = self._task_s + frame_s * _LONG_SHOT_FRAMES
        render = ["conform", "--shots={{Task.Param.Shots}}", *options]
        # With some shots asked for, the others are kept as they lie: so are they in the whole.
        only = [f"--set=only={literal(one)}" for one in given.only]
        rest = ["conform", "--set=report=false", *options, *only]
        whole = self._task_s + frame_s * _LONG_SHOT_FRAMES * len(shots)
        steps = [
            in_chunks(make_step("Render", render, seconds), "Shots", by="ChunkSize"),
            make_step("Assemble", rest, whole, after=("Render",)),
        ]
        if given.report:
            page = ["conform", "--set=report=true", *options, *only]
            steps.append(make_step("Report", page, whole, after=("Assemble",)))
        return f"Makes the shots of {Path(given.timeline).name} say a dub.", steps, len(shots)

    def adapt(self, given: AdaptSettings, frame_s: int) -> tuple[str, Steps, int]:
        p, out = self._p, Path(given.out)
        words = {"plate": [p.media("Plate", Path(given.plate), "The plate.")]}
        if given.weights != "base":
            words["weights"] = ["+".join(p.weights(given.weights))]
        for name in ("frames", "speaker", "colorspace", "device"):
            value = getattr(given, name)
            if value != AdaptSettings.__dataclass_fields__[name].default:
                words[name] = [literal(str(value))]
        words["out"] = [p.file("Out", out, "The adaptation that is written.", "OUT")]
        words |= self._work(out.parent)
        seconds = self._task_s + frame_s * self._checked.frames + round(given.minutes * 60)
        options = _said(words)
        learn = ["adapt", f"--set=minutes={given.minutes:g}", *options]
        # A shot is asked for a dialogue, which an analysis does not look at.
        spoken = f"--set=dialogue={words['plate'][0]}"
        steps = [
            make_step("Track", ["analyse", spoken, *options], seconds),
            make_step("Adapt", learn, seconds, after=("Track",)),
        ]
        return f"Fine-tunes the latent networks to {Path(given.plate).name}.", steps, 1

    def evaluate(self, given: EvaluateSettings, frame_s: int) -> tuple[str, Steps, int]:
        p = self._p
        words = {
            "render": [p.media("Render", Path(given.render), "What is measured.")],
            "against": [p.media("Against", Path(given.against), "Its plate.")],
        }
        if given.dialogue is not None:
            words["dialogue"] = [p.file("Dialogue", given.dialogue, "What the mouth says.")]
        words["out"] = [
            p.file(f"Out{number}" if number > 1 else "Out", path, "Figures.", "OUT")
            for number, path in enumerate(given.out, 1)
        ]
        if given.per_frame is not None:
            words["per_frame"] = [p.file("PerFrame", given.per_frame, "A row a frame.", "OUT")]
        if given.offset_frames:
            words["offset_frames"] = [repr(given.offset_frames)]
        if given.speaker != "largest":
            words["speaker"] = [literal(given.speaker)]
        if given.rate is not None:
            words["rate"] = [literal(given.rate)]
        words |= self._work(Path(given.out[0]).parent)
        seconds = self._task_s + frame_s * self._checked.frames
        steps = [make_step("Evaluate", ["evaluate", *_said(words)], seconds)]
        return f"Measures {Path(given.render).name} against its plate.", steps, 1

    def report(self, given: ReportSettings, frame_s: int) -> tuple[str, Steps, int]:
        p = self._p
        words = {"render": [
            p.media(f"Render{number}", Path(path), "A finished render, or a folder of them.")
            for number, path in enumerate(given.render, 1)
        ]}  # fmt: skip
        words["out"] = [p.file("Out", given.out, "The page.", "OUT")]
        if given.title:
            words["title"] = [literal(given.title)]
        words |= self._work(Path(given.out).parent)
        self._add_media()
        seconds = self._task_s + frame_s * self._checked.frames
        steps = [make_step("Report", ["report", *_said(words)], seconds)]
        return f"A page about {len(given.render)} renders.", steps, 1

    def _work(self, folder: Path) -> dict[str, list[str]]:
        """The folder of what tasks share, as the cache."""
        path = folder / f".lipcore_{self._job.name}"
        return {"cache": [self._p.folder("WorkDir", path, "What tasks share.", "INOUT") + "/cache"]}

    def _add_media(self) -> None:
        """What is read without being named in the job: a farm may have to copy it."""
        self._p.files += map(str, self._checked.files)
        self._p.folders += map(str, self._checked.folders)


def _said(words: dict[str, list[str]]) -> list[str]:
    return [f"--set={name}={value}" for name, values in words.items() for value in values]


def _ranges(numbers: tuple[int, ...]) -> str:
    """``1-3,5`` for 1, 2, 3 and 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
