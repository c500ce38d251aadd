"""Lip-sync while picture and sound still come: for meetings, previews, live dubbing.

    with lipcore.LipSyncStream(Path("me.mp4"), size=(256, 256), rate=Fraction(25)) as stream:
        for picture, sound in camera:
            done = stream.push(picture, sound)
            if done is not None:
                show(done.picture, done.sound)
        for done in stream.finish():
            show(done.picture, done.sound)

The stream draws with the mouths of an enrolment: some seconds of the same person, recorded
before. Each frame comes out a fixed number of frames after it went in: all but one of them the
smoothing of the face and the speech network look ahead, during the last one it is drawn, beside
the tracking of the next. Nothing that is kept grows with the stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from lipcore.analysis import ShotAnalysis, analyse
from lipcore.cache import Cache
from lipcore.errors import ConfigError, FrameSizeError
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.fit import fit_person
from lipcore.shapes.live import SAMPLE_RATE_HZ, LiveShapes
from lipcore.shot import DEFAULT_SPEAKER
from lipcore.synthesis.inner_mouth import InnerMouthPainter
from lipcore.synthesis.matte import mouth_matte, mouth_window, shared_skin
from lipcore.synthesis.select import SelectionConfig, next_source
from lipcore.synthesis.shot_renderer import carry_mouth
from lipcore.synthesis.targets import MouthTargets, build_targets
from lipcore.tracking.live import LiveFace
from lipcore.tracking.stabilize import SmoothingConfig, stabilize
from lipcore.tracking.view import picture_view
from lipcore.types import FaceTrack, FloatArray, FrameRange, Window
from lipcore.weights import find_weights

Picture = npt.NDArray[np.uint8]

_FADE_FRAMES = 3
"""Over so many frames the mouth fades where the face comes or goes."""
_AHEAD_S = 60
"""So much sound may be pushed before its picture."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """How a stream is drawn."""

    latency_frames: int = 8
    """Frames between one going in and coming out. Fewer let the mouth shake and lag."""
    feather: float = 0.1
    """Softness of the matte in interocular units."""
    strength: float = 1.0
    """0 leaves the pictures as they are, 1 follows the sound."""
    weights: str = "base"
    backend: str = "torch"
    """What runs the networks, see ``RenderConfig``; ``auto`` is not taken here."""

    def __post_init__(self) -> None:
        if not 1 <= self.latency_frames <= 50:
            raise ConfigError(
                f"latency_frames is {self.latency_frames}, which is outside 1-50",
                hint="8 frames are a third of a second at 25 frames a second.",
            )
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be from 0 to 1, got {self.strength}")


@dataclass(frozen=True, slots=True, eq=False)
class StreamedFrame:
    """One frame that has come out of a stream."""

    number: int
    """From 0, in the order in which they were pushed."""
    picture: Picture
    """``(height, width, 3)``, where nothing was drawn the pushed one, bit for bit."""
    sound: FloatArray
    """The samples that were pushed with it, for playing both together."""
    drawn: bool
    """The mouth is new."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    number: int
    picture: Picture
    sound: FloatArray
    face: FloatArray | None


