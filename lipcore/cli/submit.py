"""``lipcore submit``: a file of jobs as bundles for a render farm."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("submit")
@click.argument("jobs_path", metavar="JOBS", type=click.Path(path_type=Path))
@click.option("--bundle", "folder", type=click.Path(path_type=Path), required=True,
              help="Folder of the bundles, one a job.")
@click.option("--chunk-frames", type=click.IntRange(1), default=40, show_default=True,
              help="Frames a task; of a video, rounded up to whole segments.")
@click.option("--adapt-minutes", type=click.FloatRange(0, min_open=True),
              help="Fine-tune the latent networks to each shot first.")
@click.option("--command", "lipcore", default="lipcore", show_default=True,
              help="How lipcore is called on the farm's machines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    jobs_path: Path, folder: Path, chunk_frames: int, adapt_minutes: float | None, lipcore: str,
    as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Write the jobs of a file (as for `lipcore batch`) as Open Job Description bundles.

    Each bundle tracks the shot, renders it in chunks on as many machines as there are, and
    assembles it. `openjd run` runs a bundle on this machine; a farm takes it as it is.
    """
    from lipcore.farm.bundle import BundleSettings, write_bundle
    from lipcore.farm.check import check_jobs, raise_wrong
    from lipcore.farm.jobs import read_jobs

    settings = BundleSettings(
        chunk_frames=chunk_frames, adapt_minutes=adapt_minutes, command=lipcore
    )
    checks = check_jobs(read_jobs(jobs_path))
    raise_wrong(checks, str(jobs_path))
    for check in checks:
        bundle = write_bundle(check, folder.absolute() / check.job.name, settings)
        if as_json:
            click.echo(json.dumps({
                "event": "bundle", "name": bundle.name, "folder": str(bundle.folder),
                "steps": bundle.steps, "chunks": bundle.chunks,
            }))  # fmt: skip
            continue
        click.echo(f"{bundle.folder}: {' -> '.join(bundle.steps)}, {bundle.chunks} chunks")
        click.echo(f"  to run it here: {bundle.try_here()}")
