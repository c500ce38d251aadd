"""What prepared folders hold, as a page: the paper's figure 2, for any data."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
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
from lipcore.tracking.head import OUTER_EYE_CORNERS, fit_pose
from lipcore.types import FloatArray

from .data import Clip, load_clips
from .prepare import REJECTED
from .prepare.transcript import words_of
from .shards import Picture, read_manifest

_MOST_FACES = 96
_FACE_PX = 160
_STRIP_CLIPS, _STRIP_FRAMES = 6, 6
_MOST_WORDS = 60
_NAMED_WORDS = 8
"""Bars whose names have room."""
_MOST_REJECTED = 200
_POSE_EVERY, _MOST_POSES = 5, 20_000
"""Frames between those whose pose is looked at: more where there are very many."""
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
        heading("Clips"), plots(*_figures(clips)), heading("Faces"), plots(*_face_figures(clips)),
        heading("What is said"), *_spoken(clips), heading("Frames"), *_strips(clips),
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
    loudness = [_loudness_db(c) for c in clips if c.sample.has("flac")]
    return [
        histogram("Length", [_seconds(c) for c in clips], "s"),
        bars("Frames a second", Counter(_rate(c.rate) for c in clips)),
        bars("Frames a second of the source", _counted(facts, "plate_rate", _rate)),
        bars("Picture of the source, px", _counted(facts, "plate_px", _size)),
        histogram("Loudness", loudness, "dBFS"),
        histogram("Offset taken out", _known(facts, "offset_frames"), "frames"),
        histogram("Confidence of sync", _known(facts, "sync_confidence"), ""),
        histogram("Clips of a person", list(Counter(c.identity for c in clips).values()), ""),
    ]


def _face_figures(clips: Sequence[Clip]) -> list[str]:
    facts = [_facts(c) for c in clips]
    openings = np.concatenate([inner_opening(c.plate_landmarks) for c in clips])
    every = max(_POSE_EVERY, sum(c.frames for c in clips) // _MOST_POSES)
    yaw, pitch = np.concatenate([_angles_deg(c, every) for c in clips]).T
    return [
        histogram("Yaw of the head", yaw, "degrees"),
        histogram("Pitch of the head", pitch, "degrees"),
        histogram("Distance of the eyes in the source", [_eyes_px(c) for c in clips], "px"),
        histogram("Side of the native crop", _known(facts, "native_px"), "px"),
        histogram("Opening of the inner lips, in distances of the eyes", openings, ""),
        histogram("Sharpness", _known(facts, "sharpness"), ""),
        histogram("Light: luma of the brightest twentieth", _known(facts, "light"), ""),
        bars("Faces seen at the same time", _counted(facts, "faces", str)),
    ]


def _rate(value: object) -> str:
    return f"{float(Fraction(str(value))):.5g}"


def _size(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def _counted(
    facts: Sequence[dict[str, Any]], name: str, form: Callable[[object], str]
) -> Counter[str]:
    return Counter(form(f[name]) for f in facts if name in f)


def _known(facts: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [f.get(name, np.nan) for f in facts]


def _angles_deg(clip: Clip, every: int) -> FloatArray:
    """(frames, 2) yaw and pitch of every so many frames."""
    poses = [fit_pose(marks) for marks in clip.plate_landmarks[::every]]
    return np.array([pose.angles_deg[:2] for pose in poses], np.float32).round(2)


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
    texts = [text for c in clips if (text := _facts(c).get("transcript"))]
    truths = [truth for c in clips if (truth := c.truth) is not None and "phonemes" in truth]
    parts = []
    if texts:
        words = Counter(word for text in texts for word in words_of(str(text)))
        parts += [
            paragraph(f"{sum(words.values()):,} words, {len(words):,} different ones, in "
                      f"{len(texts)} clips with a transcript."),
            plots(
                bars("The most frequent words", dict(words.most_common(_NAMED_WORDS))),
                histogram("Words of a clip", [len(words_of(str(text))) for text in texts], ""),
            ),
            paragraph("The most frequent: " + ", ".join(
                f"{word} {count}" for word, count in words.most_common(_MOST_WORDS))),
        ]  # fmt: skip
    if truths:
        counts = Counter(
            symbol for truth in truths for p in truth["phonemes"]
            if (symbol := str(p).strip(_STRESS))
        )  # fmt: skip
        told = f"{sum(counts.values()):,} phonemes of {len(counts)} kinds, in {len(truths)} clips."
        parts += [paragraph(told), plots(bars("Phonemes", counts))]
    unknown = "No transcripts and no phonemes are known of these clips."
    return parts or [paragraph(unknown, soft=True)]


def _strips(clips: Sequence[Clip]) -> list[str]:
    """A few clips, each by frames from its begin to its end."""
    chosen = {round(i) for i in np.linspace(0, len(clips) - 1, _STRIP_CLIPS)}
    strips = []
    for clip in (clips[i] for i in sorted(chosen)):
        frames = sorted({round(i) for i in np.linspace(0, clip.frames - 1, _STRIP_FRAMES)})
        shown = [face(_small(clip, i), f"{i / float(clip.rate):.1f} s") for i in frames]
        strips += [paragraph(f"{clip.name} ({clip.identity})", soft=True), faces(shown)]
    return strips


def _small(clip: Clip, frame: int) -> Picture:
    crop = cv2.resize(clip.crops[frame], (_FACE_PX, _FACE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)


def _people(clips: Sequence[Clip]) -> list[str]:
    first = {clip.identity: clip for clip in reversed(clips)}
    shown = sorted(first)[:_MOST_FACES]
    sheet = []
    for identity in shown:
        clip = first[identity]
        sheet.append(face(_small(clip, clip.frames // 2), identity, str(clip.split)))
    left = len(first) - len(shown)
    more = [paragraph(f"{left} more are not shown.", soft=True)] if left else []
    return [faces(sheet), *more]


def _rejected(folders: Sequence[Path]) -> list[str]:
    entries = [
        entry for folder in folders if (folder / REJECTED).is_file()
        for entry in json.loads((folder / REJECTED).read_text("utf-8"))
    ]  # fmt: skip
    if not entries:
        return [paragraph("Nothing was left out.", soft=True)]
    kinds = Counter(_kind(str(entry["reason"])) for entry in entries)
    rows = [
        (str(entry["source"]) + (f", frames {entry['frames']}" if "frames" in entry else ""),
         str(entry["reason"]))
        for entry in entries[:_MOST_REJECTED]
    ]
    left = len(entries) - len(rows)
    more = [paragraph(f"{left} more are not shown.", soft=True)] if left else []
    told = [
        table(("reason", "times"), kinds.most_common(_MOST_WORDS)), paragraph("In full:", soft=True)
    ]
    return [*(told if len(entries) > 1 else []), table(("source", "reason"), rows), *more]


def _kind(reason: str) -> str:
    """A reason without its figures."""
    return re.sub(r"\s*\([^)]*\)|\d+(?:\.\d+)?", "", reason.partition(";")[0]).strip()
