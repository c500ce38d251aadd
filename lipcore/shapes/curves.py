"""Mouth-shape curves as files that an artist can edit, and the edits themselves.

JSON carries everything; CSV is for spreadsheets, with what is not a number in lines that
begin with ``#``. Both hold a frame a row and a named component a column. A column that is
deleted counts as 0 throughout; a row may not be.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lipcore.errors import ConfigError, OutputNotWritableError
from lipcore.rates import parse_rate
from lipcore.types import FloatArray, FrameRange, ShapeCurves

FORMAT = "lipcore.shapes"
VERSION = 1
STANDARD = "standard"
"""Unit of asked curves: 0 is the mouth closed at rest, 1 a standard deviation of the speaker."""
INTEROCULAR = "interocular"
"""Unit of measured curves: displacement from the person's neutral."""
UNITS = {
    STANDARD: "0 is the mouth closed at rest, 1 is one standard deviation of the speaker",
    INTEROCULAR: "0 is the person's mean mouth, 1 moves the lips by the distance between the "
    "outer eye corners",
}
COMMENT = (
    "One row a frame: the frame's number, then a value for each component. Columns may be "
    "deleted (they count as 0), rows may not."
)


_SEPARATORS = ",;\t"
"""Of cells; where it is not the comma, that may stand before decimals."""


@dataclass(frozen=True, slots=True, eq=False)
class CurvesFile:
    """What a curves file holds."""

    curves: ShapeCurves
    comment: str = ""
    """Free text for people."""


def check_curves_path(path: Path) -> None:
    """Check the name of a file of curves before they are made.

    Raises:
        ConfigError: It ends neither in ``.json`` nor in ``.csv``.
    """
    if path.suffix.lower() not in {".json", ".csv"}:
        raise ConfigError(
            f"curves cannot be written as {path.name}", hint="End the name in .json or .csv."
        )


def write_curves(path: Path, curves: ShapeCurves, *, comment: str = COMMENT) -> None:
    """Write curves as JSON, or as CSV where the path ends in ``.csv``.

    CSV does not hold the neutral.

    Raises:
        ConfigError: The path ends in something else.
        OutputNotWritableError: The folder does not take the file.
    """
    check_curves_path(path)
    suffix = path.suffix.lower()
    text = _to_json(curves, comment) if suffix == ".json" else _to_csv(curves, comment)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputNotWritableError(
            f"{path} cannot be written ({error.strerror or error})",
            hint="Choose a folder that exists and accepts files.",
            path=str(path),
        ) from error


