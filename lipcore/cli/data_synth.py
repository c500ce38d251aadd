"""``lipcore data synth``: talking heads with exact truth."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.cli.progress import BarListener, JsonListener


@click.command("synth")
@click.option(
    "--head", required=True, type=click.Path(path_type=Path),
    help="The ICT Face Model Light, an npz file.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The folder of shards."
)
@click.option("--speakers", default=40, show_default=True, help="How many people.")
@click.option("--seconds", default=8.0, show_default=True, help="How long each speaks.")
@click.option("--size", default=256, show_default=True, help="Side of the crops in pixels.")
@click.option(
    "--val-share", default=0.2, show_default=True, help="Share of the people kept out of training."
)
@click.option("--seed", default=0, show_default=True, help="Of all chance.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines instead of a bar.")
def command(
    head: Path, out: Path, speakers: int, seconds: float, size: int, val_share: float, seed: int,
    jobs: int, as_json: bool,
) -> None:
    """Make people who never lived say sentences, and keep what is true of their lips.

    Each speaker is a function of the seed and a number: run it again with more speakers, or
    after an interruption, and those that are there already are kept.
    """
    from lipcore.train.synth.clip import SynthConfig
    from lipcore.train.synth.make import synthesize

    config = SynthConfig(
        speakers=speakers, seconds=seconds, size=size, val_share=val_share, seed=seed, jobs=jobs
    )
    with JsonListener() if as_json else BarListener() as listener:
        manifest = synthesize(
            head, out, config, progress=lambda done, of: listener.progress("speakers", done, of)
        )
    sides = [c["split"] for c in manifest["clips"].values()]
    if isinstance(listener, JsonListener):
        listener.emit(event="done", train=sides.count("train"), val=sides.count("val"))
    else:
        click.echo(
            f"{out}: {sides.count('train')} speakers to train on, {sides.count('val')} kept out"
        )
