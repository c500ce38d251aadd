"""Backends side by side, in one run: time of a network, and how far its picture is from torch's.

    python tests/benchmarks/bench_backends.py [--weights base] [--graphs face_decoder draw]

Rounds take turns, so that whatever else the machine does hits all of them; in each, a backend
runs twice, and the second is timed. The ratio is that of the medians. The difference is over the
whole crop, so no matte can show more.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from lipcore.cache import Cache
from lipcore.runtime.backends import BACKENDS, open_graph
from lipcore.runtime.graphs import build_graph
from lipcore.runtime.probes import probe
from lipcore.weights import find_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--graphs", nargs="+", default=["face_decoder", "draw", "inner_mouth"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=1, help="Frames at once; times are a frame's.")
    parser.add_argument("--compile", action="store_true", help="torch.compile too: a minute more")
    args = parser.parse_args()
    weights = find_weights(args.weights)
    print("| graph | backend | ms | of torch | max of 255 | mean of 255 |")
    print("|---|---|---|---|---|---|")
    for name in args.graphs:
        runners = {}
        for backend in BACKENDS.values():
            skipped = not args.compile and "compile" in backend.name
            if not skipped and not backend.missing("cpu"):
                graph = build_graph(name, weights)
                runners[backend.name] = open_graph(graph, backend.name, cache=Cache())
        graph = build_graph(name, weights)
        inputs = [x.numpy() for x in probe(graph, weights, batch=args.batch)]
        expected = graph.run(*map(torch.from_numpy, inputs))[0].numpy()
        times: dict[str, list[float]] = {backend: [] for backend in runners}
        steps = {}
        for backend, runner in runners.items():
            off = np.abs(runner.run(*inputs)[0] - expected) * (graph.outputs[0].steps_a_unit or 0)
            steps[backend] = float(off.max()), float(off.mean())
        for _ in range(args.rounds):
            for backend, runner in runners.items():
                runner.run(*inputs)  # while threads of the one before still spin
                start = time.perf_counter()
                runner.run(*inputs)
                times[backend].append(1000 * (time.perf_counter() - start) / args.batch)
        base = statistics.median(times["torch"])
        for backend, taken in times.items():
            ms = statistics.median(taken)
            worst, mean = steps[backend]
            print(f"| {name} | {backend} | {ms:.0f} | {base / ms:.2f}x faster | {worst:.2g} | "
                  f"{mean:.2g} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
