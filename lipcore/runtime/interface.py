"""What every backend gives: a graph, ready to run."""

from __future__ import annotations

from typing import Protocol

from lipcore.types import FloatArray


class Runner(Protocol):
    """A graph on a backend. ``run`` may be called from several threads at once."""

    backend: str
    """As ``--backend`` spells it."""

    def run(self, *inputs: FloatArray) -> tuple[FloatArray, ...]:
        """The outputs of the graph.

        Args:
            inputs: In the graph's order, float32, of the shapes that it states.

        Returns:
            The outputs in order, float32. The same inputs give the same values each time.
        """
        ...
