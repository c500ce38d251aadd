"""A thousand unmarked clips of 4 seconds through `lipcore watermark detect`: is any found marked?

    python tests/benchmarks/unmarked_clips.py --out FOLDER [--count 1000]

The clips are cut from the real videos of the development data. There are nine of those and
not a thousand, so each clip differs from the others by where it begins and by what was done to it,
all drawn from its number: size of the face (60 to 110 pixels between the outer corners of the
eyes), place, rotation, a mirror, gain of each channel, gamma, saturation, noise, and H.264 at crf
17 to 28. Each is written as a file, opened, tracked anew and searched as the command does, for the
text that `render` marks with by default and for three of its own.

A line of ``FOLDER/clips.jsonl`` a clip; the same command goes on where it was stopped. At the end:
how many were found, the highest score, and how the scores lie beside the derived distribution.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from lipcore.analysis import find_tracks
from lipcore.cache import Cache
from lipcore.errors import FaceError
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.provenance.detect import detect_watermarks
from lipcore.provenance.pattern import FALSE_POSITIVES, chance, tried
from lipcore.shot import WATERMARK
from lipcore.synthesis.warp import interocular_px
from lipcore.types import FloatArray, Frame, FrameRange, PlateInfo

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
SECONDS = 4
OTHERS = 3
_SIDE = 3.6
"""Side of a clip's picture, in distances of the eyes' outer corners: face and neighbours."""
_EYES = (60.0, 110.0)
_ROUND = 12
"""Clips of a video before the next one's turn."""


@dataclass(frozen=True)
class Source:
    """A video, and where its first face is."""

    path: Path
    frames: FrameRange
    rate: float
    landmarks: FloatArray
    """(N, 478, 3) of the frames; NaN where it is not seen."""

    @property
    def length(self) -> int:
        """Frames of a clip."""
        return round(SECONDS * self.rate)

    def starts(self) -> list[int]:
        """Frames at which a clip may begin: the face is seen in all of it."""
        seen = np.isfinite(self.landmarks).all(axis=(1, 2)).astype(int)
        runs = np.convolve(seen, np.ones(self.length, int), "valid")
        return [self.frames.first + int(i) for i in np.flatnonzero(runs == self.length)]


def find_sources(cache: Cache) -> Iterator[Source]:
    """The videos that are long enough."""
    for path in sorted(CLIPS.glob("*.mp4")):
        with open_plate(path) as plate:
            frames, rate = plate.info.frames, float(plate.info.rate)
            if len(frames) < SECONDS * rate:
                continue
            tracks, _, _ = find_tracks(
                plate, frames, color=ColorTransform.of_plate(plate), cache=cache,
                progress=lambda *_: None,
            )
        places = np.full((len(frames), 478, 3), np.nan, np.float32)
        for number in tracks[0].frames:
            places[frames.index(number)] = tracks[0].at(number)
        source = Source(path, frames, rate, places)
        if source.starts():
            yield source


class SourcePictures:
    """The neighbourhood of a source's face, held in memory.

    Args:
        source: The video.
    """

    def __init__(self, source: Source) -> None:
        points = source.landmarks[np.isfinite(source.landmarks).all(axis=(1, 2))][..., :2]
        low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
        grow = 0.8 * float((points.max(1) - points.min(1)).max())
        self.corner = np.maximum(low - grow, 0).astype(int)
        x, y = self.corner
        right, bottom = (high + grow).astype(int)
        with open_plate(source.path) as plate:
            self.rate = plate.info.rate
            self._held = [_to_bytes(f.rgb[y:bottom, x:right]) for f in plate.stream(source.frames)]
        self._first = source.frames.first

    def __getitem__(self, number: int) -> FloatArray:
        return self._held[number - self._first].astype(np.float32) / 255


def write_clip(
    source: Source, pictures: SourcePictures, number: int, path: Path
) -> dict[str, Any]:
    """Write clip ``number`` of a source; returns what was done to it."""
    rng = np.random.default_rng([number, 2026])
    first = int(rng.choice(source.starts()))
    span = FrameRange(first, first + source.length - 1)
    points = source.landmarks[span.first - source.frames.first :][: len(span)]
    eyes = rng.uniform(*_EYES)
    side = int(_SIDE * eyes) // 16 * 16
    scale = eyes / float(np.median([interocular_px(p) for p in points]))
    angle, flip = np.deg2rad(rng.uniform(-5, 5)), bool(rng.random() < 0.5)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if flip:
        turn[0] *= -1
    middle = np.median(points[..., :2].mean(1), axis=0) - pictures.corner
    place = side / 2 + rng.uniform(-0.1, 0.1, 2) * side
    matrix = np.column_stack([turn, place - turn @ middle])
    gain = np.exp(rng.uniform(-0.2, 0.2) + rng.uniform(-0.06, 0.06, 3)).astype(np.float32)
    gamma, saturation = float(np.exp(rng.uniform(-0.3, 0.3))), float(rng.uniform(0.6, 1.3))
    noise, crf = float(rng.uniform(0, 0.012)), int(rng.integers(17, 29))
    grain = rng.normal(0, noise, (side, side, 3)).astype(np.float32)
    with av.open(str(path), "w") as container:
        options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=pictures.rate, options=options)
        stream.pix_fmt, stream.width, stream.height = "yuv420p", side, side
        for at in span:
            picture = cv2.warpAffine(
                pictures[at], matrix, (side, side), flags=cv2.INTER_AREA if scale < 1
                else cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE,
            )
            picture = np.clip(picture * gain, 0, 1) ** np.float32(gamma)
            grey = picture @ np.array([0.2126, 0.7152, 0.0722], np.float32)
            picture = grey[..., None] + np.float32(saturation) * (picture - grey[..., None])
            move = tuple(int(m) for m in rng.integers(0, side, 2))
            picture += np.roll(grain, move, (0, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_to_bytes(picture), "rgb24")))
        container.mux(stream.encode(None))
    return {
        "source": source.path.name, "first": first, "eyes_px": round(eyes, 1), "flip": flip,
        "angle_deg": round(float(np.rad2deg(angle)), 1), "gamma": round(gamma, 2),
        "saturation": round(saturation, 2), "noise": round(noise, 4), "crf": crf,
    }  # fmt: skip


