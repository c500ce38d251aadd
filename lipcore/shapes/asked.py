"""What is asked of a person's mouth, frame by frame: from a dialogue or from a curves file."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from lipcore.errors import ConfigError
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import STANDARD, read_curves, resample
from lipcore.shapes.fit import fit_person
from lipcore.shapes.from_speech import shapes_from_dialogue
from lipcore.types import Dialogue, FloatArray, FrameRange, ShapeCurves
from lipcore.weights import WeightsSet


def ask_shapes(
    dialogue: Dialogue | None,
    curves: ShapeCurves | None,
    *,
    basis: ShapeBasis,
    weights: WeightsSet,
    rate: Fraction,
    frames: FrameRange,
    shown_values: FloatArray,
    neutral: FloatArray,
    log: Callable[[str], None] = lambda _: None,
) -> FloatArray:
    """The values that the person's mouth shall have.

    Args:
        dialogue: What to say; unused where ``curves`` are given.
        curves: Of ``curves_for``, which take precedence.
        basis: Of mouth shapes.
        weights: Where the basis and the speech network come from.
        rate: Frames a second of the plate.
        frames: Which frames.
        shown_values: ``(N', C)`` the person's own shapes in the shot; NaN where absent.
        neutral: ``(K, 3)`` the neutral they start from.
        log: Told what was decided.

    Returns:
        ``(N, C)`` values from the person's neutral.

    Raises:
        ConfigError: There is neither.
        WeightsError: The speech network is unusable.
    """
    if curves is None:
        if dialogue is None:
            raise ConfigError("nothing is asked of the mouth", hint="Give a dialogue, or --shapes.")
        curves = shapes_from_dialogue(dialogue, rate, frames, weights)
    if curves.unit != STANDARD:
        return curves.values
    person = fit_person(shown_values, neutral, basis)
    log(
        f"mouth amplitude: {person.amplitude:.2f} of the mean speaker"
        if person.speaks
        else "mouth amplitude: the mean speaker's, as the shot shows nobody speaking"
    )
    return person.apply(curves.values)


def curves_for(
    path: Path,
    basis: ShapeBasis,
    rate: Fraction,
    frames: FrameRange,
    log: Callable[[str], None] = lambda _: None,
) -> ShapeCurves:
    """The curves of a file on a plate's frames.

    Args:
        path: A curves file. Of the plate's rate, it is read by frame number; of another rate,
            by time from its start.
        basis: Of mouth shapes.
        rate: Frames a second of the plate.
        frames: Which frames.
        log: Told where the rates differ.

    Raises:
        ConfigError: The file is no curves file, or lacks frames.
    """
    curves = read_curves(path, basis.names, weights=basis.label).curves
    if curves.rate != rate:
        log(f"curves of {curves.rate} frames a second read at {rate}, by time from their start")
        return resample(curves, rate, frames)
    covered = curves.frames
    if frames.first not in covered or frames.last not in covered:
        raise ConfigError(
            f"{path} holds frames {covered}, and {frames} are asked for",
            hint="Write the curves with --frames, or render fewer frames.",
            path=str(path),
        )
    first = covered.index(frames.first)
    return ShapeCurves(
        rate, frames.first, curves.values[first : first + len(frames)], curves.names,
        curves.unit, curves.source, curves.weights, curves.neutral,
    )
