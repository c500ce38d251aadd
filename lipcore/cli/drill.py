"""``lipcore drill``: a quiz page for learning to read lips."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.cli.progress import BarListener, JsonListener


@click.command("drill")
@click.argument("words", type=click.Path(path_type=Path))
@click.option("--portrait", type=click.Path(path_type=Path),
              help="A photograph of one face. Default: the demo's.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              default=Path("lipcore_drill"), show_default=True, help="Folder for the page.")
@click.option("--voice", default="en-us+f3", show_default=True,
              help="espeak-ng voice: a language, with +m1 to +m8 or +f1 to +f5.")
@click.option("--speed", default=140, show_default=True, type=click.IntRange(80, 450),
              help="Words a minute.")
@click.option("--title", default="Lip-reading drill", show_default=True, help="Of the page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    words: Path, portrait: Path | None, out: Path, voice: str, speed: int, title: str,
    as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Make a quiz of silent clips from WORDS, a text file with a word or sentence a line.

    A portrait says each; the page asks which of up to four it was, keeps the score, and lets
    you hear it afterwards. It is one file, opens without a server, and works on a phone. Run
    again with more words, it draws only the new ones.
    """
    listener = JsonListener() if as_json else BarListener()
    if isinstance(listener, BarListener):
        listener.log("Loading the networks ...")
    from lipcore.drill.make import DEMO_PORTRAIT, make_drill
    from lipcore.speech.espeak import Voice

    with listener:
        made = make_drill(
            words, out, portrait=portrait or DEMO_PORTRAIT, title=title, listener=listener,
            voice=Voice(voice, words_per_minute=speed),
        )
    if isinstance(listener, JsonListener):
        listener.emit(
            event="done", outputs=[str(made.page)], words=len(made.clips), drawn=made.drawn
        )
        return
    click.echo(f"{len(made.clips)} words, {made.drawn} clips drawn")
    click.echo(str(made.page))
