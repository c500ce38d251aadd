"""Where a run tells how it goes, and where it is cancelled: here without a window."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fusionscript import Timeline

_MARKER_ID = "lipcore-runs"
_MARKER = "lipcore runs"
_TRIES = 48


class Screen(Protocol):
    """A window, or what stands in for it."""

    def begin(self) -> None:
        """The run starts."""

    def show(self, percent: int, message: str) -> None:
        """How far it is; percent never falls."""

    def tell(self, text: str) -> None:
        """A line of the report."""

    def cancelled(self) -> bool:
        """The user wants it to end."""

    def end(self) -> None:
        """The run is over."""


class Console:
    """Lines in Resolve's console or a terminal; deleting a marker of the timeline cancels."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._percent = -1
        self._marked = False

    def begin(self) -> None:
        """Put the marker on the first frame that takes one."""
        self._timeline.DeleteMarkerByCustomData(_MARKER_ID)  # of a run that was killed
        note = "lipcore renders. Delete this marker to cancel."
        for frame in range(_TRIES):  # where another marker is, Resolve answers False
            if self._timeline.AddMarker(frame, "Red", _MARKER, note, 1, _MARKER_ID):
                self._marked = bool(self._timeline.GetMarkerByCustomData(_MARKER_ID))
                break
        self.tell(
            f"To cancel, delete the red marker {_MARKER!r}." if self._marked
            else "Resolve takes no marker: this run cannot be cancelled from the timeline."
        )  # fmt: skip

    def show(self, percent: int, message: str) -> None:
        """Print where a whole percent was done."""
        if percent != self._percent:
            self._percent = percent
            self.tell(f"{percent} % ({message})")

    def tell(self, text: str) -> None:
        """Print a line at once."""
        sys.stdout.write(f"lipsync: {text}\n")
        sys.stdout.flush()

    def cancelled(self) -> bool:
        """The marker is gone."""
        return self._marked and not self._timeline.GetMarkerByCustomData(_MARKER_ID)

    def end(self) -> None:
        """Take the marker away."""
        if self._marked:
            self._timeline.DeleteMarkerByCustomData(_MARKER_ID)
            self._marked = False
