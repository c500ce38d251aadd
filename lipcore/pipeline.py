"""One shot from plate and dialogue to finished frames: ``render_shot`` is the whole story."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from lipcore.analysis import ShotAnalysis, analyse, hold_gaps
from lipcore.cache import Cache
from lipcore.errors import ConfigError, NoFaceError, OutOfMemoryError
from lipcore.media.color import ColorTransform
from lipcore.media.holdout import HoldOut, hold_out, with_mattes
from lipcore.media.plate import Plate, open_plate, stream_numbers
from lipcore.media.writers import FrameWriter, open_writer
from lipcore.models.device import check_device, is_out_of_memory
from lipcore.provenance.certificate import load_identity
from lipcore.provenance.output_mark import MarkedRenderer, OutputMark
from lipcore.provenance.signing import sign_render
from lipcore.render_facts import (
    parameter_key,
    picture_name,
    refined_text,
    sidecar_settings,
    sidecar_stem,
)
from lipcore.runtime.choose import settle_backend
from lipcore.shapes.asked import ask_shapes, curves_for
from lipcore.shapes.basis import ShapeBasis
from lipcore.shot import NO_WATERMARK, RenderConfig, Shot
from lipcore.shot_sound import begin_of, fitted_dialogue, played_sound
from lipcore.sidecar import write_sidecars
from lipcore.stream import BackgroundSink, ordered_map
from lipcore.strength import read_strength
from lipcore.synthesis.choose import choose_renderer
from lipcore.synthesis.interface import MouthRenderer
from lipcore.synthesis.refine import check_refiner
from lipcore.synthesis.targets import build_targets
from lipcore.types import FaceTrack, FloatArray, Frame, FrameRange, Patch
from lipcore.weights import find_weights

_FADE_FRAMES = 3
"""Over this many frames the mouth fades where the face comes or goes within a scene."""


class RenderListener(Protocol):
    """Is told how a render goes; any of the calls may come from another thread."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Frames done of a stage: ``track``, ``bank``, ``speech`` or ``render``."""

    def log(self, message: str) -> None:
        """A decision or a policy that was applied, in words."""


@runtime_checkable
class FrameListener(Protocol):
    """A listener that is told of single frames, too."""

    def frame_done(self, number: int, path: Path) -> None:
        """A frame is written; ``path`` is its file, or the video that takes it."""


class SilentListener:
    """Takes no notice."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Nothing is done."""

    def log(self, message: str) -> None:
        """Nothing is done."""


@dataclass(frozen=True, slots=True)
class RenderResult:
    """What a render left behind."""

    outputs: tuple[Path, ...]
    """Files or sequence patterns, the picture first."""
    frames: FrameRange
    rate: Fraction
    drawn: int
    """Frames with a new mouth."""
    kept: int
    """Frames that a former run had finished."""
    passed: tuple[int, ...]
    """Frames left as the plate has them: no face, or strength 0."""
    synthesis: str
    cached: bool
    """The shot had been analysed before."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by stage."""

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "outputs": [str(path) for path in self.outputs], "frames": str(self.frames),
            "rate": str(self.rate), "drawn": self.drawn, "kept": self.kept,
            "passed": list(self.passed), "synthesis": self.synthesis, "cached": self.cached,
            "seconds": self.seconds,
        }


