"""A render against its plate: every figure that the pictures, the sound and the weights allow."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lipcore.analysis import cover, find_tracks
from lipcore.cache import Cache
from lipcore.errors import FrameSizeError, MediaError, NoAudioError
from lipcore.evaluate.figures import Figure, figures_of
from lipcore.evaluate.judges import (
    JUDGES,
    SYNC_SIDE,
    Clips,
    Features,
    Judge,
    SyncMouths,
    compare_features,
    cut_as_published,
    detect_box,
    steady_boxes,
    sync_square,
)
from lipcore.evaluate.mouths import MouthMeter, cut_mouth, sharpness
from lipcore.evaluate.offset import OffsetJudge
from lipcore.evaluate.pictures import identity_proxy, largest_outside, psnr, seam, ssim
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.models.published.s3fd import S3FD
from lipcore.models.published.syncnet import SyncNet
from lipcore.report.finished import FinishedRender, find_renders
from lipcore.report.measure import silent_frames
from lipcore.report.pictures import drawn_matte
from lipcore.shapes.measure import inner_opening
from lipcore.speech.activity import speech_probability, speech_spans
from lipcore.synthesis.matte import lower_face_window
from lipcore.tracking.align import to_square
from lipcore.tracking.head import crop_transform
from lipcore.tracking.speakers import select_speaker
from lipcore.tracking.view import FrameView
from lipcore.types import BoolArray, Dialogue, FaceTrack, FloatArray, Frame, FrameRange

CROP_PX = 256
"""Side of the canonical face crop that likeness is measured on."""
_LIGHT_PX = 48


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


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What N pairs of frames show; NaN where there is nothing to see."""

    made: FloatArray
    """``(N, 478, 3)`` mesh of the render, square space."""
    real: FloatArray
    """Likewise of the plate."""
    light_made: FloatArray
    """``(N, 48, 48)`` luma of the canonical crop."""
    light_real: FloatArray
    rows: dict[str, FloatArray]
    """``(N,)`` each: figures of single pairs."""
    fid: float
    fvd: float
    sync: SyncMouths | None
    published_crop: bool
    """SyncNet saw what S3FD found, not the crop by our mesh."""


