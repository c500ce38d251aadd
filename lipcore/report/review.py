"""The review of a batch of renders, as one page: worst shots first, each with its worst frames."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lipcore import __version__
from lipcore.cache import Cache
from lipcore.errors import ColorError, MediaError, OutputNotWritableError
from lipcore.evaluate.offset import OffsetJudge
from lipcore.media.output_files import appearing
from lipcore.report import graphs, shot_parts
from lipcore.report.findings import BadFrame, Finding, find_faults, rank, worst_frames
from lipcore.report.finished import FinishedRender
from lipcore.report.measure import MeasuredShot, measure_shot
from lipcore.report.page import heading, image, numbers, page, paragraph
from lipcore.report.pictures import RenderPictures
from lipcore.report.shot_pictures import Allowance, ShotPictures, draw_pictures

_STYLE = """
body { max-width: 1010px; }
.triage { list-style: none; margin: 8px 0; padding: 0; }
.triage li { border-bottom: 1px solid var(--line); }
.triage a { display: grid; grid-template-columns: 104px minmax(160px, 1fr) 2fr; gap: 4px 16px;
  padding: 8px 4px; color: inherit; text-decoration: none; align-items: center; }
.triage a:hover { background: var(--card); }
.triage img { width: 104px; height: 66px; object-fit: contain; background: #000;
  border-radius: 3px; display: block; grid-row: span 2; }
.triage b { font-size: 15px; } .triage .bad { color: var(--warn); }
.triage .chips { grid-column: 2 / -1; margin: 0; font-size: 12px; }
.triage .words { font-size: 13.5px; } .back { font-size: 13px; }
@media (max-width: 760px) { .triage a { grid-template-columns: 84px 1fr; }
  .triage img { width: 84px; height: 58px; grid-row: span 1; }
  .triage .words, .triage .chips { grid-column: 1 / -1; }
  .triage .chips li:not(.warn) { display: none; } }
@media print { .back { display: none; } }
"""
_READING = (
    "Sync: by how many frames the sound must move to explain the lips best, judged by a "
    "regression that shares nothing with the networks that draw; certain to about one frame, and "
    "marked unclear where it is not certain. Lips follow: correlation of the lips that are seen "
    "in the render with those that the dialogue asked for. Jitter: acceleration of lips and jaw "
    "over the plate's; a lively line on a quiet plate is above 1. Mouth's detail: gradient energy "
    "around the lips over the plate's. All lips are measured in the rendered picture by a face "
    "mesh, through the same crop as in the plate. The matte is the one stored in the render, or "
    "made again from its sidecar where the format stores none."
)


@dataclass(frozen=True, slots=True, eq=False)
class ReviewedShot:
    """A shot, looked at: what a page shows of it."""

    render: FinishedRender
    name: str
    """Unlike that of any other shot on the page."""
    shot: MeasuredShot | None
    """None where it cannot be looked at."""
    pictures: ShotPictures | None
    findings: tuple[Finding, ...]
    worst: tuple[BadFrame, ...]

    @property
    def serious(self) -> int:
        """Findings that are worth a look."""
        return sum(f.serious for f in self.findings)

    @property
    def order(self) -> tuple[bool, int, float]:
        """The larger, the sooner it should be looked at."""
        return (self.shot is None, *rank(list(self.findings), list(self.worst)))


def review_shot(
    render: FinishedRender,
    *,
    name: str,
    allowance: Allowance,
    cache: Cache,
    judge: OffsetJudge,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ReviewedShot:
    """Measure a render and cut its pictures; one that cannot be read says so.

    Args:
        render: From its sidecar.
        name: By which the page calls it.
        allowance: How much the page can take of it.
        cache: Keeps what was measured.
        judge: Of sync.
        progress: Called with (frames done, frames).
    """
    try:
        with RenderPictures(render) as pictures:
            shot = measure_shot(render, pictures, cache=cache, judge=judge, progress=progress)
            worst = worst_frames(shot, max(1, allowance.frames))
            drawn = draw_pictures(render, pictures, worst, allowance)
    except (MediaError, ColorError) as error:
        told = Finding(f"It cannot be looked at: {error.message}.", True)
        return ReviewedShot(render, name, None, None, (told,), ())
    return ReviewedShot(render, name, shot, drawn, tuple(find_faults(shot)), tuple(worst))


def write_review(
    renders: Sequence[FinishedRender],
    path: Path,
    *,
    title: str = "",
    cache: Cache | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[ReviewedShot]:
    """Measure renders and write the page.

    Args:
        renders: As ``find_renders`` gives them.
        path: The HTML file.
        title: Of the page; empty names it after the renders' folder.
        cache: Keeps what was measured; None takes the user's.
        progress: Called with (frames done, frames), all shots together.

    Returns:
        The shots as the page has them, the worst first.

    Raises:
        OutputError: The page cannot be written.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise OutputNotWritableError(
            f"{path} is a folder" if path.is_dir() else f"the folder {path.parent} is not there",
            hint="Give --out a file in a folder that is there, as report.html.", path=str(path),
        )
    cache, judge = cache or Cache(), OffsetJudge()
    allowance = Allowance.of(len(renders))
    total, done, reviewed = sum(len(r.frames) for r in renders), 0, []
    folder, names = name_shots(renders)
    for render, name in zip(renders, names, strict=True):
        start = done
        reviewed.append(
            review_shot(
                render, name=name, allowance=allowance, cache=cache, judge=judge,
                progress=lambda n, _all, start=start: progress(start + n, total),  # type: ignore[misc]
            )
        )
        done += len(render.frames)
        progress(done, total)
    reviewed.sort(key=lambda one: one.order, reverse=True)
    parts = [
        numbers(_totals(reviewed)), heading("Worst first"), _triage(reviewed),
        *(section(one, f"s{k}") for k, one in enumerate(reviewed, 1)),
        heading("How to read this"), paragraph(_READING), _made_by(),
    ]  # fmt: skip
    text = page(
        title or f"Lip-sync review: {folder}", *parts, script=shot_parts.SCRIPT,
        style=shot_parts.STYLE + graphs.STYLE + _STYLE,
    )
    with appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return reviewed