def render_shot(
    shot: Shot,
    config: RenderConfig,
    out: Path,
    *,
    listener: RenderListener | None = None,
    plate: Plate | None = None,
) -> RenderResult:
    """Make the person of a plate say a dialogue.

    Args:
        shot: The plate, the dialogue, and which part.
        config: How.
        out: A folder, a sequence pattern, or a video file.
        listener: Told of progress and decisions.
        plate: Frames to use in place of those at ``shot.plate``, as of a retimed take; it is
            closed at the end.

    Returns:
        What was written.

    Raises:
        LipcoreError: See ``lipcore.errors``; what was finished stays and a later run goes on.
    """
    listener = listener or SilentListener()
    clock = _Clock()
    with contextlib.ExitStack() as stack:
        if plate is not None:
            stack.enter_context(plate)
        # What cannot work shall fail now, not after minutes of tracking.
        check_device(config.device)
        torch.manual_seed(config.seed)
        weights = find_weights(config.weights)
        check_refiner(config, weights)
        basis = ShapeBasis.load(weights)
        identity = None
        if config.provenance:
            identity = load_identity(config.certificate, config.private_key)
        if plate is None:
            plate = stack.enter_context(open_plate(
                shot.plate, rate=shot.rate, colorspace=shot.colorspace,
                missing=config.missing_frame,
            ))  # fmt: skip
        frames = choose_frames(shot, plate)
        check_chunk(config, frames)
        curves = None
        if shot.shapes is not None:
            curves = curves_for(shot.shapes, basis, plate.info.rate, frames, listener.log)
        dialogue = fitted_dialogue(shot, config, plate.info, frames)
        begin_s = begin_of(shot, config, plate.info, frames)
        strength = read_strength(config, frames)
        matte = None
        if shot.holdout is not None:
            matte = stack.enter_context(HoldOut(shot.holdout, plate.info.display))
            matte.require(config.chunk or frames)
        if plate.info.rate_source == "default":
            listener.log(f"the plate states no rate: {plate.info.rate} is taken; see --rate")
        config = settle_backend(config, weights, listener.log)  # measures: after cheap checks
        key = parameter_key(shot, config, plate, frames, weights, matte)
        with open_writer(
            out, plate.info, deliver=config.deliver, codec=config.codec,
            sound=played_sound(shot, plate), sound_offset_s=begin_s,
            parameter_hash=key, overwrite=config.overwrite, frames=frames, chunk=config.chunk,
        ) as writer:
            color = ColorTransform.of_plate(plate)
            mark = None
            if config.watermark != NO_WATERMARK:
                mark = OutputMark(config.watermark, config.watermark_method, color)
            with clock.time("analyse"):
                analysis = analyse(
                    plate, frames, speaker=shot.speaker, color=color, basis=basis,
                    cache=Cache(config.cache), progress=listener.progress,
                )
            stack.callback(analysis.bank.close)
            track, strength, held = _apply_policies(
                analysis.track, strength, config, frames, plate.info.missing, listener
            )
            with clock.time("speech"):
                asked = ask_shapes(
                    dialogue, curves, basis=basis, weights=weights, rate=plate.info.rate,
                    frames=frames, shown_values=analysis.values, neutral=analysis.neutral,
                    log=listener.log,
                )
            targets = build_targets(
                track, basis, analysis.neutral, _values_of(track, analysis, basis), asked,
                strength,
            )
            with clock.time("prepare"):
                renderer = choose_renderer(
                    plate, targets, track, analysis, color, config, weights, listener.progress
                )
            listener.log(f"synthesis: {renderer.name}{refined_text(config.refine)}")
            if mark is not None:
                renderer = MarkedRenderer(renderer, track, mark)
                listener.log(f"watermark: {config.watermark!r} ({config.watermark_method})")
            with clock.time("render"):
                due = config.chunk or frames
                done = render_frames(plate, due, renderer, matte, writer, config, listener)
            for note in writer.notes:
                listener.log(note)
        stem = sidecar_stem(writer.outputs[0], shot.plate)
        settings = sidecar_settings(shot, config, renderer.name, weights, key)
        sidecars = () if config.chunk is not None else write_sidecars(
            stem,
            picture=picture_name(writer.outputs[0]),
            info=plate.info,
            track=track,
            targets=targets,
            names=basis.names,
            sources=renderer.sources,
            held=held,
            settings=settings,
            sound_begin_s=begin_s,
        )
        if identity is not None and config.chunk is None:
            drawn = np.flatnonzero(targets.present & (targets.strength > 0)) + frames.first
            sidecars += sign_render(
                writer.outputs, stem, shot=shot, config=config, info=plate.info, frames=frames,
                drawn=drawn.tolist(), settings=settings, identity=identity,
                progress=listener.progress,
            )
            listener.log("signed" + (
                ": by a certificate of this machine, which shows that nothing was changed "
                "since, not who made it" if identity.self_signed else ""
            ))
    return RenderResult(
        (*writer.outputs, *sidecars), due, plate.info.rate, done.drawn, done.kept,
        tuple(done.passed), renderer.name, analysis.cached, clock.seconds,
    )


def choose_frames(shot: Shot, plate: Plate) -> FrameRange:
    """The frames that a shot asks for.

    Raises:
        ConfigError: The plate does not have them.
    """
    whole = plate.info.frames
    if shot.frames is None:
        return whole
    if shot.frames.first not in whole or shot.frames.last not in whole:
        raise ConfigError(
            f"frames {shot.frames} are not all in the plate, which has {whole}",
            hint="Ask for frames that the plate has (--frames).",
        )
    return shot.frames


def check_chunk(config: RenderConfig, frames: FrameRange) -> None:
    """Check that a chunk is a part of the shot.

    Raises:
        ConfigError: It is not.
    """
    chunk = config.chunk
    if chunk is not None and not (chunk.first in frames and chunk.last in frames):
        raise ConfigError(
            f"the chunk {chunk} is not all in the frames of the shot, {frames}",
            hint="A chunk is a part of what --frames asks for.",
        )


def analyse_shot(
    shot: Shot, config: RenderConfig, *, listener: RenderListener | None = None
) -> ShotAnalysis:
    """Do, and keep in the cache, what a render does before it looks at the dialogue.

    Raises:
        LipcoreError: What ``render_shot`` would raise of the plate and its faces.
    """
    listener = listener or SilentListener()
    weights = find_weights(config.weights)
    with open_plate(
        shot.plate, rate=shot.rate, colorspace=shot.colorspace, missing=config.missing_frame
    ) as plate:
        return analyse(
            plate, choose_frames(shot, plate), speaker=shot.speaker,
            color=ColorTransform.of_plate(plate), basis=ShapeBasis.load(weights),
            cache=Cache(config.cache), progress=listener.progress,
        )


