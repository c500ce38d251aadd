"""``lipcore data report``: what prepared folders hold."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", default=Path("report.html"), show_default=True, type=click.Path(path_type=Path),
    help="The page.",
)
def command(shards: tuple[Path, ...], out: Path) -> None:
    """Write a page of what SHARDS hold: lengths, rates, sizes, faces, words, sync, people, frames.

    The page is one file, and loads nothing.
    """
    from lipcore.train.report import write_report

    write_report(shards, out)
    click.echo(str(out))
