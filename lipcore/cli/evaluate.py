"""``lipcore evaluate``: figures of a render against its plate."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.evaluate.files import check_files
from lipcore.rates import parse_rate


@click.command("evaluate")
@click.argument("render", type=click.Path(path_type=Path))
@click.option("--against", required=True, metavar="PLATE", type=click.Path(path_type=Path),
              help="The plate that RENDER was made from.")
@click.option("--dialogue", type=click.Path(path_type=Path),
              help="What the mouth says. Default: what the sidecar names, else the render's sound.")
@click.option("--offset-frames", type=float, default=0.0, show_default=True,
              help="Moves the given dialogue against the picture; positive is later.")
@click.option("--speaker", default="largest", show_default=True,
              help="Which face: largest, left, right, X,Y or track:N.")
@click.option("--rate", metavar="FPS", help="Frames a second, as 24 or 24000/1001, where the plate "
              "does not say.")
@click.option("--out", "outs", multiple=True, type=click.Path(path_type=Path),
              help="A file to write: .json (with the values of each frame), .csv, or .html, a "
              "page with curves over the frames. May be given again.")
@click.option("--per-frame", type=click.Path(path_type=Path),
              help="A .csv to write, a row for each frame.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps tracks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    render: Path, against: Path, dialogue: Path | None, offset_frames: float, speaker: str,
    rate: str | None, outs: tuple[Path, ...], per_frame: Path | None, cache: Path | None,
    as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Measure RENDER against its plate: sync, likeness, lips, jitter, seam, and what changed.

    RENDER is a video or a sequence of whole frames, by lipcore or by anything else.

    Figures that ask for published networks use them where `lipcore weights import` brought them;
    otherwise proxies stand in, and are called proxies.
    """
    check_files(outs, per_frame)
    given = None if rate is None else parse_rate(rate)
    from lipcore.cache import Cache
    from lipcore.evaluate.compare import evaluate_render
    from lipcore.evaluate.plots import write_files
    from lipcore.evaluate.table import evaluation_facts, table_text
    from lipcore.media.output_files import check_place

    for planned in (*outs, *(() if per_frame is None else (per_frame,))):
        check_place(planned)
    listener = JsonListener() if as_json else BarListener()
    with listener:
        done = evaluate_render(
            render, against, dialogue=dialogue, offset_frames=offset_frames, speaker=speaker,
            rate=given, cache=Cache(cache), progress=listener.progress,
        )
    written = write_files(done, outs, per_frame)
    if isinstance(listener, JsonListener):
        listener.emit(event="done", outputs=[str(out) for out in written], **evaluation_facts(done))
        return
    click.echo(table_text(done))
    for out in written:
        click.echo(str(out))