class HeldPlate(Plate):
    """A short plate whose frames are decoded once: it is read to track, and again to search.

    Args:
        plate: Of a few seconds, and small.
    """

    def __init__(self, plate: Plate) -> None:
        self._plate = plate
        self._held = [
            Frame(f.number, f.rgb, f.window) for f in plate.stream(plate.info.frames)
        ]

    @property
    def info(self) -> PlateInfo:
        return self._plate.info

    def read(self, number: int) -> Frame:
        return self._held[self.info.frames.index(number)]

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        return (self.read(number) for number in frames)

    def content_key(self) -> str:
        return self._plate.content_key()

    def close(self) -> None:
        self._plate.close()


def _to_bytes(picture: FloatArray) -> npt.NDArray[np.uint8]:
    return np.asarray(np.clip(picture, 0, 1) * 255 + 0.5, np.uint8)


def search(path: Path, number: int, cache: Cache) -> dict[str, Any]:
    """What the command finds in a clip: the highest of all its faces."""
    texts = [WATERMARK, *(f"clip {number}, {k}" for k in range(OTHERS))]
    with HeldPlate(open_plate(path)) as plate:
        try:
            found = detect_watermarks(
                plate, plate.info.frames, texts, cache=cache, blocks=False,
                progress=lambda *_: None,
            )
        except FaceError as error:
            return {"problem": error.message}
    own = [f for f in found if f.text == WATERMARK]
    return {
        "faces": len(own), "z": [round(f.z, 3) for f in own], "found": any(f.method for f in own),
        "others_z": [round(f.z, 3) for f in found if f.text != WATERMARK],
        "others_found": sum(f.method is not None for f in found if f.text != WATERMARK),
        "threshold": round(found[0].threshold, 3),
    }  # fmt: skip


def summarize(rows: list[dict[str, Any]]) -> str:
    """The figures, as lines."""
    told = [row for row in rows if "problem" not in row]
    own = np.array([z for row in told for z in row["z"]])
    others = np.array([z for row in told for z in row["others_z"]])
    both = np.concatenate([own, others])
    lines = [
        f"{len(told)} clips searched, {len(rows) - len(told)} without a face that is found",
        f"marked by {WATERMARK!r}: {sum(row['found'] for row in told)} of {len(told)} clips, "
        f"highest score {own.max():.2f} (needed: {told[0]['threshold']:.2f})",
        f"marked by a text of its own: {sum(row['others_found'] for row in told)} of "
        f"{len(others)} comparisons, highest {others.max():.2f}",
        f"derived: at most {FALSE_POSITIVES:g} a face and search, so at most "
        f"{FALSE_POSITIVES * sum(row['faces'] for row in told):.1e} expected of these",
    ]
    for level in (2.5, 3.0, 3.5, 4.0):
        bound = chance(level)
        lines.append(f"  score {level:g} or more: {(both >= level).mean():.2e} of {len(both)}, "
                     f"bound {bound:.2e} ({tried()} places)")
    return "\n".join(lines)


def main() -> None:
    """Make, search, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    lines = args.out / "clips.jsonl"
    text = lines.read_text("utf-8") if lines.exists() else ""
    # A line that was cut off by a kill is made again.
    rows = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    rows = [row for row in rows if row["number"] < args.count]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    done = {row["number"] for row in rows}
    cache = Cache(args.out / "cache")
    sources = list(find_sources(cache))
    print(f"{len(sources)} videos, {sum(len(s.starts()) for s in sources)} places to begin")
    start, made = time.monotonic(), 0
    # In rounds, so that a run that was stopped has some of everybody.
    rounds = range(0, args.count, len(sources) * _ROUND)
    for begin, (k, source) in itertools.product(rounds, list(enumerate(sources))):
        end = min(args.count, begin + len(sources) * _ROUND)
        left = [n for n in range(begin + k, end, len(sources)) if n not in done]
        if not left:
            continue
        pictures = SourcePictures(source)
        with lines.open("a", encoding="utf-8") as file:
            for number in left:
                path = args.out / "clip.mp4"
                facts = write_clip(source, pictures, number, path)
                row = {"number": number, **facts, **search(path, number, cache)}
                file.write(json.dumps(row) + "\n")
                file.flush()
                rows.append(row)
                made += 1
                if made % 10 == 0:
                    each = (time.monotonic() - start) / made
                    print(f"{len(rows)} of {args.count}, {each:.1f} s each, "
                          f"{each * (args.count - len(rows)) / 60:.0f} min left", flush=True)
    (args.out / "clip.mp4").unlink(missing_ok=True)
    print(summarize(rows))


if __name__ == "__main__":
    main()
