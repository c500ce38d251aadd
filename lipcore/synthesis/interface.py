"""What every renderer of mouths is: asked for a frame, it answers with a patch."""

from __future__ import annotations

from typing import Protocol

from lipcore.types import Frame, Patch


class MouthRenderer(Protocol):
    """Draws the new mouth of a frame. ``render`` may be called from several threads."""

    name: str
    """As ``--synthesis`` spells it."""

    @property
    def sources(self) -> dict[int, tuple[tuple[int, float], ...]]:
        """For frames made from the plate's own: (frame number, share) of each; else empty."""
        ...

    def render(self, frame: Frame) -> Patch | None:
        """The patch of a frame of the shot, in the plate's encoding.

        Returns:
            None where the plate is to stay as it is.
        """
        ...
