"""Open Job Description bundles: a job of a file as steps that a farm can run.

    Track -> [Adapt] -> Render (in chunks, each with the whole shot's context) -> Assemble

Every step is ``lipcore farm run`` in a session whose worker keeps the networks loaded. Media
are PATH parameters, so that a farm maps or copies them. Template: ``jobtemplate-2023-09`` with
``TASK_CHUNKING``, https://github.com/OpenJobDescription/openjd-specifications.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from lipcore.errors import ConfigError
from lipcore.farm.check import JobCheck
from lipcore.farm.jobs import Job, JobSettings
from lipcore.media.output_files import appearing, output_error
from lipcore.media.write_video import SEGMENT_FRAMES
from lipcore.media.writers import VIDEO_SUFFIXES
from lipcore.types import FrameRange
from lipcore.weights import find_weights, shipped_names, split_name

_FILES = ("dialogue", "shapes", "holdout", "certificate", "private_key")
"""Options of a job that name a file to be read."""
_STAYS = "private_key"
"""Its path is mapped, but a farm that copies files never takes it along."""
_SIGNING = ("provenance", "certificate", "private_key")
"""Options of the last step alone: chunks are not signed."""
_NOT_ON_A_FARM = ("overwrite", "cache", "name")
_START_S, _STOP_S, _NOTICE_S = 300, 60, 60
"""For the worker to start and to stop; for a task to finish its frame when it is cancelled."""


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """How a job is cut up."""

    chunk_frames: int = 40
    """Frames a task; of a video, rounded up to whole segments."""
    frame_timeout_s: int = 300
    """A task may take this long for each of its frames, and ``task_timeout_s`` besides."""
    task_timeout_s: int = 1800
    adapt_minutes: float | None = None
    """Fine-tune the latent networks to the shot first; needs ``synthesis: adapted`` to matter."""
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

    def try_here(self) -> str:
        """The command that runs all of it on this machine, without a farm."""
        template = shlex.quote(str(self.folder / "template.yaml"))
        values = shlex.quote(f"file://{self.folder / 'openjd_parameters.json'}")
        return f"openjd run {template} --step {self.steps[-1]} --run-dependencies -p {values}"


def write_bundle(check: JobCheck, folder: Path, settings: BundleSettings) -> Bundle:
    """Write ``template.yaml``, ``parameter_values.yaml`` and ``asset_references.yaml``.

    Beside them lies ``openjd_parameters.json``, the same values as ``openjd run`` takes them.

    Raises:
        ConfigError: The job's pixels would depend on the machine, or a value of it cannot stand
            in a template.
        OutputError: The folder cannot be written.
    """
    steps = _Steps(check, settings)
    values = steps.values()
    assets = {"assetReferences": steps.assets()}
    listed = {"parameterValues": [{"name": k, "value": v} for k, v in values.items()]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error
    template = steps.template()
    for name, content in (
        ("template.yaml", _yaml(template)), ("parameter_values.yaml", _yaml(listed)),
        ("asset_references.yaml", _yaml(assets)),
        ("openjd_parameters.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n"),
    ):  # fmt: skip
        with appearing(folder / name) as temporary:
            temporary.write_text(content, "utf-8")
    names = tuple(step["name"] for step in template["steps"])
    return Bundle(check.job.name, folder, names, -(-steps.units // steps.chunk))


def _yaml(content: Any) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return text


class _Steps:
    """One job's template, values and assets."""

    def __init__(self, check: JobCheck, settings: BundleSettings) -> None:
        assert check.checked is not None  # jobs that cannot be done have been refused
        if check.job.config.backend == "auto":
            raise ConfigError(
                f"job {check.job.name} leaves its backend to each machine, and they would differ",
                hint="Name one, as backend: torch.",
            )
        self._job: Job = check.job
        self._settings = settings
        self._frames: FrameRange = check.checked.frames
        self._target = check.checked.target
        self._plate = check.checked.info.path
        self._sequence = check.checked.info.kind == "sequence"
        self._video = self._target.suffix.lower() in VIDEO_SUFFIXES
        count = len(self._frames)
        # A video is made of segments: a task is given whole ones.
        self.units = -(-count // SEGMENT_FRAMES) if self._video else count
        wanted = settings.chunk_frames
        self.chunk = -(-wanted // SEGMENT_FRAMES) if self._video else wanted

    def values(self) -> dict[str, str]:
        """Parameters by name."""
        values = {"Plate": str(self._plate.parent if self._sequence else self._plate)}
        if self._sequence:
            values["PlateName"] = self._plate.name
        for name in self._given_files():
            values[_title(name)] = str(getattr(self._job.settings, name))
        if self._job.config.strength_curve is not None:
            values["Strength"] = str(self._job.config.strength_curve)
        if self._base not in shipped_names():
            values["Weights"] = self._base
        values |= self._laid_over
        values["OutDir"] = str(self._target.parent)
        values["WorkDir"] = str(self._target.parent / f".lipcore_{self._job.name}")
        first, last = (0, self.units - 1) if self._video else self._ends
        values["Segments" if self._video else "Frames"] = f"{first}-{last}"
        values["ChunkSize"] = str(self.chunk)
        values["Lipcore"] = self._settings.command
        return values

    def assets(self) -> dict[str, Any]:
        """Files that a farm without shared storage must copy."""
        values = self.values()
        files = [values[_title(name)] for name in self._given_files() if name != _STAYS]
        files += [values[name] for name in ("Strength", *self._laid_over) if name in values]
        folders = [values["Plate"]] if self._sequence else []
        folders += [values["Weights"]] if "Weights" in values else []
        files += [] if self._sequence else [values["Plate"]]
        return {
            "inputs": {"filenames": files, "directories": folders},
            "outputs": {"directories": [values["OutDir"], values["WorkDir"]]},
            "referencedPaths": [values[_title(_STAYS)]] if _title(_STAYS) in values else [],
        }

    def template(self) -> dict[str, Any]:
        """The job template."""
        steps = [self._step("Track", ["analyse"])]
        before = "Track"
        if self._settings.adapt_minutes is not None:
            minutes = f"{self._settings.adapt_minutes:g}"
            steps.append(self._step("Adapt", ["adapt", f"--minutes={minutes}"], before))
            before = "Adapt"
        steps.append(self._render(before))
        steps.append(self._step("Assemble", ["render"], "Render"))
        return {
            "specificationVersion": "jobtemplate-2023-09",
            "extensions": ["TASK_CHUNKING"],
            "name": f"lipcore {self._job.name}",
            "description": f"Makes the person of {self._plate.name} say "
            f"{Path(self._job.settings.dialogue or self._job.settings.shapes or '').name}.",
            "parameterDefinitions": list(self._definitions()),
            "steps": steps,
        }

    @property
    def _ends(self) -> tuple[int, int]:
        return self._frames.first, self._frames.last

    @property
    def _base(self) -> str:
        return split_name(self._job.settings.weights)[0]

    @property
    def _laid_over(self) -> dict[str, str]:
        """Files that are laid over the weights, by parameter; the first is seldom not all."""
        files = split_name(self._job.settings.weights)[1]
        return {f"Adaptation{n if n > 1 else ''}": file for n, file in enumerate(files, 1)}

    def _given_files(self) -> list[str]:
        return [name for name in _FILES if getattr(self._job.settings, name) is not None]

    def _definitions(self) -> Iterator[dict[str, Any]]:
        def path(name: str, kind: str, flow: str, words: str) -> dict[str, Any]:
            return {"name": name, "type": "PATH", "objectType": kind, "dataFlow": flow,
                    "description": words}  # fmt: skip

        def text(name: str, words: str, kind: str = "STRING") -> dict[str, Any]:
            return {"name": name, "type": kind, "description": words}

        values = self.values()
        yield path("Plate", "DIRECTORY" if self._sequence else "FILE", "IN", "The plate.")
        if self._sequence:
            yield text("PlateName", "The plate's files, as name.####.exr.")
        for name in self._given_files():
            option = name.replace("_", "-")
            flow = "NONE" if name == _STAYS else "IN"
            yield path(_title(name), "FILE", flow, f"The file of --{option}.")
        if "Strength" in values:
            yield path("Strength", "FILE", "IN", "The curve of --strength.")
        if "Weights" in values:
            yield path("Weights", "DIRECTORY", "IN", "The folder of --weights.")
        for name in self._laid_over:
            yield path(name, "FILE", "IN", "An adaptation or a network laid over the weights.")
        yield path("OutDir", "DIRECTORY", "OUT", "Where the finished frames go.")
        yield path("WorkDir", "DIRECTORY", "INOUT", "What does not depend on the dialogue.")
        if self._video:
            yield text("Segments", f"Segments of {SEGMENT_FRAMES} frames, from 0.")
        else:
            yield text("Frames", "Frames to render; context outside them is read all the same.")
        yield text("ChunkSize", "Frames, or segments, a task.", "INT")
        yield text("Lipcore", "The command lipcore on the farm's machines.")

    def _words(self, kind: str, *, signs: bool) -> list[str]:
        """Options of ``lipcore farm run``, with the template's parameters in them."""
        values = self.values()
        plate = "{{Param.Plate}}" + ("/{{Param.PlateName}}" if self._sequence else "")
        given = {"plate": plate, "out": "{{Param.OutDir}}/" + _literal(self._target.name)}
        given |= {name: f"{{{{Param.{_title(name)}}}}}" for name in self._given_files()}
        for field in fields(JobSettings):
            value = getattr(self._job.settings, field.name)
            if field.name in given or field.name in _NOT_ON_A_FARM or value == field.default:
                continue
            given[field.name] = _literal(json.dumps(value) if value is True else str(value))
        if "Strength" in values:
            given["strength"] = "{{Param.Strength}}"
        weights = "{{Param.Weights}}" if "Weights" in values else self._base
        if "Weights" in values:
            given["weights"] = weights
        laid_over = self._laid_over
        if self._settings.adapt_minutes is not None and kind == "render":
            # The shot's own adaptation takes the place of one that was given; networks stay.
            networks = {str(path) for _, path in find_weights(self._job.config.weights).added}
            weights += "+{{Param.WorkDir}}/adapted.safetensors"
            laid_over = {k: v for k, v in laid_over.items() if str(Path(v).resolve()) in networks}
        weights = "+".join([weights, *(f"{{{{Param.{name}}}}}" for name in laid_over)])
        if "+" in weights:
            given["weights"] = weights
        if kind == "adapt":
            given["out"] = "{{Param.WorkDir}}/adapted.safetensors"
        given["frames"] = f"{self._frames.first}-{self._frames.last}"
        given["cache"] = "{{Param.WorkDir}}/cache"
        return [
            f"--set={name}={value}" for name, value in given.items()
            if signs or name not in _SIGNING
        ]

    def _step(self, name: str, task: list[str], after: str | None = None) -> dict[str, Any]:
        count = len(self._frames)
        step: dict[str, Any] = {"name": name}
        if after is not None:
            step["dependencies"] = [{"dependsOn": after}]
        step["stepEnvironments"] = [_sticky_worker()]
        seconds = self._settings.task_timeout_s + self._settings.frame_timeout_s * count
        step["script"] = {"actions": {"onRun": _action(
            ["farm", "run", *task, "--session={{Session.WorkingDirectory}}",
             *self._words(task[0], signs=name == "Assemble")], seconds,
        )}}  # fmt: skip
        return step

    def _render(self, after: str) -> dict[str, Any]:
        name, option = ("Segments", "segments") if self._video else ("Frames", "chunk")
        step = self._step("Render", ["render", f"--{option}={{{{Task.Param.{name}}}}}"], after)
        step["parameterSpace"] = {"taskParameterDefinitions": [{
            "name": name, "type": "CHUNK[INT]", "range": f"{{{{Param.{name}}}}}",
            "chunks": {"defaultTaskCount": "{{Param.ChunkSize}}", "rangeConstraint": "CONTIGUOUS"},
        }]}  # fmt: skip
        return step


def _sticky_worker() -> dict[str, Any]:
    folder = "--session={{Session.WorkingDirectory}}"
    return {
        "name": "Worker",
        "description": "A worker that keeps the networks loaded from task to task.",
        "script": {"actions": {
            "onEnter": _action(["farm", "start", folder], _START_S),
            "onExit": _action(["farm", "stop", folder], _STOP_S),
        }},
    }  # fmt: skip


def _action(words: list[str], timeout_s: int) -> dict[str, Any]:
    return {
        "command": "{{Param.Lipcore}}", "args": words, "timeout": timeout_s,
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": _NOTICE_S},
    }


def _title(name: str) -> str:
    return name.replace("_", " ").title().replace(" ", "")


def _literal(text: str) -> str:
    """Text of the user's that a template shall not read as an expression.

    Raises:
        ConfigError: It looks like one: templates have no way to write two braces as such.
    """
    if "{{" in text:
        raise ConfigError(
            f"{text!r} holds two braces, which a job template takes for an expression",
            hint="Rename the file, or change the value.",
        )
    return text
