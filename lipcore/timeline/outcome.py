"""What became of a rendered shot: where its frames lie, and which plate frame each one shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lipcore.media.locate import frame_path
from lipcore.pipeline import RenderResult
from lipcore.timeline.plan import ShotPlan
from lipcore.types import FrameRange

FIRST_FRAME = 1001
"""Number of the first frame of every rendered shot."""


@dataclass(frozen=True, slots=True, eq=False)
class ShotOutcome:
    """A shot that lies rendered in the conform's folder.

    Three counts of frames meet here: those of the rendered files (from ``FIRST_FRAME``), those
    of the record (from 0, the timeline's first frame), and those of the take.
    """

    shot: ShotPlan
    picture: Path
    """The rendered frames, as a pattern with ``####``."""
    result: RenderResult
    """As ``render_shot`` returned it: for a kept shot, in the run that rendered it."""
    dialogue: Path
    """The dub's slice as WAV: its first sample belongs to frame ``FIRST_FRAME``."""
    rate: Fraction
    """Record frames a second, those of the rendered frames, too."""

    @property
    def frames(self) -> FrameRange:
        """Numbers of the rendered frames, transitions and handles included."""
        return FrameRange(FIRST_FRAME, FIRST_FRAME + len(self.shot.numbers) - 1)

    @property
    def cut(self) -> FrameRange:
        """Numbers of the rendered frames between the shot's cuts."""
        first = FIRST_FRAME + self.shot.lead
        return FrameRange(first, first + self.shot.segment.end - self.shot.segment.first - 1)

    @property
    def facts(self) -> Path:
        """The sidecar with landmarks, shapes and policy of each frame (``*.lipsync.json``)."""
        return next(p for p in self.result.outputs if p.name.endswith(".lipsync.json"))

    def record_frame(self, number: int) -> int:
        """The record frame at which a rendered frame stands; may lie in a handle."""
        return self.shot.segment.first - self.shot.lead + self.frames.index(number)

    def plate_frame(self, number: int) -> int:
        """The take's frame that a rendered frame was made of."""
        return self.shot.numbers[self.frames.index(number)]

    def file(self, number: int) -> Path:
        """The file of a rendered frame."""
        return frame_path(self.picture, number)


def result_to_text(result: RenderResult) -> str:
    """A result as JSON, paths by name: the folder may be moved."""
    return json.dumps({
        "outputs": [path.name for path in result.outputs],
        "frames": [result.frames.first, result.frames.last], "rate": str(result.rate),
        "drawn": result.drawn, "kept": result.kept, "passed": list(result.passed),
        "synthesis": result.synthesis, "cached": result.cached, "seconds": result.seconds,
    })  # fmt: skip


def result_from_text(text: str, folder: Path) -> RenderResult:
    """A result that was written by ``result_to_text``.

    Raises:
        ValueError, KeyError, TypeError: The text is another one's.
    """
    facts = json.loads(text)
    return RenderResult(
        tuple(folder / name for name in facts["outputs"]), FrameRange(*facts["frames"]),
        Fraction(facts["rate"]), facts["drawn"], facts["kept"], tuple(facts["passed"]),
        facts["synthesis"], facts["cached"], facts["seconds"],
    )