class LipSyncStream:
    """Takes pictures and sound, gives pictures that say the sound; a context manager.

    Not for use by several threads at once. Where no face is found, pictures pass unchanged.
    While it is open, PyTorch computes on one thread in all of the process: the networks are
    small, and more threads would take the core that tracks from the one that draws.

    Args:
        enrolment: A plate of the person speaking, a few seconds up to some minutes; tracked
            once and kept in the cache.
        size: Width and height of the pictures.
        rate: Pictures a second.
        config: How to draw.
        frames: Which part of the enrolment; None takes all.
        cache: Folder of the cache; None takes the user's.

    Raises:
        LipcoreError: What ``render_shot`` would raise of the enrolment, weights and backend.
    """

    def __init__(
        self,
        enrolment: Path,
        *,
        size: tuple[int, int],
        rate: Fraction,
        config: StreamConfig | None = None,
        frames: FrameRange | None = None,
        cache: Path | None = None,
    ) -> None:
        if rate <= 0 or min(size) < 1:
            raise ConfigError(f"size and rate must be above 0, got {size} and {rate}")
        self._config = config or StreamConfig()
        self._rate = rate
        self._window = Window(0, 0, *size)
        weights = find_weights(self._config.weights)
        self._basis = ShapeBasis.load(weights)
        kept = Cache(cache)
        with open_plate(enrolment) as plate:
            self._color = ColorTransform.of_plate(plate)
            self._shot = analyse(
                plate, frames or plate.info.frames, speaker=DEFAULT_SPEAKER, color=self._color,
                basis=self._basis, cache=kept, progress=lambda *_: None,
            )  # fmt: skip
        self._bank = _bank_of(self._shot, self._basis)
        self._person = fit_person(self._shot.values, self._shot.neutral, self._basis)
        self._painter = InnerMouthPainter(weights, backend=self._config.backend, cache=kept)
        self._shapes = LiveShapes(weights)
        self._face = LiveFace()
        self._selection = SelectionConfig()
        self._smoothing = SmoothingConfig()
        self._past: deque[_Waiting] = deque(maxlen=self._config.latency_frames)
        self._waiting: deque[_Waiting] = deque()
        self._drawing: Future[StreamedFrame] | None = None
        self._count = 0
        self._source: int | None = None
        self._closed = False
        self._pen = ThreadPoolExecutor(1, thread_name_prefix="lipcore-draw")
        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self._limits = threadpool_limits(1, user_api="blas")

    @property
    def latency_frames(self) -> int:
        """A frame comes out with the push of so many frames later."""
        return self._config.latency_frames

    @property
    def latency_s(self) -> float:
        """The same in seconds; the time that the last push itself takes comes on top."""
        return float(self._config.latency_frames / self._rate)

    @property
    def rate(self) -> Fraction:
        """Pictures a second."""
        return self._rate

    def push(self, picture: Picture, sound: FloatArray) -> StreamedFrame | None:
        """Take the next frame and the sound that goes with it.

        Args:
            picture: ``(height, width, 3)`` uint8, sRGB or Rec.709; it is not changed, and may
                be changed by the caller afterwards.
            sound: ``(n,)`` mono at 16 kHz in [-1, 1]. Chunks need not end where frames do;
                where the sound is late, silence stands in for it when its frame is drawn.

        Returns:
            The frame that was pushed ``latency_frames`` before, or None at the beginning.

        Raises:
            FrameSizeError: The picture has another size or type.
            ConfigError: More than a minute of sound is ahead of its picture.
        """
        if picture.shape != (*self._window.shape, 3) or picture.dtype != np.uint8:
            raise FrameSizeError(
                f"a picture is {picture.dtype} {picture.shape}, and the stream takes uint8 "
                f"{(*self._window.shape, 3)}",
                hint="Scale pictures to the size that the stream was opened with.",
            )
        ahead = self._shapes.heard + len(sound) - self._sample_of(self._count)
        if ahead > _AHEAD_S * SAMPLE_RATE_HZ:
            raise ConfigError(
                f"{ahead / SAMPLE_RATE_HZ:.0f} s of sound are ahead of their picture",
                hint="Push with each picture the sound that goes with it.",
            )
        picture = picture.copy()
        face = self._face.look(picture_view(picture))
        self._shapes.hear(sound)
        self._waiting.append(_Waiting(self._count, picture, sound.copy(), face))
        self._count += 1
        return self._next() if len(self._waiting) >= self.latency_frames else None

    def finish(self) -> Iterator[StreamedFrame]:
        """The frames that are still inside, in order."""
        while self._waiting or self._drawing is not None:
            done = self._next()
            if done is not None:
                yield done

    def close(self) -> None:
        """Let go of networks, threads and files; more than once is fine."""
        if self._closed:
            return
        self._closed = True
        self._pen.shutdown(cancel_futures=True)
        self._face.close()
        self._shot.bank.close()
        self._limits.restore_original_limits()
        torch.set_num_threads(self._threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _sample_of(self, number: int) -> int:
        return int(number * SAMPLE_RATE_HZ / self._rate)

    def _next(self) -> StreamedFrame | None:
        """Begin to draw the frame that is due, and give the one before, once it is drawn."""
        due = self._plan(self._waiting[0]) if self._waiting else None
        if self._waiting:
            self._past.append(self._waiting.popleft())
        before, self._drawing = self._drawing, None
        if due is not None:
            # One thread draws, in order: it alone knows the source of the frame before.
            self._drawing = self._pen.submit(self._draw, *due)
        return None if before is None else before.result()

    def _plan(self, now: _Waiting) -> tuple[_Waiting, MouthTargets | None]:
        """What is to be drawn on the frame that is due; None for nothing."""
        late = self._sample_of(now.number + 1) - self._shapes.heard
        if late > 0:
            self._shapes.hear(np.zeros(late, np.float32))
        steady, share = self._steady()
        strength = share * self._config.strength
        if steady is None or strength == 0:
            return now, None
        time_s = float((now.number + Fraction(1, 2)) / self._rate)
        asked = self._person.apply(self._shapes.at(time_s)[None])
        targets = _targets_of(steady, self._basis, self._shot.neutral, asked, strength)
        return now, targets if targets.present[0] else None

    def _draw(self, now: _Waiting, targets: MouthTargets | None) -> StreamedFrame:
        plain = StreamedFrame(now.number, now.picture, now.sound, False)
        if targets is None:
            self._source = None
            return plain
        old, new, feather = targets.shown[0], targets.wanted[0], self._config.feather
        window = mouth_window(old, new, self._window, feather=feather)
        if min(window.shape) < 4:
            return plain
        alpha, _ = mouth_matte(old, new, window, feather=feather)
        cut = window.slices_in(self._window)
        plate = now.picture[cut].astype(np.float32) / np.float32(255)
        made = self._carry(targets, window, plate, alpha)
        alpha = (alpha * min(1.0, 10 * float(targets.strength[0])))[..., None]
        mixed = np.clip(plate + alpha * (made - plate), 0, 1) * np.float32(255) + np.float32(0.5)
        out = now.picture.copy()
        np.copyto(out[cut], mixed.astype(np.uint8), where=alpha > 0)
        return StreamedFrame(now.number, out, now.sound, True)

    def _carry(
        self, targets: MouthTargets, window: Window, plate: FloatArray, alpha: FloatArray
    ) -> FloatArray:
        """The new mouth, dissolved where it jumps to other frames of the enrolment."""
        bank, before = self._bank, self._source
        numbers = self._shot.bank.numbers
        self._source = source = next_source(
            before, targets.wanted_shape[0], bank.shown_shape, targets.angles_deg[0],
            bank.angles_deg, self._selection, numbers,
        )  # fmt: skip
        shares = {source: 1.0}
        if before is not None and not 0 <= numbers[source] - numbers[before] <= 1:
            shares = {source: 2 / 3, min(before + 1, len(numbers) - 1): 1 / 3}
        old, new = targets.shown[0], targets.wanted[0]
        common = shared_skin(old, new, window)
        made = np.zeros_like(plate)
        for place, share in shares.items():
            shown, covered = self._shot.bank.read(place)
            made += np.float32(share) * carry_mouth(
                self._color.to_display(shown), covered, bank.shown[place], new, window, plate,
                alpha, common, self._painter, 1.0,
            )
        return made

    def _steady(self) -> tuple[FloatArray | None, float]:
        """The smoothed face of the frame that is due, and how far it has faded in, 0-1."""
        if self._waiting[0].face is None:
            return None, 0.0
        before: list[FloatArray] = []
        for item in reversed(self._past):
            if item.face is None:
                break
            before.insert(0, item.face)
        after: list[FloatArray] = []
        for item in self._waiting:
            if item.face is None:
                break
            after.append(item.face)
        steady = stabilize(np.stack([*before, *after]), self._smoothing)[len(before)]
        gone = [len(after)] if len(after) < len(self._waiting) else []
        gone += [len(before) + 1] if len(before) < len(self._past) else []
        near = min(gone, default=_FADE_FRAMES + 1)
        return steady, min(1.0, near / (_FADE_FRAMES + 1))


def _targets_of(
    landmarks: FloatArray, basis: ShapeBasis, neutral: FloatArray, asked: FloatArray,
    strength: float,
) -> MouthTargets:  # fmt: skip
    """What one frame shows and shall show; landmarks ``(478, 3)`` in square pixels."""
    shown, _ = basis.measure(landmarks[None], neutral=neutral)
    track = FaceTrack(
        1, FrameRange(0, 0), landmarks[None].astype(np.float32), np.ones(1, np.float32),
        np.ones(1, bool), np.full((1, 2, 3), np.nan, np.float32),
    )  # fmt: skip
    return build_targets(track, basis, neutral, shown, asked, np.array([strength], np.float32))


def _bank_of(shot: ShotAnalysis, basis: ShapeBasis) -> MouthTargets:
    """Landmarks, mouths and angles of the bank's frames."""
    places = [shot.track.frames.index(int(n)) for n in shot.bank.numbers]
    track = shot.track
    count = len(track.frames)
    whole = build_targets(
        track, basis, shot.neutral, shot.values, shot.values, np.zeros(count, np.float32)
    )
    return MouthTargets(
        track.frames, whole.shown[places], whole.wanted[places], whole.strength[places],
        whole.shown_shape[places], whole.wanted_shape[places], whole.angles_deg[places],
        whole.values[places], whole.shown_values[places], whole.present[places],
    )  # fmt: skip
