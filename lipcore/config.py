"""Frozen dataclasses from and to YAML, strictly.

An unknown key, a missing value or a value of another type is an error that names the key,
its place, and the nearest key that exists. Bounds are checked by the dataclasses themselves.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lipcore.errors import ConfigError

T = TypeVar("T")

_MOST_BYTES = 4 << 20
_INT = "tag:yaml.org,2002:int"


def load_config(cls: type[T], path: Path) -> T:
    """Read a dataclass from a YAML file.

    Args:
        cls: The dataclass.
        path: The file.

    Raises:
        ConfigError: The file is absent, is not YAML, or does not fit ``cls``.
    """
    values = read_yaml(path)
    return from_mapping(cls, {} if values is None else values, where=path.name)


def read_yaml(path: Path) -> Any:
    """The content of a YAML (or JSON) file as plain values; what it holds is not trusted.

    Raises:
        ConfigError: The file is absent, larger than 4 MiB, not UTF-8, not YAML, nested too
            deep, or uses anchors, by which a few lines can stand for gigabytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(
                f"settings file {path} is larger than {_MOST_BYTES >> 20} MiB",
                hint="Split it into several files.", path=str(path),
            )
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"settings file {path} cannot be read ({error})",
            hint="Check the path; the file is YAML in UTF-8.",
            path=str(path),
        ) from error
    return parse_yaml(
        text, str(path), "Settings are written as key: value, nested by indentation."
    )


def parse_yaml(text: str, where: str, hint: str = "Put it in quotes.") -> Any:
    """Plain values from YAML; what it holds is not trusted.

    Whole numbers are decimal: ``010``, which YAML 1.1 takes for 8, is text, as shots are
    called so.

    Args:
        text: The YAML.
        where: Named in errors.
        hint: Of errors.

    Raises:
        ConfigError: It is not YAML, nested too deep, or uses anchors.
    """
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(
            f"{where} is not valid YAML ({' '.join(str(error).split())})", hint=hint, path=where
        ) from error


class _PlainLoader(yaml.SafeLoader):
    """Plain values only, each written out where it stands."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not taken")
        return super().compose_node(parent, index)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, kind) for tag, kind in known if tag != _INT]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(
    _INT, re.compile(r"[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789")
)


def save_config(config: object, path: Path) -> None:
    """Write a dataclass as YAML, every value spelled out, in the order of its fields."""
    path.write_text(yaml.safe_dump(to_mapping(config), sort_keys=False), encoding="utf-8")


def to_mapping(config: object) -> dict[str, Any]:
    """A dataclass as plain dicts, lists and scalars."""
    assert dataclasses.is_dataclass(config) and not isinstance(config, type)
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return str(value) if isinstance(value, Path) else value


def from_mapping(cls: type[T], values: object, *, where: str = "settings") -> T:
    """Build a dataclass from plain values.

    Args:
        cls: The dataclass.
        values: A mapping from field names to values; nested dataclasses are mappings.
        where: Named in errors: the file, then the path of keys.

    Raises:
        ConfigError: A key is unknown or missing, or a value does not fit.
    """
    assert dataclasses.is_dataclass(cls)
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{where} holds {_in_words(values)} where settings are needed",
            hint="Write key: value pairs.",
        )
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            raise ConfigError(
                f"{where} has no setting {key!r}",
                hint=f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(fields)}.",
                key=str(key),
            )
    hints = typing.get_type_hints(cls)
    given = {k: _convert(hints[k], v, f"{where}: {k}") for k, v in values.items()}
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in given:
            raise ConfigError(f"{where} lacks {name!r}", hint=f"Add {name}: ...", key=name)
    return cls(**given)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """``value`` as ``kind``, or an error that says where."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_mapping(kind, value, where=where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, where)
    if origin is typing.Literal:
        if value in args:
            return value
        raise ConfigError(
            f"{where} is {value!r}", hint=f"Take one of: {', '.join(map(str, args))}."
        )
    if kind is Any:
        return value
    if origin is Mapping and isinstance(value, Mapping):
        return {str(k): _convert(args[1], v, f"{where}: {k}") for k, v in value.items()}
    if origin is tuple and isinstance(value, list | tuple):
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_convert(args[0], v, where) for v in value)
        if len(args) == len(value):
            return tuple(_convert(a, v, where) for a, v in zip(args, value, strict=True))
    if origin is dict and isinstance(value, Mapping):
        return {
            _convert(args[0], k, where): _convert(args[1], v, f"{where}: {k}")
            for k, v in value.items()
        }
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (bool, str) and isinstance(value, kind):
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ConfigError(f"{where} is {value!r}", hint=f"A value of type {_name(kind)} is needed.")


def _in_words(values: object) -> str:
    for kind, words in ((type(None), "nothing"), (str, "text"), (list, "a list")):
        if isinstance(values, kind):
            return words
    return type(values).__name__


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