def _apply_policies(
    track: FaceTrack,
    strength: FloatArray,
    config: RenderConfig,
    frames: FrameRange,
    missing: tuple[int, ...],
    listener: RenderListener,
) -> tuple[FaceTrack, FloatArray, frozenset[int]]:
    """The track after the no-face policy, the strength of each frame, and what was held."""
    held: list[int] = []
    absent = [frames.first + int(i) for i in np.flatnonzero(~track.present)]
    if absent and config.no_face == "error":
        raise NoFaceError(
            f"no face in {len(absent)} of {len(frames)} frames, first {absent[0]}",
            hint="Choose --no-face hold or passthrough, or --frames without them.",
            frames=absent[:100],
        )
    if absent and config.no_face == "hold":
        track, held = hold_gaps(track)
        if held:
            listener.log(f"no face in {len(held)} frames: held between sightings")
    left = ~np.isfinite(track.landmarks).all(axis=(1, 2))
    if left.any():
        listener.log(f"no face in {int(left.sum())} frames: passed through")
        strength = strength * _fade_at_gaps(~left, track)
    blank = [frames.index(number) for number in missing if number in frames]
    if blank and config.missing_frame == "black":
        listener.log(f"{len(blank)} frames are missing: black stands in")
        strength = strength.copy()
        strength[blank] = 0  # the track bridges them, but there is no face to draw on
    return track, strength, frozenset(held)


def _fade_at_gaps(there: FloatArray, track: FaceTrack) -> FloatArray:
    """0 where the face is absent, rising over a few frames beside it; cuts do not fade."""
    scene = np.zeros(len(there), int)
    for cut in track.cuts:
        scene[track.frames.index(cut):] += 1
    share = np.where(there, 1.0, 0.0)
    for gap in np.flatnonzero(~np.asarray(there, bool)):
        for step in range(1, _FADE_FRAMES + 1):
            for place in (gap - step, gap + step):
                if 0 <= place < len(there) and scene[place] == scene[gap]:
                    share[place] = min(share[place], step / (_FADE_FRAMES + 1))
    return share.astype(np.float32)


def _values_of(track: FaceTrack, analysis: ShotAnalysis, basis: ShapeBasis) -> FloatArray:
    """Measured shapes, also of the frames that a policy filled."""
    if track is analysis.track:
        return analysis.values
    from lipcore.tracking.align import to_square

    square = to_square(track.landmarks, track.pixel_aspect)
    return basis.measure(square, neutral=analysis.neutral)[0]


@dataclass
class _Done:
    drawn: int = 0
    kept: int = 0
    passed: list[int] = field(default_factory=list)


def render_frames(
    plate: Plate,
    frames: FrameRange,
    renderer: MouthRenderer,
    matte: HoldOut | None,
    writer: FrameWriter,
    config: RenderConfig,
    listener: RenderListener,
) -> _Done:
    """Decode, draw and write, all at once, in order."""
    done = _Done()
    left = [number for number in frames if not writer.finished(number)]
    done.kept = len(frames) - len(left)
    if done.kept:
        listener.log(f"{done.kept} frames were finished before: kept")

    def draw(item: tuple[Frame, FloatArray | None]) -> tuple[Frame, Patch | None]:
        frame, held_out = item
        patch = renderer.render(frame)
        if patch is not None and held_out is not None:
            patch = hold_out(patch, held_out)
        return frame, patch

    def write(item: tuple[Frame, Patch | None]) -> None:
        frame, patch = item
        writer.write(frame, patch, attributes=config.extra)
        if isinstance(listener, FrameListener):
            listener.frame_done(frame.number, writer.file_of(frame.number))

    workers, written = config.workers, 0
    # Frames are drawn at once already: threads inside of small products only wait for each other.
    with threadpool_limits(1, user_api="blas"), BackgroundSink(write) as sink:
        while written < len(left):
            rest = left[written:]
            items = zip(stream_numbers(plate, rest), with_mattes(rest, matte), strict=True)
            try:
                for frame, patch in ordered_map(draw, items, workers=workers):
                    if patch is None:
                        done.passed.append(frame.number)
                    else:
                        done.drawn += 1
                    sink.put((frame, patch))
                    written += 1
                    listener.progress("render", done.kept + written, len(frames))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if workers == 1:
                    raise OutOfMemoryError(
                        f"memory ran out at frame {left[written]}",
                        hint="End other programs, or render on a machine with more memory: "
                        "finished frames are kept.",
                        frame=left[written],
                    ) from error
                workers //= 2
                listener.log(f"memory ran out: {workers} frames are drawn at once from here on")
    return done


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, stage: str) -> _Timer:
        return _Timer(lambda spent: self.seconds.__setitem__(stage, round(spent, 3)))


class _Timer:
    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._report(time.monotonic() - self._start)