def section(one: ReviewedShot, key: str) -> str:
    """All that the page says of a shot."""
    head = f'<section class=shot id="{key}"><h2>{html.escape(one.name)}</h2>'
    back = '<p class=back><a href="#top">Back to the list</a></p></section>'
    if one.shot is None or one.pictures is None:
        return head + shot_parts.findings_list(one.findings) + back
    return (
        head + shot_parts.facts_line(one.shot)
        + shot_parts.chips(shot_parts.figures_of(one.shot, one.findings))
        + shot_parts.findings_list(one.findings)
        + shot_parts.viewer(one.shot, one.pictures, key)
        + shot_parts.curves(one.shot, one.pictures)
        + shot_parts.strip(one.shot, one.pictures) + back
    )


def name_shots(renders: Sequence[FinishedRender]) -> tuple[str, list[str]]:
    """(the folder that holds all renders, a name of each: its path within that folder)."""
    if not renders:
        return "", []
    base = Path(os.path.commonpath([r.sidecar.parent for r in renders]))
    names = []
    for render in renders:
        inside = render.sidecar.parent.relative_to(base)
        # A shot in a folder of its own name is named once.
        plain = inside.parent if inside.name == render.name else inside
        names.append((plain / render.name).as_posix())
    return base.name, names


def _totals(reviewed: Sequence[ReviewedShot]) -> dict[str, str]:
    drawn = sum(int((one.render.strength > 0).sum()) for one in reviewed)
    frames = sum(len(one.render.frames) for one in reviewed)
    return {
        "shots": str(len(reviewed)),
        "worth a look": str(sum(one.serious > 0 for one in reviewed)),
        "frames": f"{frames:,}", "drawn anew": f"{drawn:,}",
    }


def _triage(reviewed: Sequence[ReviewedShot]) -> str:
    rows = []
    for k, one in enumerate(reviewed, 1):
        serious = [f.text for f in one.findings if f.serious]
        words = " ".join(serious[:2]) or "Nothing stands out."
        if len(serious) > 2:
            words += f" And {len(serious) - 2} more."
        picture = "<span></span>" if one.pictures is None else image(one.pictures.thumb, "")
        figures = "" if one.shot is None else shot_parts.chips([
            f for f in shot_parts.figures_of(one.shot, one.findings)
            if f.warn or f.name != "drawn"
        ])  # fmt: skip
        rows.append(
            f'<li><a href="#s{k}">{picture}<b>{html.escape(one.name)}</b>'
            f'<span class="words{" bad" if serious else ""}">{html.escape(words)}</span>'
            f"{figures}</a></li>"
        )
    return f"<ol class=triage id=top>{''.join(rows)}</ol>"


def _made_by() -> str:
    return paragraph(f"Made by lipcore {__version__}. This file loads nothing.", soft=True)
