"""A render against its plate: every figure that the pictures, the sound and the weights allow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lipcore.analysis import cover, find_tracks
from lipcore.cache import Cache
from lipcore.errors import FrameSizeError, MediaError, NoAudioError
from lipcore.evaluate.expert import ExpertJudge
from lipcore.evaluate.figures import Figure, Heard, figures_of
from lipcore.evaluate.judges import JUDGES, Judge
from lipcore.evaluate.look import CROP_PX, look
from lipcore.evaluate.offset import OffsetJudge
from lipcore.evaluate.said import SaidBy, read_lips
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.report.finished import FinishedRender, find_renders
from lipcore.report.measure import silent_frames
from lipcore.shapes.measure import inner_opening
from lipcore.speech.activity import speech_probability, speech_spans
from lipcore.tracking.speakers import select_speaker
from lipcore.types import Dialogue, FloatArray, FrameRange


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What was measured of N frames."""

    figures: tuple[Figure, ...]
    per_frame: dict[str, FloatArray]
    """By name, ``(N,)``; NaN where unknown."""
    frames: FrameRange
    """Of the plate."""
    protocol: dict[str, Any]
    """What was measured how: files, crop, rate, frames, weights' hashes, failures."""


def evaluate_render(
    render: Path,
    against: Path,
    *,
    dialogue: Path | None = None,
    offset_frames: float = 0.0,
    speaker: str = "largest",
    rate: Fraction | None = None,
    most_frames: int | None = None,
    said_by: SaidBy | None = None,
    cache: Cache | None = None,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> Evaluation:
    """Compare a render, by lipcore or by anything else, with the plate it was made from.

    Frames pair by number where a sidecar of ours says which ones were rendered, else by their
    place from the first on; where one is longer, its end is left out. The face is looked for in
    the plate, and both pictures are looked at in the same place.

    Args:
        render: A video or a sequence of whole frames. Where a sidecar of ours lies beside it,
            the matte is known too.
        against: The plate, of the same size.
        dialogue: What the mouth says; by default what the sidecar names, else the render's own
            sound.
        offset_frames: Moves the given dialogue against the picture; positive is later.
        speaker: Which face: see ``Shot.speaker``.
        rate: Frames a second, where the plate does not say.
        most_frames: Of both, from their first; None takes all.
        said_by: A picture of who said the dialogue, whose lips the render's are held against.
        cache: Keeps tracks; None takes the user's.
        progress: Told of the stages ``track`` and ``evaluate``.

    Raises:
        MediaError, ColorError: A picture cannot be read, or sizes differ.
        DialogueError: The given dialogue cannot be read.
        FaceError: The plate shows no face.
    """
    with ExitStack() as stack:
        plate = stack.enter_context(open_plate(against, rate=rate))
        made = stack.enter_context(open_plate(render, rate=plate.info.rate))
        if made.info.display != plate.info.display:
            one, other = made.info.display, plate.info.display
            raise FrameSizeError(
                f"the render is {one.width}x{one.height}, the plate {other.width}x{other.height}",
                hint="Evaluate whole frames of the plate's size (--deliver full).",
            )
        sidecar = _sidecar(render, made)
        whole = plate.info.frames
        first = whole.first
        if sidecar is not None and not sidecar.plate_frames and sidecar.frames.first in whole:
            first = sidecar.frames.first
        longest = min(len(made.info.frames), whole.last + 1 - first)
        count = longest if most_frames is None else min(longest, most_frames)
        frames = FrameRange(first, first + count - 1)
        sound = _sound(
            render, made, dialogue, sidecar, Fraction(count) / plate.info.rate,
            Fraction(offset_frames) / plate.info.rate,
        )
        tracks, _, _ = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate), cache=cache or Cache(),
            progress=progress,
        )
        track = cover(select_speaker(tracks, speaker), frames)
        judges = {kind: Judge.find(kind) for kind in JUDGES}
        seen = look(
            made, plate, track, sidecar, judges, lambda n: progress("evaluate", n, count)
        )
        said = None if said_by is None else read_lips(
            said_by, count, float(plate.info.rate), cache or Cache()
        )
    at = float(plate.info.rate)
    heard = Heard(np.zeros(count, bool), at, said=said)
    if sound is not None:
        heard = Heard(
            silent_frames(speech_spans(speech_probability(sound)), count, at), at,
            OffsetJudge().measure(inner_opening(seen.made), sound.samples, at),
            None if seen.sync is None else seen.sync.score(sound.samples),
            seen.expert.measure(sound.samples), said,
        )
    cuts = [cut - frames.first for cut in track.cuts]
    figures, curves = figures_of(seen, judges, heard, cuts)
    return Evaluation(
        figures, curves, frames,
        {
            "render": str(render), "plate": str(against),
            "dialogue": None if sound is None else str(sound.source),
            "offset_frames": offset_frames,
            "crop": f"canonical face crop of the plate, {CROP_PX} px",
            "rate": str(plate.info.rate), "frames": count,
            "frames_left_out": len(made.info.frames) + len(plate.info.frames) - 2 * count,
            "silent_frames": int(heard.silent.sum()),
            "failures": int((~np.isfinite(seen.made[:, 0, 0])).sum()),
            "matte": "of the sidecar" if sidecar else "unknown: the lower face stands for it",
            "judge": ExpertJudge().digest,
            "said_by": None if said_by is None else str(said_by.plate),
            "weights": {
                kind: None if judge.record is None else judge.record["sha256"]
                for kind, judge in judges.items()
            },
        },
    )  # fmt: skip


def _sidecar(render: Path, made: Plate) -> FinishedRender | None:
    """Ours beside the picture, if it tells of all its frames."""
    try:
        found = find_renders([render])
    except MediaError:
        return None
    if len(found) != 1 or found[0].is_patch or len(found[0].frames) != len(made.info.frames):
        return None
    return found[0]


def _sound(
    render: Path, made: Plate, dialogue: Path | None, sidecar: FinishedRender | None,
    duration_s: Fraction, offset_s: Fraction,
) -> Dialogue | None:  # fmt: skip
    if dialogue is not None:
        return fit_dialogue(load_dialogue(dialogue), duration_s, offset_s=offset_s)
    if sidecar is not None and sidecar.dialogue is not None and sidecar.dialogue.is_file():
        return fit_dialogue(
            load_dialogue(sidecar.dialogue), duration_s, offset_s=sidecar.sound_begin_s
        )
    if made.info.has_audio:
        try:
            return fit_dialogue(load_dialogue(render), duration_s)
        except NoAudioError:
            return None
    return None
