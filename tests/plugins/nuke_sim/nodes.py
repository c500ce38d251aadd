"""Simulated nodes: classes with their own knobs, inputs, groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import knobs as k
from .host import host
from .stubs import check_class, read_stubs

INPUTS, HIDDEN_INPUTS, EXPRESSIONS = 1, 2, 4
_CHANNELS = ["red", "green", "blue", "alpha", "black", "white"]
_ON_ERROR = ["error", "black", "checkerboard", "nearest frame"]


def _table(kind: str) -> list[k.Knob]:
    """The knobs of a node class, beside those that all nodes have."""
    if kind == "Read":
        return [
            k.File_Knob("file"), k.Int_Knob("first"), k.Int_Knob("last"),
            k.Int_Knob("origfirst"), k.Int_Knob("origlast"), k.Boolean_Knob("raw"),
            k.Enumeration_Knob("on_error", "", _ON_ERROR),
        ]  # fmt: skip
    if kind == "Write":
        return [
            k.File_Knob("file"), k.Enumeration_Knob("file_type", "", [" ", "exr", "png", "dpx"]),
            k.Channel_Knob("channels"), k.Boolean_Knob("raw"),
            k.Enumeration_Knob("datatype", "", ["16 bit half", "32 bit float"]),
        ]  # fmt: skip
    if kind == "Switch":
        return [k.Double_Knob("which")]
    if kind == "Shuffle":
        return [
            k.Channel_Knob("in"),
            *(_set(k.Enumeration_Knob(n, "", _CHANNELS), n) for n in _CHANNELS[:4]),
        ]
    if kind == "Merge2":
        operations = ["over", "difference", "plus", "copy"]
        return [k.Enumeration_Knob("operation", "", operations), k.Channel_Knob("output")]
    if kind == "Multiply":
        return [_set(k.Double_Knob("value"), 1.0)]
    if kind == "Transform":
        return [k.XY_Knob("center")]
    if kind == "CornerPin2D":
        return [k.XY_Knob(f"{side}{n}") for n in range(1, 5) for side in ("to", "from")]
    if kind == "Root":
        return [
            k.Boolean_Knob("proxy"), _set(k.Double_Knob("fps"), 24.0),
            k.File_Knob("project_directory"), k.Int_Knob("first_frame"),
            k.Enumeration_Knob("colorManagement", "", ["Nuke", "OCIO"]),
            k.Enumeration_Knob("OCIO_config", "", ["nuke-default", "custom"]),
            k.File_Knob("customOCIOConfigPath"), k.String_Knob("workingSpaceLUT"),
        ]  # fmt: skip
    if kind in ("Input", "Output", "Group", "NoOp"):
        return []
    raise RuntimeError(f"{kind}: Unknown command")


def _set(knob: k.Knob, value: Any) -> k.Knob:
    knob._values[0] = value
    return knob


class FrameRange:
    def __init__(self, first: int, last: int) -> None:
        self._ends = (first, last)

    def first(self) -> int:
        return self._ends[0]

    def last(self) -> int:
        return self._ends[1]


class Node:
    def __init__(self, kind: str) -> None:
        host.need_main("a new node")
        self._kind = kind
        self._inputs: list[Node | None] = []
        self._parent: Group | None = None
        self._knobs: dict[str, k.Knob] = {}
        self.sim_user: list[str] = []
        common: list[k.Knob] = [
            k.String_Knob("name"), k.Int_Knob("xpos"), k.Int_Knob("ypos"), k.String_Knob("label"),
            k.Boolean_Knob("selected"), k.Boolean_Knob("disable"),
        ]
        for knob in (*common, *_table(kind)):
            self._own(knob)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if read_stubs().method(type(self).__name__, name)[0]:
            raise NotImplementedError(f"{type(self).__name__}.{name} is not simulated")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def _own(self, knob: k.Knob) -> None:
        knob._node = self
        self._knobs[knob.name()] = knob

    def __getitem__(self, name: str) -> k.Knob:
        host.need_main("knobs")
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist")
        return self._knobs[name]

    def knob(self, p: str) -> k.Knob | None:
        host.need_main("knobs")
        return self._knobs.get(p)

    def knobs(self) -> dict[str, k.Knob]:
        return dict(self._knobs)

    def addKnob(self, knob: k.Knob) -> None:
        host.need_main("addKnob")
        if knob.name() in self._knobs:
            raise ValueError(f"a knob {knob.name()} is there already")
        self._own(knob)
        self.sim_user.append(knob.name())
        host.changed("addKnob", lambda: self._drop(knob.name()))

    def removeKnob(self, knob: k.Knob) -> None:
        host.need_main("removeKnob")
        self._drop(knob.name())

    def _drop(self, name: str) -> None:
        del self._knobs[name]
        self.sim_user.remove(name)

    def Class(self) -> str:
        return self._kind

    def name(self) -> str:
        return str(self._knobs["name"]._values[0])

    def fullName(self) -> str:
        parent = self._parent
        above = "" if parent is None or parent._parent is None else parent.fullName() + "."
        return above + self.name()

    def setName(self, name: str, uncollide: bool = True) -> None:
        host.need_main("setName")
        assert self._parent is not None
        taken = {n.name() for n in self._parent.sim_children if n is not self}
        if not uncollide and name in taken:
            raise ValueError(f"a node {name} is there already")
        stem, at = re.sub(r"\d+$", "", name), 1
        while name in taken:
            name, at = f"{stem}{at}", at + 1
        self._knobs["name"].setValue(name)

    def parent(self) -> Any:
        return self._parent

    def inputs(self) -> int:
        return len(self._inputs)

    def input(self, index: int) -> Node | None:
        host.need_main("inputs")
        return self._inputs[index] if index < len(self._inputs) else None

    def setInput(self, i: int, node: Node | None) -> bool:
        host.need_main("setInput")
        if node is not None and node._parent is not self._parent:
            raise ValueError(f"{node.fullName()} and {self.fullName()} are in different groups")
        before = list(self._inputs)
        self._inputs += [None] * (i + 1 - len(self._inputs))
        self._inputs[i] = node
        host.changed("input", lambda: self._inputs.__setitem__(slice(None), before))
        return True

    def dependencies(self, mask: int) -> list[Node]:
        return [n for n in self._inputs if n is not None] if mask & INPUTS else []

    def frameRange(self) -> FrameRange:
        if self._kind == "Read":
            return FrameRange(int(self["first"].value()), int(self["last"].value()))
        source = self.input(0)
        return FrameRange(1, 100) if source is None else source.frameRange()

    def height(self) -> int:
        from .evaluate import evaluate

        return evaluate(self, self.frameRange().first()).height

    def xpos(self) -> int:
        return int(self["xpos"].value())

    def ypos(self) -> int:
        return int(self["ypos"].value())

    def setXYpos(self, x: int, y: int) -> None:
        self["xpos"].setValue(x)
        self["ypos"].setValue(y)


class Group(Node):
    def __init__(self, kind: str = "Group") -> None:
        super().__init__(kind)
        self.sim_children: list[Node] = []

    def node(self, s: str) -> Node | None:
        host.need_main("nodes")
        return next((n for n in self.sim_children if n.name() == s), None)

    def nodes(self) -> list[Node]:
        host.need_main("nodes")
        return list(self.sim_children)

    def begin(self) -> Group:
        context.append(self)
        return self

    def end(self) -> None:
        context.pop()

    def __enter__(self) -> Group:
        return self.begin()

    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:
        self.end()


class Root(Group):
    def __init__(self) -> None:
        super().__init__("Root")

    def name(self) -> str:
        return str(self._knobs["name"]._values[0]) or "Root"


def add(node: Node, group: Group) -> None:
    """Put a new node into a group, under a name of its own."""
    node._parent = group
    group.sim_children.append(node)
    if not node.name():
        node.setName(f"{node.Class()}1")
    host.changed("new node", lambda: group.sim_children.remove(node))


def make(kind: str, group: Group) -> Node:
    node = Group() if kind == "Group" else Node(kind)
    add(node, group)
    return node


def every(group: Group) -> Iterator[Node]:
    for node in group.sim_children:
        yield node
        if isinstance(node, Group):
            yield from every(node)


root = [Root()]
context: list[Group] = [root[0]]

for _kind in (Node, Group, Root, FrameRange):
    check_class(_kind)
