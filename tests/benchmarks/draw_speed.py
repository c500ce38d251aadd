"""A page of a render's speed and memory against resolution and length.

    python tests/benchmarks/draw_speed.py CLIP DIALOGUE --out speed.html [--peers peers.json]
        [--heights 540 1080 2160] [--seconds 2 6 12]

The plates are CLIP played to and fro, enlarged, H.264 in and out; each render runs in a process
of its own, with nothing cached. Processor seconds, not wall time, are drawn. ``peers.json`` comes
from ``bench_peers.py --json`` and adds its comparison.
"""

from __future__ import annotations

import argparse
import html
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench_peers import render
from bench_render import RATE, write_dialogue, write_plate

from lipcore.report.page import bars, figure, heading, page, paragraph, plots, table

_WIDTH, _HEIGHT, _LEFT, _FOOT = 340, 190, 44, 34
_SIXTEEN_NINTHS = 16 / 9


def line_plot(title: str, points: Sequence[tuple[float, float]], x_unit: str, unit: str) -> str:
    """Points joined by a line, both axes from 0, each point with its value."""
    wide, high = max(x for x, _ in points) * 1.06, max(y for _, y in points) * 1.2
    places = [
        (_LEFT + x / wide * (_WIDTH - _LEFT - 8), (_HEIGHT - _FOOT) * (1 - y / high))
        for x, y in points
    ]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = "".join(
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" style="fill:var(--mark)"/>'
        f'<text x="{px:.1f}" y="{py - 9:.1f}" text-anchor="{"end" if i else "middle"}">'
        f"{y:.3g} {html.escape(unit)}</text>"
        f'<text x="{px:.1f}" y="{_HEIGHT - 16}" text-anchor="middle">{x:g}</text>'
        for i, ((px, py), (x, y)) in enumerate(zip(places, points, strict=True))
    )
    base = _HEIGHT - _FOOT
    return figure(title, (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img>'
        f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH}" y2="{base}"/>'
        f'<line x1="{_LEFT}" y1="0" x2="{_LEFT}" y2="{base}"/>'
        f'<polyline points="{drawn}" style="fill:none;stroke:var(--mark);stroke-width:2"/>{marks}'
        f'<text x="{_WIDTH - 4}" y="{_HEIGHT - 2}" text-anchor="end">{html.escape(x_unit)}</text>'
        "</svg>"
    ))  # fmt: skip


def main() -> None:
    """Render at each size and length, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("dialogue", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--heights", type=int, nargs="+", default=[540, 1080, 2160])
    parser.add_argument("--seconds", type=int, nargs="+", default=[2, 6, 12])
    given = parser.parse_args()
    shortest, lowest = min(given.seconds), min(given.heights)
    jobs = [(height, shortest) for height in sorted(given.heights)]
    jobs += [(lowest, seconds) for seconds in sorted(given.seconds) if seconds != shortest]
    found: dict[tuple[int, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for height, seconds in jobs:
            plate, line = Path(name) / f"{height}_{seconds}.mp4", Path(name) / f"{seconds}.wav"
            write_plate(plate, given.clip, seconds, (round(height * _SIXTEEN_NINTHS), height))
            write_dialogue(line, given.dialogue, seconds)
            found[height, seconds] = render(
                str(plate), str(line), f"{plate}.out.mp4", f"{plate}.cache",
                str(seconds * RATE), "full",
            )  # fmt: skip
            print(height, seconds, json.dumps(found[height, seconds]), flush=True)
    sizes = [(h, found[h, shortest]) for h in sorted(given.heights)]
    lengths = [(s, found[lowest, s]) for s in sorted(given.seconds)]
    cpu, peak = "processor time a frame", "peak memory"
    parts = [
        paragraph("H.264 in and out, nothing cached, the start of the program shared among the "
                  "frames. Processor seconds of all threads: two idle cores need half of them."),
        heading(f"Against height, {shortest} s of 16:9"),
        plots(
            line_plot(cpu, [(h, r["cpu_s_a_frame"]) for h, r in sizes], "lines", "s"),
            line_plot(peak, [(h, r["peak_mb"] / 1000) for h, r in sizes], "lines", "GB"),
        ),
        heading(f"Against length, {lowest} lines"),
        plots(
            line_plot(cpu, [(s, r["cpu_s_a_frame"]) for s, r in lengths], "seconds", "s"),
            line_plot(peak, [(s, r["peak_mb"] / 1000) for s, r in lengths], "seconds", "GB"),
        ),
        table(("lines", "seconds", "processor s a frame", "peak MB"),
              [(h, s, r["cpu_s_a_frame"], r["peak_mb"]) for (h, s), r in found.items()]),
    ]  # fmt: skip
    if given.peers:
        peers = json.loads(given.peers.read_text())
        parts += [
            heading("Beside Wav2Lip's pipeline, 4K, processor ms a frame"),
            plots(bars("processor ms a frame", {
                "S3FD at full size": round(1000 * peers["s3fd_full_cpu_s"]),
                "S3FD at quarter size": round(1000 * peers["s3fd_quarter_cpu_s"]),
                "whole render, H.264": round(1000 * peers["lipcore_full_cpu_s_a_frame"]),
                "whole render, patch": round(1000 * peers["lipcore_patch_cpu_s_a_frame"]),
            })),
            table(("figure", "value"), [(k, f"{v:.3f}") for k, v in peers.items()]),
        ]  # fmt: skip
    given.out.write_text(page("Speed and memory of lipcore render", *parts), "utf-8")


if __name__ == "__main__":
    main()
