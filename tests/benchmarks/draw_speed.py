"""A page of a render's speed and memory against resolution, length and batch.

    python tests/benchmarks/draw_speed.py CLIP DIALOGUE --out speed.html [--peers peers.json]
        [--heights 540 1080 2160] [--seconds 2 6 12] [--workers 1 2 4] [--batches 1 2 4 8]

The plates are CLIP played to and fro, enlarged, H.264 in and out; each render runs in a process
of its own, with nothing cached. A batch of a render is how many frames are drawn at once
(``RenderConfig.workers``); one of the latent networks, how many crops a pass of the generator and
decoder takes (``--backend`` of them). Processor seconds, not wall time, are drawn. ``peers.json``
comes from ``bench_peers.py --json`` and adds its comparison.
"""

from __future__ import annotations

import argparse
import html
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench_peers import of_a_frame, render, run_child
from bench_render import RATE, write_dialogue, write_plate

from lipcore.report.page import figure, heading, page, paragraph, plots, table

_WIDTH, _HEIGHT, _LEFT, _FOOT = 340, 190, 44, 34
_SIXTEEN_NINTHS = 16 / 9
_ROW, _BAR, _NEAR = 38, 10, 50
_NETWORKS = """
import json, resource, sys, tempfile, time
from pathlib import Path
from lipcore.cache import Cache
from lipcore.runtime.backends import open_graph
from lipcore.runtime.graphs import build_graph
from lipcore.runtime.probes import probe
from lipcore.weights import find_weights
backend, batch = sys.argv[1], int(sys.argv[2])
weights = find_weights("base")
graph = build_graph("draw", weights)
inputs = [x.numpy() for x in probe(graph, weights, batch=batch)]
with tempfile.TemporaryDirectory() as name:
    runner = open_graph(graph, backend, cache=Cache(Path(name)))
    runner.run(*inputs)
    times = max(2, 16 // batch)
    start = time.process_time()
    for _ in range(times):
        runner.run(*inputs)
    spent = time.process_time() - start
scale = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "cpu_s_a_frame": spent / times / batch,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6,
}))
"""


