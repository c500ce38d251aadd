"""Curves over a shot's frames, as drawings that stretch with the page.

The drawings are stretched to any width; all words stand beside them, so that they stay
readable on a phone.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np

from lipcore.report.findings import clock, open_in_silence, spans
from lipcore.report.measure import MeasuredShot
from lipcore.types import BoolArray, FloatArray

STYLE = """
.graph svg { height: 150px; } .graph svg.low { height: 64px; } .graph path { fill: none;
  stroke: var(--mark); stroke-width: 2; vector-effect: non-scaling-stroke;
  stroke-linejoin: round; }
.graph svg path.plate { stroke: var(--soft); stroke-width: 1.2; }
.graph svg path.asked { stroke: var(--mark); stroke-width: 1.2; stroke-dasharray: 4 4;
  opacity: .8; }
.graph svg path.wave { fill: var(--wave); stroke: none; }
.graph svg path.area { fill: var(--wave); stroke: var(--soft); stroke-width: 1; }
.graph svg rect.speech { fill: var(--soft); opacity: .55; }
.graph svg rect.bad { fill: var(--warn); opacity: .35; }
.graph svg rect.gone { fill: var(--soft); opacity: .28; }
.graph svg line { vector-effect: non-scaling-stroke; stroke: var(--line); }
.graph svg line.seen { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 3; opacity: .6; }
.axis { display: flex; justify-content: space-between; color: var(--soft); font-size: 12px;
  font-variant-numeric: tabular-nums; margin: 2px 0 10px; }
.axis span:last-child { text-align: right; } .axis span:nth-child(2) { text-align: center; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 12.5px; color: var(--soft);
  margin: 0 0 4px; }
.legend i { display: inline-block; width: 20px; height: 0; border-top: 2.5px solid var(--mark);
  vertical-align: 4px; margin-right: 5px; }
.legend i.plate { border-top: 1.5px solid var(--soft); }
.legend i.asked { border-top: 1.5px dashed var(--mark); }
.legend i.wave, .legend i.speech, .legend i.bad, .legend i.gone { border: 0; height: 10px;
  vertical-align: -1px; background: var(--wave); }
.legend i.speech { background: var(--soft); height: 4px; vertical-align: 2px; }
.legend i.bad { background: var(--warn); opacity: .5; } .legend i.gone { background: var(--soft);
  opacity: .35; }
