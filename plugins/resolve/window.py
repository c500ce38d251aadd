"""The window, where this edition makes one: Resolve 19.1 and later, free, makes none."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..client import WorkerError
from .connect import Host
from .job import Steps, run
from .options import MODES, Options

_TITLE, _ID, _TIMER = "lipcore: lip-sync", "LipcoreWindow", "LipcorePoll"
_POLL_MS = 200
_LINES = 200
_TEXTS = (
    ("dialogue", "Dialogue"), ("clips", "Clips"), ("out", "Output folder"), ("handles", "Handles"),
    ("strength", "Strength"), ("synthesis", "Synthesis"), ("refine", "Refine"),
    ("weights", "Weights"), ("search", "Search folders"), ("path_map", "Path map"),
)  # fmt: skip


class Window:
    """Fields, a line of progress, the report; Render, Cancel."""

    def __init__(self, host: Host, options: Options) -> None:
        """Build it, hidden.

        Raises:
            WorkerError: This edition makes no windows.
        """
        self._host, self._options = host, options
        self._steps: Steps | None = None
        self._stop = False
        self._lines: list[str] = []
        try:
            ui = host.fusion.UIManager
            self._dispatcher = host.bmd.UIDispatcher(ui)
            self._window = self._dispatcher.AddWindow(
                {"ID": _ID, "WindowTitle": _TITLE, "Geometry": [200, 200, 620, 480]},
                [ui.VGroup({"Spacing": 6}, self._rows(ui))],
            )
            self._items = self._window.GetItems()
            self._timer = ui.Timer({"ID": _TIMER, "Interval": _POLL_MS})
            self._items["mode"].AddItems(list(MODES))
            self._items["mode"].CurrentText = options.mode
        except (AttributeError, TypeError, KeyError) as error:
            raise WorkerError(
                "this edition of Resolve makes no windows",
                "Use the settings file and markers, as the guide says.",
            ) from error
        on = self._window.On
        getattr(on, _ID).Close = self._close
        on.render.Clicked = self._start
        on.cancel.Clicked = self._cancel
        on.browse.Clicked = self._browse
        self._dispatcher.On.Timeout = self._tick

    def open(self) -> None:
        """Show it until it is closed."""
        self._window.Show()
        self._dispatcher.RunLoop()
        self._timer.Stop()
        self._window.Hide()

    # What a run asks of a screen.

    def begin(self) -> None:
        """The run starts."""
        self._lines = []
        self._items["render"].Enabled = False
        self._items["cancel"].Text = "Cancel"

    def show(self, percent: int, message: str) -> None:
        """The line of progress."""
        self._items["progress"].Text = f"{percent} %  {message}"

    def tell(self, text: str) -> None:
        """A line of the report."""
        self._lines = [*self._lines, text][-_LINES:]
        self._items["report"].PlainText = "\n".join(self._lines)

    def cancelled(self) -> bool:
        """Cancel was pressed."""
        return self._stop

    def end(self) -> None:
        """The run is over."""
        self._items["render"].Enabled = True
        self._items["cancel"].Text = "Close"

    def _rows(self, ui: Any) -> list[Any]:
        rows = []
        for name, title in _TEXTS:
            cells = [
                ui.Label({"Text": title, "Weight": 0, "MinimumSize": [110, 24]}),
                ui.LineEdit({"ID": name, "Text": str(getattr(self._options, name)), "Weight": 1}),
            ]
            if name == "dialogue":
                cells.append(ui.Button({"ID": "browse", "Text": "Browse", "Weight": 0}))
            rows.append(ui.HGroup({"Weight": 0}, cells))
        mode = ui.HGroup({"Weight": 0}, [
            ui.Label({"Text": "Results as", "Weight": 0, "MinimumSize": [110, 24]}),
            ui.ComboBox({"ID": "mode", "Weight": 1}),
        ])  # fmt: skip
        buttons = ui.HGroup({"Weight": 0}, [
            ui.Button({"ID": "render", "Text": "Render"}),
            ui.Button({"ID": "cancel", "Text": "Close"}),
        ])  # fmt: skip
        return [
            *rows, mode, ui.Label({"ID": "progress", "Text": "", "Weight": 0}),
            ui.TextEdit({"ID": "report", "ReadOnly": True, "Weight": 1}), buttons,
        ]  # fmt: skip

    def _read(self) -> Options:
        told = {f.name: str(self._items[f.name].Text) for f in fields(Options) if f.name != "mode"}
        told["mode"] = str(self._items["mode"].CurrentText)
        return Options().changed(told, "the window")

    def _start(self, _: Any) -> None:
        if self._steps is not None:
            return
        self._stop = False
        try:
            self._steps = run(self._host, self._read(), self)
        except WorkerError as error:
            self._fail(error)
            return
        self._timer.Start()

    def _tick(self, _: Any) -> None:
        if self._steps is None:
            return
        try:
            next(self._steps)
        except StopIteration:
            self._over()
        except WorkerError as error:
            self._over()
            self._fail(error)

    def _over(self) -> None:
        self._steps = None
        self._timer.Stop()

    def _fail(self, error: WorkerError) -> None:
        self._items["progress"].Text = "it cannot be done"
        self.tell(error.message)
        if error.hint:
            self.tell(error.hint)

    def _cancel(self, event: Any) -> None:
        if self._steps is None:
            self._close(event)
        self._stop = True

    def _browse(self, _: Any) -> None:
        chosen = self._host.fusion.RequestFile()
        if chosen:
            self._items["dialogue"].Text = str(chosen)

    def _close(self, _: Any) -> None:
        if self._steps is not None:
            self._steps.close()
            self._over()
        self._dispatcher.ExitLoop()