def read_curves(path: Path, names: Sequence[str], *, weights: str = "") -> CurvesFile:
    """Read curves strictly.

    Args:
        path: A ``.json`` or ``.csv`` file.
        names: Components of the basis in use: the columns of the result, in this order.
        weights: ``ShapeBasis.label`` of the basis in use; a file made with another basis is
            refused. Not checked where it, or the file's, is empty.

    Raises:
        ConfigError: The file is absent or not curves; it has an unknown or doubled component,
            an impossible rate, a value that is not a finite number, or a missing row; or it
            belongs to another basis.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, f"it cannot be read ({error})") from error
    parse = _from_csv if path.suffix.lower() == ".csv" else _from_json
    header, columns, rows = parse(path, text)
    unit = str(header.get("unit", INTEROCULAR))
    if unit not in UNITS:
        raise _bad(path, f"unit {unit!r} is unknown; write one of {', '.join(UNITS)}")
    made_with = str(header.get("weights", ""))
    if weights and made_with and made_with != weights:
        raise _bad(path, f"it was made with {made_with}, and {weights} is in use")
    values = _values(path, columns, rows, names)
    curves = ShapeCurves(
        rate=_rate(path, header.get("rate")),
        first_frame=int(rows[0][0]),
        values=values,
        names=tuple(names),
        unit=unit,
        source=str(header.get("source", "")),
        weights=made_with,
        neutral=_neutral(path, header.get("neutral")),
    )
    return CurvesFile(curves, str(header.get("comment", "")))


def _bad(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} does not hold usable mouth-shape curves: {why}",
        hint="Write a fresh file with `lipcore shapes`, and edit its numbers only.",
        path=str(path),
    )


def _header(curves: ShapeCurves, comment: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "comment": comment,
        "rate": str(curves.rate),
        "unit": curves.unit,
        "unit_meaning": UNITS.get(curves.unit, ""),
        "source": curves.source,
        "weights": curves.weights,
    }


def _rows(curves: ShapeCurves) -> list[list[float]]:
    return [
        [number, *(round(float(value), 6) for value in row)]
        for number, row in zip(curves.frames, curves.values, strict=True)
    ]


def _to_json(curves: ShapeCurves, comment: str) -> str:
    header = _header(curves, comment)
    header["neutral"] = None if curves.neutral is None else curves.neutral.round(6).tolist()
    header["columns"] = ["frame", *curves.names]
    head = json.dumps(header, indent=1, allow_nan=False)
    lines = ",\n  ".join(json.dumps(row, allow_nan=False) for row in _rows(curves))
    return f'{head[:-2]},\n "rows": [\n  {lines}\n ]\n}}\n'


def _to_csv(curves: ShapeCurves, comment: str) -> str:
    out = io.StringIO()
    for key, value in _header(curves, comment).items():
        out.write(f"# {key}: {' '.join(str(value).split())}\n")
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["frame", *curves.names])
    table.writerows(_rows(curves))
    return out.getvalue()


def _from_json(path: Path, text: str) -> tuple[dict[str, Any], list[str], list[list[float]]]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise _bad(path, f"line {error.lineno} is not JSON ({error.msg})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _bad(path, f"it does not say that its format is {FORMAT}")
    _check_version(path, content.get("version"))
    columns, rows = content.get("columns"), content.get("rows")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise _bad(path, "columns is not a list of names")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise _bad(path, "rows is not a list of lists")
    for index, row in enumerate(rows):
        if not all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in row):
            raise _bad(path, f"row {index + 1} holds something that is not a number")
    return content, columns, rows


def _from_csv(path: Path, text: str) -> tuple[dict[str, Any], list[str], list[list[float]]]:
    # Spreadsheets fill lines up with empty cells, quote, and have their country's separators.
    lines = [line for line in text.splitlines() if line.strip(_SEPARATORS + string.whitespace)]
    said = [line for line in lines if line.lstrip('"').startswith("#")]
    table = [line for line in lines if not line.lstrip('"').startswith("#")]
    first = re.match(rf'"?frame"?([{_SEPARATORS}])', table[0]) if table else None
    separator = first[1] if first else ","
    try:
        told = [_as_written(line, separator) for line in said]
        cells = list(csv.reader(table, delimiter=separator))
    except csv.Error as error:
        raise _bad(path, f"it is not a table ({error})") from error
    header: dict[str, Any] = {}
    for line in told:
        key, _, value = line[1:].partition(":")
        header[key.strip()] = value.strip()
    if header.get("format") != FORMAT:
        raise _bad(path, f"no line `# format: {FORMAT}`")
    _check_version(path, header.get("version"))
    decimal = "." if separator == "," else ","
    rows: list[list[float]] = []
    for index, row in enumerate(cells[1:]):
        try:
            rows.append([float(cell.replace(decimal, ".")) for cell in row])
        except ValueError as error:
            raise _bad(path, f"row {index + 1} holds something that is not a number") from error
    return header, [name.strip() for name in cells[0]] if cells else [], rows


def _as_written(line: str, separator: str) -> str:
    """A line of the head, without what a spreadsheet did to it."""
    if line.startswith('"'):
        (cells,) = csv.reader([line], delimiter=separator)
        line = separator.join(cells)
    return line.rstrip(separator)


def _check_version(path: Path, version: object) -> None:
    if str(version) != str(VERSION):
        raise _bad(path, f"its version is {version}, this lipcore reads {VERSION}")


def _rate(path: Path, text: object) -> Fraction:
    try:
        return parse_rate(str(text))
    except ConfigError as error:
        raise _bad(path, f"rate {error.message}") from error


def _values(
    path: Path, columns: list[str], rows: list[list[float]], names: Sequence[str]
) -> FloatArray:
    """``(N, names)`` of a table whose first column is the frame."""
    if not columns or columns[0] != "frame":
        raise _bad(path, "its first column is not `frame`")
    given = columns[1:]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise _bad(path, f"component {unknown[0]!r} is unknown; known are {', '.join(names)}")
    if len(set(given)) != len(given):
        raise _bad(path, "a component stands in two columns")
    if not rows:
        raise _bad(path, "it has no rows")
    for index, row in enumerate(rows):
        if len(row) != len(columns):
            raise _bad(path, f"row {index + 1} has {len(row)} cells, not {len(columns)}")
        if not np.isfinite(row).all():
            raise _bad(path, f"row {index + 1} holds a value that is not finite")
        expected = rows[0][0] + index
        if row[0] != expected or row[0] != int(row[0]):
            raise _bad(path, f"row {index + 1} is frame {row[0]:g} where {expected:g} is due")
    values = np.zeros((len(rows), len(names)), np.float32)
    table = np.asarray(rows, np.float64)
    for column, name in enumerate(given, start=1):
        values[:, list(names).index(name)] = table[:, column]
    return values


def _neutral(path: Path, content: object) -> FloatArray | None:
    if content is None:
        return None
    try:
        neutral: FloatArray = np.asarray(content, np.float32)
    except (ValueError, TypeError) as error:
        raise _bad(path, "neutral is not a list of points") from error
    if neutral.ndim != 2 or neutral.shape[1] != 3 or not np.isfinite(neutral).all():
        raise _bad(path, "neutral is not a list of points")
    return neutral


def resample(curves: ShapeCurves, rate: Fraction, frames: FrameRange) -> ShapeCurves:
    """The same motion at other frames, by time.

    The first frame of the curves begins when the first of the wanted frames does. A value
    belongs to the middle of its frame; between frames values are interpolated linearly, and
    beyond the ends the last one is held.
    """
    positions = [
        float(Fraction(2 * i + 1, 2) / rate * curves.rate - Fraction(1, 2))
        for i in range(len(frames))
    ]
    steps = np.arange(len(curves.values))
    values = np.stack([np.interp(positions, steps, column) for column in curves.values.T], axis=1)
    return replace(
        curves, rate=rate, first_frame=frames.first, values=values.astype(np.float32)
    )


def scale(curves: ShapeCurves, factors: float | Mapping[str, float]) -> ShapeCurves:
    """Multiply all components by a number, or the named ones by theirs.

    Raises:
        ConfigError: A name is unknown.
    """
    return replace(curves, values=curves.values * _by_component(curves, factors, 1.0))


def offset(curves: ShapeCurves, amounts: Mapping[str, float]) -> ShapeCurves:
    """Add to the named components.

    Raises:
        ConfigError: A name is unknown.
    """
    return replace(curves, values=curves.values + _by_component(curves, amounts, 0.0))


def blend(curves: ShapeCurves, other: ShapeCurves, strength: float | FloatArray) -> ShapeCurves:
    """Mix two sets of curves frame by frame.

    Args:
        curves: Taken where the strength is 1.
        other: Taken where it is 0: the plate's own mouth, for instance. Same frames,
            components and unit.
        strength: One number, or ``(N,)``, 0-1.

    Raises:
        ConfigError: The curves do not match, or a strength is outside 0-1.
    """
    if (curves.frames, curves.names, curves.unit) != (other.frames, other.names, other.unit):
        raise ConfigError(
            "curves of other frames, components or units cannot be mixed",
            hint="Resample one to the frames of the other first.",
        )
    share = np.asarray(strength, np.float32)
    if share.ndim > 1 or (share.ndim == 1 and len(share) != len(curves.values)):
        raise ConfigError(f"{share.shape} strengths do not fit {len(curves.values)} frames")
    if not ((share >= 0) & (share <= 1)).all():
        raise ConfigError("a strength is outside 0 to 1", hint="0 keeps the plate's own mouth.")
    share = share[..., None]
    mixed = curves.values * share + other.values * (1 - share)
    return replace(curves, values=mixed.astype(np.float32))


def _by_component(
    curves: ShapeCurves, amounts: float | Mapping[str, float], rest: float
) -> FloatArray:
    out = np.full(len(curves.names), rest, np.float32)
    if not isinstance(amounts, Mapping):
        out[:] = amounts
        return out
    for name, amount in amounts.items():
        if name not in curves.names:
            raise ConfigError(
                f"no mouth-shape component is named {name!r}",
                hint=f"The components are {', '.join(curves.names)}.",
            )
        out[curves.names.index(name)] = amount
    return out
