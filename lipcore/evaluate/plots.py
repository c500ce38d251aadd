"""An evaluation as a page that opens without a server: figures, and curves over the frames."""

from __future__ import annotations

import csv
import html
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipcore.evaluate.compare import Evaluation
from lipcore.evaluate.table import number, protocol_line, write_evaluation
from lipcore.media.output_files import appearing
from lipcore.report.graphs import STYLE as GRAPH_STYLE
from lipcore.report.graphs import frames_graph
from lipcore.report.page import figure, heading, page, paragraph, plots, table
from lipcore.types import FloatArray

_STYLE = GRAPH_STYLE + """
.plots { grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); }
.graph .top { display: flex; justify-content: space-between; font-size: 12px;
  color: var(--soft); font-variant-numeric: tabular-nums; }
td:first-child { min-width: 150px; }
"""
_GRAPHS: tuple[tuple[str, tuple[tuple[str, str], ...], str], ...] = (
    ("Opening of the inner lips", (("opening", "render"), ("plate_opening", "plate")),
     "interocular units"),
    ("Width of the lips", (("width", "render"), ("plate_width", "plate")), "interocular units"),
    ("Lag behind the plate's lips", (("lag", "best shift of two seconds around"),), "frames"),
    ("Fit of mouth and sound", (("lse_confidence", "SyncNet's confidence"),
                                ("expert_cosine", "cosine of lipcore's expert")), ""),
    ("Jitter of lips and jaw", (("shake", "render"), ("plate_shake", "plate")),
     "interocular units a frame squared"),
    ("Distance of the lips, LMD", (("lmd", "from the plate's"),), "interocular units"),
    ("PSNR", (("psnr", "face crop"),), "dB"),
    ("SSIM", (("ssim", "face crop"),), ""),
    ("LPIPS", (("lpips", "face crop"),), ""),
    ("Seam", (("seam", "gradient across the matte's edge over the plate's"),), ""),
    ("Sharpness of the mouth", (("sharp_made", "render"), ("sharp_real", "plate")),
     "squared gradient"),
    ("Flicker", (("flicker", "render"), ("plate_flicker", "plate")), "luma a frame squared"),
    ("Outside the matte", (("outside", "largest difference"),), "the plate's encoding"),
    ("Identity", (("identity", "distance of oriented edges (proxy)"),), ""),
)
"""Title, curves with their legends, unit."""


def write_files(done: Evaluation, outs: Iterable[Path], per_frame: Path | None) -> list[Path]:
    """Write all files of an evaluation, each by its suffix, and give their paths.

    Args:
        done: What was measured.
        outs: ``.json``, ``.csv`` or ``.html``.
        per_frame: A ``.csv`` with a row a frame.

    Raises:
        OutputError: A file cannot be written.
    """
    written = list(outs)
    for out in written:
        (write_plots if out.suffix.lower() == ".html" else write_evaluation)(done, out)
    if per_frame is not None:
        write_frames(done, per_frame)
        written.append(per_frame)
    return written


def write_plots(done: Evaluation, path: Path) -> None:
    """Write the page.

    Raises:
        OutputError: It cannot be written.
    """
    rows = [(f.name, number(f.value), f.better, f.note) for f in done.figures]
    parts = [
        paragraph(protocol_line(done.protocol), soft=True), heading("Frame by frame"),
        plots(*_graphs(done)), heading("Figures"),
        table(("figure", "value", "better", "how"), rows),
    ]  # fmt: skip
    title = f"{Path(done.protocol['render']).name} against {Path(done.protocol['plate']).name}"
    with appearing(path) as temporary:
        temporary.write_text(page(title, *parts, style=_STYLE), encoding="utf-8")


def write_frames(done: Evaluation, path: Path) -> None:
    """Write a row for each frame, a column for each curve; empty where not known.

    Raises:
        OutputError: It cannot be written.
    """
    with appearing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["frame", *done.per_frame])
        for i, frame in enumerate(done.frames):
            values = (float(curve[i]) for curve in done.per_frame.values())
            rows.writerow([frame, *("" if v != v else f"{v:.6g}" for v in values)])


def _graphs(done: Evaluation) -> Iterator[str]:
    first, rate = done.frames.first, float(Fraction(done.protocol["rate"]))
    for title, named, unit in _GRAPHS:
        curves = {
            legend: done.per_frame[name] for name, legend in named
            if name in done.per_frame and np.isfinite(done.per_frame[name]).any()
        }  # fmt: skip
        if curves:
            drawn = frames_graph(title, curves, first, rate, unit)
            yield figure(title, f"<div class=graph>{drawn}</div>" + _told(curves))


def _told(curves: dict[str, FloatArray]) -> str:
    """Where values lie that no curve can show."""
    endless = sum(int(np.isinf(v).sum()) for v in curves.values())
    if not endless:
        return ""
    text = f"{endless} frames are the plate's own, without any difference: not drawn."
    return f"<p class=soft>{html.escape(text)}</p>"
