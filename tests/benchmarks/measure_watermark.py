"""How surely marks are found in coded and scaled clips, and how rarely where none is.

Run from the repository's root, with the development data beside it:

    python tests/benchmarks/measure_watermark.py [--clips hill.mp4 ...] [--texts 2]
        [--method pattern|blocks] [--crf 23] [--eyes 110] [--unmarked 40]

Each stretch of 4 seconds of a clip is brought to the size that its face has at 1080p (``--eyes``:
pixels between the outer corners of the eyes), and a square of 416 pixels around the face, the part
of a 1080p frame that the mark and its neighbours lie in, stands for the frame. Its own mouth is
marked by ``OutputMark`` as a render marks a new one, coded by x264 (preset medium), decoded from
the file, tracked anew and searched by ``detect_watermarks``, as the command does:

coded       at the asked crf
halved      to half the size by area, and back by a cubic kernel, without loss
both        halved, back, then coded
psnr        of the change, display-referred, over all pixels under the matte (alpha above 0)
unmarked    the same stretches, coded, without a mark: compared with ``--unmarked`` other texts each
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from lipcore.analysis import find_tracks
from lipcore.cache import Cache
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.provenance.detect import Finding, detect_watermarks
from lipcore.provenance.output_mark import OutputMark
from lipcore.shot import WatermarkMethod
from lipcore.synthesis.matte import mouth_matte, mouth_window
from lipcore.synthesis.warp import interocular_px
from lipcore.tracking.align import plate_transform
from lipcore.types import FloatArray, Frame, FrameRange, Patch, Window

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
SIDE = 416
WINDOW = Window(0, 0, SIDE, SIDE)
STRETCH = 100
MOST_FRAMES = 400
TEXTS = ("lipc", "mask", "Zoë", "8:05")
Pictures = list[npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Stretch:
    name: str
    pictures: Pictures
    landmarks: list[FloatArray]


def stretches(clip: Path, eyes_px: float, cache: Cache) -> Iterator[Stretch]:
    with open_plate(clip) as plate:
        whole = plate.info.frames
        count = min(len(whole), MOST_FRAMES)
        frames = FrameRange(whole.first, whole.first + count - 1)
        tracks, _, _ = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate), cache=cache,
            progress=lambda *_: None,
        )
        track = tracks[0]
        for first in range(frames.first, frames.last + 2 - STRETCH, STRETCH):
            span = FrameRange(first, first + STRETCH - 1)
            if any(number not in track.frames for number in span):
                continue
            points = np.stack([track.at(number) for number in span])
            if not np.isfinite(points).all():
                continue
            scale = eyes_px / float(np.median([interocular_px(p) for p in points]))
            middle = np.median(points[..., :2].mean(1), axis=0) * scale
            move = SIDE / 2 - middle
            matrix = np.array([[scale, 0, move[0]], [0, scale, move[1]]])
            pictures, placed = [], []
            for frame, p in zip(plate.stream(span), points, strict=True):
                warped = cv2.warpAffine(
                    frame.rgb, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                pictures.append(to_bytes(warped))
                at = p * np.float32(scale)
                at[:, :2] += move.astype(np.float32)
                placed.append(at)
            yield Stretch(f"{clip.name}@{first}", pictures, placed)


def to_bytes(picture: FloatArray) -> npt.NDArray[np.uint8]:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def mark(stretch: Stretch, text: str, method: WatermarkMethod) -> tuple[Pictures, float]:
    """The stretch with its own mouth marked, and the PSNR of the change under the matte."""
    maker = OutputMark(text, method, ColorTransform.for_plate("rec709"))
    marked, squares, count = [], 0.0, 0
    for number, (picture, points) in enumerate(
        zip(stretch.pictures, stretch.landmarks, strict=True)
    ):
        rgb = picture.astype(np.float32) / 255
        window = mouth_window(points, points, WINDOW)
        alpha, hard = mouth_matte(points, points, window)
        area = rgb[window.slices_in(WINDOW)]
        patch = Patch(window, area * alpha[..., None], alpha, hard)
        new = maker.apply(Frame(number, rgb, WINDOW), patch, plate_transform(points))
        change = new.rgb - patch.rgb
        assert not change[alpha == 0].any()
        squares += float((change[alpha > 0].astype(np.float64) ** 2).sum())
        count += int((alpha > 0).sum()) * 3
        out = rgb.copy()
        out[window.slices_in(WINDOW)] += change
        marked.append(to_bytes(out))
    return marked, float(-10 * np.log10(squares / count))


def halve(pictures: Pictures) -> Pictures:
    small = [cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in pictures]
    return [
        np.asarray(cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
        for p in small
    ]


def code(pictures: Pictures, crf: int | None, path: Path) -> None:
    """Write a video: H.264 4:2:0 as it is delivered, or without loss where ``crf`` is None."""
    with av.open(str(path), "w") as container:
        if crf is None:
            stream = container.add_stream("ffv1", rate=25)
            stream.pix_fmt = "bgr0"
        else:
            options = {"crf": str(crf), "preset": "medium", "threads": "1"}
            stream = container.add_stream("libx264", rate=25, options=options)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.colorspace = 1  # Rec. 709
            stream.codec_context.color_range = 1
        stream.width = stream.height = SIDE
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace="ITU709")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def search(path: Path, texts: list[str], blocks: bool, cache: Cache) -> list[Finding]:
    with open_plate(path) as plate:
        found = detect_watermarks(
            plate, plate.info.frames, texts, cache=cache, blocks=blocks,
            progress=lambda *_: None,
        )
    return [f for f in found if f.track_id == found[0].track_id]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", nargs="*")
    parser.add_argument("--texts", type=int, default=2)
    parser.add_argument("--method", choices=["pattern", "blocks"], default="pattern")
    parser.add_argument("--crf", type=int, default=23)
    parser.add_argument("--eyes", type=float, default=110)
    parser.add_argument("--unmarked", type=int, default=40)
    args = parser.parse_args()
    clips = [CLIPS / name for name in args.clips] if args.clips else sorted(CLIPS.glob("*.mp4"))
    blocks = args.method == "blocks"
    found: dict[str, list[bool]] = defaultdict(list)
    scores: dict[str, list[float]] = defaultdict(list)
    psnrs, highest, compared = [], 0.0, 0
    others = [f"{i:04}" if blocks else f"other {i}" for i in range(args.unmarked)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = Cache(folder / "cache")

        def look(pictures: Pictures, crf: int | None, texts: list[str]) -> list[Finding]:
            path = folder / ("seen.mp4" if crf is not None else "seen.mkv")
            code(pictures, crf, path)
            return search(path, texts, blocks, cache)

        for clip in clips:
            for stretch in stretches(clip, args.eyes, cache):
                for text in TEXTS[: args.texts]:
                    marked, psnr = mark(stretch, text, args.method)
                    psnrs.append(psnr)
                    halved = halve(marked)
                    ways = {"coded": (marked, args.crf), "halved": (halved, None),
                            "both": (halved, args.crf)}
                    told = []
                    for way, (pictures, crf) in ways.items():
                        hit = look(pictures, crf, [text])[0]
                        value = hit.block_share if blocks else hit.z
                        assert value is not None
                        found[way].append(hit.method == args.method)
                        scores[way].append(value)
                        told.append(f"{way} {value:.2f}{'' if found[way][-1] else ' LOST'}")
                    print(f"{stretch.name} {text}: {', '.join(told)}, {psnr:.2f} dB", flush=True)
                if others:
                    hits = look(stretch.pictures, args.crf, others)
                    compared += len(hits)
                    found["unmarked"] += [h.method is not None for h in hits]
                    values = [h.block_share or 0.0 if blocks else h.z for h in hits]
                    highest = max(highest, *values)
                    print(f"{stretch.name} unmarked: {max(values):.2f} at most", flush=True)
    for way, values in scores.items():
        print(f"{way}: found {sum(found[way])} of {len(values)}, "
              f"least {min(values):.2f}, median {float(np.median(values)):.2f}")
    print(f"unmarked: found {sum(found['unmarked'])} of {compared}, highest {highest:.2f}")
    if psnrs:
        print(f"psnr: least {min(psnrs):.2f} dB, median {float(np.median(psnrs)):.2f} dB")


if __name__ == "__main__":
    main()
