"""Figures of a finished render, frame by frame: lips, jitter, sharpness, sound."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from lipcore.cache import Cache, make_key
from lipcore.errors import DialogueError
from lipcore.evaluate.mouths import MouthMeter, cut_mouth, shake, sharpness
from lipcore.evaluate.offset import OffsetJudge, SoundOffset
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.report.finished import FinishedRender
from lipcore.report.pictures import FramePair, RenderPictures
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.speech.activity import speech_probability, speech_spans
from lipcore.synthesis.matte import mouth_window
from lipcore.tracking.align import to_square
from lipcore.types import BoolArray, FloatArray

_VERSION = 1
"""Raised when what is cached changes its meaning."""
_BEFORE_S, _AFTER_S = 0.35, 0.2
"""Mouths open before the sound comes, and close after it has gone: no fault so near to it."""
_LEAST_SCORE = 0.5
"""Below it the mesh does not believe that it looks at a face."""


@dataclass(frozen=True, slots=True, eq=False)
class Meshes:
    """What the pictures show of the face, N frames; NaN where there is nothing to look at."""

    after: FloatArray
    """``(N, 478, 3)`` of the render, square space."""
    before: FloatArray
    """Likewise of the plate."""
    score: FloatArray
    """``(N,)`` 0-1: how surely the render shows a face."""
    sharp_after: FloatArray
    """``(N,)`` gradient energy of the mouth in the render."""
    sharp_before: FloatArray
    """Likewise in the plate."""
    outside: FloatArray
    """``(N,)`` largest difference outside the mouth's window, in the plate's encoding."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """The dialogue, as it lies under the N frames."""

    samples: FloatArray
    """At 16 kHz."""
    spans_s: tuple[tuple[float, float], ...]
    """Where somebody speaks."""
    silent: BoolArray
    """``(N,)`` nobody speaks, nor has just spoken, nor will at once."""
    offset: SoundOffset | None
    ends_early_s: float
    """By how much the dialogue is shorter than the picture; negative where it is longer."""


@dataclass(frozen=True, eq=False)
class MeasuredShot:
    """A render with its figures."""

    render: FinishedRender
    meshes: Meshes
    sound: Sound | None
    no_plate: str
    """Why the plate could not be looked at; empty where it was."""
    no_sound: str
    """Likewise of the dialogue."""
    lossless: bool
    """What is not drawn must be the plate's, bit for bit."""

    @property
    def count(self) -> int:
        """Frames."""
        return len(self.render.frames)

    @cached_property
    def opening(self) -> FloatArray:
        """``(N,)`` inner-lip opening of the render, interocular units; NaN where unknown."""
        return inner_opening(self.meshes.after)

    @cached_property
    def plate_opening(self) -> FloatArray:
        """``(N,)`` of the plate: looked at, or from the sidecar where the plate is gone."""
        seen = inner_opening(self.meshes.before)
        known = inner_opening(self._square(self.render.landmarks))
        return np.where(np.isfinite(seen), seen, known)

    @cached_property
    def asked_opening(self) -> FloatArray:
        """``(N,)`` that the dialogue asked for; NaN where nothing was drawn."""
        return inner_opening(self._square(self.render.wanted))

    @cached_property
    def width(self) -> FloatArray:
        """``(N,)`` width of the rendered lips."""
        return lip_width(self.meshes.after)

    @cached_property
    def shake(self) -> FloatArray:
        """``(N,)`` acceleration of the render's lips and jaw."""
        return shake(self.meshes.after, self._cuts)

    @cached_property
    def plate_shake(self) -> FloatArray:
        """Likewise of the plate's."""
        return shake(self.meshes.before, self._cuts)

    @property
    def jitter(self) -> float:
        """Mean acceleration over the plate's; NaN where one is unknown."""
        return ratio(self.shake, self.plate_shake)

    @property
    def sharp(self) -> float:
        """Gradient energy of the mouth over the plate's; NaN where one is unknown."""
        return ratio(self.meshes.sharp_after, self.meshes.sharp_before)

    @property
    def follows(self) -> float:
        """Correlation of the rendered opening with the asked one; NaN where unknown."""
        both = np.isfinite(self.opening) & np.isfinite(self.asked_opening)
        both &= self.render.strength > 0.99
        made, asked = self.opening[both], self.asked_opening[both]
        if len(made) < 10 or made.std() < 1e-6 or asked.std() < 1e-6:
            return float("nan")
        return float(np.corrcoef(made, asked)[0, 1])

    @property
    def _cuts(self) -> list[int]:
        first = self.render.frames.first
        return [cut - first for cut in self.render.cuts]

    def _square(self, landmarks: FloatArray) -> FloatArray:
        return to_square(landmarks, self.render.pixel_aspect)


def ratio(values: FloatArray, by: FloatArray) -> float:
    """Mean of values over the mean of others, where both are known; NaN where none are."""
    both = np.isfinite(values) & np.isfinite(by)
    below = float(by[both].mean()) if both.any() else 0.0
    return float(values[both].mean()) / below if below > 0 else float("nan")


