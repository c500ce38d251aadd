"""Tables as Markdown, CSV and HTML, each with its protocol line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from lipcore.evaluate.baselines import absent_baselines
from lipcore.evaluate.look import CROP_PX
from lipcore.evaluate.offset import OffsetJudge
from lipcore.evaluate.table import number
from lipcore.evaluate.tables import Table, TableSet, all_hashes
from lipcore.evaluate.variants import find_variant, variant_line
from lipcore.media.output_files import appearing
from lipcore.models.checkpoint import hash_file
from lipcore.report.page import heading, page, paragraph
from lipcore.report.page import table as html_table
from lipcore.weights import find_weights

_STYLE = "td:first-child, th:first-child { min-width: 190px; overflow-wrap: normal; }"


def protocol_of(given: TableSet) -> list[str]:
    """How the figures were taken: a line for all tables, and one for each variant.

    Raises:
        WeightsError: A variant's networks are absent or damaged.
    """
    told = ", ".join(f"{kind} {sha256[:12]}" for kind, sha256 in all_hashes(given).items())
    own = find_weights("base")
    ours = ", ".join(f"{kind} {hash_file(own.file(kind))[:12]}" for kind in own.kinds())
    lines = [
        f"Protocol: {len(given.clips)} clips, the first {given.seconds:g} s of each at its own "
        f"rate and size; figures of the canonical face crop ({CROP_PX} px) of the plate, means "
        "over the clips; of offsets and lags the mean size; ours may not draw from within 12 "
        f"frames of the one drawn; published weights: {told or 'none'}; ours, and the judges of "
        f"proxies, by base ({ours}) and the lips' judge {OffsetJudge().digest}."
    ]
    lines += [f"Variant {variant_line(find_variant(v))}." for v in given.variants]
    return lines


def absence_of(given: TableSet) -> list[str]:
    """A line for each method of others that is not in the tables, and why."""
    return [f"Left out: {one.title}: {one.why}." for one in absent_baselines(given.baselines)]


def table_markdown(table: Table) -> str:
    """One table."""
    head = ["figure", *table.methods, "better"]
    lines = [f"## {table.title}", "", _line(head), _line(["---"] * len(head))]
    lines += [_line([n, *map(number, values), better]) for n, better, values in table.rows]
    lines += [_line([name, *map(str, values), better]) for name, values, better in _counts(table)]
    return "\n".join(lines)


def write_tables(tables: Sequence[Table], given: TableSet, folder: Path) -> list[Path]:
    """Write ``tables.md``, ``tables.csv`` and ``tables.html``.

    Raises:
        OutputError: A file cannot be written.
    """
    protocol = protocol_of(given)
    absence = absence_of(given)
    paths = [folder / f"tables.{suffix}" for suffix in ("md", "csv", "html")]
    with appearing(paths[0]) as temporary:
        text = "\n\n".join([*map(table_markdown, tables), *protocol, *absence]) + "\n"
        temporary.write_text(text, encoding="utf-8")
    with appearing(paths[1]) as temporary, temporary.open("w", newline="", encoding="utf-8") as f:
        rows = csv.writer(f)
        rows.writerow(["table", "figure", "better", "method", "value", "failures",
                       "frames"])
        for table in tables:
            for name, better, values in table.rows:
                for method, value, failed, frames in zip(
                    table.methods, values, table.failures, table.frames, strict=True
                ):
                    rows.writerow([table.title, name, better, method,
                                   "" if value != value else value, failed, frames])
        rows.writerows(["protocol", line, *[""] * 5] for line in protocol)
    with appearing(paths[2]) as temporary:
        parts = [paragraph(line, soft=True) for line in protocol]
        for table in tables:
            body = [[n, *map(number, values), better] for n, better, values in table.rows]
            body += [[name, *map(str, values), better] for name, values, better in _counts(table)]
            parts += [heading(table.title), html_table(["figure", *table.methods, "better"], body)]
        parts += [paragraph(line, soft=True) for line in absence]
        temporary.write_text(page("Evaluation", *parts, style=_STYLE), encoding="utf-8")
    return paths


def _counts(table: Table) -> list[tuple[str, tuple[int, ...], str]]:
    return [("frames measured", table.frames, ""), ("clips that failed", table.failures, "lower")]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
