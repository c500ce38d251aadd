"""Tracks as boxes on the node: Nuke draws a BBox knob over the picture."""

from __future__ import annotations

from typing import Any

import nuke

from ..client import Event

_TAB = "tracks_tab"
_MOST = 8


def draw(group: Any, result: Event) -> None:
    """Replace the boxes of the node by those of a ``track`` result.

    Args:
        group: The node.
        result: Boxes in pixels from the top-left corner; Nuke counts rows from the bottom.
    """
    for number in range(1, _MOST + 1):
        old = group.knob(f"track{number}")
        if old is not None:
            group.removeKnob(old)
    if group.knob(_TAB) is None:
        group.addKnob(nuke.Tab_Knob(_TAB, "Tracks"))
    height = result["height"]
    for track in result["tracks"][:_MOST]:
        knob: Any = nuke.BBox_Knob(f"track{track['track']}", f"track {track['track']}")
        group.addKnob(knob)
        for place in range(4):
            knob.setAnimated(place)
        for frame, (x0, y0, x1, y1) in zip(track["frames"], track["boxes"]):  # noqa: B905 (3.9)
            for place, value in enumerate((x0, height - y1, x1, height - y0)):
                knob.setValueAt(value, frame, place)
    count = len(result["tracks"])
    group["state"].setValue(f"{count} face{'' if count == 1 else 's'} found: see Tracks")
