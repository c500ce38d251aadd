"""Settings files: strict, and helpful."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from lipcore.config import from_mapping, load_config, read_yaml, save_config, to_mapping
from lipcore.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    size: int = 3
    ratio: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner = field(default_factory=Inner)
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[float, float] = (0.0, 1.0)
    weights: Path | None = None
    on: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("name is empty")


def test_values_come_back_from_yaml_as_they_went(tmp_path: Path) -> None:
    config = Outer("x", "slow", Inner(7, 1.5), (4,), (2.0, 3.0), Path("a/b"), True)
    path = tmp_path / "c.yaml"
    save_config(config, path)
    assert load_config(Outer, path) == config
    assert to_mapping(config)["inner"] == {"size": 7, "ratio": 1.5}


def test_defaults_fill_what_is_not_said() -> None:
    assert from_mapping(Outer, {"name": "x", "inner": {"size": 9}}) == Outer("x", inner=Inner(9))


def test_whole_numbers_serve_as_fractions_but_not_the_reverse() -> None:
    assert from_mapping(Inner, {"ratio": 2}).ratio == 2.0
    with pytest.raises(ConfigError, match=r"size is 2\.5"):
        from_mapping(Inner, {"size": 2.5})


def test_names_of_shots_are_not_octal_numbers(tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_text("{010: 020, a: [0, 7, -12, 1_000, 1:30, 08], b: 0.5}")
    assert read_yaml(path) == {
        "010": "020", "a": [0, 7, -12, 1000, "1:30", "08"], "b": 0.5,
    }  # fmt: skip
    save_config(Outer("010"), path)
    assert load_config(Outer, path).name == "010"


@pytest.mark.parametrize(
    ("values", "says", "hint"),
    [
        ({"name": "x", "iner": {}}, "no setting 'iner'", "'inner'"),
        ({"name": "x", "inner": {"sise": 1}}, "inner has no setting 'sise'", "'size'"),
        ({"name": "x", "zzz": 1}, "no setting 'zzz'", "It has: name"),
        ({}, "lacks 'name'", "Add name"),
        ({"name": 3}, "name is 3", "str"),
        ({"name": "x", "mode": "medium"}, "mode is 'medium'", "fast, slow"),
        ({"name": "x", "on": 1}, "on is 1", "bool"),
        ({"name": "x", "inner": {"size": True}}, "size is True", "int"),
        ({"name": "x", "sizes": 3}, "sizes is 3", "tuple"),
        ({"name": "x", "pair": [1]}, "pair is", "tuple"),
        ({"name": "x", "inner": 4}, "inner holds int", "key: value"),
        ([1], "holds a list", "key: value"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(values: object, says: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        from_mapping(Outer, values)
    assert hint in caught.value.hint


def test_the_dataclass_has_the_last_word() -> None:
    with pytest.raises(ConfigError, match="name is empty"):
        from_mapping(Outer, {"name": ""})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(Outer, tmp_path / "absent.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(Outer, bad)
    bad.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(Outer, bad)


def test_a_file_that_is_too_large_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"aa" + "é".encode() * (2 << 20))  # a letter lies across the limit
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        read_yaml(path)


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert load_config(Inner, path) == Inner()
