"""``lipcore conform``: a timeline in, a timeline of re-spoken shots out."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.errors import ConfigError
from lipcore.rates import parse_rate
from lipcore.shot import RenderConfig

if TYPE_CHECKING:
    from lipcore.timeline.dialogue import DialogueSource
    from lipcore.timeline.plan import ShotPlan
    from lipcore.timeline.read import ReadTimeline

_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""A language tag, as BCP 47 has them."""


@click.command("conform")
@click.argument("timeline", type=click.Path(path_type=Path))
@click.option("--dialogue", "dialogues", multiple=True, metavar="[TAG=]FILE",
              help="Dub that begins with the timeline; or track:NAME, a sound track of the "
              "timeline by name or number; or clips, their own sound. Repeat it with language "
              "tags, as de=dub.wav, for several: each gets a folder of its own.")
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
@click.option("--settings", "settings_path", type=click.Path(path_type=Path),
              help="YAML: shots by name or number, each {speaker, strength, offset, exclude}.")
@click.option("--format", "formats", type=click.Choice(["otio", "edl", "xml", "fcpx", "aaf"]),
              multiple=True, help="Write the new track in this format, too; may be repeated.")
@click.option("--strength", type=float, default=1.0, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path),
              help="Folder for what does not depend on the dialogue.")
@click.option("--report/--no-report", default=True, show_default=True,
              help="Measure the rendered shots and write a page about them.")
@click.option("--overwrite", is_flag=True, help="Replace shots of other settings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    timeline: Path, dialogues: tuple[str, ...], out: Path | None, rate: str | None,
    search: tuple[Path, ...], path_map: tuple[str, ...], skip_track: tuple[str, ...],
    handles: int, dry_run: bool, only: tuple[str, ...], settings_path: Path | None,
    formats: tuple[str, ...], strength: float, cache: Path | None, report: bool,
    overwrite: bool, as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Make the shots of TIMELINE say a dialogue, in record time.

    The new timeline in --out holds the given tracks and, above them, one with the shots.

    TIMELINE is .otio, .otioz, .otiod, .edl, .xml, .fcpxml, .aaf or .ale. Each row is a shot:
    the record frames, the source frames that they show after all retimes, the media, and how
    much of the dialogue falls into it.

    A clip may carry its own settings: metadata lipcore: {strength: 0.6}, or a marker named
    "lipsync exclude" or "lipsync speaker=left strength=0.6". --settings goes before them.
    """
    from lipcore.cache import Cache
    from lipcore.timeline.choose import choose_shots
    from lipcore.timeline.dialogue import load_source
    from lipcore.timeline.formats import check_formats
    from lipcore.timeline.media_links import LinkOptions, MediaFinder, parse_path_map
    from lipcore.timeline.plan import plan_shots, table
    from lipcore.timeline.read import read_timeline
    from lipcore.timeline.settings import read_settings

    dubs = _parse_dialogues(dialogues)
    read = read_timeline(timeline, rate=None if rate is None else parse_rate(rate))
    options = LinkOptions(timeline.absolute().parent, search, parse_path_map(path_map))
    settings = {} if settings_path is None else read_settings(settings_path)
    if not dry_run and (not dialogues or out is None):
        raise ConfigError(
            "a conform needs --dialogue and --out", hint="Or print the table with --dry-run."
        )
    config = RenderConfig(strength=strength, cache=cache, overwrite=overwrite)
    check_formats(formats)
    with closing(MediaFinder(options)) as finder:
        # All dubs are read before the first render: a wrong one costs no hours.
        sources = {
            tag: None if source is None
            else load_source(source, read, finder, skip_tracks=skip_track)
            for tag, source in dubs.items()
        }  # fmt: skip
        loaded = {tag: None if s is None else s.dialogue for tag, s in sources.items()}
        plans = {
            tag: plan_shots(
                read, finder, dub, handles=handles, skip_tracks=skip_track, settings=settings
            )
            for tag, dub in loaded.items()
        }
    for language, shots in plans.items():
        dub, folder = loaded[language], out and out / language
        source = sources[language]
        warnings = () if source is None else source.warnings
        choose_shots(shots, only, read, dub, folder, config)
        listener = JsonListener() if as_json else BarListener()
        written: list[Path] = []
        if not dry_run:
            from lipcore.timeline.report import write_report
            from lipcore.timeline.run import render_shots
            from lipcore.timeline.write import write_timeline

            assert dub is not None and folder is not None
            name = "_".join(word for word in (timeline.stem, "lipsync", language) if word)
            with listener:
                outcomes = render_shots(shots, dub, read.rate, folder, config, listener)
                written = write_timeline(
                    read, shots, folder, folder / f"{name}.otio", language=language,
                    formats=formats,
                )
                if report:
                    written.append(folder / f"{name}.html")
                    write_report(
                        written[-1], read, shots, outcomes, language=language, cache=Cache(cache),
                        listener=listener,
                    )
        if isinstance(listener, JsonListener):
            _emit(listener, shots, read, written, language, warnings)
            continue
        if language:
            click.echo(f"{language}:")
        click.echo(table(shots, read))
        for warning in warnings:
            click.echo(f"warning: {warning}")
        for path in written:
            click.echo(str(path))


def _emit(
    listener: JsonListener, shots: list[ShotPlan], read: ReadTimeline, written: list[Path],
    language: str, warnings: tuple[str, ...],
) -> None:  # fmt: skip
    for shot in shots:
        listener.emit(event="shot", language=language, **shot.row(read))
    listener.emit(
        event="done" if written else "plan", shots=len(shots), rate=str(read.rate),
        start_frame=read.start_frame, warnings=[*read.warnings, *warnings], language=language,
        outputs=[str(path) for path in written],
    )


def _parse_dialogues(given: tuple[str, ...]) -> dict[str, DialogueSource | None]:
    """Dialogues by language tag; the tag of a lone one may be left out.

    Raises:
        ConfigError: Several dialogues, and a tag is missing, given twice or no tag.
    """
    from lipcore.timeline.dialogue import parse_source

    dubs: dict[str, DialogueSource | None] = {}
    for text in given:
        tag, equals, file = text.partition("=")
        if not equals or not _TAG.fullmatch(tag) or Path(text).exists():
            tag, file = "", text
        if tag in dubs or (len(given) > 1 and not tag):
            raise ConfigError(
                f"--dialogue {text} needs a language tag of its own",
                hint="Give several as --dialogue de=FILE --dialogue pt-BR=FILE.",
            )
        dubs[tag] = parse_source(file)
    return dubs or {"": None}
