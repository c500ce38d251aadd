"""Ordinary nodes in place of ours: Read, Merge, a tracker point and a corner pin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nuke

from ..client import WorkerError
from . import node, paths


def bake(group: Any) -> list[Any]:
    """Make them beside the node; no plugin is needed for them.

    Returns:
        The new nodes, the Merge first.

    Raises:
        WorkerError: Nothing is rendered yet.
    """
    picture, rendered = node.shown(group)
    if not picture or not rendered:
        raise WorkerError("nothing is rendered yet", "Press Render first.")
    first, last = rendered[0][0], rendered[-1][1]
    with group.parent():
        read: Any = nuke.nodes.Read(name=f"{group.name()}_Read")
        read["file"].fromUserText(f"{picture} {first}-{last}")
        read["raw"].setValue(True)
        patch: Any = nuke.nodes.Shuffle(name=f"{group.name()}_Patch")
        patch.setInput(0, read)
        patch["in"].setValue("lipsync")
        merge: Any = nuke.nodes.Merge2(name=f"{group.name()}_Merge", operation="over")
        # Alpha of the plate stays as it was.
        merge["output"].setValue("rgb")
        merge.setInput(0, group.input(0))
        merge.setInput(1, patch)
        made = [merge, patch, read, *_tracker(group, picture)]
    for row, one in enumerate(made):
        one.setXYpos(group.xpos() + 150, group.ypos() + 60 * row)
    return made


def _tracker(group: Any, picture: str) -> list[Any]:
    """Corner pin and mouth point from the snippet that the render left."""
    first = Path(picture)
    stem = first.name.split("#")[0].rstrip("._")
    snippet = first.with_name(f"{stem}.lipsync.nk")
    if not snippet.is_file():
        return []
    before = {n.fullName() for n in nuke.allNodes()}
    nuke.nodePaste(paths.resolve(snippet.as_posix()))
    made = []
    for one in nuke.allNodes():
        if one.fullName() in before:
            continue
        if one.Class() == "Read":
            nuke.delete(one)  # ours is there already
        else:
            one.setName(f"{group.name()}_{one.name()}")
            made.append(one)
    return made
