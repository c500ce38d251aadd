"""The node: a Group that shows rendered frames, and the plate where there is none yet.

    plate ----+------------- 0 [Rendered] --+-- composite -- 0 [Show] -- output
              |   Result --- 1   (Switch)   +-- patch ------ 1 (Switch)
              +----------------- B [Difference] A ---------- 3    matte: 2
"""

from __future__ import annotations

import re
from typing import Any

import nuke

from . import knobs

PLATE, MATTE, RESULT, RENDERED = "plate", "matte", "Result", "Rendered"


def create() -> nuke.Node:
    """A new node, connected to the selected one."""
    selected = nuke.selectedNodes()
    group: Any = nuke.createNode("Group", inpanel=False)
    for row in knobs.ROWS:
        group.addKnob(knobs.make(row))
    group.setName("Lipsync1", uncollide=True)
    _build(group)
    if selected:
        group.setInput(0, selected[0])
    return group  # type: ignore[no-any-return]


def _build(group: Any) -> None:
    # A script must know a layer before a node can name it.
    nuke.Layer("lipsync", [f"lipsync.{c}" for c in ("red", "green", "blue", "alpha")])
    with group:
        plate = nuke.nodes.Input(name=PLATE)
        nuke.nodes.Input(name=MATTE)
        read = nuke.nodes.Read(name=RESULT)
        read["raw"].setValue(True)
        read["on_error"].setValue("black")
        picture = nuke.nodes.Switch(name=RENDERED)
        picture.setInput(0, plate)
        picture.setInput(1, read)
        patch = nuke.nodes.Shuffle(name="Patch")
        patch.setInput(0, picture)
        patch["in"].setValue("lipsync")
        matte = nuke.nodes.Shuffle(name="Matte")
        matte.setInput(0, picture)
        matte["in"].setValue("lipsync")
        for channel in ("red", "green", "blue"):
            matte[channel].setValue("alpha")
        difference = nuke.nodes.Merge2(name="Difference", operation="difference")
        difference.setInput(0, plate)
        difference.setInput(1, picture)
        show = nuke.nodes.Switch(name="Show")
        for place, source in enumerate((picture, patch, matte, difference)):
            show.setInput(place, source)
        show["which"].setExpression("parent.show")
        output = nuke.nodes.Output()
        output.setInput(0, show)


def is_lipsync(node: Any) -> bool:
    """Whether a node is one of ours."""
    return node.Class() == "Group" and node.knob("lipcore_version") is not None


def inner(group: Any, name: str) -> Any:
    """A node inside of the group."""
    found = group.node(name)
    if found is None:
        raise RuntimeError(f"{group.fullName()} has lost its inner node {name}")
    return found


def on_create() -> None:
    """Called by Nuke for each new or loaded Group."""
    node: Any = nuke.thisNode()
    if node is not None and is_lipsync(node):
        migrate(node)


def migrate(node: Any) -> bool:
    """Bring a node of an earlier version up to date; what it shows stays.

    Returns:
        Whether something changed.
    """
    told = node["lipcore_version"]
    if told.value() >= knobs.VERSION:
        return False
    for row in knobs.ROWS:
        if node.knob(row.name) is None:
            node.addKnob(knobs.make(row))
    told.setValue(knobs.VERSION)
    return True


def show_frames(group: Any, picture: str, rendered: list[tuple[int, int]]) -> None:
    """Let the node read a result, and its plate outside of the frames that are rendered.

    Args:
        group: The node.
        picture: Pattern with ``####``; empty for none.
        rendered: First and last of each run of frames that are there.
    """
    group["picture"].setValue(picture)
    group["rendered"].setValue(",".join(f"{a}-{b}" for a, b in rendered))
    which = inner(group, RENDERED)["which"]
    which.clearAnimated()
    which.setValue(0)
    if not picture or not rendered:
        return
    read = inner(group, RESULT)
    first, last = rendered[0][0], rendered[-1][1]
    read["file"].fromUserText(f"{picture} {first}-{last}")
    read["raw"].setValue(True)
    which.setAnimated()
    # Values on both sides of each border: between whole frames nothing is interpolated.
    for low, high in rendered:
        for frame, value in ((low - 1, 0), (low, 1), (high, 1), (high + 1, 0)):
            which.setValueAt(value, frame)


def shown(group: Any) -> tuple[str, list[tuple[int, int]]]:
    """What ``show_frames`` was last told."""
    return group["picture"].value(), parse_runs(group["rendered"].value())


def runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Frames as unbroken runs, first and last of each."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def parse_runs(text: str) -> list[tuple[int, int]]:
    """Runs from ``1001-1010,1020-1024``; numbers may be negative."""
    return [(int(a), int(b)) for a, b in re.findall(r"(-?\d+)-(-?\d+)", text)]
