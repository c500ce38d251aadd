"""Simulated knobs: values, animation, scripts. What the stubs lack, they lack."""

from __future__ import annotations

import itertools
import re
from typing import Any

from . import tcl
from .host import host
from .stubs import check_class, read_stubs


class Knob:
    sim_code = 0
    sim_size = 1

    def __init__(self, name: str, label: str = "") -> None:
        self._name, self._label, self._tip = name, label, ""
        self._node: Any = None
        self._values: list[Any] = [self._zero()] * self.sim_size
        self._curves: list[dict[float, float] | None] = [None] * self.sim_size
        self._expressions: list[str] = [""] * self.sim_size
        self._visible, self._flags = True, 0

    def __getattr__(self, name: str) -> Any:
        if read_stubs().method(type(self).__name__, name)[0]:
            raise NotImplementedError(f"{type(self).__name__}.{name} is not simulated")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def _zero(self) -> Any:
        return 0.0

    def _convert(self, value: Any) -> Any:
        return value

    def _save(self) -> Any:
        return list(self._values), [c and dict(c) for c in self._curves], list(self._expressions)

    def _change(self) -> None:
        host.need_main(f"knob {self._name}")
        state = self._save()

        def back() -> None:
            self._values, self._curves, self._expressions = state

        host.changed(f"knob {self._name}", back)

    def Class(self) -> str:
        return type(self).__name__

    def name(self) -> str:
        return self._name

    def node(self) -> Any:
        return self._node

    def label(self) -> str:
        return self._label

    def tooltip(self) -> str:
        return self._tip

    def setTooltip(self, tooltip: str) -> None:
        self._tip = tooltip

    def visible(self) -> bool:
        return self._visible

    def setVisible(self, visible: bool) -> None:
        self._visible = visible

    def setFlag(self, flag: int) -> None:
        self._flags |= flag

    def getFlag(self, flag: int) -> bool:
        return bool(self._flags & flag)

    def isAnimated(self, channel: int = 0) -> bool:
        return self._curves[channel] is not None

    def setAnimated(self, channel: int = 0) -> bool:
        self._change()
        if self._curves[channel] is None:
            self._curves[channel] = {}
        return True

    def clearAnimated(self, channel: int = -1) -> bool:
        self._change()
        for place in range(self.sim_size) if channel < 0 else (channel,):
            self._curves[place] = None
            self._expressions[place] = ""
        return True

    def setValue(self, val: Any, chan: int = 0) -> bool:
        self._change()
        self._values[chan] = self._convert(val)
        return True

    def setValueAt(self, val: Any, time: float, index: int = 0) -> bool:
        curve = self._curves[index]
        if curve is None:
            raise RuntimeError(f"{self._name} is not animated: call setAnimated first")
        self._change()
        curve[float(time)] = float(val)
        return True

    def setExpression(self, expression: str, index: int = 0) -> bool:
        self._change()
        self._expressions[index] = expression
        return True

    def getValueAt(self, frame: float, index: int = 0) -> Any:
        return self.sim_at(frame, index)

    def getValue(self, channel: int = 0) -> Any:
        return self.value(channel)

    def value(self, index: int = 0) -> Any:
        host.need_main(f"knob {self._name}")
        return self.sim_at(sim_frame(), index)

    def sim_at(self, frame: float, index: int = 0) -> Any:
        if self._expressions[index]:
            match = re.fullmatch(r"parent\.(\w+)", self._expressions[index])
            if match is None:
                raise NotImplementedError(f"the expression {self._expressions[index]}")
            other = self._node.parent()[match[1]]
            return other.sim_number() if hasattr(other, "sim_number") else other.sim_at(frame)
        curve = self._curves[index]
        if not curve:
            return self._values[index]
        keys = sorted(curve)
        if frame <= keys[0] or len(keys) == 1:
            return curve[keys[0]]
        for a, b in itertools.pairwise(keys):
            if frame <= b:
                return curve[a] + (curve[b] - curve[a]) * (frame - a) / (b - a)
        return curve[keys[-1]]

    def _plain(self) -> str:
        return tcl.quote(str(self._values[0]))

    def toScript(self) -> str:
        parts = []
        for value, curve, expression in zip(
            self._values, self._curves, self._expressions, strict=True
        ):
            if expression:
                parts.append("{" + tcl.quote(expression) + "}")
            elif curve is not None:
                keys = " ".join(f"x{k:g} {v!r}" for k, v in sorted(curve.items()))
                parts.append("{curve " + keys + "}")
            else:
                parts.append(str(value))
        if self.sim_size == 1 and parts[0].startswith("{") is False:
            return self._plain()
        return "{" + " ".join(parts) + "}"

    def fromScript(self, script: str) -> None:
        self._change()
        if self.sim_size > 1 or script.startswith("{"):
            parts = _split(script)
            for place, part in enumerate(parts[: self.sim_size]):
                self._take(part, place)
        else:
            self._values[0] = self._parse(script)

    def _take(self, part: str, place: int) -> None:
        self._curves[place], self._expressions[place] = None, ""
        inside = part[1:-1].strip() if part.startswith("{") else part
        if inside.startswith("curve"):
            curve: dict[float, float] = {}
            at = 0.0
            for word in inside.split()[1:]:
                if word.startswith("x"):
                    at = float(word[1:])
                else:
                    curve[at] = float(word)
                    at += 1
            self._curves[place] = curve
        elif part.startswith("{"):
            self._expressions[place] = tcl.words(inside)[0]
        else:
            self._values[place] = self._parse(part)

    def _parse(self, text: str) -> Any:
        return self._convert(text)


