"""What is installed, and that looking at the command line costs nothing."""

from __future__ import annotations

import importlib.metadata
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import click
import pytest

import lipcore
from lipcore.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "mediapipe", "cv2", "onnxruntime", "av", "OpenImageIO", "librosa", "skimage")
LIGHT = ("lipcore", "lipcore.cli.main", "lipcore.config", "lipcore.errors", "lipcore.types",
         "lipcore.shot", "lipcore.weights", "lipcore.cli.render", "lipcore.cli.demo",
         "lipcore.cli.rate", "lipcore.cli.drill", "lipcore.rate.study",
         "lipcore.rate.store")  # fmt: skip


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_stay_light(module: str) -> None:
    ended = _python("-c", f"import {module}, sys; print(*sys.modules)")
    assert ended.returncode == 0, ended.stderr
    assert set(HEAVY).isdisjoint(ended.stdout.split())


def test_help_is_fast_and_light() -> None:
    """Under half a second on a machine at rest; as many bare starts where it is busy."""
    bare, helped = [], []
    for _ in range(5):
        for times, arguments in (
            (bare, ("-c", "pass")),
            (helped, ("-X", "importtime", "-m", "lipcore", "--help")),
        ):
            start = time.perf_counter()
            ended = _python(*arguments)
            times.append(time.perf_counter() - start)
            assert ended.returncode == 0, ended.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in ended.stderr.splitlines()}
    assert "lipcore.cli.main" in imported
    assert set(HEAVY).isdisjoint(imported)
    assert statistics.median(helped) < max(0.5, 20 * statistics.median(bare))


def test_version() -> None:
    ended = _python("-m", "lipcore", "--version")
    assert ended.stdout.strip() == f"lipcore, version {lipcore.__version__}"
    assert importlib.metadata.version("lipcore") == lipcore.__version__


def test_the_command_is_installed() -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="lipcore")
    assert entry.value == "lipcore.cli.main:main"


def test_every_command_of_the_table_loads() -> None:
    context = click.Context(cli)
    names = cli.list_commands(context)
    assert names
    for name in names:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help, f"{name} says nothing of itself"


def test_an_unknown_command_is_a_usage_error() -> None:
    ended = _python("-m", "lipcore", "dub")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: No such command 'dub'")
    assert "hint: Run `lipcore --help`." in ended.stderr


def test_every_folder_with_code_is_packaged() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "lipcore").rglob("__init__.py")
    }
    found |= {
        ".".join(("lipcore", *path.parent.relative_to(ROOT).parts))
        for folder in ("train", "export", "plugins")
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert found == set(settings["packages"])


def test_nothing_but_lipcore_lands_in_site_packages() -> None:
    """`train`, `export`, `plugins` and `tests` must not be importable from elsewhere."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert all(name.split(".")[0] == "lipcore" for name in settings["packages"])
    assert "py-modules" not in settings
    script = (
        "import importlib.util as u; "
        "print(*[n for n in ('train', 'export', 'plugins', 'tests') if u.find_spec(n)])"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, cwd="/"
    )
    assert ended.stdout.split() == []


def test_the_readme_says_what_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    for name in cli.list_commands(click.Context(cli)):
        assert f"| `lipcore {name}` |" in text
    assert text.count("<!-- tests -->") == text.count("<!-- end -->") == 1
    block = text.split("<!-- tests -->")[1].split("<!-- end -->")[0]
    assert "pytest" in block
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = block.split('".[')[1].split(']"')[0].split(",")
    assert set(named) <= set(extras)


def test_exit_codes_of_the_readme() -> None:
    from lipcore import errors

    text = (ROOT / "README.md").read_text()
    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.LipcoreError)
    }
    for code in codes:
        assert f"| {code} |" in text, f"exit code {code}"
