"""The parts of a page: headings, numbers, tables, histograms, bars, pictures.

All text is escaped; pictures lie inside the page. A policy in its head forbids whatever would
be loaded from elsewhere, and all scripts but the one that the page itself was given.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from lipcore.types import FloatArray

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2228; --soft: #66707a; --line: #d9dee3;
  --paper: #fbfbfa; --card: #ffffff; --mark: #2f6f9f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #98a2ac; --line: #343b42;
  --paper: #16191c; --card: #1e2226; --mark: #6fb1e0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 24px 16px 64px; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 40px 0 12px; }
p { max-width: 70ch; } .soft { color: var(--soft); }
.numbers { display: flex; flex-wrap: wrap; gap: 8px 36px; margin: 20px 0; }
.numbers b { display: block; font-size: 24px; font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr));
  gap: 16px; }
figure { margin: 0; padding: 14px; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; }
figcaption { font-weight: 600; margin-bottom: 6px; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 11px; }
svg rect { fill: var(--mark); } svg line { stroke: var(--line); }
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(116px, 1fr)); gap: 10px; }
.faces figure { padding: 6px; } .faces img { width: 100%; display: block; border-radius: 3px; }
.faces span { font-size: 12px; display: block; }
.wide { overflow-x: auto; } table { border-collapse: collapse; min-width: 50%; }
td, th { text-align: left; padding: 5px 18px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } th { white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
@media print { body { max-width: none; } figure { break-inside: avoid; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_WIDTH, _HEIGHT, _FOOT = 320, 120, 18
_MOST_BARS = 20


def page(
    title: str, *parts: str, style: str = "", script: str = "", videos: bool = False
) -> str:
    """A whole page of parts that the functions here have made.

    Args:
        title: Also its first heading.
        parts: In their order.
        style: Further rules, of the parts that need them.
        script: A program of the page's own; the policy lets run what has its hash.
        videos: The page shows videos, which lie inside it.
    """
    policy, program = _POLICY + ("; media-src data:" if videos else ""), ""
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
        program = f"<script>{script}</script>\n"
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style>"
        f"<body><h1>{html.escape(title)}</h1>\n" + "\n".join(parts) + f"\n{program}"
    )


def heading(text: str) -> str:
    """The heading of a section."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str, *, soft: bool = False) -> str:
    """A paragraph; ``soft`` ones are asides."""
    return f'<p{" class=soft" if soft else ""}>{html.escape(text)}</p>'


def numbers(values: Mapping[str, str]) -> str:
    """A row of large numbers, each with its name below."""
    cells = (f"<div><b>{html.escape(v)}</b>{html.escape(k)}</div>" for k, v in values.items())
    return f'<div class=numbers>{"".join(cells)}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str | int | float]]) -> str:
    """A table; numbers stand to the right."""

    def cell(tag: str, value: str | int | float, is_number: bool) -> str:
        text = f"{value:.2f}" if isinstance(value, float) else str(value)
        return f'<{tag}{" class=n" if is_number else ""}>{html.escape(text)}</{tag}>'

    numeric = [bool(rows) and not isinstance(value, str) for value in (rows or [head])[0]]
    lines = [("th", head), *(("td", row) for row in rows)]
    body = "".join(
        f"<tr>{''.join(cell(t, v, n) for v, n in zip(line, numeric, strict=True))}</tr>"
        for t, line in lines
    )
    return f"<div class=wide><table>{body}</table></div>"


def plots(*figures: str) -> str:
    """Figures side by side, as many as fit."""
    return f'<div class=plots>{"".join(figures)}</div>'


def histogram(title: str, values: Sequence[float] | FloatArray, unit: str, bins: int = 24) -> str:
    """How often values occur, with their range and median written below."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return figure(title, "<p class=soft>not known</p>")
    low, high = float(known.min()), float(known.max())
    if high - low < 1e-9:
        return figure(title, f"<p>{low:.4g} {html.escape(unit)} in all</p>")
    counts, _ = np.histogram(known, bins, (low, high))
    step, top = _WIDTH / bins, _HEIGHT - _FOOT
    bars = "".join(
        f'<rect x="{i * step + 0.5:.1f}" y="{top - h:.1f}" width="{step - 1:.1f}" '
        f'height="{h:.1f}"/>'
        for i, h in enumerate(counts / counts.max() * (top - 4))
    )
    texts = (
        (0, "start", f"{low:.3g}"), (_WIDTH, "end", f"{high:.3g} {unit}"),
        (_WIDTH / 2, "middle", f"median {np.median(known):.3g}"),
    )
    return figure(title, _svg(bars + "".join(_text(x, _HEIGHT - 4, a, t) for x, a, t in texts)))


def bars(title: str, counts: Mapping[str, int]) -> str:
    """Counts by name, the largest first; of many names the most frequent."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) > _MOST_BARS:
        title = f"{title}: the {_MOST_BARS} most frequent of {len(ordered)}"
        ordered = ordered[:_MOST_BARS]
    if not ordered:
        return figure(title, "<p class=soft>not known</p>")
    step, top = _WIDTH / len(ordered), _HEIGHT - _FOOT
    drawn = "".join(
        f'<rect x="{i * step + 0.5:.1f}" y="{top - h:.1f}" width="{max(step - 1, 0.5):.1f}" '
        f'height="{h:.1f}"><title>{html.escape(name)}: {count}</title></rect>'
        + _text((i + 0.5) * step, _HEIGHT - 4, "middle", name[:5] if len(ordered) > 8 else name)
        for i, (name, count) in enumerate(ordered)
        for h in [count / ordered[0][1] * (top - 4)]
    )
    return figure(title, _svg(drawn))


def face(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], *lines: str) -> str:
    """A picture (H, W, 3) sRGB with lines of text below, for ``faces``."""
    told = "".join(f"<span>{html.escape(line)}</span>" for line in lines)
    return f"<figure>{image(encode_jpeg(picture, qualities=(82,)), ' '.join(lines))}{told}</figure>"


def encode_jpeg(
    picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    most_bytes: int = 1 << 30,
    qualities: Sequence[int] = (90, 82, 72, 60, 45, 30),
) -> bytes:
    """A picture (H, W, 3) sRGB as JPEG, in the best quality that fits into so many bytes."""
    for quality in qualities:
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) <= most_bytes:
            break
    return data.tobytes()


def image(jpeg: bytes, alt: str) -> str:
    """A picture that lies inside the page."""
    text = base64.b64encode(jpeg).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/jpeg;base64,{text}">'


def faces(pictures: Sequence[str]) -> str:
    """A sheet of pictures."""
    return f'<div class=faces>{"".join(pictures)}</div>'


def figure(title: str, content: str) -> str:
    """A card with a title; ``content`` is markup."""
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{content}</figure>"


def _svg(content: str) -> str:
    base = _HEIGHT - _FOOT
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img>{content}'
        f'<line x1="0" y1="{base}" x2="{_WIDTH}" y2="{base}"/></svg>'
    )


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{html.escape(text)}</text>'
