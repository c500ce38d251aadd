"""The scripts of Resolve where it looks for them, and under the Pythons that it may have."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lipcore.errors import OutputExistsError
from lipcore.hosts.install import PLUGINS, install, state, uninstall

ENTRIES = ("Utility/Lipsync timeline.py", "Edit/Lipsync clip.py")


def test_install_finds_its_package_and_leaves_nothing(tmp_path: Path) -> None:
    """A stub that does not know where it lies starts the plugin; another Resolve is not there."""
    target = tmp_path / "Zoë's Scripts"
    install("resolve", target)
    assert state("resolve", target)[1] == []
    for entry in ENTRIES:
        text = (target / entry).read_text(encoding="utf-8")
        ast.parse(text, feature_version=(3, 9))
        ended = subprocess.run(
            [sys.executable, "-I", "-c", text], capture_output=True, text=True, timeout=60,
            check=False, env={**os.environ, "RESOLVE_SCRIPT_API": str(tmp_path)},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert "DaVinciResolveScript cannot be imported" in ended.stdout
        assert "hint: Set RESOLVE_SCRIPT_API" in ended.stdout
    (target / "Utility" / "mine.py").touch()
    uninstall("resolve", target)
    assert [p.name for p in target.rglob("*.py")] == ["mine.py"]
    assert not (target / "lipcore").exists()


def test_a_file_of_another_is_not_overwritten(tmp_path: Path) -> None:
    entry = tmp_path / ENTRIES[0]
    entry.parent.mkdir()
    entry.write_text("# mine\n")
    with pytest.raises(OutputExistsError):
        install("resolve", tmp_path)
    assert entry.read_text() == "# mine\n" and not (tmp_path / "lipcore").exists()


def test_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/z")
    monkeypatch.setenv("APPDATA", "C:/Users/z/AppData/Roaming")
    folders = {
        "linux": "/home/z/.local/share/DaVinciResolve/Fusion/Scripts",
        "darwin": "/home/z/Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion"
        "/Scripts",
        "win32": "C:/Users/z/AppData/Roaming/Blackmagic Design/DaVinci Resolve/Support/Fusion"
        "/Scripts",
    }
    for platform, folder in folders.items():
        assert PLUGINS["resolve"].default_target(platform) == Path(folder)


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.13"])
def test_imports_with_no_package_present(version: str, tmp_path: Path) -> None:
    install("resolve", tmp_path)
    package = tmp_path / "lipcore" / "lipcore_plugins" / "resolve"
    names = sorted(p.stem for p in package.glob("*.py") if not p.stem.startswith("__"))
    assert "window" in names and "place" in names
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'lipcore')!r}); " + "; ".join(
        f"import lipcore_plugins.resolve.{name}" for name in names
    )
    ended = subprocess.run(
        [_python(version), "-I", "-S", "-B", "-c", code], capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def _python(version: str) -> str:
    candidates = [shutil.which(f"python{version}") or ""]
    candidates += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in filter(None, candidates):
        told = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
        if told.stdout.startswith(f"Python {version}."):
            return path
    pytest.skip(f"no Python {version} on this machine")