"""
_MOST_POINTS = 800
_LEAST_OPENING, _LEAST_SHAKE = 0.12, 0.04


def lips_graph(shot: MeasuredShot, marked: Sequence[int] = ()) -> str:
    """The waveform with the opening of the lips over it: plate's, asked, and rendered.

    Args:
        shot: Measured.
        marked: Frames that are shown beside it.
    """
    count = shot.count
    curves = {"plate": shot.plate_opening, "asked": shot.asked_opening, "": shot.opening}
    top = max([_LEAST_OPENING, *(_highest(v) for v in curves.values())])
    drawn = [_wave(shot), *_bands(shot)]
    drawn += [_curve(np.maximum(v, 0) / top, kind) for kind, v in curves.items()]
    drawn += [f'<line class=seen x1="{i + 0.5}" x2="{i + 0.5}" y1="0" y2="100"/>' for i in marked]
    keys = [("", "lips opened, render"), ("asked", "asked for"), ("plate", "plate")]
    if shot.sound is not None:
        keys += [("wave", "sound"), ("speech", "speech")]
    if open_in_silence(shot).any():
        keys.append(("bad", "open in silence"))
    if (np.array(shot.render.policies) == "passthrough").any():
        keys.append(("gone", "passed through"))
    return (
        _legend(keys) + _svg(count, "".join(drawn), "Sound and opening of the lips over time")
        + _axis(shot)
    )


def shake_graph(shot: MeasuredShot) -> str:
    """Acceleration of lips and jaw, the plate's and the render's."""
    curves = {"plate": shot.plate_shake, "": shot.shake}
    top = max([_LEAST_SHAKE, *(_highest(v) for v in curves.values())])
    drawn = "".join(_curve(v / top, kind) for kind, v in curves.items())
    keys = [("", "jitter of lips and jaw, render")]
    if np.isfinite(shot.plate_shake).any():
        keys.append(("plate", "plate"))
    return _legend(keys) + _svg(shot.count, drawn, "Jitter over time", low=True)


def confidence_graph(shot: MeasuredShot) -> str:
    """How surely the face was tracked, and how surely the render shows one."""
    tracked = _curve(shot.render.confidence, "area", closed=True)
    shown = _curve(shot.meshes.score, "")
    keys = [("wave", "confidence of the track"), ("", "of the face in the render")]
    return (
        _legend(keys) + _svg(shot.count, tracked + shown, "Confidence over time", low=True)
        + _axis(shot)
    )


def offset_graph(shot: MeasuredShot) -> str:
    """Correlation of lips and sound, by how far the sound is moved; empty where not known."""
    found = None if shot.sound is None else shot.sound.offset
    if found is None:
        return ""
    low = min(0.0, float(found.correlations.min()))
    share = (found.correlations - low) / max(1e-6, float(found.correlations.max()) - low)
    middle, best = len(found.shifts) / 2, found.frames - int(found.shifts[0]) + 0.5
    drawn = (
        f'<line x1="{middle}" x2="{middle}" y1="0" y2="100"/>'
        f'<line class=seen x1="{best}" x2="{best}" y1="0" y2="100"/>' + _curve(share, "")
    )
    ends = (f"leads {-found.shifts[0]}", "0", f"lags {found.shifts[-1]}")
    axis = "".join(f"<span>{text}</span>" for text in ends)
    keys = [("", f"fit of lips and sound, best {found.correlation:.2f} at {found.frames:+d}")]
    return (
        _legend(keys) + _svg(len(found.shifts), drawn, "Fit of lips and sound by shift", low=True)
        + f"<div class=axis>{axis}</div>"
    )


def frames_graph(
    label: str, curves: Mapping[str, FloatArray], first: int, rate: float, unit: str = ""
) -> str:
    """Curves over frames on one scale, with its ends, frames and times written beside.

    Args:
        label: What is shown, for who cannot see it.
        curves: By their legends, ``(N,)``: the first stands out; NaN and what is endless is
            left open.
        first: Number of the first frame.
        rate: Frames a second.
        unit: Of the values.
    """
    known = np.concatenate([v[np.isfinite(v)] for v in curves.values()])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low = min(low, 0.0) if low < 0.4 * high else low
    span = high - low if high > low else 1.0
    count = len(next(iter(curves.values())))
    kinds = ("", "plate", "asked")
    drawn = [
        _curve(np.where(np.isfinite(v), (v - low) / span, np.nan).astype(np.float32), kind)
        for v, kind in zip(curves.values(), kinds, strict=False)
    ]
    if low < 0 < high:
        zero = 98 + 94 * low / span
        drawn.append(f'<line x1="0" x2="{count}" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    places = dict.fromkeys((0, (count - 1) // 2, count - 1))
    axis = "".join(f"<span>{first + i}<br>{i / rate:.2f} s</span>" for i in places)
    top = f"{high:.3g} {unit}".rstrip()
    return (
        _legend([(kind, name) for name, kind in zip(curves, kinds, strict=False)])
        + f"<div class=top><span>{html.escape(top)}</span></div>"
        + _svg(count, "".join(reversed(drawn)), label)
        + f"<div class=top><span>{low:.3g}</span></div><div class=axis>{axis}</div>"
    )


def _svg(width: int, content: str, label: str, *, low: bool = False) -> str:
    size = " class=low" if low else ""
    return (
        f'<svg{size} viewBox="0 0 {width} 100" preserveAspectRatio=none role=img '
        f'aria-label="{html.escape(label)}">'
        f'<line x1="0" x2="{width}" y1="100" y2="100"/>{content}</svg>'
    )


def _legend(keys: Sequence[tuple[str, str]]) -> str:
    items = (f'<span><i class="{kind}"></i>{html.escape(text)}</span>' for kind, text in keys)
    return f"<div class=legend>{''.join(items)}</div>"


def _axis(shot: MeasuredShot) -> str:
    """First, middle and last frame, with their times."""
    first = shot.render.frames.first
    places = (0, (shot.count - 1) // 2, shot.count - 1)
    texts = (f"<span>{first + i}<br>{clock(shot.render, i)}</span>" for i in places)
    return f"<div class=axis>{''.join(texts)}</div>"


def _highest(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size else 0.0


def _curve(share: FloatArray, kind: str, *, closed: bool = False) -> str:
    """A path of values 0-1 over frames, open where they are not known."""
    step = max(1, -(-len(share) // _MOST_POINTS))
    words, pen = [], "M"
    for i in range(0, len(share), step):
        part = share[i : i + step]
        known = part[np.isfinite(part)]
        if not known.size:
            pen = "M"
            continue
        # Of frames that share a point, the largest: a spike must not vanish.
        words.append(f"{pen}{i + step / 2:g} {98 - 94 * float(known.max()):.1f}")
        pen = "L"
    if not words:
        return ""
    end = f"L{len(share)} 100L0 100Z" if closed else ""
    return f'<path class="{kind}" d="{"".join(words)}{end}"/>'


def _wave(shot: MeasuredShot) -> str:
    """The sound's outline, its loudest moment as high as the drawing."""
    if shot.sound is None or not len(shot.sound.samples):
        return ""
    samples = shot.sound.samples
    count = min(_MOST_POINTS, 4 * shot.count, len(samples))
    edges = np.linspace(0, len(samples), count + 1).astype(int)[:-1]
    high, low = np.maximum.reduceat(samples, edges), np.minimum.reduceat(samples, edges)
    largest = max(0.02, float(np.abs(samples).max()))
    x = (np.arange(count) + 0.5) * shot.count / count
    up = [f"{a:.2f} {50 - 46 * h / largest:.1f}" for a, h in zip(x, high, strict=True)]
    down = [f"{a:.2f} {50 - 46 * v / largest:.1f}" for a, v in zip(x, low, strict=True)]
    return f'<path class=wave d="M{"L".join([*up, *reversed(down)])}Z"/>'


def _bands(shot: MeasuredShot) -> list[str]:
    rate = float(shot.render.rate)
    bands = [
        f'<rect class=speech x="{begin * rate:.2f}" width="{(end - begin) * rate:.2f}" y="96" '
        'height="4"/>' for begin, end in (shot.sound.spans_s if shot.sound else ())
    ]  # fmt: skip
    gone = np.array(shot.render.policies) == "passthrough"
    return [*bands, *_columns(gone, "gone"), *_columns(open_in_silence(shot), "bad")]


def _columns(frames: BoolArray, kind: str) -> list[str]:
    return [f'<rect class={kind} x="{a}" width="{b - a + 1}" y="0" height="100"/>'
            for a, b in spans(frames)]  # fmt: skip
