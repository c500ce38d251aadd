"""The simulated UIManager: the elements that the plugin uses, with their properties only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

_PROPERTIES = {
    "Label": {"ID", "Text", "Weight", "MinimumSize"},
    "LineEdit": {"ID", "Text", "Weight"},
    "Button": {"ID", "Text", "Weight", "Enabled"},
    "ComboBox": {"ID", "Weight", "CurrentText"},
    "TextEdit": {"ID", "ReadOnly", "Weight", "PlainText"},
    "VGroup": {"Spacing", "Weight"}, "HGroup": {"Weight"},
}  # fmt: skip


class Element:
    def __init__(self, kind: str, values: dict[str, Any], inside: list[Element]) -> None:
        self.__dict__.update(kind=kind, values={}, inside=inside, choices=[])
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in _PROPERTIES[self.kind], f"{self.kind} has no {name}"
        self.values[name] = value

    def __getattr__(self, name: str) -> Any:
        assert name in _PROPERTIES[self.kind], f"{self.kind} has no {name}"
        return self.values.get(name, "")

    def AddItems(self, texts: list[str]) -> None:
        assert self.kind == "ComboBox"
        self.choices.extend(texts)

    def all(self) -> list[Element]:
        return [self, *(e for inner in self.inside for e in inner.all())]


class Timer:
    def __init__(self, values: dict[str, Any]) -> None:
        assert set(values) == {"ID", "Interval"}
        self.running = False

    def Start(self) -> None:
        self.running = True

    def Stop(self) -> None:
        self.running = False


class UIManager:
    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def Timer(self, values: dict[str, Any]) -> Timer:
        self.timers.append(Timer(values))
        return self.timers[-1]

    def __getattr__(self, kind: str) -> Callable[..., Element]:
        assert kind in _PROPERTIES, f"UIManager has no {kind}"
        return lambda values, inside=(): Element(kind, values, list(inside))


class Events:
    """``On``: any name, and handlers under it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        made = self.__dict__[name] = Events()
        return made


class Window:
    def __init__(self, values: dict[str, Any], inside: list[Element]) -> None:
        assert set(values) == {"ID", "WindowTitle", "Geometry"}
        self.On, self.visible = Events(), False
        found = [e for element in inside for e in element.all()]
        self.items = {e.ID: e for e in found if "ID" in e.values}

    def GetItems(self) -> dict[str, Element]:
        return self.items

    def Show(self) -> None:
        self.visible = True

    def Hide(self) -> None:
        self.visible = False


class Dispatcher:
    """Runs timers, and the test's own hand on the window."""

    def __init__(self, ui: UIManager, hand: Callable[[Window], None]) -> None:
        self.ui, self.hand, self.On, self.window = ui, hand, Events(), None
        self.running = False

    def AddWindow(self, values: dict[str, Any], inside: list[Element]) -> Window:
        self.window = Window(values, inside)  # type: ignore[assignment]
        return self.window  # type: ignore[return-value]

    def ExitLoop(self) -> None:
        self.running = False

    def RunLoop(self) -> None:
        self.running = True
        end = time.monotonic() + 300
        while self.running:
            assert time.monotonic() < end, "the window was never closed"
            self.hand(self.window)  # type: ignore[arg-type]
            if any(timer.running for timer in self.ui.timers):
                self.On.Timeout({"who": "LipcorePoll"})
            time.sleep(0.02)


class Fusion:
    """``fusion`` of the menu; where it makes no windows, UIManager is None."""

    def __init__(self, *, windows: bool, file: str = "") -> None:
        self.UIManager = UIManager() if windows else None
        self.file = file

    def RequestFile(self) -> str:
        return self.file


class Bmd:
    def __init__(self, hand: Callable[[Window], None]) -> None:
        self.hand = hand

    def UIDispatcher(self, ui: UIManager | None) -> Dispatcher | None:
        return None if ui is None else Dispatcher(ui, self.hand)
