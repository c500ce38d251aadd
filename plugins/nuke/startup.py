"""What happens when Nuke starts: nothing is computed, no worker is started."""

from __future__ import annotations

import nuke

from . import node


def register() -> None:
    """Bring nodes of older scripts up to date when they are loaded."""
    nuke.addOnCreate(node.on_create, nodeClass="Group")


def add_menu() -> None:
    """The entry in the node menu."""
    menu = nuke.menu("Nodes").addMenu("lipcore")
    menu.addCommand("Lipsync", node.create)
