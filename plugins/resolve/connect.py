"""Finding Resolve: what its menu hands over, or its scripting module from outside (Studio)."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client import WorkerError

if TYPE_CHECKING:
    from fusionscript import Project, Resolve, Timeline

_MODULE = "DaVinciResolveScript"
_API_FOLDERS = {
    "linux": "/opt/resolve/Developer/Scripting",
    "darwin": "/Library/Application Support/Blackmagic Design/DaVinci Resolve/Developer/Scripting",
    "win32": "%PROGRAMDATA%\\Blackmagic Design\\DaVinci Resolve\\Support\\Developer\\Scripting",
}


@dataclass(frozen=True)
class Host:
    """The host, as scripts have it."""

    resolve: Resolve
    fusion: Any = None
    """Makes windows, where the edition allows it."""
    bmd: Any = None
    """Runs the loop of windows; None from outside."""


def from_menu(given: Mapping[str, Any]) -> Host:
    """The host of a script that was started from the Workspace menu.

    Args:
        given: The script's globals, into which Resolve puts ``resolve``, ``fusion``, ``bmd``.

    Raises:
        WorkerError: It was not started by Resolve.
    """
    resolve, bmd = given.get("resolve"), given.get("bmd")
    if resolve is None and bmd is not None:
        resolve = bmd.scriptapp("Resolve")
    if resolve is None:
        return from_outside()
    return Host(resolve, given.get("fusion") or given.get("fu"), bmd)


def from_outside() -> Host:
    """The running Resolve Studio, asked from a Python of its own.

    Raises:
        WorkerError: Its module is not found, or it does not answer.
    """
    folder = os.environ.get("RESOLVE_SCRIPT_API") or os.path.expandvars(
        _API_FOLDERS.get(sys.platform, _API_FOLDERS["linux"])
    ).replace("%PROGRAMDATA%", os.environ.get("PROGRAMDATA", "C:\\ProgramData"))
    modules = str(Path(folder) / "Modules")
    if modules not in sys.path:
        sys.path.append(modules)
    try:
        module = importlib.import_module(_MODULE)
    except ImportError as error:
        raise WorkerError(
            f"Resolve's scripting module {_MODULE} cannot be imported ({error})",
            "Set RESOLVE_SCRIPT_API to Resolve's folder Developer/Scripting and "
            "RESOLVE_SCRIPT_LIB to its fusionscript library.",
        ) from error
    resolve = module.scriptapp("Resolve")
    if resolve is None:
        raise WorkerError(
            "Resolve does not answer",
            "Start Resolve Studio and set Preferences > System > General > External scripting "
            "using to Local. The free edition answers its own menu only.",
        )
    return Host(resolve)


def open_timeline(host: Host) -> tuple[Project, Timeline]:
    """The project and the timeline that are open.

    Raises:
        WorkerError: None is.
    """
    manager = host.resolve.GetProjectManager()
    project = None if manager is None else manager.GetCurrentProject()
    if project is None:
        raise WorkerError("no project is open in Resolve", "Open the project, then run again.")
    timeline = project.GetCurrentTimeline()
    if timeline is None:
        raise WorkerError(
            "no timeline is open in Resolve", "Open the timeline on the Edit page, then run again."
        )
    return project, timeline


def live_value(resolve: Resolve, name: str) -> Any:
    """A constant of the running Resolve, as ``EXPORT_OTIO``: other editions have other values.

    Raises:
        WorkerError: It has none. An unknown name is answered with something that can be
            called, so asking whether it is there says nothing.
    """
    value = getattr(resolve, name, None)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WorkerError(
            f"this Resolve has no {name}", "Use Resolve 18.5 or later, which writes OTIO."
        )
    return value
