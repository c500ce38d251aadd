"""What prepared folders hold, as a page: the paper's figure 2, for any data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lipcore.media.output_files import appearing
from lipcore.report.page import (
    bars,
    face,
    faces,
    heading,
    histogram,
    numbers,
    page,
    paragraph,
    plots,
    table,
)
from lipcore.shapes.measure import inner_opening
from lipcore.tracking.head import OUTER_EYE_CORNERS

from .data import Clip, load_clips
from .prepare import REJECTED
from .shards import read_manifest

_MOST_FACES = 96
_FACE_PX = 160
_STRESS = "'ˈˌ,_: "
"""Marks of phonemes that say how, not what."""


def write_report(folders: Sequence[Path], path: Path) -> None:
    """Write the page.

    Args:
        folders: Prepared folders, which need not fit each other.
        path: The HTML file.

    Raises:
        TrainingError: A folder is not prepared, or damaged.
        OutputError: The page cannot be written.
    """
    clips = [clip for folder in folders for clip in _clips(folder)]
    title = "Training data: " + ", ".join(folder.resolve().name for folder in folders)
    parts = [
        numbers(_totals(clips)), table(("split", "clips", "people", "minutes"), _splits(clips)),
        heading("Clips"), plots(*_figures(clips)), heading("What is said"), *_spoken(clips),
        heading("People"), *_people(clips), heading("Left out"), *_rejected(folders),
    ]
    with appearing(path) as temporary:
        temporary.write_text(page(title, *parts), encoding="utf-8")


def _clips(folder: Path) -> list[Clip]:
    sides = {facts["split"] for facts in read_manifest(folder)["clips"].values()}
    return [clip for side in sorted(sides) for clip in load_clips([folder], side)]


def _seconds(clip: Clip) -> float:
    return clip.frames / float(clip.rate)


def _totals(clips: Sequence[Clip]) -> dict[str, str]:
    return {
        "clips": str(len(clips)), "people": str(len({c.identity for c in clips})),
        "minutes": f"{sum(map(_seconds, clips)) / 60:.1f}",
        "frames": f"{sum(c.frames for c in clips):,}",
        "with sound": str(sum(c.sample.has("flac") for c in clips)),
    }


def _splits(clips: Sequence[Clip]) -> list[tuple[str, int, int, float]]:
    rows = []
    for split in sorted({c.split for c in clips}):
        side = [c for c in clips if c.split == split]
        minutes = sum(map(_seconds, side)) / 60
        rows.append((str(split), len(side), len({c.identity for c in side}), minutes))
    return rows


def _figures(clips: Sequence[Clip]) -> list[str]:
    facts = [_facts(c) for c in clips]
    openings = np.concatenate([inner_opening(c.plate_landmarks) for c in clips])
    loudness = [_loudness_db(c) for c in clips if c.sample.has("flac")]
    return [
        histogram("Length", [_seconds(c) for c in clips], "s"),
        bars("Frames a second", Counter(f"{float(c.rate):.5g}" for c in clips)),
        histogram("Distance of the eyes in the source", [_eyes_px(c) for c in clips], "px"),
        histogram("Opening of the inner lips, in distances of the eyes", openings, ""),
        histogram("Loudness", loudness, "dBFS"),
        histogram("Offset taken out", [f.get("offset_frames", np.nan) for f in facts], "frames"),
        histogram("Confidence of sync", [f.get("sync_confidence", np.nan) for f in facts], ""),
    ]


def _facts(clip: Clip) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(bytes(clip.sample.bytes_of("json")))
    return facts


def _eyes_px(clip: Clip) -> float:
    left, right = (clip.plate_landmarks[:, corner] for corner in OUTER_EYE_CORNERS)
    return float(np.nanmedian(np.linalg.norm(left - right, axis=1)))


def _loudness_db(clip: Clip) -> float:
    power = float(np.mean(clip.sound.astype(np.float64) ** 2))
    return 10 * float(np.log10(max(power, 1e-12)))


def _spoken(clips: Sequence[Clip]) -> list[str]:
    truths = [truth for c in clips if (truth := c.truth) is not None and "phonemes" in truth]
    if not truths:
        return [paragraph("No transcripts and no phonemes are known of these clips.", soft=True)]
    counts = Counter(
        symbol for truth in truths for p in truth["phonemes"] if (symbol := str(p).strip(_STRESS))
    )
    told = f"{sum(counts.values()):,} phonemes of {len(counts)} kinds, in {len(truths)} clips."
    return [paragraph(told), plots(bars("Phonemes", counts))]


def _people(clips: Sequence[Clip]) -> list[str]:
    first = {clip.identity: clip for clip in reversed(clips)}
    shown = sorted(first)[:_MOST_FACES]
    sheet = []
    for identity in shown:
        clip = first[identity]
        crop = cv2.resize(clip.crops[clip.frames // 2], (_FACE_PX, _FACE_PX),
                          interpolation=cv2.INTER_AREA)  # fmt: skip
        sheet.append(face(np.asarray(crop, np.uint8), identity, str(clip.split)))
    left = len(first) - len(shown)
    more = [paragraph(f"{left} more are not shown.", soft=True)] if left else []
    return [faces(sheet), *more]


def _rejected(folders: Sequence[Path]) -> list[str]:
    entries = [
        (str(entry["source"]), str(entry["reason"]))
        for folder in folders if (folder / REJECTED).is_file()
        for entry in json.loads((folder / REJECTED).read_text("utf-8"))
    ]  # fmt: skip
    if not entries:
        return [paragraph("Nothing was left out.", soft=True)]
    return [table(("source", "reason"), entries)]
