"""``lipcore conform``: a timeline in, a timeline of re-spoken shots out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.errors import ConfigError
from lipcore.rates import parse_rate
from lipcore.shot import SYNTHESES, RenderConfig, Synthesis

if TYPE_CHECKING:
    from lipcore.timeline.conform import LanguagePlan


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
              help="YAML: shots by name or number, each {speaker, strength, refine, offset, "
              "exclude}.")
@click.option("--format", "formats", type=click.Choice(["otio", "edl", "xml", "fcpx", "aaf"]),
              multiple=True, help="Write the new track in this format, too; may be repeated.")
@click.option("--strength", type=float, default=1.0, show_default=True)
@click.option("--synthesis", type=click.Choice(SYNTHESES), default="auto", show_default=True)
@click.option("--refine", type=float, is_flag=False, flag_value=1.0, default=0.0,
              metavar="[0-1]", help="Refiner (stage 2) of latent and adapted, as in render.")
@click.option("--weights", default="base", show_default=True,
              help="Name, or a folder of safetensors files; +FILE adds a network.")
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
    formats: tuple[str, ...], strength: float, synthesis: Synthesis, refine: float, weights: str,
    cache: Path | None, report: bool, overwrite: bool, as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Make the shots of TIMELINE say a dialogue, in record time.

    The new timeline in --out holds the given tracks and, above them, one with the shots.

    TIMELINE is .otio, .otioz, .otiod, .edl, .xml, .fcpxml, .aaf or .ale. Each row is a shot:
    the record frames, the source frames that they show after all retimes, the media, and how
    much of the dialogue falls into it.

    A clip may carry its own settings: metadata lipcore: {strength: 0.6}, or a marker named
    "lipsync exclude" or "lipsync speaker=left strength=0.6". --settings goes before them.
    """
    from lipcore.timeline.conform import (
        ConformRequest,
        parse_dialogues,
        plan_conform,
        run_conform,
    )
    from lipcore.timeline.plan import table

    if not dry_run and (not dialogues or out is None):
        raise ConfigError(
            "a conform needs --dialogue and --out", hint="Or print the table with --dry-run."
        )
    request = ConformRequest(
        timeline, parse_dialogues(dialogues), out, None if rate is None else parse_rate(rate),
        search, path_map, skip_track, handles, only, settings_path, formats, report,
        RenderConfig(
            synthesis=synthesis, refine=refine, strength=strength, weights=weights, cache=cache,
            overwrite=overwrite,
        ),
    )
    for plan in plan_conform(request):
        listener = JsonListener() if as_json else BarListener()
        written: tuple[Path, ...] = ()
        if not dry_run:
            with listener:
                written = run_conform(plan, request, listener).outputs
        if isinstance(listener, JsonListener):
            _emit(listener, plan, written)
            continue
        if plan.language:
            click.echo(f"{plan.language}:")
        click.echo(table(plan.shots, plan.read))
        for warning in () if plan.dialogue is None else plan.dialogue.warnings:
            click.echo(f"warning: {warning}")
        for path in written:
            click.echo(str(path))


def _emit(listener: JsonListener, plan: LanguagePlan, written: tuple[Path, ...]) -> None:
    for shot in plan.shots:
        listener.emit(event="shot", language=plan.language, **shot.row(plan.read))
    listener.emit(
        event="done" if written else "plan", shots=len(plan.shots), rate=str(plan.read.rate),
        start_frame=plan.read.start_frame, warnings=list(plan.warnings),
        language=plan.language, outputs=[str(path) for path in written],
    )
