"""A conform as one page: the table of shots, and of each rendered one its mouths, its sound with
the lips over it, its offset and what is worth a look."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lipcore import __version__
from lipcore.cache import Cache
from lipcore.evaluate.offset import OffsetJudge
from lipcore.media.output_files import appearing
from lipcore.pipeline import RenderListener, SilentListener
from lipcore.report import graphs, shot_parts
from lipcore.report.findings import Finding
from lipcore.report.finished import read_render
from lipcore.report.page import heading, numbers, page, paragraph, table
from lipcore.report.review import ReviewedShot, review_shot
from lipcore.report.shot_pictures import Allowance
from lipcore.timeline.outcome import FIRST_FRAME, ShotOutcome
from lipcore.timeline.plan import ShotPlan
from lipcore.timeline.read import ReadTimeline
from lipcore.timeline.times import timecode

_STYLE = """
body { max-width: 1010px; } table { font-size: 13.5px; min-width: 100%; }
td, th { white-space: nowrap; overflow-wrap: normal; } td:nth-child(2) { white-space: normal;
  min-width: 220px; overflow-wrap: anywhere; }
.shot { margin-top: 34px; }
@media print { .shot { break-before: auto; break-inside: avoid; } }
"""


def write_report(
    path: Path,
    read: ReadTimeline,
    shots: Sequence[ShotPlan],
    outcomes: Sequence[ShotOutcome],
    *,
    language: str = "",
    cache: Cache | None = None,
    listener: RenderListener | None = None,
) -> None:
    """Look at the rendered shots and write the page.

    Args:
        path: The HTML file.
        read: The given timeline.
        shots: The plan, after rendering.
        outcomes: The shots that lie rendered.
        language: Tag of the dialogue.
        cache: Keeps what was measured; None takes the user's.
        listener: Told of the stage ``report``, in frames of all shots together.

    Raises:
        MediaError: A shot's sidecar is gone or damaged.
        OutputError: The page cannot be written.
    """
    cache, judge, listener = cache or Cache(), OffsetJudge(), listener or SilentListener()
    tell = partial(listener.progress, "report")
    allowance = Allowance.of(len(outcomes), large=False)
    total, done = sum(len(o.frames) for o in outcomes), 0
    reviewed: dict[int, ReviewedShot] = {}
    for outcome in outcomes:
        render = replace(read_render(outcome.facts), timecode=_record_time(read, outcome))
        start = done
        reviewed[outcome.shot.number] = review_shot(
            render, name=outcome.shot.name, allowance=allowance, cache=cache, judge=judge,
            progress=lambda n, _all, start=start: tell(start + n, total),  # type: ignore[misc]
        )
        done += len(outcome.frames)
        tell(done, total)
    by_number = {outcome.shot.number: outcome for outcome in outcomes}
    name = read.timeline.name or path.stem
    parts = [
        numbers(_totals(shots, reviewed)), *(paragraph(text) for text in read.warnings),
        heading("Shots"), _table(read, shots, reviewed),
        *(_section(read, by_number[number], one) for number, one in reviewed.items()),
        paragraph(f"Made by lipcore {__version__}. This file loads nothing.", soft=True),
    ]  # fmt: skip
    text = page(
        " ".join(word for word in ("Conform:", name, language) if word), *parts,
        style=shot_parts.STYLE + graphs.STYLE + _STYLE,
    )
    with appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _record_time(read: ReadTimeline, outcome: ShotOutcome) -> str | None:
    """The record timecode of a shot's first rendered frame; None where it has none."""
    frame = read.start_frame + outcome.record_frame(FIRST_FRAME)
    return None if frame < 0 else timecode(frame, read.rate)


def _totals(
    shots: Sequence[ShotPlan], reviewed: dict[int, ReviewedShot]
) -> dict[str, str]:
    drawn = sum(int((one.render.strength > 0).sum()) for one in reviewed.values())
    return {
        "shots": str(len(shots)), "rendered": str(len(reviewed)),
        "passed through": str(len(shots) - len(reviewed)), "frames drawn": f"{drawn:,}",
        "worth a look": str(sum(one.serious > 0 for one in reviewed.values())),
    }


def _table(
    read: ReadTimeline, shots: Sequence[ShotPlan], reviewed: dict[int, ReviewedShot]
) -> str:
    rows = []
    for shot in shots:
        row = shot.row(read)
        source = row["source"]
        assert isinstance(source, list)
        rows.append((
            shot.name, _verdict(shot, reviewed.get(shot.number)), str(row["record_in"]),
            f"{source[0]}-{source[-1]}", str(row["speed"]),
            "-" if shot.media is None else shot.media.name, f"{shot.dialogue_s:.2f} s",
        ))  # fmt: skip
    return table(("shot", "what", "record in", "source", "speed", "media", "dialogue"), rows)


def _verdict(shot: ShotPlan, one: ReviewedShot | None) -> str:
    if one is None:
        return f"passed through: {shot.problem}" if shot.problem else "not rendered"
    if not one.serious:
        return "rendered"
    return f"rendered, {one.serious} thing{'s' * (one.serious > 1)} to look at"


def _section(read: ReadTimeline, outcome: ShotOutcome, one: ReviewedShot) -> str:
    shot = outcome.shot
    told = (*one.findings, *(Finding(f"{_sentence(text)}.", False) for text in shot.warnings))
    head = f'<section class=shot><h2>{html.escape(shot.name)}</h2>{_facts(read, outcome)}'
    if one.shot is None or one.pictures is None:
        return f"{head}{shot_parts.findings_list(told)}</section>"
    return (
        head + shot_parts.chips(shot_parts.figures_of(one.shot, one.findings))
        + shot_parts.findings_list(told) + shot_parts.strip(one.shot, one.pictures)
        + shot_parts.curves(one.shot, one.pictures) + "</section>"
    )


def _facts(read: ReadTimeline, outcome: ShotOutcome) -> str:
    shot, cut = outcome.shot, outcome.cut
    first, last = (timecode(read.start_frame + outcome.record_frame(n), read.rate)
                   for n in (cut.first, cut.last))  # fmt: skip
    speed = shot.segment.retime.speed
    words = [
        f"record {first} to {last}", f"files {cut} of {outcome.frames}",
        f"take {'' if shot.media is None else shot.media.name} frames "
        f"{outcome.plate_frame(cut.first)} to {outcome.plate_frame(cut.last)}",
        f"speed {'varies' if speed is None else speed}",
        *(f"{key} {value}" for key, value in shot.settings.stated().items()),
    ]  # fmt: skip
    return f"<p class=facts>{html.escape(' · '.join(words))}</p>"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
