"""``lipcore rate``: people judge renders in a browser, and what their answers come to."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from lipcore.cli.progress import BarListener


@click.group("rate")
def command() -> None:
    """Let people rate renders in a browser, and report what they found."""


@command.command("serve")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on; 0.0.0.0 is every address of this machine.")
@click.option("--port", default=8321, show_default=True, type=click.IntRange(0, 65535),
              help="0 takes a free one.")
@click.option("--behind-proxy", is_flag=True,
              help="A web server of this machine (nginx, Caddy) stands before it, and is believed "
              "who asks.")
@click.option("--cache", type=click.Path(path_type=Path),
              help="Folder for videos that had to be encoded for browsers.")
@click.option("--debug", is_flag=True, hidden=True)
def serve(
    study: Path, host: str, port: int, behind_proxy: bool, cache: Path | None, debug: bool
) -> None:
    """Serve the rating page of STUDY until Ctrl-C.

    STUDY is YAML: a title, a method (acr: each video from 1 to 5; ccr: the second of a pair
    against the first, both as in ITU-T P.910), and clips with a video of each system. Answers
    go into an SQLite file beside it; every one is on the disk before the rater is told so.
    Serve it again, and raters go on where they were.

    \b
    title: Which dub looks real?
    method: acr
    reference: plate                   # the hidden ground truth
    clips:
      - {name: s010, videos: {plate: s010.mp4, ours: dub/s010.mp4}}
    gold:
      - {videos: [shifted.mp4], expect: {lip_sync: [1, 2]}}
    traps:
      - {videos: [s010.mp4], answer: 2}
    practice:                          # before all others; not counted
      - {videos: [other_good.mp4]}
      - {videos: [other_bad.mp4]}
    """
    from lipcore.cache import Cache
    from lipcore.rate.serve import serve_study

    with contextlib.ExitStack() as bar:
        listener = bar.enter_context(BarListener())
        serve_study(
            study, host=host, port=port, behind_proxy=behind_proxy, cache=Cache(cache),
            progress=lambda done, total: listener.progress("videos", done, total),
            ready=lambda address: _tell(address, bar),
        )


def _tell(address: str, bar: contextlib.ExitStack) -> None:
    bar.close()
    click.echo(f"Raters open {address}")
    click.echo("Ctrl-C ends it; every answer is kept.")


@command.command("report")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with plots.")
@click.option("--csv", type=click.Path(path_type=Path), help="Write every single answer.")
@click.option("--all-raters", is_flag=True, help="Screen nobody out.")
@click.option("--debug", is_flag=True, hidden=True)
def report(
    study: Path, html: Path | None, csv: Path | None, all_raters: bool, debug: bool
) -> None:
    """Say what the answers to STUDY come to, with 95 % intervals.

    ACR gives mean opinion scores (and, with a reference, differences from it), CCR mean
    comparisons and preferences. Raters who fail traps or gold, or agree with nobody (ITU-T P.913,
    question by question), are screened out and named. Works while the study is served.
    """
    from lipcore.rate.report import report_lines, summarize_study, write_csv, write_page

    summary = summarize_study(study, screen=not all_raters)
    for line in report_lines(summary):
        click.echo(line)
    if html is not None:
        write_page(summary, html)
        click.echo(str(html))
    if csv is not None:
        write_csv(summary, csv)
        click.echo(str(csv))
