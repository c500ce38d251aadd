"""A simulated DaVinci Resolve: strict where the stubs speak, silent where the host is.

No Resolve was run. What it does is built from fusionscript-stubs and from what is known of its
silent failures; a name that the stubs lack seems to be there, and fails when it is called.
"""

from .host import Project, Resolve, outside
from .media import MediaPoolItem
from .timeline import Timeline, TimelineItem
from .windows import Bmd, Fusion, Window

__all__ = [
    "Bmd", "Fusion", "MediaPoolItem", "Project", "Resolve", "Timeline", "TimelineItem", "Window",
    "outside",
]  # fmt: skip
