"""``lipcore conform``: a timeline in, a timeline of re-spoken shots out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.cli.rates import parse_rate
from lipcore.errors import ConfigError
from lipcore.shot import RenderConfig

if TYPE_CHECKING:
    from lipcore.timeline.plan import ShotPlan


@click.command("conform")
@click.argument("timeline", type=click.Path(path_type=Path))
@click.option("--dialogue", type=click.Path(path_type=Path),
              help="Dub that begins with the timeline.")
@click.option("--out", type=click.Path(path_type=Path),
              help="Folder of the shots and of the new timeline.")
@click.option("--rate", help="Frames a second of the record; an EDL does not state it.")
@click.option("--search", type=click.Path(path_type=Path), multiple=True,
              help="Folder to look for media in; may be repeated.")
@click.option("--path-map", multiple=True, help="OLD=NEW start of media paths; may be repeated.")
@click.option("--skip-track", multiple=True, help="Track to look through, as one of titles.")
@click.option("--handles", type=click.IntRange(0), default=0, show_default=True,
              help="Record frames on either side of each cut.")
@click.option("--dry-run", is_flag=True, help="Print the table; write nothing.")
@click.option("--only", multiple=True, help="Shot to render, by name or number; may be repeated.")
@click.option("--strength", type=float, default=1.0, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path),
              help="Folder for what does not depend on the dialogue.")
@click.option("--overwrite", is_flag=True, help="Replace shots of other settings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    timeline: Path, dialogue: Path | None, out: Path | None, rate: str | None,
    search: tuple[Path, ...], path_map: tuple[str, ...], skip_track: tuple[str, ...],
    handles: int, dry_run: bool, only: tuple[str, ...], strength: float, cache: Path | None,
    overwrite: bool, as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Make the shots of TIMELINE say a dialogue, in record time.

    The new timeline in --out holds the given tracks and, above them, one with the shots.

    TIMELINE is .otio, .otioz, .otiod, .edl, .xml, .fcpxml, .aaf or .ale. Each row is a shot:
    the record frames, the source frames that they show after all retimes, the media, and how
    much of the dialogue falls into it.
    """
    from lipcore.media.audio import load_dialogue
    from lipcore.timeline.media_links import LinkOptions, MediaFinder, parse_path_map
    from lipcore.timeline.plan import plan_shots, table
    from lipcore.timeline.read import read_timeline

    read = read_timeline(timeline, rate=None if rate is None else parse_rate(rate))
    options = LinkOptions(timeline.absolute().parent, search, parse_path_map(path_map))
    if not dry_run and (dialogue is None or out is None):
        raise ConfigError(
            "a conform needs --dialogue and --out", hint="Or print the table with --dry-run."
        )
    dub = None if dialogue is None else load_dialogue(dialogue)
    finder = MediaFinder(options)
    try:
        shots = plan_shots(read, finder, dub, handles=handles, skip_tracks=skip_track)
    finally:
        finder.close()
    _choose(shots, only)
    listener = JsonListener() if as_json else BarListener()
    written: Path | None = None
    if not dry_run:
        from lipcore.timeline.run import render_shots
        from lipcore.timeline.write import write_timeline

        assert dub is not None and out is not None
        config = RenderConfig(strength=strength, cache=cache, overwrite=overwrite)
        with listener:
            render_shots(shots, dub, read.rate, out, config, listener)
        written = out / f"{timeline.stem}_lipsync.otio"
        write_timeline(read, shots, out, written)
    if not isinstance(listener, JsonListener):
        click.echo(table(shots, read))
        if written is not None:
            click.echo(str(written))
        return
    for shot in shots:
        listener.emit(event="shot", **shot.row(read))
    listener.emit(
        event="plan" if written is None else "done", shots=len(shots), rate=str(read.rate),
        start_frame=read.start_frame, warnings=list(read.warnings),
        outputs=[] if written is None else [str(written)],
    )


def _choose(shots: list[ShotPlan], only: tuple[str, ...]) -> None:
    """Leave out the shots that were not asked for.

    Raises:
        ConfigError: No shot has a name or number that was asked for.
    """
    known = {shot.name for shot in shots} | {str(shot.number) for shot in shots}
    for asked in only:
        if asked not in known:
            raise ConfigError(
                f"no shot is called {asked!r}", hint="See the table that --dry-run prints."
            )
    for shot in shots:
        if only and not shot.problem and not {shot.name, str(shot.number)} & set(only):
            shot.problem = "not asked for (--only)"
