"""A simulated Nuke: no Nuke is on our machines, and this is no Nuke.

Built from the published stubs: what they do not declare is an AttributeError, what they
declare and this does not do is a NotImplementedError, and what is done here takes no more
parameters than they say. Nodes belong to the main thread. ``execute`` writes real EXR files.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from . import evaluate as pictures
from . import knobs, nodes, script, tcl
from .host import host
from .stubs import check_class, check_function, read_stubs


class ProgressTask:
    def __init__(self, title: str) -> None:
        self.title = title
        self.sim_seen: list[int] = []
        self.sim_texts: list[str] = []
        self.sim_cancel = False
        host.progress.append(self)

    def setProgress(self, percent: int) -> None:
        if not isinstance(percent, int) or not 0 <= percent <= 100:
            raise TypeError("setProgress takes whole numbers from 0 to 100")
        self.sim_seen.append(percent)

    def setMessage(self, text: str) -> None:
        self.sim_texts.append(text)

    def isCancelled(self) -> bool:
        return self.sim_cancel


class Layer:
    def __init__(self, name: str, channels: list[str]) -> None:
        host.need_main("a layer")
        assert all(channel.startswith(f"{name}.") for channel in channels)
        host.layers[name] = channels


class Undo:
    def begin(self, name: str = "") -> None:
        host.need_main("undo")
        if host.open_step is None:
            host.open_step = []
            self._name = name

    def end(self) -> None:
        assert host.open_step is not None, "Undo.end without begin"
        if host.open_step:
            host.steps.append((self._name, host.open_step))
        host.open_step = None

    @classmethod
    def disable(cls) -> None:
        host.undo_off += 1

    @classmethod
    def enable(cls) -> None:
        host.undo_off -= 1


class Menu:
    def addMenu(self, name: str) -> Menu:
        return self

    def addCommand(self, name: str, command: Any) -> None:
        host.commands[name] = command


class Nodes:
    def __getattr__(self, item: str) -> Callable[..., Any]:
        def create(**values: Any) -> nodes.Node:
            node = nodes.make(item, nodes.context[-1])
            for name, value in values.items():
                if name == "name":
                    node.setName(value)
                else:
                    node[name].setValue(value)
            return node

        return create


def root() -> nodes.Root:
    host.need_main("root")
    return nodes.root[0]


def createNode(typ: str, knobs: str = "", inpanel: bool = True) -> nodes.Node:
    node = nodes.make(typ, nodes.context[-1])
    if isinstance(node, nodes.Group):
        for call, kind in host.on_create:
            if kind in ("*", typ):
                host.this.append(node)
                call()
                host.this.pop()
    return node


def selectedNodes() -> list[nodes.Node]:
    return [n for n in nodes.context[-1].nodes() if n["selected"].value()]


def allNodes() -> list[nodes.Node]:
    return nodes.context[-1].nodes()


def toNode(s: str) -> nodes.Node | None:
    return next((n for n in nodes.every(nodes.root[0]) if s in (n.fullName(), n.name())), None)


def thisNode() -> nodes.Node:
    return host.this[-1]  # type: ignore[no-any-return]


def delete(n: nodes.Node) -> None:
    host.need_main("delete")
    parent = n.parent()
    place = parent.sim_children.index(n)
    del parent.sim_children[place]
    host.changed("delete", lambda: parent.sim_children.insert(place, n))


def filename(node: nodes.Node) -> str | None:
    knob = node.knob("file")
    text = "" if knob is None else str(knob.value())
    return tcl.substitute(text, _value) or None


def _value(name: str) -> str:
    owner, _, knob = name.rpartition(".")
    node: Any = nodes.root[0] if owner == "root" else toNode(owner)
    if node is None:
        raise RuntimeError(f"no such node: {owner}")
    return str(node.name() if knob == "name" else node[knob].value())


def call_tcl(cmd: str, *args: str) -> str:
    if cmd != "subst":
        raise RuntimeError(f'invalid command name "{cmd}"')
    assert list(args[:-1]) == ["-nobackslashes", "-novariables"]
    return tcl.substitute(args[-1], _value)


def execute(nameOrNode: Any, start: int, end: int, incr: int = 1) -> None:
    host.need_main("execute")
    host.executed.append((nameOrNode.fullName(), start, end))
    for frame in range(start, end + 1, incr):
        if host.fail_execute and frame > start:
            raise RuntimeError("Cancelled")
        pictures.write(nameOrNode, frame)


def executeInMainThread(call: Any, args: Any = (), kwargs: Any = None) -> None:
    if threading.current_thread() is host.main:
        raise RuntimeError("simulated Nuke: executeInMainThread called from the main thread")
    host.calls.put(lambda: call(*args, **(kwargs or {})))


def message(prompt: str) -> None:
    host.need_main("message")
    if not GUI:
        raise RuntimeError("simulated Nuke: a panel without windows")
    host.messages.append(prompt)


def tprint(*args: Any) -> None:
    host.printed.append(" ".join(map(str, args)))


def menu(name: str) -> Menu:
    if not GUI:
        raise RuntimeError("simulated Nuke: no menus without windows")
    return Menu()


def addOnCreate(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*") -> None:
    host.on_create.append((call, nodeClass))


def filenameFilter(filename: str) -> str:
    for call in host.filters:
        filename = call(filename) or filename
    return filename


def addFilenameFilter(call: Any) -> None:
    host.filters.append(call)


def nodePaste(s: str) -> nodes.Node | None:
    from pathlib import Path

    made = script.load(Path(s).read_text(), nodes.context[-1])
    return made[-1] if made else None


def scriptSaveAs(filename: str, overwrite: int = 0) -> None:
    from pathlib import Path

    nodes.root[0]._knobs["name"]._values[0] = filename
    layers = [f"add_layer {{{n} {' '.join(c)}}}\n" for n, c in host.layers.items()]
    Path(filename).write_text("".join(layers) + script.write(nodes.root[0]))


def scriptClear() -> None:
    nodes.root[0] = nodes.Root()
    nodes.context[:] = [nodes.root[0]]
    host.steps.clear()
    host.layers.clear()


def scriptOpen(filename: str) -> None:
    from pathlib import Path

    scriptClear()
    nodes.root[0]._knobs["name"]._values[0] = filename
    script.load(Path(filename).read_text(), nodes.root[0])


def undo() -> None:
    host.undo()


GUI = True
_FUNCTIONS: dict[str, Any] = {
    f.__name__: f
    for f in (
        root, createNode, selectedNodes, allNodes, toNode, thisNode, delete, filename, execute,
        executeInMainThread, message, tprint, menu, addOnCreate, filenameFilter,
        addFilenameFilter, nodePaste, scriptSaveAs, scriptClear, scriptOpen, undo,
    )
}  # fmt: skip
_FUNCTIONS["tcl"] = call_tcl
_CONSTANTS = {"INPUTS": 1, "HIDDEN_INPUTS": 2, "EXPRESSIONS": 4, "STARTLINE": 0x1000}


class _Nuke(types.ModuleType):
    """The module ``nuke``."""

    def __getattr__(self, name: str) -> Any:
        if name == "GUI":
            return GUI
        if not name.startswith("__") and name in read_stubs().names:
            raise NotImplementedError(f"nuke.{name} is not simulated")
        raise AttributeError(f"nuke has no attribute {name!r}")


def install() -> Any:
    """Put the simulated module where ``import nuke`` finds it."""
    module = _Nuke("nuke")
    for name, value in _FUNCTIONS.items():
        check_function(name, value)
        setattr(module, name, value)
    own = (nodes.Node, nodes.Group, nodes.Root, ProgressTask, Layer, Undo, Menu)
    for kind in (*knobs.KINDS, *own):
        check_class(kind)
        setattr(module, kind.__name__, kind)
    for name, number in _CONSTANTS.items():
        assert name in read_stubs().names, name
        setattr(module, name, number)
    module.nodes = Nodes()  # type: ignore[attr-defined]
    sys.modules["nuke"] = module
    return module


def set_gui(on: bool) -> None:
    """With windows, or as ``nuke -t``."""
    global GUI
    GUI = on
