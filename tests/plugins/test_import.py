"""The plugins are of the standard library, for the Pythons of Nuke 14 to 17 and of Resolve."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "plugins").rglob("*.py"))
HOSTS = {"nuke", "lipcore_plugins", "DaVinciResolveScript", "fusionscript"}
VERSIONS = ("3.9", "3.10", "3.11", "3.13")
SCRIPT = """
import importlib, pkgutil, sys, types
nuke = types.ModuleType("nuke")
nuke.Knob = nuke.Node = nuke.Group = object
sys.modules["nuke"] = nuke
sys.path.insert(0, sys.argv[1])
import lipcore_plugins
names = [m.name for m in pkgutil.walk_packages(lipcore_plugins.__path__, "lipcore_plugins.")]
for name in names:
    importlib.import_module(name)
files = {m: str(getattr(module, "__file__", "")) for m, module in sys.modules.items()}
foreign = [m for m, file in files.items() if "site-packages" in file]
assert not foreign, foreign
print(len(names))
"""


def interpreter(version: str) -> str | None:
    """A Python of this version on this machine."""
    found = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(found[-1]) if found else shutil.which(f"python{version}")


@pytest.mark.parametrize("version", VERSIONS)
def test_imports_with_nothing_but_the_standard_library(version: str, installed: Path) -> None:
    """Without site-packages: -S -E -s. Where the interpreter is absent, see the test below."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine: the syntax alone is checked")
    ended = subprocess.run(
        [python, "-S", "-E", "-s", "-W", "error", "-c", SCRIPT, str(installed)],
        capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]},
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) >= 10


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_syntax_is_of_3_9_and_imports_are_standard(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    postponed = any(
        isinstance(s, ast.ImportFrom) and s.module == "__future__" for s in tree.body
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [str(node.module)]
        else:
            names = []
        for name in names:
            assert name.split(".")[0] in sys.stdlib_module_names | HOSTS, name
        # Unions of types are evaluated outside of annotations, and 3.9 cannot.
        assert postponed or not (
            isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None
        ), "annotations need the __future__ import"
