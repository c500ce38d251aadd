"""From what was seen to named figures: official names only where the published weights judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lipcore.evaluate.judges import Judge
from lipcore.evaluate.lips import landmark_distance, open_share
from lipcore.evaluate.mouths import shake
from lipcore.evaluate.offset import SoundOffset
from lipcore.evaluate.pictures import flicker
from lipcore.evaluate.sync import SyncScore, correlate, probe_offset
from lipcore.report.measure import ratio
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from lipcore.evaluate.compare import Seen

Better = Literal["higher", "lower", "near 1", "near 0", ""]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its name."""

    name: str
    """A proxy's name says that it is one, and of what."""
    value: float
    """NaN where it cannot be known."""
    better: Better
    proxy: bool = False
    note: str = ""
    """How it was taken, or why it is unknown."""


def figures_of(
    seen: Seen,
    judges: Mapping[str, Judge],
    silent: BoolArray,
    offset: SoundOffset | None,
    score: SyncScore | None,
    cuts: Sequence[int],
) -> tuple[tuple[Figure, ...], dict[str, FloatArray]]:
    """The table, and the curves that it was made from.

    Args:
        seen: Of the pictures.
        judges: By kind.
        silent: ``(N,)`` nobody speaks.
        offset: By lipcore's judge; None without sound.
        score: By SyncNet; None without it or without sound.
        cuts: Places that begin a new scene.
    """
    opening, real_opening = inner_opening(seen.made), inner_opening(seen.real)
    width, real_width = lip_width(seen.made), lip_width(seen.real)
    curves = {
        "opening": opening, "plate_opening": real_opening, "width": width,
        "plate_width": real_width, "lmd": landmark_distance(seen.made, seen.real),
        "shake": shake(seen.made, cuts), "plate_shake": shake(seen.real, cuts),
        "flicker": flicker(seen.light_made), "plate_flicker": flicker(seen.light_real),
        **seen.rows,
    }  # fmt: skip
    lag, fits = probe_offset(opening, real_opening)
    whole = "frames of the face crop"
    return (
        *_sync(judges, seen.published_crop, score, offset),
        _distance("FID", judges["inception"], seen.fid, whole),
        _distance("FVD", judges["i3d"], seen.fvd, "clips of 16 frames of the face crop"),
        Figure("SSIM", _mean(curves["ssim"]), "higher", note="face crop"),
        Figure("PSNR dB", _mean(curves["psnr"]), "higher", note="face crop"),
        Figure("LMD", _mean(curves["lmd"]), "lower", note="face mesh, interocular units"),
        Figure("LipLeak", open_share(seen.made, silent), "lower",
               note=f"share of {int(silent.sum())} silent frames"),
        Figure("opening correlation", correlate(opening, real_opening), "higher",
               note="with the plate's"),
        Figure("width correlation", correlate(width, real_width), "higher",
               note="with the plate's"),
        Figure("movement", _spread(opening, real_opening), "",
               note="spread of the opening over the plate's"),
        Figure("lips' lag", float(lag), "near 0",
               note=f"frames behind the plate's lips at the best shift (correlation {fits:.2f})"),
        Figure("jitter", ratio(curves["shake"], curves["plate_shake"]), "near 1",
               note="over the plate's"),
        Figure("seam", _mean(curves["seam"]), "near 1",
               note="gradient across the matte's edge over the plate's"),
        Figure("sharpness", ratio(curves["sharp_made"], curves["sharp_real"]), "near 1",
               note="mouth, over the plate's"),
        Figure("flicker", ratio(curves["flicker"], curves["plate_flicker"]), "near 1",
               note="over the plate's"),
        Figure("outside the matte", _most(curves["outside"]), "lower",
               note="largest difference, the plate's encoding"),
        Figure("identity distance (proxy: oriented edges)", _mean(curves["identity"]), "lower",
               True, "face crop"),
    ), curves  # fmt: skip


def _sync(
    judges: Mapping[str, Judge], published_crop: bool, score: SyncScore | None,
    offset: SoundOffset | None,
) -> list[Figure]:  # fmt: skip
    if score is not None:
        # The published crop is S3FD's: by our own mesh the names must say so.
        crop = "S3FD's crop" if published_crop else "crop by the face mesh"
        crop = f"{crop}, 25 frames a second, no recompression"
        used = [judges["syncnet"], *([judges["s3fd-syncnet"]] if published_crop else [])]
        but = [] if published_crop else ["mesh crop"]
        but += [] if all(j.official for j in used) else ["other weights"]
        named = f" ({', '.join(but)})" if but else ""
        return [
            Figure(f"LSE-D{named}", score.distance, "lower", note=crop),
            Figure(f"LSE-C{named}", score.confidence, "higher", note=crop),
            Figure(f"offset by SyncNet{named}", float(score.offset_frames), "near 0",
                   note="frames at 25 a second that the sound lags"),
        ]  # fmt: skip
    nan = float("nan")
    if offset is None:
        why = "no sound, too short, or still lips"
        return [Figure("sync (proxy of LSE: lipcore's judge)", nan, "higher", True, why)]
    unmoved = float(offset.correlations[offset.shifts == 0][0])
    sure = "certain" if offset.certain else "not certain"
    return [
        Figure("sync (proxy of LSE-D: correlation unmoved)", unmoved, "higher", True,
               "lips with what lipcore's judge hears"),
        Figure("sync (proxy of LSE-C: lead of the best shift)", offset.lead, "higher", True, sure),
        Figure("offset (proxy: lipcore's judge)", float(offset.frames), "near 0", True,
               f"frames that the sound lags, {sure}"),
    ]  # fmt: skip


def _distance(name: str, judge: Judge, value: float, what: str) -> Figure:
    if judge.network is None:
        grid = f"{name} (proxy: Fréchet distance of 8 x 8 colours)"
        return Figure(grid, value, "lower", True, what)
    return Figure(name if judge.official else f"{name} (other weights)", value, "lower", note=what)


def _spread(values: FloatArray, by: FloatArray) -> float:
    both = np.isfinite(values) & np.isfinite(by)
    below = float(by[both].std()) if both.any() else 0.0
    return float(values[both].std()) / below if below > 0 else float("nan")


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _most(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else float("nan")
