"""What the published stubs (types-nuke) declare: names, methods, parameters."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


@dataclass
class StubClass:
    bases: tuple[str, ...]
    methods: dict[str, list[str] | None] = field(default_factory=dict)
    """Parameters without self; None where the stub says *args."""


@dataclass
class Stubs:
    names: set[str]
    functions: dict[str, list[str] | None]
    classes: dict[str, StubClass]

    def method(self, kind: str, name: str) -> tuple[bool, list[str] | None]:
        """Whether a class declares a method, itself or by a base, and its parameters."""
        here = self.classes.get(kind)
        if here is None:
            return False, None
        if name in here.methods:
            return True, here.methods[name]
        for base in here.bases:
            found, parameters = self.method(base, name)
            if found:
                return True, parameters
        return False, None


@cache
def read_stubs() -> Stubs:
    files = importlib.metadata.files("types-nuke") or []
    stubs = Stubs(set(), {}, {})
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".pyi" and path.parent.name == "nuke-stubs":
            for statement in ast.parse(path.read_text()).body:
                _take(statement, stubs)
    assert len(stubs.classes) > 100 and len(stubs.functions) > 200
    return stubs


def _take(statement: ast.stmt, stubs: Stubs) -> None:
    if isinstance(statement, ast.FunctionDef):
        stubs.names.add(statement.name)
        stubs.functions[statement.name] = _merge(
            stubs.functions.get(statement.name, []), _parameters(statement)
        )
    elif isinstance(statement, ast.ClassDef):
        stubs.names.add(statement.name)
        bases = tuple(b.id for b in statement.bases if isinstance(b, ast.Name))
        found = stubs.classes[statement.name] = StubClass(bases)
        for inner in statement.body:
            if isinstance(inner, ast.FunctionDef):
                parameters = _parameters(inner)
                rest = None if parameters is None else parameters[1:]
                found.methods[inner.name] = _merge(found.methods.get(inner.name, []), rest)
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        stubs.names.add(statement.target.id)
    elif isinstance(statement, ast.Assign):
        stubs.names.update(t.id for t in statement.targets if isinstance(t, ast.Name))


def _parameters(function: ast.FunctionDef) -> list[str] | None:
    if function.args.vararg is not None:
        return None
    return [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]


def _merge(a: list[str] | None, b: list[str] | None) -> list[str] | None:
    """Parameters of any overload."""
    return None if a is None or b is None else [*a, *(x for x in b if x not in a)]


def check_class(kind: type[Any]) -> None:
    """A simulated class has nothing public that the stubs do not declare, nor more parameters."""
    stubs = read_stubs()
    name = kind.__name__
    assert name in stubs.classes, f"the stubs have no class {name}"
    for method, value in vars(kind).items():
        if method.startswith(("_", "sim_")):
            continue
        found, parameters = stubs.method(name, method)
        assert found, f"the stubs have no {name}.{method}"
        if parameters is not None and callable(value):
            own = list(inspect.signature(value).parameters)[1:]
            assert len(own) <= len(parameters), f"{name}.{method} takes {own}, not {parameters}"


def check_function(name: str, value: Callable[..., Any]) -> None:
    """Likewise of a function."""
    stubs = read_stubs()
    assert name in stubs.functions, f"the stubs have no function {name}"
    parameters = stubs.functions[name]
    own = list(inspect.signature(value).parameters)
    assert parameters is None or own == parameters[: len(own)], (name, own, parameters)
