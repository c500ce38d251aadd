"""What a render would do, found out without writing anything: ``lipcore render --dry-run``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipcore.analysis import tracks_key
from lipcore.cache import Cache
from lipcore.errors import MediaError, MissingFrameError, NoFaceError
from lipcore.media.audio import load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.holdout import HoldOut
from lipcore.media.locate import frame_path
from lipcore.media.plate import Plate, open_plate
from lipcore.media.video_encode import DEFAULT_CODECS, check_codec
from lipcore.media.writers import VIDEO_SUFFIXES, check_apart, plan_output
from lipcore.models.device import check_device
from lipcore.pipeline import check_chunk, choose_frames
from lipcore.provenance import watermark
from lipcore.provenance.certificate import check_identity
from lipcore.render_facts import refined_text
from lipcore.runtime.backends import find_backend
from lipcore.shapes.asked import curves_for
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import read_curves
from lipcore.shot import NO_WATERMARK, RenderConfig, Shot
from lipcore.shot_sound import fitted_dialogue
from lipcore.strength import read_strength
from lipcore.synthesis.refine import check_refiner
from lipcore.tracking.detect import FaceDetector
from lipcore.tracking.head import crop_transform
from lipcore.tracking.landmarks import MeshFinder, roi_of_detection, roi_of_landmarks
from lipcore.tracking.speakers import select_speaker
from lipcore.tracking.store import load_tracks
from lipcore.tracking.tracker import MIN_FACE_PX
from lipcore.tracking.view import FrameView
from lipcore.types import FaceTrack, FloatArray, FrameRange, PlateInfo
from lipcore.weights import WeightsSet, find_weights

_SAMPLES = 5
_LEAST_SCORE = 0.5

# Processor seconds of one core of a 2.x GHz server, measured on plates of 512x512 to 1920x1080
# with faces of 280 to 380 pixels. A guide: a fast workstation takes half of it.
_START_S = 8.0
_READ_S_A_MEGAPIXEL = {"sequence": 0.035, "video": 0.02}
_TRACK_S = 0.035
_BANK_S = 0.01
_DRAW_S = 0.08
_DRAW_S_A_FACE_MEGAPIXEL = 0.5
_WRITE_S_A_MEGAPIXEL = {
    ".exr": 0.20, ".png": 0.20, ".tif": 0.05, ".tiff": 0.05, ".dpx": 0.05,
    ".mp4": 0.03, ".m4v": 0.03, ".mov": 0.10, ".mkv": 0.05, ".mxf": 0.08,
}  # fmt: skip
_USEFUL_CORES, _GAIN_A_CORE = 3, 0.6
"""Stages overlap, but not all of the time: so much a further core adds, up to so many."""


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face on a sampled frame, in plate pixels."""

    x: float
    y: float
    width: float
    chosen: bool
    """It is the speaker."""


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """What one frame of the plate shows."""

    frame: int
    faces: tuple[FoundFace, ...]
    problem: str | None = None
    """Why it could not be looked at."""


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """What ``render_shot`` would do with the same arguments."""

    plate: str
    frames: FrameRange
    rate: Fraction
    rate_source: str
    """``file``, ``option``, or ``default`` where the plate is silent."""
    width: int
    height: int
    pixel_aspect: float
    colorspace: str
    pixel_type: str
    timecode: str | None
    sample: tuple[SampledFrame, ...]
    speaker: str
    dialogue: str
    """The sound, or the curves that take its place."""
    dialogue_s: float | None
    picture_s: float
    fitting: str
    """What happens where sound and picture differ in length."""
    output: str
    """Pattern or file."""
    output_kind: str
    existing: int
    """Files of the output that are there already."""
    synthesis: str
    refine: float
    """Share of the refiner's picture."""
    weights: str
    cached: bool
    """The shot has been tracked before."""
    estimate_s: float
    estimate_model: str
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        plain: dict[str, object] = asdict(self)
        plain["frames"] = [self.frames.first, self.frames.last]
        plain["rate"] = str(self.rate)
        return plain

    def as_text(self) -> str:
        """Lines for people."""
        minutes, seconds = divmod(round(self.estimate_s), 60)
        said = {"file": "", "option": " (from --rate)", "default": " (the plate states none)"}
        lines = [
            ("plate", f"{self.plate}"),
            ("frames", f"{self.frames} ({len(self.frames)}) at {_rate_text(self.rate)} a second"
                       f"{said[self.rate_source]}"),
            ("picture", f"{self.width}x{self.height}, {self.pixel_type}, {self.colorspace}"
                        + (f", pixel aspect {self.pixel_aspect:g}" if self.pixel_aspect != 1
                           else "") + (f", {self.timecode}" if self.timecode else "")),
            ("faces", _faces_text(self.sample)),
            ("speaker", self.speaker),
            ("dialogue", self.dialogue),
            ("length", self.fitting),
            ("output", f"{self.output} ({self.output_kind})"
                       + (f", {self.existing} files are there" if self.existing else "")),
            ("synthesis", f"{self.synthesis}{refined_text(self.refine)}, weights {self.weights}"),
            ("tracking", "cached" if self.cached else "to be done"),
            ("time", f"about {minutes}:{seconds:02d} ({self.estimate_model})"),
        ]
        lines += [("warning", text) for text in self.warnings]
        return "\n".join(f"{name + ':':<11} {text}" for name, text in lines)


