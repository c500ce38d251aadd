"""Tables as Markdown, CSV and HTML, each with its protocol line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from lipcore.evaluate.baselines import absent_baselines
from lipcore.evaluate.table import number
from lipcore.evaluate.tables import Table, TableSet, all_hashes
from lipcore.media.output_files import appearing
from lipcore.report.page import heading, page, paragraph
from lipcore.report.page import table as html_table

_STYLE = "td:first-child, th:first-child { min-width: 190px; overflow-wrap: normal; }"


def protocol_of(given: TableSet) -> str:
    """How the figures were taken, in one line."""
    told = ", ".join(f"{kind} {sha256[:12]}" for kind, sha256 in all_hashes(given).items())
    return (
        f"{len(given.clips)} clips, the first {given.seconds:g} s of each at its own rate and "
        "size; figures of the canonical face crop (256 px) of the plate, means over the clips; of "
        "offsets and lags the mean size; ours may not draw from within 12 frames of the one drawn; "
        f"weights of others: {told or 'none'}"
    )


def absence_of(given: TableSet) -> list[str]:
    """A line for each method of others that is not in the tables, and why."""
    return [f"Left out: {one.title}: {one.why}." for one in absent_baselines(given.baselines)]


def table_markdown(table: Table) -> str:
    """One table."""
    head = ["figure", *table.methods, "better"]
    lines = [f"## {table.title}", "", _line(head), _line(["---"] * len(head))]
    lines += [_line([n, *map(number, values), better]) for n, better, values in table.rows]
    lines.append(_line(["clips that failed", *map(str, table.failures), "lower"]))
    return "\n".join(lines)


def write_tables(tables: Sequence[Table], given: TableSet, folder: Path) -> list[Path]:
    """Write ``tables.md``, ``tables.csv`` and ``tables.html``.

    Raises:
        OutputError: A file cannot be written.
    """
    protocol = f"Protocol: {protocol_of(given)}."
    absence = absence_of(given)
    paths = [folder / f"tables.{suffix}" for suffix in ("md", "csv", "html")]
    with appearing(paths[0]) as temporary:
        text = "\n\n".join([*map(table_markdown, tables), protocol, *absence]) + "\n"
        temporary.write_text(text, encoding="utf-8")
    with appearing(paths[1]) as temporary, temporary.open("w", newline="", encoding="utf-8") as f:
        rows = csv.writer(f)
        rows.writerow(["table", "figure", "better", "method", "value", "failures"])
        for table in tables:
            for name, better, values in table.rows:
                for method, value, failed in zip(
                    table.methods, values, table.failures, strict=True
                ):
                    rows.writerow([table.title, name, better, method,
                                   "" if value != value else value, failed])  # fmt: skip
    with appearing(paths[2]) as temporary:
        parts = [paragraph(protocol, soft=True)]
        for table in tables:
            body = [[n, *map(number, values), better] for n, better, values in table.rows]
            body.append(["clips that failed", *map(str, table.failures), "lower"])
            parts += [heading(table.title), html_table(["figure", *table.methods, "better"], body)]
        parts += [paragraph(line, soft=True) for line in absence]
        temporary.write_text(page("Evaluation", *parts, style=_STYLE), encoding="utf-8")
    return paths


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
