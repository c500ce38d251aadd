"""Scripts as text, written and read back: nodes by a stack, groups, user knobs."""

from __future__ import annotations

import re
from typing import Any

from . import knobs as k
from . import tcl
from .host import host
from .nodes import Group, Node, make

_CODES = {kind.sim_code: kind for kind in k.KINDS if kind.sim_code}


def write(group: Group) -> str:
    """The nodes of a group, sources first."""
    lines: list[str] = []
    done: list[Node] = []

    def visit(node: Node) -> None:
        if node in done:
            return
        for source in node._inputs:
            if source is not None:
                visit(source)
        done.append(node)
        lines.extend(
            "push 0" if source is None else f"push $N{id(source):x}"
            for source in reversed(node._inputs)
        )
        lines.append(f"{node.Class()} {{")
        lines.append(f" inputs {len(node._inputs)}")
        lines.extend(_knobs(node))
        lines.append("}")
        if isinstance(node, Group):
            lines.append(write(node).rstrip("\n"))
            lines.append("end_group")
        lines.append(f"set N{id(node):x} [stack 0]")

    for node in group.sim_children:
        visit(node)
    return "\n".join(lines) + "\n"


def _knobs(node: Node) -> list[str]:
    lines = []
    for name in node.sim_user:
        knob = node._knobs[name]
        extra = ""
        if isinstance(knob, k.Enumeration_Knob):
            extra = " M {" + " ".join(tcl.quote(v) for v in knob._items) + "}"
        elif isinstance(knob, k.PyScript_Knob):
            extra = f" T {tcl.quote(knob.command())}"
        hidden = "" if knob.visible() else " +INVISIBLE"
        label = tcl.quote(knob.label())
        lines.append(f" addUserKnob {{{knob.sim_code} {name} l {label}{hidden}{extra}}}")
    for name, knob in node._knobs.items():
        if name != "selected" and not isinstance(knob, (k.PyScript_Knob, k.Tab_Knob)):
            lines.append(f" {name} {knob.toScript()}")
    return lines


def read(text: str, group: Group, created: Any = None) -> list[Node]:
    """Make the nodes of a script in a group; ``created`` is called with each Group."""
    made: list[Node] = []
    stack: list[list[Node | None]] = [[]]
    groups, names = [group], {}
    for word, body in _statements(text):
        if word == "add_layer":
            name, *channels = body.split()
            host.layers[name] = channels
        elif word == "push":
            stack[-1].append(None if body == "0" else names[body.lstrip("$")])
        elif word == "set":
            names[body.split()[0]] = stack[-1][-1]
        elif word == "end_group":
            stack.pop()
            inside = groups.pop()
            stack[-1].append(inside)
            if created is not None:
                created(inside)
        else:
            node = _node(word, body, groups[-1], stack[-1])
            made.append(node)
            if isinstance(node, Group):
                groups.append(node)
                stack.append([])
            else:
                stack[-1].append(node)
    return [n for n in made if n.parent() is group]


def _statements(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while match := re.compile(r"\s*(\w+)[ \t]*").match(text, at):
        word, at = match[1], match.end()
        if at < len(text) and text[at] == "{":
            end = tcl._word(text, at)[1]
            found.append((word, text[at + 1 : end - 1]))
            at = end
        else:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            found.append((word, text[at:end].strip()))
            at = end
    return found


def _node(kind: str, body: str, group: Group, stack: list[Node | None]) -> Node:
    values = _lines(body)
    node = make(kind, group)
    count = next((int(v) for n, v in values if n == "inputs"), 1)
    sources = [stack.pop() if stack else None for _ in range(count)]
    for place, source in enumerate(sources):
        node.setInput(place, source)
    for name, value in values:
        if name == "inputs":
            continue
        if name == "addUserKnob":
            node.addKnob(_user_knob(value))
        elif name == "name":
            node.setName(tcl.words(value)[0])
        else:
            knob = node._knobs.get(name)
            if knob is None:
                raise RuntimeError(f"{kind}: no knob {name}")
            knob.fromScript(value if value.startswith("{{") or (
                value.startswith("{") and isinstance(knob, k.Array_Knob)
            ) else tcl.words(value)[0] if value else "")  # fmt: skip
    return node


def _lines(body: str) -> list[tuple[str, str]]:
    """(knob, its value as it stands, outer braces of array values taken off)."""
    found, at = [], 0
    while match := re.compile(r"\s*(\w+) ?").match(body, at):
        at = match.end()
        if at < len(body) and body[at] in '{"':
            end = tcl._word(body, at)[1]
        else:
            end = body.find("\n", at)
            end = len(body) if end < 0 else end
        value = body[at:end]
        if match[1] != "addUserKnob" and value.startswith("{"):
            value = value[1:-1]
        found.append((match[1], value))
        at = end
    return found


def _user_knob(value: str) -> k.Knob:
    parts = tcl.words(value[1:-1])
    kind = _CODES[int(parts[0])]
    options = {parts[i]: parts[i + 1] for i in range(2, len(parts) - 1) if parts[i] in "lMT"}
    arguments: list[Any] = [parts[1], options.get("l", "")]
    if kind is k.Enumeration_Knob:
        arguments.append(tcl.words(options["M"]))
    elif kind is k.PyScript_Knob:
        arguments.append(options["T"])
    knob: k.Knob = kind(*arguments)
    knob.setVisible("+INVISIBLE" not in parts)
    return knob


def load(text: str, group: Group) -> list[Node]:
    """Read a script and call what plugins registered for new groups."""

    def created(node: Node) -> None:
        for call, kind in host.on_create:
            if kind in ("*", node.Class()):
                host.this.append(node)
                call()
                host.this.pop()

    return read(text, group, created)