def plan_render(shot: Shot, config: RenderConfig, out: Path) -> RenderPlan:
    """Find out what a render would do; a few frames are read, nothing is written.

    Args:
        shot: As for ``render_shot``.
        config: As for ``render_shot``.
        out: As for ``render_shot``.

    Returns:
        The plan. Faces come from a sample of frames, unless the shot is cached; ``track:N``
        can only be judged when the shot has been tracked.

    Raises:
        LipcoreError: What ``render_shot`` would raise of the plate, the dialogue, the curves,
            the settings, or the output's name.
    """
    with _opened(shot, config) as plate:
        checked = _check(plate, shot, config, out)
        info, frames, target = checked.info, checked.frames, checked.target
        color = ColorTransform.of_plate(plate)
        known = Cache(config.cache).find("tracks", tracks_key(plate, frames, color))
        if known is not None:
            tracks = load_tracks(known / "tracks.npz")
            sample = tuple(_sample_of_tracks(tracks, frames, shot.speaker))
        else:
            sample = tuple(_look(plate, frames, color, shot.speaker))
    dialogue, seconds, fitting = checked.sound
    width = _face_width(sample)
    estimate, model = _estimate(info, frames, target, width, known is not None)
    return RenderPlan(
        plate=str(info.path), frames=frames, rate=info.rate, rate_source=info.rate_source,
        width=info.display.width, height=info.display.height, pixel_aspect=info.pixel_aspect,
        colorspace=info.colorspace, pixel_type=info.pixel_type, timecode=info.timecode,
        sample=sample, speaker=shot.speaker, dialogue=dialogue, dialogue_s=seconds,
        picture_s=float(len(frames) / info.rate), fitting=fitting, output=str(target),
        output_kind=_kind_of(target, info, config), existing=_existing(target, frames),
        synthesis="shot" if config.synthesis == "auto" else config.synthesis,
        refine=config.refine, weights=config.weights, cached=known is not None,
        estimate_s=round(estimate, 1), estimate_model=model,
        warnings=tuple(_warnings(info, frames, config, sample, width)),
    )


@dataclass(frozen=True, slots=True)
class CheckedRender:
    """What is known of a render when all that was given has been read, but no picture."""

    info: PlateInfo
    frames: FrameRange
    target: Path
    """The video file, or the pattern with ``####``, that will be written."""
    sound: tuple[str, float | None, str]
    """What drives the mouth, seconds of sound, what happens to short or long."""


def check_render(shot: Shot, config: RenderConfig, out: Path) -> CheckedRender:
    """Read all that a render is given, but its pictures; nothing is written.

    Raises:
        LipcoreError: What ``render_shot`` would raise of the plate's files, the dialogue, the
            curves, the settings, the weights, or the output's name.
    """
    with _opened(shot, config) as plate:
        return _check(plate, shot, config, out)


def _opened(shot: Shot, config: RenderConfig) -> Plate:
    return open_plate(
        shot.plate, rate=shot.rate, colorspace=shot.colorspace, missing=config.missing_frame
    )


