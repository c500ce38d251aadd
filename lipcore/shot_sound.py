"""The sound of a shot: where it begins, what the mouth follows, and what a video plays."""

from __future__ import annotations

from fractions import Fraction

from lipcore.media.audio import fit_dialogue, load_dialogue, read_sound
from lipcore.media.plate import Plate
from lipcore.shot import RenderConfig, Shot
from lipcore.types import Dialogue, FloatArray, FrameRange, PlateInfo


def begin_of(shot: Shot, config: RenderConfig, info: PlateInfo, frames: FrameRange) -> Fraction:
    """Seconds after the first rendered frame at which the dialogue begins.

    A dialogue is laid at the first rendered frame; the plate's own sound stays where it is.
    """
    offset = Fraction(config.offset_frames).limit_denominator(10_000) / info.rate
    if _speaks_itself(shot):
        offset -= Fraction(frames.first - info.frames.first) / info.rate
    return offset


def fitted_dialogue(
    shot: Shot, config: RenderConfig, info: PlateInfo, frames: FrameRange
) -> Dialogue | None:
    """The dialogue, as long as the picture; None where curves drive the mouth.

    Raises:
        DialogueError: It cannot be read, or does not fit and the settings say error.
    """
    if shot.shapes is not None:
        return None
    assert shot.dialogue is not None  # checked by Shot
    return fit_dialogue(
        load_dialogue(shot.dialogue),
        Fraction(len(frames)) / info.rate,
        short=config.audio_short,
        long=config.audio_long,
        offset_s=begin_of(shot, config, info, frames),
    )


def played_sound(shot: Shot, plate: Plate) -> tuple[FloatArray, int] | None:
    """The sound of a video output: the dialogue, or the plate's own under ``shapes``.

    Raises:
        DialogueError: It cannot be read.
    """
    if shot.dialogue is not None:
        return read_sound(shot.dialogue)
    return read_sound(shot.plate) if plate.info.has_audio else None


def _speaks_itself(shot: Shot) -> bool:
    return shot.dialogue is None or shot.dialogue.resolve() == shot.plate.resolve()
