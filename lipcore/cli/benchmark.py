"""``lipcore benchmark``: tables of methods on a set of clips."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.cli.progress import BarListener, JsonListener


@click.group("benchmark")
def command() -> None:
    """Compare methods on a set of clips, all on one protocol."""


@command.command("tables")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--out", default=Path("tables"), show_default=True, type=click.Path(path_type=Path),
              help="Folder of tables, renders and single evaluations. A run that was stopped "
              "goes on in it.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps tracks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def tables(manifest: Path, out: Path, cache: Path | None, as_json: bool, debug: bool) -> None:
    """Make the tables of a MANIFEST as Markdown, CSV and HTML: own sound, another's, silence.

    MANIFEST is YAML: clips:, a list of {plate, dialogue, offset_frames, crossed, speaker}, and
    seconds, renderers, baselines and tables (of 2 to 5) for all; paths count from the file.
    Methods are the original picture, a still mouth, ours by each renderer, and those of others
    that have weights: yousaidthat, lipgan, wav2lip, wav2lip_768, wav2lip_tecogan, wav2lip_gpen.
    Weights come from `lipcore weights import`, or are trained: baselines: {wav2lip_768: FILE}.
    Rows without are named below the tables, with what they lack.

    Tables 4 and 5 compare variants of the paper's own path, each by a set of weights, by a run of
    `lipcore train`, or by a row of `lipcore train ablate`:

    \b
    variants:
      - {name: stage 1, table: 4, weights: mine}
      - {name: stage 2, table: 4, weights: mine+refiner.safetensors, refine: 1}
      - {name: T = 5, table: 5, run: ablation, row: T = 5}
      - {name: sync loss off, table: 5, run: ablation}
    """
    from lipcore.cache import Cache
    from lipcore.evaluate.table_files import table_markdown, write_tables
    from lipcore.evaluate.tables import read_set, run_tables

    given = read_set(manifest)
    listener = JsonListener() if as_json else BarListener()
    with listener:
        found = run_tables(
            given, out, cache=Cache(cache), cache_folder=cache, log=listener.log,
            progress=lambda done, total: listener.progress("tables", done, total),
        )
    paths = write_tables(found, given, out)
    if isinstance(listener, JsonListener):
        listener.emit(event="done", outputs=[str(p) for p in paths])
        return
    for table in found:
        click.echo(table_markdown(table) + "\n")
    for path in paths:
        click.echo(str(path))
