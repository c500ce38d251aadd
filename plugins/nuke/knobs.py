"""The knobs of the node: one table, from which nodes are made and old ones are completed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nuke

VERSION = 2
"""Of the node; raised when a knob changes its meaning, with a step in ``node.migrate``."""

SPEAKERS = ["largest", "left", "right", "point", "track"]
OUTPUTS = ["composite", "patch", "matte", "difference"]
SYNTHESES = ["auto", "shot", "adapted", "latent"]
DEFAULT_OUTPUT = "[file dirname [value root.name]]/lipsync/lipsync.####.exr"

_CALL = """\
try:
    from lipcore_plugins.nuke import actions
except ImportError:
    nuke.message('The lipcore plugin is not installed here. Frames that were rendered are shown.')
else:
    actions.{}(nuke.thisNode())
"""


@dataclass(frozen=True)
class KnobRow:
    """One knob."""

    kind: str
    """Name of the class in ``nuke``."""
    name: str
    label: str = ""
    default: Any = None
    tip: str = ""
    values: Any = None
    """Choices of an enumeration; (low, high) of a slider."""
    hidden: bool = False


def _button(name: str, label: str, tip: str) -> KnobRow:
    return KnobRow("PyScript_Knob", name, label, _CALL.format(name), tip)


ROWS = (
    KnobRow("Tab_Knob", "lipsync_tab", "Lipsync"),
    KnobRow("File_Knob", "dialogue", "dialogue", tip="The sound that the mouth shall say."),
    KnobRow("String_Knob", "audio_node", "or sound of", tip="Name of a Read or AudioRead whose "
            "file has the sound; used where dialogue is empty."),
    KnobRow("Double_Knob", "offset", "offset", 0.0, "Frames; positive: the mouth speaks later.",
            (-24, 24)),
    KnobRow("String_Knob", "frames", "frames", tip="As 1001-1050; empty: all of the plate."),
    KnobRow("String_Knob", "rate", "rate", tip="Frames a second, as 24 or 24000/1001; empty: "
            "that of the script."),
    KnobRow("Enumeration_Knob", "speaker", "speaker", tip="Whose mouth.", values=SPEAKERS),
    KnobRow("XY_Knob", "point", "point", tip="A point on the speaker's face, for 'point'."),
    KnobRow("Int_Knob", "track", "track", 1, "Number of the track, for 'track': see Analyse."),
    KnobRow("Double_Knob", "strength", "strength", 1.0, "0 leaves the plate, 1 follows the "
            "dialogue. May be animated.", (0, 1)),
    KnobRow("Double_Knob", "feather", "feather", 0.1, "Softness of the matte; 1 is the distance "
            "of the outer eye corners.", (0.02, 0.5)),
    KnobRow("Enumeration_Knob", "synthesis", "synthesis", tip="Where the new mouth comes from.",
            values=SYNTHESES),
    KnobRow("Double_Knob", "refiner", "refiner", 0.0, "Share of the refiner's picture in what "
            "'adapted' and 'latent' draw; the weights must hold a refiner.", (0, 1)),
    KnobRow("String_Knob", "weights", "weights", "base", "Name or folder; base+FILE after Adapt, "
            "or for a refiner."),
    KnobRow("String_Knob", "colorspace", "colorspace", tip="Encoding of the input; empty: the "
            "script's working space."),
    KnobRow("Boolean_Knob", "full_float", "32 bit", False, "Write the plate as float, not half."),
    KnobRow("File_Knob", "output", "output", DEFAULT_OUTPUT, "EXR with ####; a folder v001, "
            "v002 ... is put in before the name."),
    KnobRow("Int_Knob", "take", "version", 1, "Raised when settings change; earlier ones stay."),
    KnobRow("Enumeration_Knob", "show", "show", tip="What the node gives.", values=OUTPUTS),
    _button("render", "Render", "Render the frames that are not there yet."),
    _button("cancel", "Cancel", "Stop after the frame in hand."),
    _button("analyse", "Analyse", "Find the faces and draw a box around each."),
    _button("bake", "Bake to nodes", "Read, Merge, tracker and corner pin: no plugin needed."),
    _button("adapt", "Adapt to shot", "Train the latent networks on this shot."),
    KnobRow("Double_Knob", "minutes", "minutes", 15.0, "Of training, for Adapt.", (1, 120)),
    _button("submit", "Submit to farm", "Write a jobs file and a bundle for the farm."),
    KnobRow("Text_Knob", "state", "", "not rendered"),
    KnobRow("String_Knob", "picture", "", "", hidden=True),
    KnobRow("String_Knob", "rendered", "", "", hidden=True),
    KnobRow("Int_Knob", "lipcore_version", "", VERSION, hidden=True),
)  # fmt: skip


def make(row: KnobRow) -> nuke.Knob:
    """A new knob."""
    kind = getattr(nuke, row.kind)
    if row.kind == "Enumeration_Knob":
        knob = kind(row.name, row.label, list(row.values))
    elif row.kind == "PyScript_Knob":
        knob = kind(row.name, row.label, row.default)
    else:
        knob = kind(row.name, row.label)
        if row.default is not None:
            knob.setValue(row.default)
    if row.kind == "Double_Knob":
        knob.setRange(*row.values)
    if row.tip:
        knob.setTooltip(row.tip)
    if row.hidden:
        knob.setVisible(False)
    if row.kind == "PyScript_Knob" and row.name in ("render", "bake", "adapt", "submit"):
        knob.setFlag(nuke.STARTLINE)
    result: nuke.Knob = knob
    return result
