"""``lipcore demo``: a portrait says a sentence; nothing to bring, nothing to download."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipcore.cli.progress import BarListener, JsonListener

if TYPE_CHECKING:
    from lipcore.demo.run import DemoResult


@click.command("demo")
@click.option("--text", help="What to say, in English. Default: one sentence.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("lipcore_demo"),
    show_default=True, help="Folder for everything.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(text: str | None, out: Path, as_json: bool, debug: bool) -> None:
    """Make a portrait say a sentence.

    Makes a plate (a public-domain portrait under a slow camera move, 1920x1080, 24 frames a
    second, scene-linear EXR) and a dialogue (espeak-ng), renders, and leaves the EXR frames, a
    movie of before and after, and a contact sheet. Needs no network. Run again, it goes on
    where it was interrupted.
    """
    listener = JsonListener() if as_json else BarListener()
    if isinstance(listener, BarListener):
        listener.log("Loading the networks ...")
    from lipcore.demo.run import DEFAULT_TEXT, make_demo

    start = time.monotonic()
    with listener:
        result = make_demo(out, DEFAULT_TEXT if text is None else text, listener=listener)
    spent = time.monotonic() - start
    if isinstance(listener, JsonListener):
        listener.emit(
            event="done", plate=str(result.plate), dialogue=str(result.dialogue),
            outputs=[str(path) for path in result.render.outputs], movie=str(result.movie),
            sheet=str(result.sheet), frames=str(result.render.frames),
            drawn=result.render.drawn, kept=result.render.kept, seconds=round(spent, 1),
        )  # fmt: skip
        return
    _tell(out, result, spent)


def _tell(out: Path, result: DemoResult, spent: float) -> None:
    frames = result.render.frames
    minutes, seconds = divmod(round(spent), 60)
    click.echo(f"\n{len(frames)} frames ({frames}) in {minutes}:{seconds:02d}\n")
    for what, path in (
        ("movie", result.movie),
        ("contact sheet", result.sheet),
        ("frames", out / "render" / "plate.####.exr"),
        ("sidecar", out / "render" / "plate.lipsync.json"),
        ("plate", result.plate),
        ("dialogue", result.dialogue),
    ):
        click.echo(f"  {what:<14} {path}")
    plate, curves = shlex.quote(str(result.plate)), shlex.quote(str(out / "curves.json"))
    dialogue, again = shlex.quote(str(result.dialogue)), shlex.quote(str(out / "again"))
    folder = shlex.quote(str(out))
    click.echo(
        "\nTry next:\n"
        f'  lipcore demo --text "Your own words" --out {folder}\n'
        f"  lipcore shapes {dialogue} --rate 24 --frames {frames} --out {curves}\n"
        f"  lipcore render {plate} --shapes {curves} --out {again}\n"
    )
