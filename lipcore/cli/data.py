"""`lipcore data`: footage made ready for training."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.cli.data_report import command as report_command
from lipcore.cli.data_synth import command as synth_command


@click.group("data")
def command() -> None:
    """Make footage ready for training."""


command.add_command(synth_command)
command.add_command(report_command)


@command.command("prepare")
@click.argument("clips", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The folder of shards."
)
@click.option(
    "--crop-px", default=256, show_default=True, help="Side of the crops; 768 for the paper's."
)
@click.option(
    "--val-share", default=0.15, show_default=True, help="Share of the people kept out of training."
)
@click.option(
    "--hold-out", multiple=True, metavar="NAME",
    help="A person who is kept out of training in any case; may be given again.",
)
@click.option(
    "--measure-sync/--no-measure-sync", default=True, show_default=True,
    help="Measure how far the sound lags; leave clips out whose sound is another's.",
)
def prepare_command(
    clips: Path, out: Path, crop_px: int, val_share: float, hold_out: tuple[str, ...],
    measure_sync: bool,
) -> None:  # fmt: skip
    """Track the faces of CLIPS, a folder of videos, and keep crops, landmarks and sound.

    The result is WebDataset tars with a manifest.json; rejected.json says what was left out,
    and why. A clip that is there already is not made again.

    A manifest.json in CLIPS may tell of each file its identity, its use (train, val or test)
    and by how many frames at 25 a second its sound lags (offset_frames). Where the offset is
    not stated, it is measured on stretches of three seconds and more, and taken out.
    """
    from lipcore.train.prepare import PrepareConfig, prepare

    config = PrepareConfig(
        crop_px=crop_px, margin_px=crop_px // 16, val_share=val_share, hold_out=hold_out,
        measure_sync=measure_sync,
    )
    manifest = prepare(clips, out, config, tell=click.echo)
    sides = [c["split"] for c in manifest["clips"].values()]
    click.echo(f"{out}: {sides.count('train')} clips to train on, {sides.count('val')} kept out")
