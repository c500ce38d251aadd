"""``lipcore conform``: what is to be done with the shots of a timeline."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.cli.progress import JsonListener
from lipcore.cli.rates import parse_rate


@click.command("conform")
@click.argument("timeline", type=click.Path(path_type=Path))
@click.option("--dialogue", type=click.Path(path_type=Path),
              help="Dub that begins with the timeline.")
@click.option("--rate", help="Frames a second of the record; an EDL does not state it.")
@click.option("--search", type=click.Path(path_type=Path), multiple=True,
              help="Folder to look for media in; may be repeated.")
@click.option("--path-map", multiple=True, help="OLD=NEW start of media paths; may be repeated.")
@click.option("--skip-track", multiple=True, help="Track to look through, as one of titles.")
@click.option("--handles", type=click.IntRange(0), default=0, show_default=True,
              help="Record frames on either side of each cut.")
@click.option("--dry-run", is_flag=True, required=True, help="Print the table; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    timeline: Path, dialogue: Path | None, rate: str | None, search: tuple[Path, ...],
    path_map: tuple[str, ...], skip_track: tuple[str, ...], handles: int, dry_run: bool,
    as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Say what TIMELINE shows, and where its dialogue lies.

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
    dub = None if dialogue is None else load_dialogue(dialogue)
    finder = MediaFinder(options)
    try:
        shots = plan_shots(read, finder, dub, handles=handles, skip_tracks=skip_track)
    finally:
        finder.close()
    if not as_json:
        click.echo(table(shots, read))
        return
    listener = JsonListener()
    for shot in shots:
        listener.emit(event="shot", **shot.row(read))
    listener.emit(event="plan", shots=len(shots), rate=str(read.rate),
                  start_frame=read.start_frame, warnings=list(read.warnings))
