"""What all bundles share: parameters, actions, the sticky worker, and the four files.

Template: ``jobtemplate-2023-09``, https://github.com/OpenJobDescription/openjd-specifications.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from lipcore.errors import ConfigError
from lipcore.media.locate import locate_sequence
from lipcore.media.output_files import appearing, output_error
from lipcore.weights import shipped_names, split_name

Flow = Literal["IN", "OUT", "INOUT", "NONE"]
"""Whether a farm without shared storage copies a path's files, and when."""
SESSION = "--session={{Session.WorkingDirectory}}"
_START_S, _STOP_S, _NOTICE_S = 300, 60, 60
"""For the worker to start and to stop; for a task to finish its frame when it is cancelled."""
_MOST_TIMEOUT_S = 7 * 24 * 3600


@dataclass
class Parameters:
    """The parameters of a job: definitions, values, and what a farm must copy."""

    definitions: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    """Folders that are brought back."""
    named: list[str] = field(default_factory=list)
    """Paths that are mapped and never copied."""

    def file(self, name: str, path: str | Path, words: str, flow: Flow = "IN") -> str:
        """A file; returns what stands for it in a task."""
        self._path(name, "FILE", flow, path, words)
        if flow == "IN":
            self.files.append(str(path))
        elif flow == "NONE":
            self.named.append(str(path))
        else:
            self.results.append(str(Path(path).parent))
        return f"{{{{Param.{name}}}}}"

    def folder(self, name: str, path: str | Path, words: str, flow: Flow = "IN") -> str:
        """A folder; returns what stands for it in a task."""
        self._path(name, "DIRECTORY", flow, path, words)
        (self.folders if flow == "IN" else self.results).append(str(path))
        return f"{{{{Param.{name}}}}}"

    def media(self, name: str, path: Path, words: str) -> str:
        """A video or an image sequence; returns what stands for it in a task."""
        if path.is_file() and locate_sequence(path) is None:
            return self.file(name, path, words)
        folder, last = (path, "") if path.is_dir() else (path.parent, path.name)
        stands = self.folder(name, folder, words)
        return f"{stands}/{self.text(f'{name}Name', last, 'Its files.')}" if last else stands

    def weights(self, name: str) -> list[str]:
        """``SET+FILE+FILE``; returns what stands for each part of it in a task."""
        base, files = split_name(name)
        if base not in shipped_names():
            base = self.folder("Weights", base, "The folder of --weights.")
        words = "An adaptation or a network laid over the weights."
        return [base, *(
            self.file(f"Adaptation{n if n > 1 else ''}", file, words)
            for n, file in enumerate(files, 1)
        )]  # fmt: skip

    def text(self, name: str, value: str, words: str, kind: str = "STRING") -> str:
        """A text or number; returns what stands for it in a task."""
        self.definitions.append({"name": name, "type": kind, "description": words})
        self.values[name] = value
        return f"{{{{Param.{name}}}}}"

    def assets(self) -> dict[str, Any]:
        """The content of ``asset_references.yaml``."""
        return {"assetReferences": {
            "inputs": {
                "filenames": list(dict.fromkeys(self.files)),
                "directories": list(dict.fromkeys(self.folders)),
            },
            "outputs": {"directories": list(dict.fromkeys(self.results))},
            "referencedPaths": list(dict.fromkeys(self.named)),
        }}  # fmt: skip

    def _path(self, name: str, kind: str, flow: Flow, path: str | Path, words: str) -> None:
        self.definitions.append({
            "name": name, "type": "PATH", "objectType": kind, "dataFlow": flow,
            "description": words,
        })  # fmt: skip
        self.values[name] = str(path)


def make_step(
    name: str, words: Sequence[str], seconds: int, *, after: Sequence[str] = ()
) -> dict[str, Any]:
    """A step of one task: ``lipcore farm run`` with these words."""
    step: dict[str, Any] = {"name": name}
    if after:
        step["dependencies"] = [{"dependsOn": other} for other in after]
    step["script"] = {"actions": {"onRun": action(["farm", "run", *words, SESSION], seconds)}}
    return step


def in_chunks(step: dict[str, Any], name: str, *, by: str) -> dict[str, Any]:
    """The step, a task for each contiguous chunk of the parameter ``name``."""
    step["parameterSpace"] = {"taskParameterDefinitions": [{
        "name": name, "type": "CHUNK[INT]", "range": f"{{{{Param.{name}}}}}",
        "chunks": {"defaultTaskCount": f"{{{{Param.{by}}}}}", "rangeConstraint": "CONTIGUOUS"},
    }]}  # fmt: skip
    return step


def make_template(
    name: str, description: str, parameters: Parameters, steps: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """A job template: one worker a session, whatever tasks of the job that session is given."""
    template: dict[str, Any] = {"specificationVersion": "jobtemplate-2023-09"}
    if any("parameterSpace" in step for step in steps):
        template["extensions"] = ["TASK_CHUNKING"]
    return {
        **template, "name": f"lipcore {name}", "description": description,
        "parameterDefinitions": parameters.definitions,
        "jobEnvironments": [_sticky_worker()], "steps": list(steps),
    }


def action(words: Sequence[str], timeout_s: int) -> dict[str, Any]:
    """A call of lipcore that may take so long, and is asked to stop before it is stopped."""
    return {
        "command": "{{Param.Lipcore}}", "args": list(words),
        "timeout": min(timeout_s, _MOST_TIMEOUT_S),
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": _NOTICE_S},
    }


def _sticky_worker() -> dict[str, Any]:
    return {
        "name": "Worker",
        "description": "A worker that keeps the networks loaded from task to task.",
        "script": {"actions": {
            "onEnter": action(["farm", "start", SESSION], _START_S),
            "onExit": action(["farm", "stop", SESSION], _STOP_S),
        }},
    }  # fmt: skip


def title(name: str) -> str:
    """An option's name as a parameter's: ``private_key`` is ``PrivateKey``."""
    return name.replace("_", " ").title().replace(" ", "")


def literal(text: str) -> str:
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


def write_files(folder: Path, template: dict[str, Any], parameters: Parameters) -> None:
    """Write ``template.yaml``, ``parameter_values.yaml`` and ``asset_references.yaml``.

    Beside them lies ``openjd_parameters.json``, the same values as ``openjd run`` takes them.

    Raises:
        OutputError: The folder cannot be written.
    """
    values = parameters.values
    listed = {"parameterValues": [{"name": k, "value": v} for k, v in values.items()]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error
    for name, content in (
        ("template.yaml", _yaml(template)), ("parameter_values.yaml", _yaml(listed)),
        ("asset_references.yaml", _yaml(parameters.assets())),
        ("openjd_parameters.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n"),
    ):  # fmt: skip
        with appearing(folder / name) as temporary:
            temporary.write_text(content, "utf-8")


def _yaml(content: Any) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return text
