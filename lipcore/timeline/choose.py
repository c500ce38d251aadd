"""Which shots of a plan are rendered now, where only some were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lipcore.shot import RenderConfig
from lipcore.timeline.plan import ShotPlan, check_names
from lipcore.timeline.read import ReadTimeline
from lipcore.timeline.run import rendered_before
from lipcore.types import Dialogue


def choose_shots(
    shots: Sequence[ShotPlan], only: Sequence[str], read: ReadTimeline, dub: Dialogue | None,
    out: Path | None, config: RenderConfig,
) -> None:  # fmt: skip
    """Leave out the shots that were not asked for; those that an earlier run rendered stay.

    Args:
        shots: The plan; ``kept`` or ``problem`` is set on what is left out.
        only: Names or numbers; empty takes all.
        read: The timeline.
        dub: The dialogue, where there is one.
        out: Folder of the conform, where there is one.
        config: How shots would be rendered.

    Raises:
        ConfigError: No shot has a name or number that was asked for.
    """
    check_names(shots, only)
    for shot in shots:
        if not only or shot.problem or {shot.name, str(shot.number)} & set(only):
            continue
        if (
            out is not None and dub is not None
            and rendered_before(shot, dub, read.rate, out, config)
        ):  # fmt: skip
            shot.kept = True
        else:
            shot.problem = "not asked for (--only)"