def evaluate_render(
    render: Path,
    against: Path,
    *,
    dialogue: Path | None = None,
    offset_frames: float = 0.0,
    speaker: str = "largest",
    rate: Fraction | None = None,
    most_frames: int | None = None,
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
        seen = _look(
            made, plate, track, sidecar, judges, lambda n: progress("evaluate", n, count)
        )
    at = float(plate.info.rate)
    silent: BoolArray = np.zeros(count, bool)
    offset, score = None, None
    if sound is not None:
        silent = silent_frames(speech_spans(speech_probability(sound)), count, at)
        offset = OffsetJudge().measure(inner_opening(seen.made), sound.samples, at)
        score = None if seen.sync is None else seen.sync.score(sound.samples)
    cuts = [cut - frames.first for cut in track.cuts]
    figures, curves = figures_of(seen, judges, silent, offset, score, cuts)
    return Evaluation(
        figures, curves, frames,
        {
            "render": str(render), "plate": str(against),
            "dialogue": None if sound is None else str(sound.source),
            "offset_frames": offset_frames,
            "crop": f"canonical face crop of the plate, {CROP_PX} px",
            "rate": str(plate.info.rate), "frames": count,
            "frames_left_out": len(made.info.frames) + len(plate.info.frames) - 2 * count,
            "silent_frames": int(silent.sum()),
            "failures": int((~np.isfinite(seen.made[:, 0, 0])).sum()),
            "matte": "of the sidecar" if sidecar else "unknown: the lower face stands for it",
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


def _pairs(
    made: Plate, plate: Plate, frames: FrameRange
) -> Generator[tuple[Frame, Frame], None, None]:
    first = made.info.frames.first
    shifted = FrameRange(first, first + len(frames) - 1)
    yield from zip(plate.stream(frames), made.stream(shifted), strict=True)


def _look(
    made: Plate, plate: Plate, track: FaceTrack, sidecar: FinishedRender | None,
    judges: dict[str, Judge], progress: Callable[[int], None],
) -> Seen:  # fmt: skip
    count, aspect = len(track.frames), plate.info.pixel_aspect
    square = to_square(track.landmarks, aspect)
    meshes = [np.full((count, 478, 3), np.nan, np.float32) for _ in range(2)]
    light = [np.full((count, _LIGHT_PX, _LIGHT_PX), np.nan, np.float32) for _ in range(2)]
    names = ("psnr", "ssim", "sharp_made", "sharp_real", "seam", "outside", "identity")
    rows = {name: np.full(count, np.nan, np.float32) for name in names}
    own_color = ColorTransform.of_plate(plate)
    same = made.info.colorspace == plate.info.colorspace
    colors = (own_color, own_color if same else ColorTransform.of_plate(made))
    faces = [Features(judges["inception"]) for _ in range(2)]
    clips = [Clips(judges["i3d"]) for _ in range(2)]
    sync = judges["syncnet"].network
    mouths = SyncMouths(sync, float(plate.info.rate)) if isinstance(sync, SyncNet) else None
    known = np.concatenate([square[:, :468, :2].min(1), square[:, :468, :2].max(1)], axis=1)
    boxes = None if mouths is None else _boxes(made, colors[1], known, judges["s3fd-syncnet"])
    steady = steady_boxes(known if boxes is None else boxes)
    meter = MouthMeter()
    try:
        with closing(_pairs(made, plate, track.frames)) as pairs:
            for i, (old, new) in enumerate(pairs):
                views = [FrameView(f, c, aspect) for f, c in zip((old, new), colors, strict=True)]
                if mouths is not None:
                    x, y, half = steady[i].tolist()
                    if boxes is None:
                        place = sync_square(x, y, half)
                        mouths.add(i, partial(views[1].square, *place, size=SYNC_SIDE))
                    else:
                        shown = colors[1].tracking_picture(new.rgb)
                        mouths.add(i, partial(cut_as_published, shown, x, y, half))
                if np.isfinite(square[i]).all():
                    crop = crop_transform(square[i])
                    crops = [view.warp(crop, CROP_PX) for view in views]
                    for k, view in enumerate(views):
                        found = meter.find(view, square[i])
                        meshes[k][i] = found.landmarks
                        light[k][i] = _luma(view.warp(crop, _LIGHT_PX))
                        faces[k].add(crops[k])
                        clips[k].add(crops[k])
                    rows["psnr"][i] = psnr(crops[0], crops[1], peak=255)
                    rows["ssim"][i] = ssim(crops[0], crops[1], peak=255)
                    rows["identity"][i] = identity_proxy(crops[0], crops[1])
                    for view, name in zip(views, ("sharp_real", "sharp_made"), strict=True):
                        rows[name][i] = sharpness(cut_mouth(view, square[i]))
                    if same:
                        _edges(rows, i, old, new, square[i], aspect, sidecar)
                progress(i + 1)
    finally:
        meter.close()
    return Seen(
        meshes[1], meshes[0], light[1], light[0], rows,
        compare_features(faces[0].finish(), faces[1].finish()),
        compare_features(clips[0].found, clips[1].found), mouths, boxes is not None,
    )  # fmt: skip


def _boxes(
    made: Plate, color: ColorTransform, known: FloatArray, judge: Judge
) -> FloatArray | None:
    """``(N, 4)`` the faces that S3FD finds in the render; None without it, where it finds none,
    or where pixels are not square or lie outside the display."""
    info = made.info
    if not isinstance(judge.network, S3FD) or info.pixel_aspect != 1:
        return None
    first, found = info.frames.first, []
    for i, frame in enumerate(made.stream(FrameRange(first, first + len(known) - 1))):
        if frame.window != info.display:
            return None
        seen = np.isfinite(known[i]).all()
        found.append(
            detect_box(judge.network, color.tracking_picture(frame.rgb), known[i])
            if seen else np.full(4, np.nan, np.float32)
        )  # fmt: skip
    boxes: FloatArray = np.stack(found)
    return boxes if np.isfinite(boxes).any() else None


def _luma(picture: Any) -> FloatArray:
    luma: FloatArray = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma


def _edges(
    rows: dict[str, FloatArray], i: int, old: Frame, new: Frame, square: FloatArray,
    aspect: float, sidecar: FinishedRender | None,
) -> None:  # fmt: skip
    """Seam and what changed outside, where the matte is known or stood in for."""
    if old.window != new.window:
        return
    inside = np.zeros(old.window.shape, np.float32)
    if sidecar is None:
        inside[lower_face_window(square, old.window, aspect).slices_in(old.window)] = 1
    elif (drawn := drawn_matte(sidecar, i, old.window)) is not None:
        window, alpha = drawn
        place = window.slices_in(old.window)
        # The sidecar's landmarks are rounded: the matte may be off by a pixel.
        rows["seam"][i] = seam(old.rgb[place], new.rgb[place], alpha)
        grown = replace(
            window, x=window.x - 1, y=window.y - 1, width=window.width + 2,
            height=window.height + 2,
        ).intersect(old.window)  # fmt: skip
        inside[grown.slices_in(old.window)] = 1
    rows["outside"][i] = largest_outside(old.rgb, new.rgb, inside)