def line_plot(title: str, points: Sequence[tuple[float, float]], x_unit: str, unit: str) -> str:
    """Points joined by a line, both axes from 0, each point with its value."""
    wide, high = max(x for x, _ in points) * 1.06, max(y for _, y in points) * 1.2
    places = [
        (_LEFT + x / wide * (_WIDTH - _LEFT - 8), (_HEIGHT - _FOOT) * (1 - y / high))
        for x, y in points
    ]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = ""
    for i, ((px, py), (x, y)) in enumerate(zip(places, points, strict=True)):
        # Where points are near each other, every second value stands below the line.
        near = any(abs(px - other) < _NEAR for j, (other, _) in enumerate(places) if j != i)
        below = near and i % 2
        marks += (
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" style="fill:var(--mark)"/>'
            f'<text x="{px:.1f}" y="{py + (18 if below else -9):.1f}" '
            f'text-anchor="{"end" if i and not near else "middle"}">{y:.3g} {html.escape(unit)}'
            f'</text><text x="{px:.1f}" y="{_HEIGHT - 16}" text-anchor="middle">{x:g}</text>'
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


def long_bars(title: str, values: Mapping[str, float], unit: str) -> str:
    """A bar a name, the shortest first, on a logarithmic scale: peers differ by thousands."""
    ordered = sorted(values.items(), key=lambda item: item[1])
    low, high = math.log10(ordered[0][1]) - 0.5, math.log10(ordered[-1][1])
    drawn = "".join(
        f'<text x="0" y="{_ROW * i + 14}">{html.escape(name)}: {value:.3g} {html.escape(unit)}'
        f'</text><rect x="0" y="{_ROW * i + 20}" height="{_BAR}" '
        f'width="{(math.log10(value) - low) / max(high - low, 1e-6) * _WIDTH:.1f}"/>'
        for i, (name, value) in enumerate(ordered)
    )
    size = f"0 0 {_WIDTH} {_ROW * len(ordered)}"
    return figure(f"{title}, logarithmic", f'<svg viewBox="{size}" role=img>{drawn}</svg>')


def pair_of_plots(points: Mapping[int, Mapping[str, float]], x_unit: str) -> str:
    """Processor time and peak memory against what was varied."""
    ordered = sorted(points.items())
    return plots(
        line_plot("processor time a frame", [(x, r["cpu_s_a_frame"]) for x, r in ordered],
                  x_unit, "s"),
        line_plot("peak memory", [(x, r["peak_mb"] / 1000) for x, r in ordered], x_unit, "GB"),
    )  # fmt: skip


def main() -> None:
    """Render at each size, length and batch, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("dialogue", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--heights", type=int, nargs="+", default=[540, 1080, 2160])
    parser.add_argument("--seconds", type=int, nargs="+", default=[2, 6, 12])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--backend", default="torch")
    given = parser.parse_args()
    shortest, lowest, middle = (
        min(given.seconds), min(given.heights), sorted(given.heights)[len(given.heights) // 2]
    )  # fmt: skip
    jobs = [(height, shortest, 2) for height in given.heights]
    jobs += [(lowest, seconds, 2) for seconds in given.seconds]
    jobs += [(middle, shortest, workers) for workers in given.workers]
    found: dict[tuple[int, int, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for height, seconds, workers in dict.fromkeys(jobs):
            plate, line = Path(name) / f"{height}_{seconds}.mp4", Path(name) / f"{seconds}.wav"
            if not plate.is_file():
                write_plate(plate, given.clip, seconds, (round(height * _SIXTEEN_NINTHS), height))
                write_dialogue(line, given.dialogue, seconds)
            made = render(
                plate, line, Path(f"{plate}.{workers}.mp4"), Path(f"{plate}.{workers}.cache"),
                seconds * RATE, "full", workers,
            )
            found[height, seconds, workers] = made
            print(height, seconds, workers, json.dumps(made), flush=True)
    networks = {}
    for batch in given.batches:
        networks[batch] = run_child(_NETWORKS, given.backend, batch)
        print(given.backend, batch, json.dumps(networks[batch]), flush=True)
    parts = [
        paragraph("H.264 in and out, nothing cached, the start of the program shared among the "
                  "frames. Processor seconds of all threads: two idle cores need half of them."),
        heading(f"Against height, {shortest} s of 16:9"),
        pair_of_plots({h: found[h, shortest, 2] for h in given.heights}, "lines"),
        heading(f"Against length, {lowest} lines"),
        pair_of_plots({s: found[lowest, s, 2] for s in given.seconds}, "seconds"),
        heading(f"Against frames that are drawn at once, {middle} lines, {shortest} s"),
        pair_of_plots({w: found[middle, shortest, w] for w in given.workers}, "frames"),
        heading(f"Against the batch: the latent path's generator and decoder, {given.backend}"),
        pair_of_plots(networks, "crops"),
        heading("All renders"),
        table(("lines", "seconds", "at once", "processor s a frame", "peak MB"),
              [(*job, f"{r['cpu_s_a_frame']:.3f}", round(r["peak_mb"]))
               for job, r in found.items()]),
    ]  # fmt: skip
    if given.peers:
        peers = json.loads(given.peers.read_text())
        ours = {
            f"lipcore, whole render, {what}": peers[f"lipcore_{deliver}_cpu_s_a_frame"]
            for deliver, what in (("full", "H.264"), ("patch", "patch EXR"))
        }
        parts += [
            heading("Beside its peers' networks, 4K"),
            plots(long_bars("processor time a frame", of_a_frame(peers) | ours, "s")),
            table(("figure", "value"), [(k, f"{v:.3f}") for k, v in peers.items()]),
        ]
    given.out.write_text(page("Speed and memory of lipcore render", *parts), "utf-8")


if __name__ == "__main__":
    main()