def _check(plate: Plate, shot: Shot, config: RenderConfig, out: Path) -> CheckedRender:
    check_device(config.device)
    if config.backend != "auto":
        find_backend(config.backend, config.device)
    weights = find_weights(config.weights)
    check_refiner(config, weights)
    if config.watermark != NO_WATERMARK and config.watermark_method == "blocks":
        watermark.require_package()
    if config.provenance:
        check_identity(config.certificate, config.private_key)
    frames = choose_frames(shot, plate)
    check_chunk(config, frames)
    read_strength(config, frames)
    if shot.holdout is not None:
        with HoldOut(shot.holdout, plate.info.display) as matte:
            matte.require(config.chunk or frames)
    target = plan_output(out, plate.info, deliver=config.deliver or "full", codec=config.codec)
    check_apart(target, plate.info, frames)
    if target.suffix.lower() in VIDEO_SUFFIXES:
        check_codec(target, config.codec, 16)
    sound = _plan_sound(shot, config, plate.info, frames, weights)
    return CheckedRender(plate.info, frames, target, sound)


def _plan_sound(
    shot: Shot, config: RenderConfig, info: PlateInfo, frames: FrameRange, weights: WeightsSet
) -> tuple[str, float | None, str]:
    """(what drives the mouth, seconds of sound, what happens to short or long)."""
    picture = Fraction(len(frames)) / info.rate
    if shot.shapes is not None:
        basis = ShapeBasis.load(weights)
        curves = read_curves(shot.shapes, basis.names, weights=basis.label).curves
        text = f"curves {shot.shapes}: frames {curves.frames} at {_rate_text(curves.rate)}"
        curves_for(shot.shapes, basis, info.rate, frames)
        if curves.rate != info.rate:
            return text, None, "the curves are read by time from their start"
        return text, None, "the curves hold every frame of the picture"
    assert shot.dialogue is not None  # checked by Shot
    length = load_dialogue(shot.dialogue).duration_s
    fitted_dialogue(shot, config, info, frames)
    text = f"{shot.dialogue} ({float(length):.2f} s)"
    facts = f"sound {float(length):.2f} s, picture {float(picture):.2f} s"
    if length < picture - Fraction(1, 24):
        return text, float(length), f"{facts}: silence fills the rest"
    if length > picture + Fraction(1, 24):
        return text, float(length), f"{facts}: the sound's end is trimmed"
    return text, float(length), facts


def _look(
    plate: Plate, frames: FrameRange, color: ColorTransform, speaker: str
) -> Iterator[SampledFrame]:
    """Faces on a few frames, evenly spread."""
    detector, meshes = FaceDetector(_LEAST_SCORE), MeshFinder()
    try:
        for number in _sample_numbers(frames):
            try:
                frame = plate.read(number)
            except (MissingFrameError, MediaError) as error:
                yield SampledFrame(number, (), error.message)
                continue
            view = FrameView(frame, color, plate.info.pixel_aspect)
            found = detector.detect(view) or detector.detect(view, fine=True)
            tracks: list[FaceTrack] = []
            for detection in found:
                rough = meshes.find(view, roi_of_detection(detection.box, detection.points))
                if rough.score < _LEAST_SCORE:
                    continue
                face = meshes.find(view, roi_of_landmarks(rough.landmarks))
                if face.score >= _LEAST_SCORE:
                    tracks.append(
                        _track_of(len(tracks) + 1, number, face.landmarks, plate.info)
                    )
            yield SampledFrame(number, tuple(_faces(tracks, number, speaker)))
    finally:
        detector.close()
        meshes.close()


def _track_of(track_id: int, number: int, square: FloatArray, info: PlateInfo) -> FaceTrack:
    """A track of one frame, so that speakers are chosen as in a render."""
    landmarks = square.copy()
    landmarks[:, 0] /= info.pixel_aspect
    return FaceTrack(
        track_id, FrameRange(number, number), landmarks[None].astype(np.float32),
        np.ones(1, np.float32), np.ones(1, np.bool_),
        crop_transform(square)[None].astype(np.float32), pixel_aspect=info.pixel_aspect,
    )


def _sample_of_tracks(
    tracks: list[FaceTrack], frames: FrameRange, speaker: str
) -> Iterator[SampledFrame]:
    chosen = select_speaker(tracks, speaker).track_id
    for number in _sample_numbers(frames):
        here = [t for t in tracks if number in t.frames and t.present[t.frames.index(number)]]
        faces = tuple(_face(t, number, t.track_id == chosen) for t in here)
        yield SampledFrame(number, faces)


def _faces(tracks: list[FaceTrack], number: int, speaker: str) -> Iterator[FoundFace]:
    chosen: int | None = None
    if tracks and not speaker.startswith("track:"):
        try:
            chosen = select_speaker(tracks, speaker).track_id
        except NoFaceError:
            chosen = None
    for track in tracks:
        yield _face(track, number, track.track_id == chosen)


