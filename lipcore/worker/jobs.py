"""The jobs of a worker: what each method does, and the plain values that it answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lipcore.errors import ConfigError
from lipcore.media.plate import open_plate
from lipcore.rates import parse_rate
from lipcore.types import FrameRange
from lipcore.worker.cancel import CancelToken
from lipcore.worker.requests import (
    Adapt,
    Analyse,
    Conform,
    Evaluate,
    Job,
    Plan,
    Render,
    Report,
    Track,
    parse_frames,
)

if TYPE_CHECKING:
    from lipcore.types import FaceTrack

_TELL_EVERY_S = 0.1
"""At most one event of progress in this time, a stage's last one apart."""


class Emit(Protocol):
    """Sends an event of one job."""

    def __call__(self, event: str, **values: object) -> None: ...


class JobListener:
    """Tells a client how its job goes, and the job that it was cancelled."""

    def __init__(self, token: CancelToken, emit: Emit) -> None:
        self._token = token
        self._emit = emit
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def progress(self, stage: str, done: int, total: int) -> None:
        """See ``RenderListener``."""
        self._token.check()
        now = time.monotonic()
        with self._lock:
            if done < total and now - self._told.get(stage, 0.0) < _TELL_EVERY_S:
                return
            self._told[stage] = now
        self._emit("progress", stage=stage, done=done, total=total)

    def log(self, message: str) -> None:
        """See ``RenderListener``."""
        self._token.check()
        self._emit("log", message=message)

    def frame_done(self, number: int, path: Path) -> None:
        """See ``FrameListener``."""
        self._emit("frame-done", frame=number, path=str(path))


def run_job(params: Job, token: CancelToken, emit: Emit) -> dict[str, object]:
    """Do a job in this thread.

    Args:
        params: What to do.
        token: Of its cancellation.
        emit: Sends its events.

    Returns:
        The values of its ``result``.

    Raises:
        LipcoreError: It cannot be done.
        JobCancelled: It was cancelled.
    """
    listener = JobListener(token, emit)
    if isinstance(params, Plan):  # before Render, whose fields it shares
        from lipcore.plan import plan_render

        return plan_render(params.shot(), params.settings, params.out).as_dict()
    if isinstance(params, Analyse):
        from lipcore.pipeline import analyse_shot

        found = analyse_shot(params.shot(), params.settings, listener=listener)
        return {"frames": str(found.track.frames), "cached": found.cached}
    if isinstance(params, Render):
        from lipcore.pipeline import render_shot

        return render_shot(
            params.shot(), params.settings, params.out, listener=listener
        ).as_dict()
    if isinstance(params, Track):
        return _track(params, listener)
    if isinstance(params, Conform):
        return _conform(params, listener, emit)
    if isinstance(params, Evaluate):
        return _evaluate(params, listener)
    if isinstance(params, Report):
        return _report(params, listener)
    return _adapt(params, listener.progress)


def _track(params: Track, listener: JobListener) -> dict[str, object]:
    from lipcore.analysis import find_tracks
    from lipcore.cache import Cache
    from lipcore.media.color import ColorTransform
    from lipcore.tracking.store import write_tracks_json

    with open_plate(
        params.plate, rate=_rate(params.rate), colorspace=params.colorspace,
        missing=params.missing_frame,
    ) as plate:  # fmt: skip
        frames = _inside(parse_frames(params.frames), plate.info.frames)
        tracks, _, cached = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate), cache=Cache(params.cache),
            progress=listener.progress,
        )
        info = plate.info
    if params.json is not None:
        write_tracks_json(params.json, tracks, info)
    return {
        "plate": str(info.path), "frames": str(frames), "rate": str(info.rate),
        "width": info.display.width, "height": info.display.height,
        "pixel_aspect": info.pixel_aspect, "cached": cached,
        "cuts": list(tracks[0].cuts) if tracks else [],
        "tracks": [describe_track(track) for track in tracks],
    }  # fmt: skip


def describe_track(track: FaceTrack) -> dict[str, object]:
    """Where a face is, frame by frame, in plate pixels from the top-left corner."""
    import numpy as np

    seen = np.flatnonzero(track.present)
    points = track.landmarks[seen][..., :2]
    low, high = points.min(axis=1), points.max(axis=1)
    boxes = np.round(np.concatenate([low, high], axis=1).astype(float), 1)
    return {
        "track": track.track_id,
        "speaker": f"track:{track.track_id}",
        "confidence": round(float(track.confidence[seen].mean()), 3),
        "frames": [track.frames.first + int(i) for i in seen],
        "boxes": boxes.tolist(),
    }


