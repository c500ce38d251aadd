"""A conform from end to end: a timeline and dialogues in, shots and new timelines out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from lipcore.cache import Cache
from lipcore.errors import ConfigError
from lipcore.pipeline import RenderListener
from lipcore.shot import RenderConfig
from lipcore.timeline.choose import choose_shots
from lipcore.timeline.dialogue import DialogueSource, LoadedDialogue, load_source, parse_source
from lipcore.timeline.formats import check_formats
from lipcore.timeline.media_links import LinkOptions, MediaFinder, parse_path_map
from lipcore.timeline.outcome import ShotOutcome
from lipcore.timeline.plan import ShotPlan, plan_shots
from lipcore.timeline.read import ReadTimeline, read_timeline
from lipcore.timeline.report import write_report
from lipcore.timeline.run import render_shots
from lipcore.timeline.settings import read_settings
from lipcore.timeline.write import write_timeline

_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""A language tag, as BCP 47 has them."""


@dataclass(frozen=True, slots=True)
class ConformRequest:
    """What a conform is asked to do."""

    timeline: Path
    dialogues: Mapping[str, DialogueSource] = field(default_factory=dict)
    """By language tag, of which a lone one may be empty; none plans only."""
    out: Path | None = None
    rate: Fraction | None = None
    """Record frames a second, where the file does not state them."""
    search: tuple[Path, ...] = ()
    path_map: tuple[str, ...] = ()
    """``OLD=NEW`` starts of media paths."""
    skip_tracks: tuple[str, ...] = ()
    handles: int = 0
    only: tuple[str, ...] = ()
    """Names or numbers of shots; empty takes all."""
    settings: Path | None = None
    """YAML with settings of single shots."""
    formats: tuple[str, ...] = ()
    report: bool = True
    """Measure the rendered shots and write a page about them."""
    config: RenderConfig = field(default_factory=RenderConfig)


@dataclass(frozen=True, slots=True, eq=False)
class LanguagePlan:
    """The shots of a timeline for one dialogue."""

    language: str
    read: ReadTimeline
    shots: list[ShotPlan]
    dialogue: LoadedDialogue | None
    folder: Path | None
    """Where they will go."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the timeline and the dialogue leave open."""
        return (*self.read.warnings, *(() if self.dialogue is None else self.dialogue.warnings))


def parse_dialogues(given: Sequence[str]) -> dict[str, DialogueSource]:
    """Dialogues by language tag, from ``FILE``, ``track:NAME``, ``clips``, or ``TAG=`` one.

    Raises:
        ConfigError: There are several, and a tag is missing, given twice or no tag.
    """
    dubs: dict[str, DialogueSource] = {}
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
    return dubs


def plan_conform(request: ConformRequest) -> list[LanguagePlan]:
    """Read the timeline, find its media, and read all dialogues; nothing is written.

    Returns:
        A plan for each dialogue; one without, where there is none.

    Raises:
        LipcoreError: The timeline, the settings or a dialogue cannot be used.
    """
    read = read_timeline(request.timeline, rate=request.rate)
    options = LinkOptions(
        request.timeline.absolute().parent, request.search, parse_path_map(request.path_map)
    )
    settings = {} if request.settings is None else read_settings(request.settings)
    check_formats(request.formats)
    dubs: dict[str, DialogueSource | None] = {**request.dialogues} or {"": None}
    with closing(MediaFinder(options)) as finder:
        # All dubs are read before the first render: a wrong one costs no hours.
        loaded = {
            language: None if source is None
            else load_source(source, read, finder, skip_tracks=request.skip_tracks)
            for language, source in dubs.items()
        }  # fmt: skip
        plans = [
            LanguagePlan(
                language, read,
                plan_shots(
                    read, finder, None if dub is None else dub.dialogue, handles=request.handles,
                    skip_tracks=request.skip_tracks, settings=settings,
                ),
                dub, request.out and request.out / language,
            )
            for language, dub in loaded.items()
        ]  # fmt: skip
    for plan in plans:
        dub = plan.dialogue
        choose_shots(
            plan.shots, request.only, read, None if dub is None else dub.dialogue, plan.folder,
            request.config,
        )
    return plans


@dataclass(frozen=True, slots=True, eq=False)
class ConformResult:
    """What a conform left behind."""

    outputs: tuple[Path, ...]
    """Beside the shots: the OTIO first, the page last."""
    shots: tuple[ShotOutcome, ...]
    """Those that lie rendered."""


def render_plan(
    plan: LanguagePlan, request: ConformRequest, listener: RenderListener
) -> tuple[ShotOutcome, ...]:
    """Render the shots of a plan, and write nothing else.

    Returns:
        The shots that lie rendered, in record order.

    Raises:
        ConfigError: The plan has no dialogue, or the request no folder.
        LipcoreError: A shot cannot be rendered.
    """
    if plan.dialogue is None or plan.folder is None:
        raise ConfigError(
            "a conform needs a dialogue and a folder", hint="Or plan only, with --dry-run."
        )
    return tuple(render_shots(
        plan.shots, plan.dialogue.dialogue, plan.read.rate, plan.folder, request.config, listener
    ))  # fmt: skip


def run_conform(
    plan: LanguagePlan, request: ConformRequest, listener: RenderListener
) -> ConformResult:
    """Render the shots of a plan, write its timelines and its page.

    Raises:
        ConfigError: The plan has no dialogue, or the request no folder.
        LipcoreError: A shot cannot be rendered, or something not written.
    """
    outcomes = render_plan(plan, request, listener)
    assert plan.folder is not None  # ``render_plan`` has refused that
    read, shots, folder, language = plan.read, plan.shots, plan.folder, plan.language
    name = "_".join(word for word in (request.timeline.stem, "lipsync", language) if word)
    outputs = write_timeline(
        read, shots, folder, folder / f"{name}.otio", language=language, formats=request.formats
    )
    if request.report:
        page = folder / f"{name}.html"
        write_report(
            page, read, shots, list(outcomes), language=language,
            cache=Cache(request.config.cache), listener=listener,
        )
        outputs.append(page)
    return ConformResult(tuple(outputs), outcomes)
