"""What a render and its plate show, frame by frame, to the meters and to the judges."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lipcore.evaluate.expert import ExpertJudge, ExpertMouths
from lipcore.evaluate.judges import (
    SYNC_SIDE,
    Clips,
    Features,
    Judge,
    Perceptual,
    SyncMouths,
    compare_features,
    cut_as_published,
    detect_box,
    steady_boxes,
    sync_square,
)
from lipcore.evaluate.mouths import MouthMeter, cut_mouth, sharpness
from lipcore.evaluate.pictures import identity_proxy, largest_outside, psnr, seam, ssim
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate
from lipcore.models.published.s3fd import S3FD
from lipcore.models.published.syncnet import SyncNet
from lipcore.report.finished import FinishedRender
from lipcore.report.pictures import drawn_matte
from lipcore.synthesis.matte import lower_face_window
from lipcore.tracking.align import to_square
from lipcore.tracking.head import crop_transform
from lipcore.tracking.view import FrameView
from lipcore.types import FaceTrack, FloatArray, Frame, FrameRange

CROP_PX = 256
"""Side of the canonical face crop that likeness is measured on."""
_LIGHT_PX = 48


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
    expert: ExpertMouths
    """What lipcore's own expert sees of the render."""
    perceptual: Perceptual | None
    """What measured ``rows["lpips"]``."""


def look(
    made: Plate, plate: Plate, track: FaceTrack, sidecar: FinishedRender | None,
    judges: dict[str, Judge], progress: Callable[[int], None],
) -> Seen:  # fmt: skip
    """Look at each pair of frames, in the place where the plate's face is.

    Args:
        made: The render.
        plate: What it was made from, of the same size.
        track: The face, over the frames to look at.
        sidecar: Ours beside the render, which knows the matte.
        judges: By kind.
        progress: Called with the frames done.

    Raises:
        MediaError: A frame cannot be read.
    """
    count, aspect = len(track.frames), plate.info.pixel_aspect
    square, rate = to_square(track.landmarks, aspect), float(plate.info.rate)
    meshes = [np.full((count, 478, 3), np.nan, np.float32) for _ in range(2)]
    light = [np.full((count, _LIGHT_PX, _LIGHT_PX), np.nan, np.float32) for _ in range(2)]
    perceptual = Perceptual.find(judges)
    names = ["psnr", "ssim", "sharp_made", "sharp_real", "seam", "outside", "identity"]
    names += [] if perceptual is None else ["lpips"]
    rows = {name: np.full(count, np.nan, np.float32) for name in names}
    own_color = ColorTransform.of_plate(plate)
    same = made.info.colorspace == plate.info.colorspace
    colors = (own_color, own_color if same else ColorTransform.of_plate(made))
    faces = [Features(judges["inception"]) for _ in range(2)]
    clips = [Clips(judges["i3d"]) for _ in range(2)]
    cuts = {cut - track.frames.first for cut in track.cuts}
    sync = judges["syncnet"].network
    mouths = SyncMouths(sync, rate) if isinstance(sync, SyncNet) else None
    expert = ExpertMouths(ExpertJudge(), rate)
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
                there = bool(np.isfinite(square[i]).all())
                if i in cuts or not there:
                    for clip in clips:
                        clip.cut()
                if there:
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
                    if perceptual is not None:
                        rows["lpips"][i] = perceptual.distance(crops[0], crops[1])
                    for view, name in zip(views, ("sharp_real", "sharp_made"), strict=True):
                        rows[name][i] = sharpness(cut_mouth(view, square[i]))
                    if same:
                        _edges(rows, i, old, new, square[i], aspect, sidecar)
                expert.add(i, partial(views[1].warp, crop) if there else None)
                progress(i + 1)
    finally:
        meter.close()
    return Seen(
        meshes[1], meshes[0], light[1], light[0], rows,
        compare_features(faces[0].finish(), faces[1].finish()),
        compare_features(clips[0].found, clips[1].found), mouths, boxes is not None, expert,
        perceptual,
    )  # fmt: skip


def _pairs(
    made: Plate, plate: Plate, frames: FrameRange
) -> Generator[tuple[Frame, Frame], None, None]:
    first = made.info.frames.first
    shifted = FrameRange(first, first + len(frames) - 1)
    yield from zip(plate.stream(frames), made.stream(shifted), strict=True)


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
