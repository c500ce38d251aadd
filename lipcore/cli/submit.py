"""``lipcore submit``: a file of jobs as bundles for a render farm."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("submit")
@click.argument("jobs_path", metavar="JOBS", type=click.Path(path_type=Path))
@click.option("--bundle", "folder", type=click.Path(path_type=Path), required=True,
              help="Folder of the bundles, one a job.")
@click.option("--chunk-frames", type=click.IntRange(1), default=40, show_default=True,
              help="Frames a task; of a video, rounded up to whole segments.")
@click.option("--command", "lipcore", default="lipcore", show_default=True,
              help="How lipcore is called on the farm's machines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    jobs_path: Path, folder: Path, chunk_frames: int, lipcore: str, as_json: bool, debug: bool
) -> None:
    """Write the jobs of a file (as for `lipcore batch`) as Open Job Description bundles.

    The bundle of a render tracks the shot, renders it in chunks on as many machines as there
    are, and assembles it; that of a conform has a task a shot. `openjd run` runs a bundle on
    this machine; a farm takes it as it is. Nothing is written while a job cannot be done.
    """
    from lipcore.cli.progress import BarListener, JsonListener
    from lipcore.farm.bundle import BundleSettings, write_bundles
    from lipcore.farm.check import check_jobs, raise_wrong
    from lipcore.farm.jobs import read_jobs

    settings = BundleSettings(chunk_frames=chunk_frames, command=lipcore)
    listener = JsonListener() if as_json else BarListener()
    with listener:
        jobs = read_jobs(jobs_path)
        checks = check_jobs(
            jobs, told=lambda done, total: listener.progress("check", done, total)
        )
        raise_wrong(checks, str(jobs_path))
        bundles = write_bundles(checks, folder.absolute(), settings)
    for bundle in bundles:
        if isinstance(listener, JsonListener):
            listener.emit(
                event="bundle", name=bundle.name, folder=str(bundle.folder), steps=bundle.steps,
                chunks=bundle.chunks, notes=bundle.notes,
            )
            continue
        cut = f", {bundle.chunks} chunks" if bundle.chunks > 1 else ""
        click.echo(f"{bundle.folder}: {' -> '.join(bundle.steps)}{cut}")
        for note in bundle.notes:
            click.echo(f"  note: {note}")
        click.echo(f"  to run it here: {bundle.try_here()}")
