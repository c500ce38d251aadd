"""What the published stubs (fusionscript-stubs) declare: classes, methods, constants."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass
class Stubs:
    methods: dict[str, dict[str, int | None]]
    """By class and name: how many arguments it takes at most; None where it says *args."""
    constants: list[str]
    """Names of the constants of ``Resolve``, in the order of its page."""


@cache
def read_stubs() -> Stubs:
    files = importlib.metadata.files("fusionscript-stubs") or []
    (path,) = [Path(str(f.locate())) for f in files if f.name == "fusionscript.pyi"]
    text = path.read_text(encoding="utf-8")
    stubs = Stubs({}, list(dict.fromkeys(re.findall(r"[Rr]esolve\.([A-Z][A-Z0-9_]+)", text))))
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.ClassDef):
            found = stubs.methods.setdefault(statement.name, {})
            for inner in statement.body:
                if isinstance(inner, ast.FunctionDef):
                    most = _most(inner)
                    known = found.get(inner.name, 0)
                    found[inner.name] = None if most is None or known is None else max(most, known)
    assert len(stubs.methods["Timeline"]) > 50 and "EXPORT_OTIO" in stubs.constants
    return stubs


def _most(function: ast.FunctionDef) -> int | None:
    return None if function.args.vararg is not None else len(function.args.args) - 1


def check_class(kind: type[Any]) -> None:
    """A simulated class has nothing public that the stubs do not declare, nor more arguments."""
    declared = read_stubs().methods[kind.__name__]
    own_classes = [c for c in kind.__mro__ if c is not object and c.__name__ != "Remote"]
    for name, value in [pair for c in own_classes for pair in vars(c).items()]:
        if name.startswith(("_", "sim_")):
            continue
        assert name in declared, f"the stubs have no {kind.__name__}.{name}"
        most = declared[name]
        own = len(inspect.signature(value).parameters) - 1
        assert most is None or own <= most, f"{kind.__name__}.{name} takes {own}, not {most}"