def _split(script: str) -> list[str]:
    """Parts of a value, each still in its braces."""
    parts, depth, part = [], 0, ""
    for char in script.strip():
        if char == " " and depth == 0:
            parts.append(part)
            part = ""
            continue
        depth += (char == "{") - (char == "}")
        part += char
    return [p for p in (*parts, part) if p]


_now = [1.0]


def sim_frame(frame: float | None = None) -> float:
    if frame is not None:
        _now[0] = frame
    return _now[0]


class Array_Knob(Knob):
    def setRange(self, low: float, high: float) -> None:
        self._range = (low, high)

    def _convert(self, value: Any) -> Any:
        return float(value)


class Double_Knob(Array_Knob):
    sim_code = 7


class Int_Knob(Array_Knob):
    sim_code = 3

    def _zero(self) -> Any:
        return 0

    def _convert(self, value: Any) -> Any:
        if float(value) != int(float(value)):
            raise TypeError(f"{self._name} takes whole numbers")
        return int(float(value))


class Boolean_Knob(Array_Knob):
    sim_code = 6

    def _zero(self) -> Any:
        return False

    def _convert(self, value: Any) -> Any:
        if value in ("true", "false"):
            return value == "true"
        if value not in (True, False, 0, 1):
            raise TypeError(f"{self._name} takes True or False")
        return bool(value)

    def _plain(self) -> str:
        return "true" if self._values[0] else "false"


class XY_Knob(Array_Knob):
    sim_code, sim_size = 12, 2

    def value(self, index: int = -1) -> Any:
        both = [super(XY_Knob, self).value(i) for i in range(2)]
        return tuple(both) if index < 0 else both[index]

    def setValue(self, val: Any, chan: int = 0) -> bool:
        if isinstance(val, (tuple, list)):
            return all(super(XY_Knob, self).setValue(v, i) for i, v in enumerate(val))
        return super().setValue(val, chan)


class BBox_Knob(Array_Knob):
    sim_code, sim_size = 15, 4


class Unsigned_Knob(Array_Knob):
    pass


class Enumeration_Knob(Unsigned_Knob):
    sim_code = 4

    def __init__(self, name: str, label: str, items: list[str]) -> None:
        self._items = [str(i) for i in items]
        super().__init__(name, label)

    def _zero(self) -> Any:
        return self._items[0]

    def _convert(self, value: Any) -> Any:
        if isinstance(value, int):
            return self._items[value]
        if value not in self._items:
            raise ValueError(f"{self._name} has no choice {value!r}: {self._items}")
        return value

    def values(self) -> list[str]:
        return list(self._items)

    def sim_number(self) -> int:
        return self._items.index(self._values[0])


class Channel_Knob(Knob):
    sim_code = 41

    def _zero(self) -> Any:
        return "rgba"

    def _convert(self, value: Any) -> Any:
        if value not in ("rgba", "rgb", "alpha", "all", *host.layers):
            raise ValueError(f"{self._name}: the script has no layer {value!r}")
        return value

    def value(self) -> str:
        return str(super().value())


class String_Knob(Knob):
    sim_code = 1

    def _zero(self) -> Any:
        return ""

    def _convert(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise TypeError(f"{self._name} takes text, not {value!r}")
        return value

    def fromScript(self, script: str) -> None:
        self._change()
        self._values[0] = script


class Text_Knob(Knob):
    sim_code = 26

    def __init__(self, name: str, label: str = "", text: str = "") -> None:
        super().__init__(name, label)
        self._values[0] = text

    def fromScript(self, script: str) -> None:
        self._change()
        self._values[0] = script


class EvalString_Knob(String_Knob):
    pass


class File_Knob(EvalString_Knob):
    sim_code = 2

    def fromUserText(self, text: str) -> None:
        match = re.fullmatch(r"(.*?)(?:\s+(-?\d+)-(-?\d+))?", text)
        assert match is not None
        self.setValue(match[1])
        if match[2] is not None:
            for name, value in (("first", match[2]), ("last", match[3]),
                                ("origfirst", match[2]), ("origlast", match[3])):  # fmt: skip
                self._node[name].setValue(int(value))


class Script_Knob(String_Knob):
    pass


class PyScript_Knob(Script_Knob):
    sim_code = 22

    def __init__(self, name: str, label: str = "", command: str = "") -> None:
        super().__init__(name, label)
        self._values[0] = command

    def command(self) -> str:
        return str(self._values[0])

    def execute(self) -> None:
        host.need_main("a button")
        host.this.append(self._node)
        try:
            exec(self.command(), {"nuke": __import__("nuke")})  # as Nuke does
        finally:
            host.this.pop()


class Tab_Knob(Knob):
    sim_code = 20


KINDS: list[type[Any]] = [
    Knob, Array_Knob, Double_Knob, Int_Knob, Boolean_Knob, XY_Knob, BBox_Knob, Unsigned_Knob,
    Enumeration_Knob, Channel_Knob, String_Knob, Text_Knob, EvalString_Knob, File_Knob,
    Script_Knob, PyScript_Knob, Tab_Knob,
]  # fmt: skip
for _kind in KINDS:
    check_class(_kind)
