"""Handing a shot to the farm: a jobs file, and the bundle that lipcore makes of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from ..client import WorkerError, clean_environment, find_command


def write_jobs(params: dict[str, Any], path: Path) -> None:
    """Write a jobs file of one job: ``jobs:`` as JSON, which YAML takes as it is.

    Args:
        params: Of ``render``, ``settings`` inside.
        path: The file.
    """
    settings = dict(params["settings"])
    if "strength_curve" in settings:
        settings["strength"] = settings.pop("strength_curve")  # --strength takes a file, too
    job = {k: v for k, v in params.items() if k != "settings"}
    job.update(settings)
    job = {k.replace("_", "-"): v for k, v in job.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps({"jobs": [job]}, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def submit(params: dict[str, Any], folder: str, name: str, environ: dict[str, str]) -> str:
    """Write the jobs file and call ``lipcore submit``.

    Args:
        params: Of ``render``, ``settings`` inside.
        folder: Where.
        name: Of the files.
        environ: What lipcore needs in its environment to know the script's colour spaces.

    Returns:
        What to tell the user.

    Raises:
        WorkerError: lipcore is absent, has no ``submit``, or refuses the job.
    """
    jobs, bundle = Path(folder) / f"{name}.jobs.yaml", Path(folder) / f"{name}.bundle"
    write_jobs(params, jobs)
    command = [*find_command()[:-1], "submit", str(jobs), "--bundle", str(bundle)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False,
        env={**clean_environment(), **environ},
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if ended.returncode == 0:
        return f"{bundle}\n{ended.stdout.strip()}".strip()
    if "No such command" in ended.stderr:
        raise WorkerError(
            f"this lipcore cannot make farm bundles; the jobs file is {jobs}",
            "Run `lipcore submit` of a version that has it on this file.", "ConfigError", 2,
        )
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    hints = [line[6:] for line in lines if line.startswith("hint: ")]
    errors = [line[7:] for line in lines if line.startswith("error: ")]
    raise WorkerError(
        errors[-1] if errors else (lines[-1] if lines else "lipcore submit failed"),
        hints[-1] if hints else "", "WorkerError", ended.returncode,
    )
