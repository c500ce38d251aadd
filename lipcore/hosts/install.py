"""Copying a plugin to where its host looks, and taking it away again.

A list of the files and their hashes lies beside them. What is not on it, or was changed
since, is somebody else's: it is never overwritten, and never deleted.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.resources
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lipcore import __version__
from lipcore.errors import ConfigError, OutputExistsError, OutputNotWritableError
from lipcore.media.output_files import appearing, output_error
from lipcore.user_folders import expand_home

_LIST = "lipcore-files.json"
_MARK = "files of lipcore plugins"
NUKE_LINE = 'nuke.pluginAddPath("lipcore")'
"""What makes Nuke load the plugin, in the init.py of a folder that it looks into."""
_NUKE_INIT = f"# Made by `lipcore plugins install nuke`.\nimport nuke\n\n{NUKE_LINE}\n"


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a plugin consists of, and where its host looks for it."""

    host: str
    folders: Mapping[str, str]
    """By ``sys.platform``; ``~`` and ``%APPDATA%`` are replaced."""
    entries: Mapping[str, tuple[str, Mapping[str, str]]]
    """What the host finds by itself, by its path inside of the target: a file of the plugin's
    folder, and values that are written into it in place of empty ones."""
    place: str = "lipcore"
    """Folder inside of the target that is ours."""

    def default_target(self, platform: str = sys.platform) -> Path:
        """The user's own folder of the host."""
        told = self.folders.get(platform, self.folders["linux"])
        appdata = os.environ.get("APPDATA", str(expand_home("~/AppData/Roaming")))
        return expand_home(told.replace("%APPDATA%", appdata))


_BLACKMAGIC = "Blackmagic Design/DaVinci Resolve"
PLUGINS = {
    "nuke": Plugin(
        "nuke", {"linux": "~/.nuke", "darwin": "~/.nuke", "win32": "~/.nuke"},
        {"lipcore/init.py": ("init.py", {}), "lipcore/menu.py": ("menu.py", {})},
    ),
    "resolve": Plugin(
        "resolve", {
            "linux": "~/.local/share/DaVinciResolve/Fusion/Scripts",
            "darwin": f"~/Library/Application Support/{_BLACKMAGIC}/Fusion/Scripts",
            "win32": f"%APPDATA%/{_BLACKMAGIC}/Support/Fusion/Scripts",
        }, {
            "Utility/Lipsync timeline.py": ("menu.py", {}),
            "Edit/Lipsync clip.py": ("menu.py", {"CLIPS": "current"}),
        },
    ),
}  # fmt: skip


@dataclass(slots=True)
class Report:
    """What was done, for the user to read."""

    written: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """Changed by somebody, and so left alone."""
    advice: list[str] = field(default_factory=list)


def contents(plugin: Plugin, target: Path) -> dict[str, bytes]:
    """The files of a plugin by their path inside of the host's folder."""
    source = importlib.resources.files("lipcore.plugins")
    own = source / plugin.host
    if not own.is_dir():
        raise ConfigError(
            f"this lipcore has no plugin for {plugin.host}", hint="Install lipcore again."
        )
    found = {}
    common = {"TARGET": str(target), "PYTHON": sys.executable}
    for path, (name, values) in plugin.entries.items():
        text = (own / name).read_text(encoding="utf-8")
        for key, value in {**common, **values}.items():
            text = text.replace(f'\n{key} = ""', f"\n{key} = {value!r}")
        found[path] = text.encode()
    package = f"{plugin.place}/lipcore_plugins"
    for name in ("__init__.py", "client.py"):
        found[f"{package}/{name}"] = (source / name).read_bytes()
    entries = {name for name, _ in plugin.entries.values()}
    for item in own.iterdir():
        if item.name.endswith((".py", ".md")) and item.name not in entries:
            found[f"{package}/{plugin.host}/{item.name}"] = item.read_bytes()
    return found


def install(host: str, target: Path | None = None) -> Report:
    """Write a plugin, or bring one that is there up to date.

    Args:
        host: A key of ``PLUGINS``.
        target: The host's folder; None takes the user's own.

    Raises:
        OutputExistsError: A file that is not ours, or was changed, is in the way.
        OutputNotWritableError: The folder does not accept files.
    """
    plugin = PLUGINS[host]
    target = expand_home(target or plugin.default_target()).absolute()
    folder = target / plugin.place
    files, listed = contents(plugin, target), read_list(plugin, target)
    for name, data in files.items():
        path = target / name
        if path.exists() and _hash(path) not in (listed.get(name), _digest(data)):
            raise OutputExistsError(
                f"{path} is not a file of lipcore, or was changed",
                hint="Move it away, or choose another --target.",
                path=str(path),
            )
    report = Report()
    try:
        for name, data in files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with appearing(path) as draft:
                draft.write_bytes(data)
            report.written.append(path)
    except OSError as error:
        if isinstance(error, OutputNotWritableError):
            raise
        raise output_error(error, folder) from error
    for name in sorted(set(listed) - set(files)):
        _remove(target / name, listed[name], report)
    told = {
        "mark": _MARK, "version": __version__, "host": host,
        "files": {name: _digest(data) for name, data in files.items()},
    }  # fmt: skip
    with appearing(folder / _LIST) as draft:
        draft.write_text(json.dumps(told, indent=1), encoding="utf-8")
    report.written.append(folder / _LIST)
    if host == "nuke":
        _tell_nuke(target, report)
    if not any("PYTHON = " in files[name].decode() for name in plugin.entries):
        report.advice.append(f"Set LIPCORE_PYTHON={sys.executable} where the host starts.")
    else:
        report.advice.append(f"{host} will use {sys.executable}, unless LIPCORE_PYTHON is set.")
    return report


