"""The simulated Resolve, its project, and how it is found from outside."""

from __future__ import annotations

import sys
import types

from .media import MediaPool
from .remote import Fabricated, Remote
from .stubs import read_stubs
from .timeline import Timeline


class Resolve(Remote):
    def __init__(self, *, otio: bool = True) -> None:
        super().__init__()
        # Their values are the host's own, and no whole numbers in Python.
        self.sim_constants = {n: float(i) for i, n in enumerate(read_stubs().constants)}
        self.sim_otio = otio
        self.sim_project: Project | None = Project(self)

    def __getattr__(self, name: str) -> object:
        constants = self.__dict__.get("sim_constants", {})
        if name in constants:
            old = not self.sim_otio and name == "EXPORT_OTIO"
            return Fabricated(name) if old else constants[name]
        return super().__getattr__(name)

    def GetProjectManager(self) -> ProjectManager:
        return ProjectManager(self)


class ProjectManager(Remote):
    def __init__(self, resolve: Resolve) -> None:
        super().__init__()
        self.sim_resolve = resolve

    def GetCurrentProject(self) -> Project | None:
        return self.sim_resolve.sim_project


class Project(Remote):
    def __init__(self, resolve: Resolve) -> None:
        super().__init__()
        self.sim_resolve, self.sim_faults = resolve, set[str]()
        self.sim_pool = MediaPool(self)
        self.sim_timeline: Timeline | None = None
        self.sim_end_included = self.sim_numbered = False
        self.sim_import_fps = "24.0"
        """The rate of sequences that are imported."""

    def GetName(self) -> str:
        return "Film: reel 1"

    def GetMediaPool(self) -> MediaPool:
        return self.sim_pool

    def GetCurrentTimeline(self) -> Timeline | None:
        return self.sim_timeline


def outside(resolve: Resolve | None) -> types.ModuleType:
    """The module DaVinciResolveScript; None is a Resolve that does not answer."""
    module = types.ModuleType("DaVinciResolveScript")
    module.__dict__["scriptapp"] = lambda name: resolve if name == "Resolve" else None
    sys.modules[module.__name__] = module
    return module
