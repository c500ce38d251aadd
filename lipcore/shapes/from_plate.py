"""The mouth shapes that a plate's own mouth makes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import INTEROCULAR
from lipcore.tracking.align import to_square
from lipcore.tracking.speakers import select_speaker
from lipcore.tracking.tracker import track_plate
from lipcore.types import FloatArray, FrameRange, ShapeCurves


def shapes_from_plate(
    plate: Plate,
    frames: FrameRange,
    basis: ShapeBasis,
    *,
    speaker: str = "largest",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ShapeCurves, int]:
    """Track a plate and measure the speaker's mouth.

    Args:
        plate: The plate.
        frames: Which of its frames.
        basis: Of mouth shapes.
        speaker: Whose mouth, as ``tracking.speakers.select_speaker`` takes it.
        progress: Called after each frame with how many are done, and of how many.

    Returns:
        Curves from the person's neutral, interocular units; and the number of frames without
        the face, whose values are interpolated between sightings (held at the ends).

    Raises:
        FaceError: No face, not the one asked for, or one that is too small.
        MediaError: The plate cannot be read.
    """
    color = ColorTransform.of_plate(plate)
    track = select_speaker(track_plate(plate, frames, color=color, progress=progress), speaker)
    landmarks = to_square(track.landmarks, track.pixel_aspect)
    values, neutral = basis.measure(landmarks)
    curves = ShapeCurves(
        rate=plate.info.rate,
        first_frame=track.frames.first,
        values=_bridge(values),
        names=basis.names,
        unit=INTEROCULAR,
        source=f"plate {plate.info.path.name}",
        weights=basis.label,
        neutral=neutral,
    )
    return curves, int((~np.isfinite(values).all(axis=1)).sum())


def _bridge(values: FloatArray) -> FloatArray:
    """Fill NaN rows linearly from their neighbours; one row at least is finite."""
    rows = np.arange(len(values))
    seen = np.isfinite(values).all(axis=1)
    columns = [np.interp(rows, rows[seen], column[seen]) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float32)
