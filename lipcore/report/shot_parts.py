"""The parts of a page that speak of one shot: figures, findings, pictures, curves."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lipcore.render_facts import refined_text
from lipcore.report.findings import Finding, clock
from lipcore.report.graphs import confidence_graph, lips_graph, offset_graph, shake_graph
from lipcore.report.measure import MeasuredShot
from lipcore.report.page import figure, image
from lipcore.report.shot_pictures import GAIN, ShotPictures, ShownFrame

STYLE = """
:root { --warn: #b25c00; --warnback: #fdf1e0; --good: #2c7a4b; --wave: #dbe4ec; }
@media (prefers-color-scheme: dark) { :root { --warn: #f0a040; --warnback: #33271a;
  --good: #6cc08b; --wave: #2d3b48; } }
a { color: var(--mark); } :focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
.shot { border-top: 1px solid var(--line); margin-top: 44px; padding-top: 20px; }
.shot h2 { margin: 0; font-size: 20px; } .facts { color: var(--soft); margin: 2px 0 10px;
  font-size: 13.5px; }
.chips { display: flex; flex-wrap: wrap; gap: 6px 8px; margin: 10px 0; padding: 0;
  list-style: none; font-size: 13px; }
.chips li { border: 1px solid var(--line); border-radius: 99px; padding: 1px 11px;
  background: var(--card); white-space: nowrap; }
.chips b { font-weight: 600; } .chips .warn { border-color: var(--warn); color: var(--warn); }
.findings { margin: 10px 0 14px; padding: 0; list-style: none; max-width: 86ch; }
.findings li { padding: 4px 10px 4px 12px; border-left: 3px solid var(--line); margin: 4px 0;
  color: var(--soft); }
.findings li.serious { border-color: var(--warn); background: var(--warnback);
  color: var(--ink); }
.findings li.good { border-color: var(--good); }
.viewer { margin: 12px 0; } .viewer > input { position: absolute; opacity: 0;
  pointer-events: none; }
.viewer > label { display: inline-block; padding: 3px 11px; margin: 0 4px 8px 0; font-size: 13px;
  border: 1px solid var(--line); border-radius: 4px; cursor: pointer; background: var(--card); }
.viewer > input:checked + label { border-color: var(--mark); color: var(--mark);
  font-weight: 600; }
.viewer > input:focus-visible + label { outline: 2px solid var(--mark); outline-offset: 2px; }
.panel { display: none; grid-template-columns: 2fr 1fr; gap: 10px; }
.panel.lone { grid-template-columns: minmax(0, 600px); }
.panel img { width: 100%; height: auto; display: block; background: #000; }
.panel figure { padding: 0; border: 0; background: none; }
.panel figcaption { font-weight: 400; font-size: 12.5px; color: var(--soft); margin: 4px 0 0; }
.side { display: grid; gap: 10px; align-content: start; }
.wipe { position: relative; --cut: 50%; overflow: hidden; line-height: 0; }
.wipe .old { position: absolute; inset: 0; clip-path: inset(0 calc(100% - var(--cut)) 0 0); }
.wipe::after { content: ""; position: absolute; top: 0; bottom: 0; left: var(--cut); width: 2px;
  margin-left: -1px; background: #fff; box-shadow: 0 0 3px #000; pointer-events: none; }
.wipe input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0;
  cursor: ew-resize; touch-action: pan-y; }
.wipe:focus-within { outline: 3px solid var(--mark); }
.wipe span { position: absolute; bottom: 8px; line-height: 1; font-size: 12px; color: #fff;
  background: #000a; padding: 4px 7px; border-radius: 3px; pointer-events: none; }
.wipe .l { left: 8px; } .wipe .r { right: 8px; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(88px, 1fr)); gap: 8px;
  margin: 10px 0; }
.strip.wide-cells { grid-template-columns: repeat(auto-fill, minmax(124px, 1fr)); }
.strip figure { padding: 0; border: 0; background: none; } .strip img { width: 100%;
  display: block; border-radius: 3px; background: #000; }
.strip figcaption { font-weight: 400; font-size: 11.5px; color: var(--soft); margin: 2px 0 0;
  font-variant-numeric: tabular-nums; }
.curves { display: grid; grid-template-columns: 2fr 1fr; gap: 16px; }
.curves figure { min-width: 0; }
@media (max-width: 760px) { .panel, .curves { grid-template-columns: minmax(0, 1fr); }
  .side { grid-template-columns: 1fr 1fr; }
  .strip.wide-cells { grid-template-columns: repeat(3, 1fr); } }
@media print { .shot { break-before: page; } .viewer > input, .viewer > label { display: none; }
  .panel, .panel.lone { display: grid; break-inside: avoid; margin-bottom: 8px;
    grid-template-columns: 1fr 1fr; }
  .side { grid-template-columns: 1fr 1fr; } .hint { display: none; } .wipe { display: flex; }
  .wipe img, .wipe .old { position: static; width: 50%; clip-path: none; }
  .wipe::after, .wipe input { display: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""
SCRIPT = (
    "document.querySelectorAll('.wipe input').forEach(i=>{const f=()=>i.parentNode.style."
    "setProperty('--cut',i.value+'%');i.addEventListener('input',f);f()})"
)
"""Moves the wipe; without it the wipe stands in the middle."""
MOST_FRAMES = 6
_HINT = "<span class=hint> Drag, or use the arrow keys; Home and End flip.</span>"
# One rule a place: the panel whose button is pressed is shown.
STYLE += "".join(
    f".viewer > input:nth-of-type({k}):checked ~ .panel.p{k}" + (", " if k < MOST_FRAMES else "")
    for k in range(1, MOST_FRAMES + 1)
) + " { display: grid; }\n"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a shot, as a chip."""

    name: str
    value: str
    warn: bool = False


def figures_of(shot: MeasuredShot, findings: Sequence[Finding]) -> list[Figure]:
    """The figures by which shots are compared; marked where a finding speaks of them."""
    told = " ".join(f.text for f in findings if f.serious)
    offset = None if shot.sound is None else shot.sound.offset
    found = []
    if offset is not None:
        value = f"{offset.frames:+d} fr" if offset.certain else (
            "fits at 0" if offset.fits_as_it_is else "unclear"
        )
        found.append(Figure("sync", value, "the lips by" in told))
    if np.isfinite(shot.follows):
        found.append(Figure("lips follow", f"{shot.follows:.2f}", "only loosely" in told))
    if np.isfinite(shot.jitter):
        warn = "shake" in told or "jumps" in told
        found.append(Figure("jitter", f"×{shot.jitter:.1f}", warn))
    if np.isfinite(shot.sharp):
        found.append(Figure("mouth's detail", f"{shot.sharp:.0%}", "softer" in told))
    outside = shot.meshes.outside[np.isfinite(shot.meshes.outside)]
    if outside.size:
        largest = float(outside.max())
        if shot.lossless or largest <= 1:
            found.append(
                Figure("outside the mouth", _apart(largest, shot), shot.lossless and largest > 0)
            )
    drawn = int((shot.render.strength > 0).sum())
    found.append(Figure("drawn", f"{drawn} of {shot.count}", "passed through" in told))
    return found


def _apart(largest: float, shot: MeasuredShot) -> str:
    if largest == 0:
        return "untouched"
    if shot.lossless:
        return f"changed by up to {largest:.3g}"
    return "but for rounding" if largest < 0.5 / 255 else f"codec, ≤ {largest * 255:.0f}/255"


def chips(figures: Sequence[Figure]) -> str:
    """Figures in a row."""
    items = (
        f"<li{' class=warn' if f.warn else ''}>{html.escape(f.name)} <b>{html.escape(f.value)}"
        "</b></li>" for f in figures
    )  # fmt: skip
    return f"<ul class=chips>{''.join(items)}</ul>"


def findings_list(findings: Sequence[Finding]) -> str:
    """Findings in words, or that there are none."""
    items = [
        f"<li{' class=serious' if f.serious else ''}>{html.escape(f.text)}</li>" for f in findings
    ]
    if not any(f.serious for f in findings):
        items.insert(0, "<li class=good>Nothing stands out.</li>")
    return f"<ul class=findings>{''.join(items)}</ul>"


def viewer(shot: MeasuredShot, pictures: ShotPictures, key: str) -> str:
    """The frames that are shown large, one at a time.

    Args:
        shot: Measured.
        pictures: Of the shot.
        key: Unlike that of any other shot on the page.
    """
    frames = pictures.frames[:MOST_FRAMES]
    buttons, panels = [], []
    for k, shown in enumerate(frames, 1):
        number = shot.render.frames.first + shown.bad.index
        checked = " checked" if k == 1 else ""
        words = html.escape(f"{number} {shown.bad.reason}")
        buttons.append(
            f'<input type=radio name="{key}" id="{key}-{k}"{checked}>'
            f'<label for="{key}-{k}">{words}</label>'
        )
        panels.append(_panel(shot, shown, k))
    return f"<div class=viewer>{''.join(buttons)}{''.join(panels)}</div>"


def _panel(shot: MeasuredShot, shown: ShownFrame, k: int) -> str:
    number = shot.render.frames.first + shown.bad.index
    what = f"frame {number}, {clock(shot.render, shown.bad.index)}: {shown.bad.reason}"
    after = image(shown.after, f"after, {what}")
    if shown.before is None:
        large = _captioned(after, f"After, {what}")
    else:
        old = image(shown.before, f"before, {what}").replace("<img ", "<img class=old ", 1)
        wipe = (
            f"<div class=wipe>{after}{old}<input type=range min=0 max=100 value=50 step=1 "
            f'aria-label="{html.escape(f"before and after, {what}")}">'
            "<span class=l>before</span><span class=r>after</span></div>"
        )
        large = _captioned(wipe, f"{what[:1].upper()}{what[1:]}.", _HINT)
    side, under = [], "render" if shown.before is None else "plate"
    if shown.matte is not None:
        side.append(_captioned(image(shown.matte, f"matte, {what}"), f"Matte over the {under}"))
    if shown.difference is not None:
        side.append(
            _captioned(image(shown.difference, f"difference, {what}"), f"Difference ×{GAIN}")
        )
    beside = f"<div class=side>{''.join(side)}</div>" if side else ""
    return f'<div class="panel p{k}{"" if side else " lone"}">{large}{beside}</div>'


def _captioned(content: str, text: str, more: str = "") -> str:
    return f"<figure>{content}<figcaption>{html.escape(text)}{more}</figcaption></figure>"


def strip(shot: MeasuredShot, pictures: ShotPictures) -> str:
    """Mouths over the shot: the plate's above, the new one below."""
    first = shot.render.frames.first
    told = "the render" if shot.no_plate else "the plate above the render"
    cells = (
        _captioned(image(jpeg, f"mouth of frame {first + index}, {told}"),
                   str(first + index), f"<br>{clock(shot.render, index)}")
        for index, jpeg in pictures.strip
    )  # fmt: skip
    return (
        f"<p class=facts>Over the shot, {told}</p>"
        f'<div class="strip{" wide-cells" if pictures.of_faces else ""}">{"".join(cells)}</div>'
    )


def curves(shot: MeasuredShot, pictures: ShotPictures) -> str:
    """Sound, lips, jitter, confidence and sync over the shot."""
    marked = [shown.bad.index for shown in pictures.frames]
    side = offset_graph(shot) + confidence_graph(shot)
    return (
        '<div class="curves graph">'
        + figure("Lips and sound", lips_graph(shot, marked) + shake_graph(shot))
        + figure("Sync and confidence", side)
        + "</div>"
    )


def facts_line(shot: MeasuredShot) -> str:
    """What the shot is, in a line."""
    render = shot.render
    rate = f"{float(render.rate):.5g}"
    words = [
        f"frames {render.frames} at {rate}", f"{render.width}×{render.height}",
        f"plate {render.plate.name}",
        "curves" if render.dialogue is None else f"dialogue {render.dialogue.name}",
        f"synthesis {render.settings.get('synthesis', 'unknown')}"
        + refined_text(float(render.settings.get("refine", 0))),
    ]  # fmt: skip
    if render.timecode is not None:
        words.insert(1, f"from {clock(render, 0)}")
    if render.is_patch:
        words.append("delivered as patch, shown over the plate")
    return f"<p class=facts>{html.escape(' · '.join(words))}</p>"