def measure_shot(
    render: FinishedRender,
    pictures: RenderPictures,
    *,
    cache: Cache,
    judge: OffsetJudge,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> MeasuredShot:
    """Look at every frame of a render and of its plate, and listen to its dialogue.

    Args:
        render: From its sidecar.
        pictures: Of the render, open.
        cache: Keeps what was seen; a second report of the same files is quick.
        judge: Of sync.
        progress: Called with (frames done, frames).

    Raises:
        MediaError: A frame cannot be read.
    """

    def build(folder: Path) -> None:
        found = _look(render, pictures, progress)
        np.savez(folder / "meshes.npz", **{name: getattr(found, name) for name in _NAMES})

    facts = hashlib.sha256(render.sidecar.read_bytes()).hexdigest()
    key = make_key(_VERSION, facts, pictures.content_key())
    folder, _ = cache.entry("report", key, build)
    with np.load(folder / "meshes.npz", allow_pickle=False) as stored:
        meshes = Meshes(**{name: stored[name] for name in _NAMES})
    opening = np.where(meshes.score >= _LEAST_SCORE, inner_opening(meshes.after), np.nan)
    sound, no_sound = _listen(render, opening.astype(np.float32), judge)
    return MeasuredShot(
        render, meshes, sound, pictures.no_plate, no_sound, pictures.lossless
    )


_NAMES = ("after", "before", "score", "sharp_after", "sharp_before", "outside")


def _look(
    render: FinishedRender, pictures: RenderPictures, progress: Callable[[int, int], None]
) -> Meshes:
    count = len(render.frames)
    after, before = (np.full((count, 478, 3), np.nan, np.float32) for _ in range(2))
    score, sharp_after, sharp_before, outside = (
        np.full(count, np.nan, np.float32) for _ in range(4)
    )
    square = to_square(render.landmarks, render.pixel_aspect)
    meter = MouthMeter()
    try:
        for pair in pictures.stream():
            i = pair.index
            outside[i] = _outside(render, pair, pictures)
            if np.isfinite(square[i]).all():
                view, old = pictures.view_after(pair), pictures.view_before(pair)
                mesh = meter.find(view, square[i])
                after[i], score[i] = mesh.landmarks, mesh.score
                sharp_after[i] = sharpness(cut_mouth(view, square[i]))
                if old is not None:
                    before[i] = meter.find(old, square[i]).landmarks
                    sharp_before[i] = sharpness(cut_mouth(old, square[i]))
            progress(i + 1, count)
    finally:
        meter.close()
    return Meshes(after, before, score, sharp_after, sharp_before, outside)


def _outside(render: FinishedRender, pair: FramePair, pictures: RenderPictures) -> float:
    """Largest difference outside the window of what was drawn; NaN where not comparable."""
    if pair.before is None or not pictures.same_encoding:
        return float("nan")
    old, new = pair.before, pair.after
    if old.rgb.shape != new.rgb.shape or old.window != new.window:
        return float("nan")
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(new.rgb - old.rgb).max(axis=-1)
    same = new.rgb.view(np.uint32) == old.rgb.view(np.uint32)
    apart[same.all(axis=-1)] = 0  # also NaN and infinity, where both have them
    wanted = render.wanted[pair.index]
    if np.isfinite(wanted).all():
        aspect = render.pixel_aspect
        window = mouth_window(
            to_square(render.landmarks[pair.index], aspect), to_square(wanted, aspect), old.window,
            pixel_aspect=aspect,
        )
        # The sidecar's landmarks are rounded: the window may be off by a pixel.
        rows, columns = window.slices_in(old.window)
        apart[
            max(0, rows.start - 1) : rows.stop + 1, max(0, columns.start - 1) : columns.stop + 1
        ] = 0
    return float(np.nan_to_num(apart, nan=np.inf).max())


def silent_frames(
    spans_s: Sequence[tuple[float, float]], count: int, rate: float
) -> BoolArray:
    """``(count,)`` where nobody speaks, nor has just spoken, nor will at once.

    Args:
        spans_s: Where somebody speaks, seconds.
        count: Frames.
        rate: Frames a second.
    """
    middles = (np.arange(count) + 0.5) / rate
    silent = np.ones(count, bool)
    for begin, end in spans_s:
        silent &= (middles < begin - _BEFORE_S) | (middles > end + _AFTER_S)
    return silent


def _listen(
    render: FinishedRender, opening: FloatArray, judge: OffsetJudge
) -> tuple[Sound | None, str]:
    """The dialogue under the picture, or why there is none."""
    path = render.find_dialogue()
    if path is None or render.settings.get("shapes") is not None:
        return None, "Curves drove the mouth, not a sound."
    try:
        whole = load_dialogue(path)
    except DialogueError as error:
        return None, f"{error.message[:1].upper()}{error.message[1:]}."
    except OSError as error:  # a name that no file can have, or a folder not to be read
        return None, f"{path} cannot be looked for ({error.strerror})."
    lasts = Fraction(len(render.frames)) / render.rate
    early = lasts - (whole.duration_s + render.sound_begin_s)
    fitted = fit_dialogue(whole, lasts, offset_s=render.sound_begin_s)
    spans = tuple(speech_spans(speech_probability(fitted)))
    silent = silent_frames(spans, len(render.frames), float(render.rate))
    offset = judge.measure(opening, fitted.samples, float(render.rate))
    return Sound(fitted.samples, spans, silent, offset, float(early)), ""
