"""A study's results as lines, as a page, and every answer as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from lipcore.media.output_files import appearing
from lipcore.rate import charts
from lipcore.rate.statistics import Estimate
from lipcore.rate.study import LABELS, QUESTIONS
from lipcore.rate.summary import Rater, ScaleSummary, StudySummary, summarize_study
from lipcore.report.page import heading, numbers, page, paragraph, plots, table

__all__ = ["report_lines", "summarize_study", "write_csv", "write_page"]

_ACR_READING = (
    "Each video was rated on the five categories of ITU-T P.910 (absolute category rating): "
    "5 excellent, 4 good, 3 fair, 2 poor, 1 bad. The mean opinion score is the mean of the raters' "
    "own means, and its 95 % interval is Student's t over raters."
)
_CCR_READING = (
    "The second video of a pair was compared with the first on the seven categories of ITU-T "
    "P.910 (comparison category rating), from -3 much worse to 3 much better; sides were drawn "
    "at random, and are turned back here. Intervals of 95 %: of the mean comparison Student's t "
    "over raters, of the preference (a tie is half a vote) Wilson's, with raters as its trials."
)
_REFERENCE_READING = (
    "Against the ground truth: the vote less the vote of the same rater for the reference of the "
    "same clip, plus 5 (P.910, hidden reference); 5 is as good as the reference."
)
_ALPHA_READING = (
    "Agreement is Krippendorff's alpha for interval data: 1 is full agreement, 0 what chance "
    "gives; below 0.67 few would build on single votes, while means over many raters still hold."
)
_SCREENING = {
    "acr": "Left out: who failed a trap, or had too few gold answers right; and, question by "
    "question (after ITU-T P.913), whose votes do not go with those of all: correlation below "
    "0.75 over videos, and below 0.8 over systems where there are four; the worst first, then "
    "anew.",
    "ccr": "Left out: who failed a trap, or had too few gold answers right; and, question by "
    "question (after ITU-T P.913), whose votes do not go with those of all: correlation below "
    "0.75 over pairs of videos, and below 0.8 over pairs of systems; the worst first, then anew. "
    "With fewer than four pairs of systems nobody is left out by correlation.",
}


def report_lines(summary: StudySummary) -> list[str]:
    """The results as text for a terminal."""
    kept, began = len(summary.kept), len(summary.raters)
    lines = [f"{summary.study.title}: {kept} of {began} raters kept, {_votes(summary)} votes"]
    if not _votes(summary):
        lines.append("Nobody who counts has answered yet.")
    for scale in summary.scales if _votes(summary) else ():
        alpha = _number(scale.agreement)
        lines.append(f"\n{QUESTIONS[scale.scale][0]} (Krippendorff's alpha {alpha})")  # type: ignore[index]
        for system, found in scale.systems.items():
            lines.append(f"  {system:<20} MOS {_range(found)}{_difference(scale, system)}")
        for pair in scale.pairs:
            share, fell = pair.preferred, pair.counts
            lines.append(
                f"  {pair.second} against {pair.first}: {_range(pair.comparison, '+.2f')}, "
                f"preferred {share.mean:.0%} ({share.low:.0%} to {share.high:.0%}), "
                f"{fell[2]} : {fell[1]} : {fell[0]}"
            )
    gone = [f"  rater {r.number + 1}: {r.out}" for r in summary.raters if r.out]
    gone += [
        f"  rater {r.number + 1}, {QUESTIONS[scale][0]} alone: {why}"  # type: ignore[index]
        for r in summary.raters for scale, why in r.out_of.items()
    ]
    if gone:
        lines += ["\nLeft out:", *gone]
    if summary.answers.problems:
        lines.append(f"\n{len(summary.answers.problems)} trials did not play for their rater.")
    return lines


def write_page(summary: StudySummary, path: Path) -> None:
    """Write the results as one page that opens without a server.

    Raises:
        OutputError: It cannot be written.
    """
    study = summary.study
    parts = [numbers({
        "raters kept": f"{len(summary.kept)} of {len(summary.raters)}",
        "votes": str(_votes(summary)), "clips": str(len(study.clips)),
        "systems": str(len(study.systems)),
        "method": "P.910 ACR" if study.method == "acr" else "P.910 CCR",
    })]  # fmt: skip
    if not _votes(summary):
        parts.append(paragraph("Nobody who counts has answered yet."))
    else:
        parts += _acr(summary) if study.method == "acr" else _ccr(summary)
    parts += [heading("Raters"), _raters(summary), paragraph(_SCREENING[study.method], soft=True)]
    if summary.answers.problems:
        parts += [heading("Did not play"), table(
            ("rater", "clip", "shown"),
            [(str(r + 1), t.item, ", ".join(t.shown)) for r, t, _ in summary.answers.problems],
        )]  # fmt: skip
    reading = [_ACR_READING if study.method == "acr" else _CCR_READING, _ALPHA_READING]
    if study.method == "acr" and study.reference:
        reading.insert(1, _REFERENCE_READING)
    parts += [heading("How to read this"), *(paragraph(text) for text in reading)]
    _write(path, page(f"Ratings: {study.title}", *parts, style=charts.STYLE))


def write_csv(summary: StudySummary, path: Path) -> None:
    """Write every answer, one a row; those of raters left out are marked.

    Raises:
        OutputError: It cannot be written.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow((
        "rater", "kept", "position", "kind", "clip", "first", "second", "turned", "scale",
        "value", "label", "seconds", "answered_unix",
    ))  # fmt: skip
    counted, labels = summary.counted, LABELS[summary.study.method]
    for vote in summary.answers.votes:
        counts = (vote.rater, vote.scale) in counted
        shown = (*vote.trial.shown, "")[:2]
        rows.writerow((
            vote.rater + 1, int(counts), vote.position + 1, vote.trial.kind,
            _plain(vote.trial.item), *map(_plain, shown), int(vote.trial.turned), vote.scale,
            vote.value, labels[vote.value], f"{vote.took_ms / 1000:.1f}", f"{vote.answered:.3f}",
        ))  # fmt: skip
    _write(path, text.getvalue())


