from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipcore.errors import ConfigError, OutputNotWritableError
from lipcore.shapes.curves import (
    INTEROCULAR,
    STANDARD,
    blend,
    offset,
    read_curves,
    resample,
    scale,
    write_curves,
)
from lipcore.types import FrameRange, ShapeCurves

NAMES = ("open", "wide", "pucker")


@pytest.fixture
def curves() -> ShapeCurves:
    values = np.random.default_rng(5).normal(0, 1, (12, 3)).astype(np.float32)
    return ShapeCurves(
        rate=Fraction(24000, 1001), first_frame=1001, values=values, names=NAMES, unit=STANDARD,
        source="dialogue ça va.wav", weights="shape_basis:abc",
        neutral=np.random.default_rng(6).normal(0, 1, (4, 3)).astype(np.float32),
    )


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_curves_survive_their_file(curves: ShapeCurves, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curves{suffix}"
    write_curves(path, curves, comment="take 3,\nquieter")
    read = read_curves(path, NAMES, weights="shape_basis:abc")
    np.testing.assert_allclose(read.curves.values, curves.values, atol=1e-6)
    for field in ("rate", "first_frame", "names", "unit", "source", "weights"):
        assert getattr(read.curves, field) == getattr(curves, field)
    assert read.comment.split() == ["take", "3,", "quieter"]
    if suffix == ".json":
        assert read.curves.neutral is not None and curves.neutral is not None
        np.testing.assert_allclose(read.curves.neutral, curves.neutral, atol=1e-6)


def test_a_rate_that_a_person_typed_is_the_exact_one(curves: ShapeCurves, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_curves(path, curves)
    path.write_text(path.read_text("utf-8").replace("24000/1001", "23.976"), "utf-8")
    assert read_curves(path, NAMES).curves.rate == Fraction(24000, 1001)


def test_quotes_and_commas_in_a_name_survive_csv(curves: ShapeCurves, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_curves(path, replace(curves, source='take 3,"wild.wav; a'))
    assert read_curves(path, NAMES).curves.source == 'take 3,"wild.wav; a'


@pytest.mark.parametrize(
    ("separator", "decimal", "quote", "end"),
    [(",", ".", '"', "\n"), (",", ".", "", "\r\n"), (";", ",", '"', "\r\n"), ("\t", ",", "", "\n")],
)
def test_csv_comes_back_from_a_spreadsheet(
    curves: ShapeCurves, tmp_path: Path, separator: str, decimal: str, quote: str, end: str
) -> None:
    path = tmp_path / "c.csv"
    write_curves(path, curves, comment="take 3, quieter")
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#"):  # one long cell, and empty ones to the table's width
            lines.append(f"{quote}{line}{quote}" + separator * 3)
        else:
            lines.append(separator.join(cell.replace(".", decimal) for cell in line.split(",")))
    path.write_bytes(("\ufeff" + end.join([*lines, separator * 3, ""])).encode("utf-8"))
    read = read_curves(path, NAMES, weights="shape_basis:abc")
    np.testing.assert_allclose(read.curves.values, curves.values, atol=1e-6)
    assert (read.curves.rate, read.curves.source) == (curves.rate, curves.source)
    assert read.comment == "take 3, quieter"


def test_a_deleted_column_counts_as_zero(curves: ShapeCurves, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_curves(path, curves)
    lines = path.read_text("utf-8").splitlines()
    kept = [line if line.startswith("#") else ",".join(line.split(",")[:2]) for line in lines]
    path.write_text("\n".join(kept), "utf-8")
    read = read_curves(path, NAMES).curves
    np.testing.assert_allclose(read.values[:, 0], curves.values[:, 0], atol=1e-6)
    assert (read.values[:, 1:] == 0).all()


def test_columns_may_stand_in_another_order(curves: ShapeCurves, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    write_curves(path, curves)
    content = json.loads(path.read_text("utf-8"))
    content["columns"] = ["frame", "pucker", "open", "wide"]
    content["rows"] = [[r[0], r[3], r[1], r[2]] for r in content["rows"]]
    path.write_text(json.dumps(content), "utf-8")
    np.testing.assert_allclose(read_curves(path, NAMES).curves.values, curves.values, atol=1e-6)


def _damage(content: dict[str, Any], how: str) -> None:
    rows = content["rows"]
    if how == "unknown component":
        content["columns"][1] = "opne"
    elif how == "doubled component":
        content["columns"][2] = "open"
    elif how == "missing row":
        del rows[4]
    elif how == "not a number":
        rows[3][2] = "a lot"
    elif how == "infinite":
        rows[3][2] = 1e999
    elif how == "short row":
        rows[3].pop()
    elif how == "rate zero":
        content["rate"] = "0"
    elif how == "rate nonsense":
        content["rate"] = "24 fps"
    elif how == "endless rate":
        content["rate"] = "1e999999999"
    elif how == "no rate":
        del content["rate"]
    elif how == "no rows":
        content["rows"] = []
    elif how == "other format":
        content["format"] = "somebody.else"
    elif how == "other version":
        content["version"] = 99
    elif how == "unknown unit":
        content["unit"] = "inches"
    elif how == "other basis":
        content["weights"] = "shape_basis:zzz"
    elif how == "frame not first":
        content["columns"][0] = "number"
    elif how == "bad neutral":
        content["neutral"] = [[1, 2], [3]]
    else:
        raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("unknown component", "'opne' is unknown"),
        ("doubled component", "two columns"),
        ("missing row", "row 5 is frame 1006 where 1005 is due"),
        ("not a number", "row 4"),
        ("infinite", "row 4 holds a value that is not finite"),
        ("short row", "row 4 has 3 cells, not 4"),
        ("rate zero", "rate '0'"),
        ("rate nonsense", "24 fps"),
        ("endless rate", "1e999999999"),
        ("no rate", "rate"),
        ("no rows", "no rows"),
        ("other format", "lipcore.shapes"),
        ("other version", "version is 99"),
        ("unknown unit", "inches"),
        ("other basis", "shape_basis:zzz"),
        ("frame not first", "`frame`"),
        ("bad neutral", "neutral"),
    ],
)
def test_a_bad_file_says_what_is_wrong(
    curves: ShapeCurves, tmp_path: Path, how: str, says: str
) -> None:
    path = tmp_path / "c.json"
    write_curves(path, curves)
    content = json.loads(path.read_text("utf-8"))
    _damage(content, how)
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_curves(path, NAMES, weights="shape_basis:abc")
    assert says in str(caught.value) and "c.json" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff", "frame,open\n1,2\n"])
@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_what_is_not_curves_is_refused(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"c{suffix}"
    path.write_text(text, "latin-1")
    with pytest.raises(ConfigError):
        read_curves(path, NAMES)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.json"):
        read_curves(tmp_path / "nothing.json", NAMES)


def test_csv_with_nan_is_refused(curves: ShapeCurves, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_curves(path, curves)
    lines = path.read_text("utf-8").splitlines()
    lines[-1] = "1012,nan,0,0"
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(ConfigError, match="row 12 holds a value that is not finite"):
        read_curves(path, NAMES)


def test_an_unwritable_place_is_an_output_error(curves: ShapeCurves, tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritableError):
        write_curves(tmp_path / "no" / "such" / "c.json", curves)
    with pytest.raises(ConfigError, match=r"c\.txt"):
        write_curves(tmp_path / "c.txt", curves)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(60)])
def test_resampling_goes_by_time(rate: Fraction) -> None:
    old = Fraction(25)
    times = (np.arange(100) + 0.5) / float(old)
    values = np.stack([np.sin(2 * times), times], axis=1).astype(np.float32)
    curves = ShapeCurves(old, 1, values, ("open", "wide"), STANDARD)
    count = int(3 * rate)
    out = resample(curves, rate, FrameRange(1001, 1000 + count))
    at = (np.arange(count) + 0.5) / float(rate)
    inside = (at > times[0]) & (at < times[-1])
    np.testing.assert_allclose(out.values[inside, 1], at[inside], atol=1e-5)
    np.testing.assert_allclose(out.values[inside, 0], np.sin(2 * at[inside]), atol=2e-3)
    assert out.frames == FrameRange(1001, 1000 + count) and out.rate == rate


def test_edits(curves: ShapeCurves) -> None:
    twice = scale(curves, 2.0)
    np.testing.assert_allclose(twice.values, curves.values * 2)
    wider = scale(curves, {"wide": 1.5})
    np.testing.assert_allclose(wider.values[:, 1], curves.values[:, 1] * 1.5)
    np.testing.assert_array_equal(wider.values[:, 0], curves.values[:, 0])
    moved = offset(curves, {"pucker": -0.25})
    np.testing.assert_allclose(moved.values[:, 2], curves.values[:, 2] - 0.25, atol=1e-6)
    with pytest.raises(ConfigError, match="smirk"):
        offset(curves, {"smirk": 1.0})


def test_blending_keeps_both_ends_exactly(curves: ShapeCurves) -> None:
    other = scale(curves, -1.0)
    strength = np.linspace(0, 1, 12).astype(np.float32)
    mixed = blend(curves, other, strength)
    np.testing.assert_array_equal(mixed.values[0], other.values[0])
    np.testing.assert_array_equal(mixed.values[-1], curves.values[-1])
    with pytest.raises(ConfigError, match="0 to 1"):
        blend(curves, other, 1.5)
    with pytest.raises(ConfigError, match="do not fit"):
        blend(curves, other, strength[:5])
    with pytest.raises(ConfigError, match="cannot be mixed"):
        other_unit = ShapeCurves(curves.rate, 1001, curves.values, NAMES, INTEROCULAR)
        blend(curves, other_unit, 0.5)
