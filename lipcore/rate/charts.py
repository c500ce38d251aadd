"""Intervals and shares as drawings; all words stand beside them, readable on a phone."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from lipcore.rate.statistics import Estimate
from lipcore.report.page import figure

STYLE = """
.plots { grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); }
.plots + .wide { margin-top: 20px; } .wide td { white-space: nowrap; }
.row { display: grid; grid-template-columns: minmax(7em, 34%) 1fr 3.2em; gap: 0 12px;
  align-items: center; min-height: 32px; margin: 3px 0; font-size: 13.5px; line-height: 1.25; }
.row b { text-align: right; font-variant-numeric: tabular-nums; }
.row svg { height: 26px; overflow: visible; } .row svg line { vector-effect: non-scaling-stroke; }
.row svg line.reach { stroke: var(--mark); stroke-width: 5; opacity: .45; }
.row svg line.mean { stroke: var(--ink); stroke-width: 2.5; }
.row svg line.zero { stroke: var(--soft); }
.row.ends { min-height: 0; color: var(--soft); font-size: 12px; }
.row.ends div { display: flex; justify-content: space-between; white-space: nowrap; }
.v0 { background: #a5493a; } .v1 { background: #d08a6a; } .v2 { background: #b9bcbe; }
.v3 { background: #6ea3c6; } .v4 { background: #2f6f9f; }
.row svg rect.v0 { fill: #a5493a; } .row svg rect.v1 { fill: #d08a6a; }
.row svg rect.v2 { fill: #b9bcbe; } .row svg rect.v3 { fill: #6ea3c6; }
.row svg rect.v4 { fill: #2f6f9f; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12.5px; color: var(--soft);
  margin-top: 8px; }
.keys i { display: inline-block; width: 10px; height: 10px; border-radius: 2px;
  margin-right: 5px; }
@media (max-width: 480px) { .row { grid-template-columns: 1fr 3.2em; }
  .row > span { grid-column: 1 / 3; margin-top: 6px; } .row.ends > span { display: none; } }
"""
_WIDTH, _HEIGHT = 400, 26


def intervals(
    title: str, found: Mapping[str, Estimate], ends: tuple[int, int], labels: Mapping[int, str]
) -> str:
    """Means as ticks on their intervals, one below the other on one scale.

    Args:
        title: Of the figure.
        found: By name.
        ends: Of the scale.
        labels: Of its values.
    """
    low, high = ends

    def x(value: float) -> float:
        return (min(max(value, low), high) - low) / (high - low) * _WIDTH

    grid = "".join(
        f'<line{" class=zero" if v == 0 else ""} x1="{x(v):.1f}" x2="{x(v):.1f}" y1="0" '
        f'y2="{_HEIGHT}"/>' for v in range(low, high + 1)
    )  # fmt: skip
    rows = []
    for name, one in found.items():
        reach = "" if math.isnan(one.low) else (
            f'<line class=reach x1="{x(one.low):.1f}" x2="{x(one.high):.1f}" y1="13" y2="13"/>'
        )
        mean = f'<line class=mean x1="{x(one.mean):.1f}" x2="{x(one.mean):.1f}" y1="4" y2="22"/>'
        told = f"{one.votes} votes of {one.raters} raters"
        shown = f"{one.mean:+.2f}" if low < 0 else f"{one.mean:.2f}"
        rows.append(_row(name, _svg(grid + reach + mean, f"{name}: {shown}", told), shown))
    foot = f"<div><span>{low} {labels[low]}</span><span>{high} {labels[high]}</span></div>"
    return figure(title, "".join(rows) + f"<div class='row ends'><span></span>{foot}<b></b></div>")


def stacks(title: str, counts: Mapping[str, Sequence[int]], names: Sequence[str]) -> str:
    """How votes fell into categories, as shares of a bar.

    Args:
        title: Of the figure.
        counts: Votes in each category, by name.
        names: Of the categories, worst first; three or five.
    """
    kinds = [f"v{k}" for k in ((0, 2, 4) if len(names) == 3 else range(5))]
    rows = []
    for name, fell in counts.items():
        total, begin, drawn = max(1, sum(fell)), 0.0, ""
        for kind, count, called in zip(kinds, fell, names, strict=True):
            width = count / total * _WIDTH
            drawn += (
                f'<rect class={kind} x="{begin:.1f}" width="{width:.1f}" y="3" height="20">'
                f"<title>{html.escape(called)}: {count}</title></rect>"
            )
            begin += width
        rows.append(_row(name, _svg(drawn, f"{name}: {', '.join(map(str, fell))}"), str(sum(fell))))
    keys = "".join(
        f"<span><i class={kind}></i>{html.escape(name)}</span>"
        for kind, name in zip(kinds, names, strict=True)
    )
    return figure(title, "".join(rows) + f"<div class=keys>{keys}</div>")


def _row(name: str, drawing: str, value: str) -> str:
    return (
        f"<div class=row><span>{html.escape(name)}</span>{drawing}"
        f"<b>{html.escape(value)}</b></div>"
    )


def _svg(content: str, label: str, told: str = "") -> str:
    title = f"<title>{html.escape(told)}</title>" if told else ""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio=none role=img '
        f'aria-label="{html.escape(label)}">{title}{content}</svg>'
    )