def _acr(summary: StudySummary) -> list[str]:
    study, scales = summary.study, summary.scales
    reference = study.reference
    parts = [heading("Mean opinion scores"), plots(*(
        charts.intervals(
            _title(scale), {_called(s, reference): e for s, e in scale.systems.items()},
            (1, 5), LABELS["acr"],
        ) for scale in scales
    ))]  # fmt: skip
    parts.append(table(
        ("system", *(QUESTIONS[s.scale][0] for s in scales)),  # type: ignore[index]
        [(_called(system, reference), *(_cell(s.systems.get(system)) for s in scales))
         for system in study.systems],
    ))  # fmt: skip
    if any(scale.differences for scale in scales):
        parts += [heading("Against the ground truth"), table(
            ("system", *(QUESTIONS[s.scale][0] for s in scales)),  # type: ignore[index]
            [(system, *(_cell(s.differences.get(system)) for s in scales))
             for system in study.systems if system != reference],
        )]  # fmt: skip
    parts += [heading("How the votes fell"), plots(*(
        charts.stacks(_title(s), {_called(k, reference): v for k, v in s.votes.items()},
                      [LABELS["acr"][k] for k in range(1, 6)])
        for s in scales
    ))]  # fmt: skip
    parts += [heading("Clip by clip"), table(
        ("clip", "system", *(QUESTIONS[s.scale][0] for s in scales)),  # type: ignore[index]
        [(c.name, _called(system, reference),
          *(_cell(s.clips.get((c.name, system))) for s in scales))
         for c in study.clips for system in c.videos],
    ), _agreement(scales)]  # fmt: skip
    return parts


def _ccr(summary: StudySummary) -> list[str]:
    scales = summary.scales
    parts = [heading("Mean comparison"), plots(*(
        charts.intervals(
            _title(scale), {f"{p.second} against {p.first}": p.comparison for p in scale.pairs},
            (-3, 3), LABELS["ccr"],
        ) for scale in scales
    ))]  # fmt: skip
    parts += [heading("Preference"), plots(*(
        charts.stacks(
            _title(scale), {f"{p.second} against {p.first}": p.counts for p in scale.pairs},
            ["worse", "the same", "better"],
        ) for scale in scales
    ))]  # fmt: skip
    parts.append(table(
        ("scale", "system", "against", "mean comparison", "preferred", "votes"),
        [(QUESTIONS[s.scale][0], p.second, p.first, _cell(p.comparison, "+.2f"),  # type: ignore[index]
          f"{p.preferred.mean:.0%} ({p.preferred.low:.0%} to {p.preferred.high:.0%})",
          f"{p.counts[2]} : {p.counts[1]} : {p.counts[0]}")
         for s in scales for p in s.pairs],
    ))  # fmt: skip
    parts.append(_agreement(scales))
    return parts


def _agreement(scales: Sequence[ScaleSummary]) -> str:
    return heading("Agreement") + table(
        ("scale", "Krippendorff's alpha"),
        [(QUESTIONS[s.scale][0], _number(s.agreement)) for s in scales],  # type: ignore[index]
    )


def _raters(summary: StudySummary) -> str:
    if not summary.raters:
        return paragraph("Nobody has begun.")
    return table(
        ("rater", "answered", "gold", "traps", "correlation with the others", "median time",
         "verdict"),
        [(
            str(r.number + 1), f"{r.answered} of {r.assigned}", _share(r.gold), _share(r.traps),
            _number(r.correlation), "" if math.isnan(r.seconds) else f"{r.seconds:.0f} s",
            _verdict(r),
        ) for r in summary.raters],
    )  # fmt: skip


def _verdict(rater: Rater) -> str:
    if rater.out:
        return f"left out: {rater.out}"
    of = [f"{QUESTIONS[s][0]} ({why})" for s, why in rater.out_of.items()]  # type: ignore[index]
    return f"kept, but not for {', '.join(of)}" if of else "kept"


def _title(scale: ScaleSummary) -> str:
    return QUESTIONS[scale.scale][0]  # type: ignore[index]


def _called(system: str, reference: str) -> str:
    return f"{system} (ground truth)" if system == reference else system


def _votes(summary: StudySummary) -> int:
    counted = summary.counted
    return sum(
        v.trial.kind == "clip" and (v.rater, v.scale) in counted for v in summary.answers.votes
    )


def _range(found: Estimate, form: str = ".2f") -> str:
    if math.isnan(found.low):
        return f"{found.mean:{form}} (one rater: no interval)"
    return f"{found.mean:{form}} ({found.low:{form}} to {found.high:{form}})"


def _cell(found: Estimate | None, form: str = ".2f") -> str:
    return "" if found is None else _range(found, form)


def _difference(scale: ScaleSummary, system: str) -> str:
    found = scale.differences.get(system)
    return "" if found is None else f", against the reference {_range(found)}"


def _number(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.2f}"


def _share(counted: tuple[int, int]) -> str:
    return f"{counted[0]} of {counted[1]}" if counted[1] else ""


def _plain(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def _write(path: Path, text: str) -> None:
    with appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