def _conform(params: Conform, listener: JobListener, emit: Emit) -> dict[str, object]:
    from lipcore.timeline.conform import (
        ConformRequest,
        plan_conform,
        render_plan,
        run_conform,
    )
    from lipcore.timeline.dialogue import parse_source

    dialogue = params.dialogue
    request = ConformRequest(
        params.timeline,
        {} if dialogue is None else {params.language: parse_source(dialogue)},
        params.out, _rate(params.rate), params.search, params.path_map, params.skip_tracks,
        params.handles, params.only, params.shots, params.formats, params.report,
        params.settings,
    )
    (plan,) = plan_conform(request)
    outputs: tuple[Path, ...] = ()
    pictures: dict[int, dict[str, object]] = {}
    if not params.dry_run:
        if params.write:
            made = run_conform(plan, request, listener)
            outputs, rendered = made.outputs, made.shots
        else:
            rendered = render_plan(plan, request, listener)
        for shot in rendered:
            pictures[shot.shot.number] = {
                "picture": str(shot.picture.absolute()),
                "frames": [shot.frames.first, shot.frames.last],
                "cut": [shot.cut.first, shot.cut.last],
            }
    for planned in plan.shots:
        emit("shot", **planned.row(plan.read), **pictures.get(planned.number, {}))
    return {
        "outputs": [str(path) for path in outputs], "shots": len(plan.shots),
        "rate": str(plan.read.rate), "start_frame": plan.read.start_frame,
        "warnings": list(plan.warnings), "language": params.language,
    }  # fmt: skip


def _adapt(params: Adapt, progress: Callable[[str, int, int], None]) -> dict[str, object]:
    from lipcore.adaptation import adapt_to_shot

    made = adapt_to_shot(
        params.plate, params.out, budget_s=params.minutes * 60,
        frames=parse_frames(params.frames), speaker=params.speaker,
        colorspace=params.colorspace, weights=params.weights, device=params.device,
        cache=params.cache, progress=progress,
    )
    return {
        "outputs": [str(made.path)], "frames": made.frames, "steps": made.steps,
        "before_db": round(made.base_psnr_db, 2), "after_db": round(made.psnr_db, 2),
        "weights": made.weights,
    }  # fmt: skip


def _evaluate(params: Evaluate, listener: JobListener) -> dict[str, object]:
    from lipcore.cache import Cache
    from lipcore.evaluate.compare import evaluate_render
    from lipcore.evaluate.plots import write_files
    from lipcore.evaluate.table import evaluation_facts
    from lipcore.media.output_files import make_parent

    for out in (*params.outs, *([] if params.per_frame is None else [params.per_frame])):
        make_parent(out)
    done = evaluate_render(
        params.render, params.against, dialogue=params.dialogue,
        offset_frames=params.offset_frames, speaker=params.speaker, rate=_rate(params.rate),
        cache=Cache(params.cache), progress=listener.progress,
    )
    written = write_files(done, params.outs, params.per_frame)
    return {"outputs": list(map(str, written)), "figures": evaluation_facts(done)["figures"]}


def _report(params: Report, listener: JobListener) -> dict[str, object]:
    from lipcore.cache import Cache
    from lipcore.media.output_files import make_parent
    from lipcore.report.finished import find_renders, relink
    from lipcore.report.review import write_review

    make_parent(params.out)
    found = relink(find_renders(params.renders), plate=params.plate, dialogue=params.dialogue)
    reviewed = write_review(
        found, params.out, title=params.title, cache=Cache(params.cache),
        progress=lambda done, total: listener.progress("report", done, total),
    )
    return {
        "outputs": [str(params.out)],
        "shots": [
            {"name": one.name, "findings": [f.text for f in one.findings if f.serious]}
            for one in reviewed
        ],
    }


def _rate(text: str | None) -> Fraction | None:
    return None if text is None else parse_rate(text)


def _inside(asked: FrameRange | None, whole: FrameRange) -> FrameRange:
    if asked is None:
        return whole
    if asked.first not in whole or asked.last not in whole:
        raise ConfigError(
            f"frames {asked} are not all in the plate, which has {whole}",
            hint="Ask for frames that the plate has.",
        )
    return asked
