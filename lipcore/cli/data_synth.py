"""``lipcore data synth``: talking heads with exact truth."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.cli.progress import BarListener, JsonListener


@click.command("synth")
@click.option(
    "--head", type=click.Path(path_type=Path), help="The ICT Face Model Light, an npz file."
)
@click.option(
    "--portrait", "portraits", multiple=True, type=click.Path(path_type=Path),
    help="A photograph that speaks, or astronaut, the one that is installed; may be given again. "
    "With --head, every other speaker is a portrait.",
)
@click.option(
    "--voices", default="auto", show_default=True, metavar="LIST",
    help="espeak, flite, festival, or single ones such as flite:slt; auto takes all that are "
    "installed.",
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
    head: Path | None, portraits: tuple[Path, ...], voices: str, out: Path, speakers: int,
    seconds: float, size: int, val_share: float, seed: int, jobs: int, as_json: bool,
) -> None:
    """Make people who never lived say sentences, and keep what is true of their lips.

    Without a head, `--portrait astronaut` needs no file at all. Each speaker is a function of
    the settings and a number: run it again with more speakers, or after an interruption, and
    those that are there already are kept.
    """
    from lipcore.train.synth.clip import SynthConfig
    from lipcore.train.synth.make import synthesize
    from lipcore.train.synth.sentences import find_voices

    config = SynthConfig(
        speakers=speakers, seconds=seconds, size=size, val_share=val_share, seed=seed, jobs=jobs,
        voices=find_voices(voices),
    )
    with JsonListener() if as_json else BarListener() as listener:
        listener.log(f"voices: {', '.join(config.voices)}")
        manifest = synthesize(
            head, out, config, portraits=portraits,
            progress=lambda done, of: listener.progress("speakers", done, of),
        )
    sides = [c["split"] for c in manifest["clips"].values()]
    if isinstance(listener, JsonListener):
        listener.emit(event="done", train=sides.count("train"), val=sides.count("val"))
    else:
        click.echo(
            f"{out}: {sides.count('train')} speakers to train on, {sides.count('val')} kept out"
        )
