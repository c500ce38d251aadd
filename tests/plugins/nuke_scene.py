"""A script of the simulated Nuke with a plate and our node on it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so
from nuke_sim.evaluate import evaluate

FIRST, LAST = 1001, 1006
FRAMES = range(FIRST, LAST + 1)
RGB = ("rgba.red", "rgba.green", "rgba.blue")


def read(path: Path) -> np.ndarray:
    pixels = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)
    assert isinstance(pixels, np.ndarray)
    return pixels


def rgb(node: Any, frame: int) -> np.ndarray:
    picture = evaluate(node, frame)
    return np.dstack([picture.get(name) for name in RGB])


class Scene:
    """A script with a plate and the node on it, as a compositor sets it up."""

    def __init__(self, nuke: Any, host: Any, plate: Path, line: Path, folder: Path) -> None:
        self.nuke, self.host, self.folder = nuke, host, folder
        self.script = folder / "comp é.nk"
        nuke.scriptSaveAs(str(self.script))
        self.read = nuke.nodes.Read(name="Plate")
        self.read["file"].fromUserText(f"{plate} {FIRST}-{LAST}")
        self.read["raw"].setValue(True)
        self.read["selected"].setValue(True)
        self.node = host.commands["Lipsync"]()
        self.node["dialogue"].setValue(str(line))

    def press(self, button: str, *, until: Any = None) -> None:
        """Press a button and let the host live until the job is over."""
        self.node[button].execute()
        if until is not None:
            until()
        while running := [t for t in threading.enumerate() if t.name.startswith("lipcore Lip")]:
            self.host.pump(running[0])
        # A job that was over before the first look has left its last word in the queue.
        self.host.pump(None)

    def picture(self, take: int = 1) -> Path:
        return self.folder / "lipsync" / f"v{take:03d}"
