"""From what was seen to named figures: official names only where the published weights judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lipcore.evaluate.expert import EXPERT_RATE, SyncOffset
from lipcore.evaluate.judges import SYNC_RATE, Judge
from lipcore.evaluate.lips import landmark_distance, open_share
from lipcore.evaluate.mouths import shake
from lipcore.evaluate.offset import SoundOffset
from lipcore.evaluate.pictures import flicker
from lipcore.evaluate.said import SaidLips, compare_lips
from lipcore.evaluate.sync import SyncScore, correlate, follow_lag, probe_offset
from lipcore.models.published.syncnet import RUN
from lipcore.report.measure import ratio
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from lipcore.evaluate.look import Seen

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


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What was heard beside N frames, and what the judges make of it."""

    silent: BoolArray
    """``(N,)`` nobody speaks."""
    rate: float
    """Frames a second."""
    lips: SoundOffset | None = None
    """By lipcore's judge of openings; None without sound."""
    score: SyncScore | None = None
    """By SyncNet; None without it or without sound."""
    expert: SyncOffset | None = None
    """By lipcore's sync expert; None without sound, or of less than its run of frames."""
    said: SaidLips | None = None
    """Lips of who said the line, where they are known."""


def figures_of(
    seen: Seen, judges: Mapping[str, Judge], heard: Heard, cuts: Sequence[int]
) -> tuple[tuple[Figure, ...], dict[str, FloatArray]]:
    """The table, and the curves that it was made from.

    Args:
        seen: Of the pictures.
        judges: By kind.
        heard: Of the sound.
        cuts: Places that begin a new scene.
    """
    opening, real_opening = inner_opening(seen.made), inner_opening(seen.real)
    width, real_width = lip_width(seen.made), lip_width(seen.real)
    curves = {
        "opening": opening, "plate_opening": real_opening, "width": width,
        "plate_width": real_width, "lmd": landmark_distance(seen.made, seen.real),
        "shake": shake(seen.made, cuts), "plate_shake": shake(seen.real, cuts),
        "flicker": flicker(seen.light_made, cuts),
        "plate_flicker": flicker(seen.light_real, cuts),
        "lag": follow_lag(real_opening, opening, heard.rate),
        **seen.rows, **_sync_curves(heard, len(opening)),
    }  # fmt: skip
    lag, fits = probe_offset(real_opening, opening)  # positive where the render lags
    whole, silent = "frames of the face crop", heard.silent
    return (
        *_sync(judges, seen.published_crop, heard),
        *_said(heard.said, opening, width),
        _distance("FID", judges["inception"], seen.fid, whole),
        _distance("FVD", judges["i3d"], seen.fvd, "clips of 16 frames of the face crop"),
        Figure("SSIM", _mean(curves["ssim"]), "higher", note="face crop"),
        Figure("PSNR dB", _mean(curves["psnr"]), "higher", note="face crop"),
        *_perceptual(seen),
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


def _sync(judges: Mapping[str, Judge], published_crop: bool, heard: Heard) -> list[Figure]:
    if heard.score is not None:
        # The published crop is S3FD's: by our own mesh the names must say so.
        score = heard.score
        crop = "S3FD's crop" if published_crop else "crop by the face mesh"
        used = [judges["syncnet"], *([judges["s3fd-syncnet"]] if published_crop else [])]
        crop += ", 25 frames a second, no recompression" + "".join(j.doubt for j in used)
        but = [] if published_crop else ["mesh crop"]
        but += [] if all(j.official for j in used) else ["other weights"]
        named = f" ({', '.join(but)})" if but else ""
        return [
            Figure(f"LSE-D{named}", score.distance, "lower", note=crop),
            Figure(f"LSE-C{named}", score.confidence, "higher", note=crop),
            Figure(f"offset by SyncNet{named}", float(score.offset_frames), "near 0",
                   note="frames at 25 a second that the sound lags"),
        ]  # fmt: skip
    return [*_by_expert(heard.expert), *_by_lips(heard.lips)]


def _by_expert(found: SyncOffset | None) -> list[Figure]:
    nan, why = float("nan"), "lipcore's sync expert, T = 25, 25 frames a second"
    if found is None:
        found_lead, unmoved, frames = nan, nan, nan
        why = "no sound, or less than a second of it"
    else:
        found_lead, unmoved, frames = found.lead, found.unmoved, float(found.frames)
    return [
        Figure("sync (proxy of LSE-D: expert's cosine)", unmoved, "higher", True, why),
        Figure("sync (proxy of LSE-C: expert's lead)", found_lead, "higher", True,
               "the cosine less the median over shifts of 15 frames either way"),
        Figure("offset (proxy: expert)", frames, "near 0", True, "frames that the sound lags"),
    ]  # fmt: skip


def _by_lips(found: SoundOffset | None) -> list[Figure]:
    nan = float("nan")
    if found is None:
        why = "no sound, too short, or still lips"
        return [Figure("heard in the lips (proxy)", nan, "", True, why)]
    unmoved = float(found.correlations[found.shifts == 0][0])
    sure = "certain" if found.certain else "not certain"
    return [
        Figure("heard in the lips (proxy)", unmoved, "", True,
               "correlation of the opening with a linear guess from the sound"),
        Figure("offset (proxy: lips)", float(found.frames), "near 0", True,
               f"frames that the sound lags, {sure}"),
    ]  # fmt: skip


def _said(said: SaidLips | None, opening: FloatArray, width: FloatArray) -> list[Figure]:
    if said is None:
        return []
    opened, wide, lag = compare_lips(said, opening, width)
    note = "with the lips of who said the line"
    return [
        Figure("opening correlation, the line's speaker", opened, "higher", note=note),
        Figure("width correlation, the line's speaker", wide, "higher", note=note),
        Figure("lag behind the line's speaker", float(lag), "near 0",
               note="frames, at the best shift of the opening"),
    ]  # fmt: skip


def _perceptual(seen: Seen) -> list[Figure]:
    """LPIPS, where its weights were imported; no other network stands in for it."""
    if seen.perceptual is None:
        return []
    name, parts = seen.perceptual.name, seen.perceptual.parts
    if not all(part.official for part in parts):
        name = f"{name[:-1]}, other weights)"
    doubt = "".join(part.doubt for part in parts)
    return [Figure(name, _mean(seen.rows["lpips"]), "lower", note=f"face crop{doubt}")]


def _sync_curves(heard: Heard, count: int) -> dict[str, FloatArray]:
    """Of each frame what a judge makes of the run of frames around it."""
    curves = {}
    if heard.score is not None:
        confidence = heard.score.frame_confidence
        curves["lse_confidence"] = _spread_runs(confidence, RUN, SYNC_RATE, count, heard.rate)
    elif heard.expert is not None:
        curves["expert_cosine"] = _spread_runs(
            heard.expert.runs, heard.expert.length, EXPERT_RATE, count, heard.rate
        )
    return curves


def _spread_runs(
    values: FloatArray, length: int, rate: float, count: int, own_rate: float
) -> FloatArray:
    """Values of runs of ``length`` frames at ``rate``, read at the middles of frames at another
    rate; NaN where no run has its middle."""
    out = np.full(count, np.nan, np.float32)
    at = np.floor((np.arange(count) + 0.5) / own_rate * rate - (length - 1) / 2).astype(int)
    there = (at >= 0) & (at < len(values))
    out[there] = values[at[there]]
    return out


def _distance(name: str, judge: Judge, value: float, what: str) -> Figure:
    if judge.network is None:
        grid = f"{name} (proxy: Fréchet distance of 8 x 8 colours)"
        return Figure(grid, value, "lower", True, what)
    named = name if judge.official else f"{name} (other weights)"
    return Figure(named, value, "lower", note=what + judge.doubt)


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
