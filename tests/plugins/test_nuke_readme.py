"""The panel in the README has the knobs that the node has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[2] / "plugins" / "nuke" / "README.md"


def test_the_panel_shows_every_knob(nuke: Any) -> None:
    from lipcore_plugins.nuke import knobs

    panel = README.read_text().split("## The panel")[1].split("```")[1]
    labels = {row.label for row in knobs.ROWS if row.label}
    for label in labels:
        assert re.search(rf"(^|[|\[+ -]){re.escape(label)} ", panel, re.M), label
    for row in knobs.ROWS:
        if row.kind == "Enumeration_Knob":
            assert ", ".join(row.values) in panel
