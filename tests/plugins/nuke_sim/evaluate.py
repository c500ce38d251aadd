"""What simulated nodes give: float pictures, by channel."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so

from .nodes import Group, Node

_BASE = {"R": "rgba.red", "G": "rgba.green", "B": "rgba.blue", "A": "rgba.alpha"}
_BACK = {v: key for key, v in _BASE.items()}


@dataclass
class Picture:
    width: int
    height: int
    channels: dict[str, Any]

    def get(self, name: str) -> Any:
        black = np.zeros((self.height, self.width), np.float32)
        return self.channels.get(name, black)


def frame_path(pattern: str, number: int) -> Path:
    pattern = re.sub(r"%0(\d)d", lambda m: f"{number:0{m[1]}d}", pattern)
    return Path(re.sub(r"#+", lambda m: f"{number:0{len(m[0])}d}", pattern))


def evaluate(node: Node | None, frame: float) -> Picture:
    """A node's picture at a frame.

    Raises:
        RuntimeError: As Nuke would, with the node's name.
    """
    if node is None:
        raise RuntimeError("an input is not connected")
    kind = node.Class()
    inputs = node._inputs
    if kind == "Read":
        return _read(node, frame)
    if kind == "Input":
        group = node.parent()
        place = [n for n in group.nodes() if n.Class() == "Input"].index(node)
        return evaluate(group.input(place), frame)
    if kind == "Group":
        assert isinstance(node, Group)
        return evaluate(next(n for n in node.nodes() if n.Class() == "Output"), frame)
    if kind == "Switch":
        which = max(0, min(round(node["which"].sim_at(frame)), len(inputs) - 1))
        return evaluate(inputs[which], frame)
    first = evaluate(inputs[0] if inputs else None, frame)
    if kind == "Multiply":
        gain = np.float32(node["value"].sim_at(frame))
        rgb = {n: first.get(n) * gain for n in list(_BACK)[:3]}
        return Picture(first.width, first.height, {**first.channels, **rgb})
    if kind == "Shuffle":
        layer = str(node["in"].value())
        made = {
            f"rgba.{n}": first.get(f"{layer}.{node[n].value()}")
            for n in ("red", "green", "blue", "alpha")
        }
        return Picture(first.width, first.height, {**first.channels, **made})
    if kind == "Merge2":
        return _merge(node, first, evaluate(inputs[1], frame))
    if kind in ("Output", "NoOp", "Write"):
        return first
    raise NotImplementedError(f"{kind} is not simulated")


def _merge(node: Node, b: Picture, a: Picture) -> Picture:
    names = [n for n in _BACK if node["output"].value() == "rgba" or n != "rgba.alpha"]
    out = dict(b.channels)
    for name in names:
        if node["operation"].value() == "over":
            out[name] = a.get(name) + b.get(name) * (1 - a.get("rgba.alpha"))
        elif node["operation"].value() == "difference":
            out[name] = np.abs(a.get(name) - b.get(name))
        else:
            raise NotImplementedError(str(node["operation"].value()))
    return Picture(b.width, b.height, out)


def _read(node: Node, frame: float) -> Picture:
    if not node["raw"].value():
        raise NotImplementedError("a Read that is not raw")
    pattern = str(node["file"].value())
    number = max(node["first"].value(), min(int(frame), node["last"].value()))
    path = frame_path(pattern, number)
    if not path.is_file():
        raise RuntimeError(f"{node.fullName()}: {path}: Read error: No such file or directory")
    source = oiio.ImageInput.open(str(path))
    if source is None:
        raise RuntimeError(f"{node.fullName()}: {oiio.geterror()}")
    spec, pixels = source.spec(), source.read_image(oiio.FLOAT)
    source.close()
    assert (spec.x, spec.y) == (0, 0)
    names = [_BASE.get(n, n if "." in n else f"other.{n}") for n in spec.channelnames]
    return Picture(spec.width, spec.height, {n: pixels[..., i] for i, n in enumerate(names)})


def write(node: Node, frame: int) -> None:
    """Write a frame of a Write, as Nuke does: under another name, then renamed."""
    picture = evaluate(node, frame)
    asked = str(node["channels"].value())
    layers = {"rgba": list(_BACK), "rgb": list(_BACK)[:3], "alpha": ["rgba.alpha"]}
    names = list(picture.channels) if asked == "all" else layers[asked]
    if node["file_type"].value() != "exr" or not node["raw"].value():
        raise NotImplementedError("only raw EXR is written")
    path = frame_path(str(node["file"].value()), frame)
    half = node["datatype"].value() == "16 bit half"
    spec = oiio.ImageSpec(picture.width, picture.height, len(names), "half" if half else "float")
    spec.channelnames = tuple(_BACK.get(n, n) for n in names)
    draft = path.with_name(f"{path.stem}.tmp.exr")
    out = oiio.ImageOutput.create(str(draft))
    if not out.open(str(draft), spec):
        raise RuntimeError(f"{node.fullName()}: can't open {path} for writing")
    out.write_image(np.ascontiguousarray(np.dstack([picture.get(n) for n in names]), np.float32))
    out.close()
    os.replace(draft, path)