def _face(track: FaceTrack, number: int, chosen: bool) -> FoundFace:
    points = track.at(number)[:468, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    return FoundFace(
        round(float(x), 1), round(float(y), 1), round(float(high[0] - low[0]), 1), chosen
    )


def _sample_numbers(frames: FrameRange) -> list[int]:
    spread = np.linspace(frames.first, frames.last, min(_SAMPLES, len(frames)))
    return sorted({int(number) for number in np.round(spread)})


def _face_width(sample: tuple[SampledFrame, ...]) -> float:
    """Of the speaker, or else of the widest face; 0 where there is none."""
    chosen = [f.width for s in sample for f in s.faces if f.chosen]
    widths = chosen or [f.width for s in sample for f in s.faces]
    return max(widths, default=0.0)


def _estimate(
    info: PlateInfo, frames: FrameRange, target: Path, face_px: float, cached: bool
) -> tuple[float, str]:
    """Seconds, and how they were arrived at."""
    megapixels = info.display.width * info.display.height / 1e6
    read = _READ_S_A_MEGAPIXEL[info.kind] * megapixels
    analyse = 0.0 if cached else 2 * read + _TRACK_S + _BANK_S
    draw = read + _DRAW_S + _DRAW_S_A_FACE_MEGAPIXEL * (face_px / 1000) ** 2
    write = _WRITE_S_A_MEGAPIXEL.get(target.suffix.lower(), 0.2) * megapixels
    cores = os.cpu_count() or 1
    frame_s = (analyse + draw + write) / (1 + _GAIN_A_CORE * (min(_USEFUL_CORES, cores) - 1))
    model = f"{_START_S:.0f} s to start, {frame_s:.2f} s a frame on {cores} processor cores"
    return _START_S + frame_s * len(frames), model


def _warnings(
    info: PlateInfo,
    frames: FrameRange,
    config: RenderConfig,
    sample: tuple[SampledFrame, ...],
    width: float,
) -> Iterator[str]:
    missing = [number for number in info.missing if number in frames]
    if missing:
        shown = ", ".join(map(str, missing[:6])) + (" ..." if len(missing) > 6 else "")
        does = {
            "error": "the render stops there; see --missing-frame",
            "hold": "the frame before stands in",
            "black": "black stands in",
        }[config.missing_frame]
        yield f"{len(missing)} frames are missing ({shown}): {does}"
    if info.rate_source == "default":
        yield f"the plate states no rate: {_rate_text(info.rate)} is taken; see --rate"
    for looked in sample:
        if looked.problem is not None:
            yield f"frame {looked.frame} cannot be read: {looked.problem}"
    without = [s.frame for s in sample if not s.faces and s.problem is None]
    if without and len(without) == len(sample):
        yield "no face is seen on any sampled frame"
    elif without:
        does = {
            "hold": "short gaps are held, longer ones passed through",
            "passthrough": "such frames are passed through",
            "error": "the render stops",
        }[config.no_face]
        yield f"no face on frames {', '.join(map(str, without))}: {does}"
    if 0 < width < MIN_FACE_PX:
        yield f"the face is {width:.0f} pixels wide, and {MIN_FACE_PX} are needed"


def _faces_text(sample: tuple[SampledFrame, ...]) -> str:
    parts = []
    for looked in sample:
        here = ", ".join(
            f"{f.width:.0f} px at {f.x:.0f},{f.y:.0f}{' *' if f.chosen else ''}"
            for f in looked.faces
        )
        parts.append(f"{looked.frame}: {here or 'none'}")
    return f"{'; '.join(parts)}   (* speaks)"


def _kind_of(target: Path, info: PlateInfo, config: RenderConfig) -> str:
    suffix = target.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return f"video, {config.codec or DEFAULT_CODECS[suffix]}"
    if config.deliver == "patch":
        return "EXR, the mouth alone"
    if suffix == ".exr":
        kept = info.kind == "sequence" and info.path.suffix.lower() in (".exr", ".sxr")
        return f"EXR, {'all channels of the plate' if kept else 'R G B'} and the layer lipsync"
    return f"{suffix[1:].upper()} sequence"


def _existing(target: Path, frames: FrameRange) -> int:
    if target.suffix.lower() in VIDEO_SUFFIXES:
        return int(target.exists())
    return sum(frame_path(target, number).exists() for number in frames)


def _rate_text(rate: Fraction) -> str:
    return str(rate) if rate.denominator == 1 else f"{float(rate):.3f} ({rate})"