def _tell_nuke(target: Path, report: Report) -> None:
    """Make Nuke look into our folder; a user's own init.py is theirs to change."""
    init = target / "init.py"
    if not init.exists():
        with appearing(init) as draft:
            draft.write_text(_NUKE_INIT, encoding="utf-8")
        report.written.append(init)
    elif not finds_nuke_folder(target):
        report.advice.append(f"Add this line to {init}, which is yours:  {NUKE_LINE}")


def finds_nuke_folder(target: Path) -> bool:
    """Whether Nuke is told of the plugin in a folder: by its init.py, or by ``NUKE_PATH``."""
    told = os.environ.get("NUKE_PATH", "").split(os.pathsep)
    ours = target / PLUGINS["nuke"].place
    return _adds_path(target) or any(p and Path(p) == ours for p in told)


def _adds_path(target: Path) -> bool:
    """Whether a folder's init.py calls ``pluginAddPath`` with ours; a comment calls nothing."""
    text, ours = _text(target / "init.py"), target / PLUGINS["nuke"].place
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # written for Nuke's old Python, or broken
        return any(NUKE_LINE in line.partition("#")[0] for line in text.splitlines())
    return any(
        isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "pluginAddPath"
        and any(
            isinstance(part, ast.Constant) and isinstance(part.value, str)
            and target / part.value == ours
            for part in ast.walk(call)
        )
        for call in ast.walk(tree)
    )  # fmt: skip


def uninstall(host: str, target: Path | None = None) -> Report:
    """Delete the files of a plugin; those that were changed stay.

    Raises:
        ConfigError: None is there.
    """
    plugin = PLUGINS[host]
    target = expand_home(target or plugin.default_target()).absolute()
    folder = target / plugin.place
    listed = read_list(plugin, target)
    if not listed:
        raise ConfigError(
            f"no {host} plugin of lipcore is in {target}", hint="Name the folder with --target."
        )
    report = Report()
    for name, digest in listed.items():
        _remove(target / name, digest, report)
    _remove(folder / _LIST, _hash(folder / _LIST), report)
    if host == "nuke":
        _remove(target / "init.py", _digest(_NUKE_INIT.encode()), report, tell=False)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.name == "__pycache__":
            for compiled in path.glob("*.pyc"):
                compiled.unlink()
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if host == "nuke" and _adds_path(target):
        report.advice.append(f"Take this line out of {target / 'init.py'}:  {NUKE_LINE}")
    return report


def state(host: str, target: Path | None = None) -> tuple[str, list[Path]]:
    """Version of the plugin that is installed, and its files that were changed or lost."""
    plugin = PLUGINS[host]
    target = expand_home(target or plugin.default_target()).absolute()
    listed = read_list(plugin, target)
    if not listed:
        return "", []
    told = json.loads((target / plugin.place / _LIST).read_text(encoding="utf-8"))
    changed = [target / name for name, digest in listed.items() if _hash(target / name) != digest]
    return str(told.get("version", "")), changed


def read_list(plugin: Plugin, target: Path) -> dict[str, str]:
    """Files and hashes of an installed plugin; empty where there is none."""
    folder = target / plugin.place
    try:
        told = json.loads((folder / _LIST).read_text(encoding="utf-8"))
        files = told["files"] if told["mark"] == _MARK else {}
        # A list that was tampered with must not reach what is not ours.
        return {
            str(name): str(digest)
            for name, digest in files.items()
            if name in plugin.entries or (target / name).resolve().is_relative_to(folder.resolve())
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remove(path: Path, digest: str, report: Report, *, tell: bool = True) -> None:
    if not path.exists():
        return
    if _hash(path) != digest:
        if tell:
            report.kept.append(path)
        return
    try:
        path.unlink()
    except OSError as error:
        raise output_error(error, path) from error
    report.removed.append(path)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _hash(path: Path) -> str:
    return _digest(path.read_bytes()) if path.is_file() else ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
