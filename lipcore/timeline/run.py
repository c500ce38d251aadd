"""Rendering the shots of a plan; what was finished is kept, whatever interrupted it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from lipcore.errors import FaceError
from lipcore.media.audio import fit_dialogue
from lipcore.media.output_files import appearing
from lipcore.media.plate import open_plate
from lipcore.pipeline import RenderListener, render_shot
from lipcore.shot import RenderConfig, Shot
from lipcore.timeline.plan import ShotPlan
from lipcore.timeline.retimed_plate import RetimedPlate
from lipcore.types import Dialogue

FIRST_FRAME = 1001
"""Number of the first frame of every rendered shot."""
_SHORTEST_S = Fraction(1, 4)


def picture_of(shot: ShotPlan, out: Path) -> Path:
    """The pattern of a shot's rendered frames: in the take's format, TIFF for videos."""
    assert shot.media is not None
    own = shot.media.suffix.lower()
    suffix = own if own in (".exr", ".png", ".dpx") else ".exr" if own == ".sxr" else ".tif"
    return out / "shots" / shot.name / f"{shot.name}.####{suffix}"


def render_shots(
    shots: Sequence[ShotPlan],
    dub: Dialogue,
    rate: Fraction,
    out: Path,
    config: RenderConfig,
    listener: RenderListener,
) -> int:
    """Render each shot that is planned for it; a shot without a usable face is passed through.

    Args:
        shots: The plan; a shot's ``problem`` is set where its face cannot be used.
        dub: The dialogue, its first sample at the timeline's first frame.
        rate: Record frames a second.
        out: Folder of the conform.
        config: How shots are rendered.
        listener: Told of progress.

    Returns:
        How many frames were drawn anew.

    Raises:
        LipcoreError: See ``render_shot``; a later run goes on where this one ended.
    """
    drawn = 0
    for shot in shots:
        if shot.problem or shot.media is None:
            continue
        listener.log(f"shot {shot.name}")
        picture = picture_of(shot, out)
        picture.parent.mkdir(parents=True, exist_ok=True)
        sound = picture.parent / "dialogue.wav"
        _cut_dialogue(shot, dub, rate, sound)
        plate = RetimedPlate(open_plate(shot.media), shot.numbers, FIRST_FRAME, rate)
        try:
            result = render_shot(
                Shot(shot.media, sound), config, picture, listener=listener, plate=plate
            )
        except FaceError as error:
            shot.problem = error.message
            continue
        drawn += result.drawn
    return drawn


def _cut_dialogue(shot: ShotPlan, dub: Dialogue, rate: Fraction, path: Path) -> None:
    """The dub over a shot's record frames, as a file of its own."""
    first = (shot.segment.first - shot.lead) / rate
    lasts = max(Fraction(len(shot.numbers)) / rate, _SHORTEST_S)
    cut = fit_dialogue(dub, lasts, offset_s=-first)
    # 16 bits: a file of floats would carry the time of day, and so another hash.
    samples = np.clip(cut.samples, -1, 1)
    with appearing(path) as temporary:
        soundfile.write(temporary, samples, cut.sample_rate_hz, subtype="PCM_16")
