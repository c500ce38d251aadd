"""An evaluation as a table to read, and as JSON and CSV to keep."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from lipcore.evaluate.compare import Evaluation
from lipcore.media.output_files import appearing

FORMAT = "lipcore-evaluation-1"


def table_text(done: Evaluation) -> str:
    """The figures and the protocol, one a line."""
    wide = max(len(f.name) for f in done.figures)
    lines = [
        f"{f.name:{wide}}  {number(f.value):>9}  {f.better:7} {f.note}".rstrip()
        for f in done.figures
    ]
    return "\n".join([*lines, "", protocol_line(done.protocol)])


def protocol_line(protocol: dict[str, Any]) -> str:
    """How the figures were taken, in one line."""
    weights = ", ".join(
        f"{kind} {str(sha256)[:12]}" for kind, sha256 in protocol["weights"].items() if sha256
    )
    return (
        f"protocol: {protocol['crop']}; {protocol['rate']} frames a second; "
        f"{protocol['frames']} frames, {protocol['failures']} without a face, "
        f"{protocol['frames_left_out']} left out; matte {protocol['matte']}; "
        f"published weights: {weights or 'none'}"
    )


def number(value: float) -> str:
    """A value for people."""
    return "unknown" if math.isnan(value) else f"{value:.4g}"


def evaluation_facts(done: Evaluation) -> dict[str, Any]:
    """All of it, JSON-able: figures, protocol, and the values of each frame."""
    return {
        "format": FORMAT,
        "protocol": done.protocol,
        "figures": [
            {"name": f.name, "value": _plain(f.value), "better": f.better, "proxy": f.proxy,
             "note": f.note} for f in done.figures
        ],
        "per_frame": [
            {"frame": frame, **{n: _plain(float(c[i])) for n, c in done.per_frame.items()}}
            for i, frame in enumerate(done.frames)
        ],
    }  # fmt: skip


def write_evaluation(done: Evaluation, path: Path) -> None:
    """Write ``.json`` (everything) or ``.csv`` (the figures), by the path's suffix.

    Raises:
        OutputError: The file cannot be written.
    """
    with appearing(path) as temporary:
        if path.suffix.lower() == ".csv":
            with temporary.open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                rows.writerow(["figure", "value", "better", "proxy", "note"])
                for f in done.figures:
                    value = "" if math.isnan(f.value) else f.value
                    rows.writerow([f.name, value, f.better, "yes" if f.proxy else "no", f.note])
            return
        text = json.dumps(evaluation_facts(done), indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text, encoding="utf-8")


def _plain(value: float) -> float | str | None:
    """JSON knows neither NaN nor infinity."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("infinity" if value > 0 else "-infinity")
