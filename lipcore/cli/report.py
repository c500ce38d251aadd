"""``lipcore report``: a page on which a supervisor reviews renders."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.cli.progress import BarListener, JsonListener


@click.command("report")
@click.argument("renders", metavar="RENDER...", nargs=-1, required=True,
                type=click.Path(path_type=Path))
@click.option("--out", default=Path("report.html"), show_default=True,
              type=click.Path(path_type=Path), help="The page.")
@click.option("--title", default="", help="Heading of the page. Default: the folder's name.")
@click.option("--cache", type=click.Path(path_type=Path),
              help="Folder that keeps what was measured.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    renders: tuple[Path, ...], out: Path, title: str, cache: Path | None, as_json: bool,
    debug: bool,
) -> None:  # fmt: skip
    """Look at each RENDER and write a page for review: worst shots and frames first.

    RENDER is a folder (searched to any depth), a video, or a sequence as name.####.exr, with
    the *.lipsync.json that the render left beside it; plate and dialogue are found through it.

    The page is one file of some MB, opens without a server, and loads nothing.
    """
    from lipcore.cache import Cache
    from lipcore.report.finished import find_renders
    from lipcore.report.review import write_review

    found = find_renders(renders)
    listener = JsonListener() if as_json else BarListener()
    with listener:
        reviewed = write_review(
            found, out, title=title, cache=Cache(cache),
            progress=lambda done, total: listener.progress("report", done, total),
        )
    if isinstance(listener, JsonListener):
        for one in reviewed:
            listener.emit(
                event="shot", name=one.name, sidecar=str(one.render.sidecar),
                findings=[f.text for f in one.findings if f.serious],
                notes=[f.text for f in one.findings if not f.serious],
            )
        listener.emit(event="done", outputs=[str(out)], shots=len(reviewed))
        return
    for one in reviewed:
        serious = [f.text for f in one.findings if f.serious]
        click.echo(f"{one.name}: {' '.join(serious) or 'nothing stands out'}")
    click.echo(str(out))
