"""Open Job Description bundles: the jobs of a file as steps that a farm can run.

A render is cut into

    Track -> [Adapt] -> Render (in chunks, each with the whole shot's context) -> Assemble
          -> [Evaluate] -> [Report]

and other kinds of jobs as ``farm.bundle_commands`` says. Every step is ``lipcore farm run`` in a
session whose worker keeps the networks loaded. Media are PATH parameters, so that a farm maps or
copies them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lipcore.errors import ConfigError
from lipcore.farm.bundle_commands import command_steps
from lipcore.farm.check import JobCheck
from lipcore.farm.jobs import BESIDES, Job, JobSettings
from lipcore.farm.kinds import AdaptSettings, CommandJob
from lipcore.farm.template import (
    Parameters,
    in_chunks,
    literal,
    make_step,
    make_template,
    title,
    write_files,
)
from lipcore.media.write_video import SEGMENT_FRAMES
from lipcore.media.writers import VIDEO_SUFFIXES
from lipcore.plan import CheckedRender
from lipcore.shot_sound import begin_of
from lipcore.weights import find_weights, split_name

_FILES = ("dialogue", "shapes", "holdout", "certificate", "private_key")
"""Options of a job that name a file to be read."""
_STAYS = "private_key"
"""Its path is mapped, but a farm that copies files never takes it along."""
_SIGNING = ("provenance", "certificate", "private_key")
"""Options of the last step alone: chunks are not signed."""
_ADAPTED = "{{Param.WorkDir}}/adapted.safetensors"
_ELSEWHERE = ("cache", *BESIDES)
"""Options that are no words of a render's tasks: the farm's cache lies in ``WorkDir``."""


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """How a job is cut up."""

    chunk_frames: int = 40
    """Frames a task; of a video, rounded up to whole segments."""
    frame_timeout_s: int = 300
    """A task may take this long for each of its frames, and ``task_timeout_s`` besides."""
    task_timeout_s: int = 1800
    command: str = "lipcore"
    """How lipcore is called on the farm's machines."""

    def __post_init__(self) -> None:
        for name in ("chunk_frames", "frame_timeout_s", "task_timeout_s"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was written for one job."""

    name: str
    folder: Path
    steps: tuple[str, ...]
    chunks: int
    """Tasks of the step that is cut up; 1 where none is."""
    notes: tuple[str, ...] = ()
    """What of the job does not hold on a farm, in words."""

    def try_here(self) -> str:
        """The command that runs all of it on this machine, without a farm."""
        template = shlex.quote(str(self.folder / "template.yaml"))
        values = shlex.quote(f"file://{self.folder / 'openjd_parameters.json'}")
        return f"openjd run {template} -p {values}"


@dataclass(frozen=True, slots=True)
class _Made:
    """A bundle that is not written yet."""

    check: JobCheck
    template: dict[str, Any]
    parameters: Parameters
    chunks: int
    notes: tuple[str, ...]


def write_bundles(checks: list[JobCheck], folder: Path, settings: BundleSettings) -> list[Bundle]:
    """Write a bundle for each job, in folders of their names; none where one cannot be made.

    Raises:
        ConfigError: A job's pixels would depend on the machine, or a value of it cannot stand
            in a template.
        OutputError: The folder cannot be written.
    """
    made = [_make(check, settings) for check in checks]
    return [_write(one, folder / one.check.job.name) for one in made]


def write_bundle(check: JobCheck, folder: Path, settings: BundleSettings) -> Bundle:
    """Write the bundle of one job into a folder.

    Raises:
        ConfigError, OutputError: See ``write_bundles``.
    """
    return _write(_make(check, settings), folder)


def _write(made: _Made, folder: Path) -> Bundle:
    write_files(folder, made.template, made.parameters)
    steps = tuple(step["name"] for step in made.template["steps"])
    return Bundle(made.check.job.name, folder, steps, made.chunks, made.notes)


def _make(check: JobCheck, settings: BundleSettings) -> _Made:
    assert check.checked is not None  # jobs that cannot be done have been refused
    job = check.job
    parameters = Parameters()
    if isinstance(job, CommandJob):
        about, steps, chunks = command_steps(check, parameters, settings.task_timeout_s,
                                             settings.frame_timeout_s)  # fmt: skip
        cache = job.settings.cache
    else:
        render = _Render(check, job, settings, parameters)
        about, steps, chunks = render.about, render.steps(), -(-render.units // render.chunk)
        cache = job.settings.cache
    parameters.text("Lipcore", settings.command, "The command lipcore on the farm's machines.")
    notes = () if cache is None else (
        f"cache: {cache} is not used on a farm, whose WorkDir holds the cache",
    )
    template = make_template(job.name, about, parameters, steps)
    return _Made(check, template, parameters, chunks, notes)


class _Render:
    """The steps of one render."""

    def __init__(
        self, check: JobCheck, job: Job, settings: BundleSettings, parameters: Parameters
    ) -> None:
        assert isinstance(check.checked, CheckedRender)
        if job.config.backend == "auto":
            raise ConfigError(
                f"job {job.name} leaves its backend to each machine, and they would differ",
                hint="Name one, as backend: torch.",
            )
        self._job, self._settings, self._p = job, settings, parameters
        self._checked = check.checked
        self._frames = check.checked.frames
        self._target = check.checked.target
        self._video = self._target.suffix.lower() in VIDEO_SUFFIXES
        count = len(self._frames)
        # A video is made of segments: a task is given whole ones.
        self.units = -(-count // SEGMENT_FRAMES) if self._video else count
        wanted = settings.chunk_frames
        self.chunk = -(-wanted // SEGMENT_FRAMES) if self._video else wanted
        self._given = dict(self._options())
        self._chunked()

    @property
    def about(self) -> str:
        """Of the job, for people."""
        line = Path(self._job.settings.dialogue or self._job.settings.shapes or "").name
        return f"Makes the person of {self._checked.info.path.name} say {line}."

    def steps(self) -> list[dict[str, Any]]:
        """All of them, each after the one before."""
        given = self._job.settings
        steps = [self._step("Track", ["analyse", *self._words("analyse")])]
        if given.adapt is not None:
            words = ["adapt", f"--set=minutes={given.adapt:g}", *self._words("adapt")]
            extra = round(given.adapt * 60)
            steps.append(self._step("Adapt", words, "Track", extra_s=extra))
        name, option = ("Segments", "segments") if self._video else ("Frames", "chunk")
        render = ["render", f"--{option}={{{{Task.Param.{name}}}}}", *self._words("render")]
        steps.append(in_chunks(
            self._step("Render", render, steps[-1]["name"]), name, by="ChunkSize"
        ))  # fmt: skip
        steps.append(self._step("Assemble", ["render", *self._words("assemble")], "Render"))
        if given.evaluate is not None:
            steps.append(self._step("Evaluate", ["evaluate", *self._judged("evaluate")],
                                    "Assemble"))  # fmt: skip
        if given.report is not None:
            steps.append(self._step("Report", ["report", *self._judged("report")], "Assemble"))
        return steps

    def _options(self) -> Iterator[tuple[str, str]]:
        """Options of a render's task, with the template's parameters in them."""
        given, p, info = self._job.settings, self._p, self._checked.info
        plate = info.path
        if info.kind == "sequence":
            name = p.text("PlateName", plate.name, "The plate's files, as name.####.exr.")
            yield "plate", p.folder("Plate", plate.parent, "The plate.") + f"/{name}"
        else:
            yield "plate", p.file("Plate", plate, "The plate.")
        for name in _FILES:
            if (path := getattr(given, name)) is not None:
                words = f"The file of --{name.replace('_', '-')}."
                yield name, p.file(title(name), path, words, "NONE" if name == _STAYS else "IN")
        curve = self._job.config.strength_curve
        if curve is not None:
            yield "strength", p.file("Strength", curve, "The curve of --strength.")
        yield "weights", self._weights()
        out = p.folder("OutDir", self._target.parent, "Where the finished frames go.", "OUT")
        yield "out", f"{out}/{literal(self._target.name)}"
        work = self._target.parent / f".lipcore_{self._job.name}"
        p.folder("WorkDir", work, "What does not depend on the dialogue.", "INOUT")
        for field in fields(JobSettings):
            value = getattr(given, field.name)
            told = ("plate", "out", "strength", "weights", "frames", *_FILES, *_ELSEWHERE)
            if field.name == "strength" and curve is None and value != field.default:
                yield "strength", literal(str(value))
            if field.name not in told and value != field.default:
                yield field.name, literal(json.dumps(value) if value is True else str(value))
        yield "frames", f"{self._frames.first}-{self._frames.last}"
        yield "cache", "{{Param.WorkDir}}/cache"

    def _weights(self) -> str:
        """The set, and the files laid over it; an own adaptation takes the place of a given
        one, and networks stay."""
        base, *told = self._p.weights(self._job.settings.weights)
        _, files = split_name(self._job.settings.weights)
        networks = {path for _, path in find_weights(self._job.config.weights).added}
        kept = [t for t, file in zip(told, files, strict=True) if Path(file).resolve() in networks]
        self._adapted_weights = "+".join([base, _ADAPTED, *kept])
        return "+".join([base, *told])

    def _chunked(self) -> None:
        """The parameters by which the shot is cut up, and the files of what comes after."""
        p, given = self._p, self._job.settings
        if self._video:
            words = f"Segments of {SEGMENT_FRAMES} frames, from 0."
            p.text("Segments", f"0-{self.units - 1}", words)
        else:
            words = "Frames to render; context outside them is read all the same."
            p.text("Frames", f"{self._frames.first}-{self._frames.last}", words)
        p.text("ChunkSize", str(self.chunk), "Frames, or segments, a task.", "INT")
        if given.evaluate is not None:
            p.file("Evaluate", given.evaluate, "Figures of the finished render.", "OUT")
        if given.report is not None:
            p.file("Report", given.report, "The page about the finished render.", "OUT")

    def _words(self, step: str) -> list[str]:
        """The options of a render's step."""
        given = dict(self._given)
        if self._job.settings.adapt is not None and step in ("render", "assemble"):
            given["weights"] = self._adapted_weights
        if step == "adapt":
            given = {n: v for n, v in given.items() if n in AdaptSettings.__dataclass_fields__}
            given["out"] = _ADAPTED
        return [
            f"--set={name}={value}" for name, value in given.items()
            if (step == "assemble" or name not in _SIGNING)
            and not (name == "weights" and value == "base")
        ]

    def _judged(self, task: str) -> list[str]:
        """The options of a step that looks at the finished render."""
        given, spoken = self._given, self._given.get("dialogue")
        words = {"cache": given["cache"]}
        if task == "report":
            words |= {"render": given["out"], "out": "{{Param.Report}}", "plate": given["plate"]}
        else:
            words |= {"render": given["out"], "out": "{{Param.Evaluate}}",
                      "against": given["plate"]}  # fmt: skip
            words |= {n: given[n] for n in ("speaker", "rate") if n in given}
            # The dialogue lies as in the render, whose offset the figures must not undo.
            job, info = self._job, self._checked.info
            begin = begin_of(job.shot, job.config, info, self._frames) * info.rate
            if spoken is not None and begin:
                words["offset_frames"] = repr(float(begin))
        if spoken is not None:
            words["dialogue"] = spoken
        return [f"--set={name}={value}" for name, value in words.items()]

    def _step(
        self, name: str, words: list[str], after: str | None = None, *, extra_s: int = 0
    ) -> dict[str, Any]:
        seconds = self._settings.task_timeout_s + extra_s
        seconds += self._settings.frame_timeout_s * len(self._frames)
        return make_step(name, words, seconds, after=() if after is None else (after,))
