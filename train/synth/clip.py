"""One speaker's clip: a function of the seed and the speaker's number alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError, FaceError, TrainingError
from lipcore.shapes.measure import inner_opening
from lipcore.speech.espeak import Phoneme
from lipcore.tracking.align import sample
from lipcore.tracking.tracker import track_plate
from lipcore.types import FaceTrack, FloatArray, Frame, FrameRange, PlateInfo, Window

from ..shards import Segment
from .head import Head
from .mouth import Mouth, blinks, tongue_track, viseme_track
from .person import Person, draw_person
from .picture import Camera, decode, draw_camera, take
from .sentences import draw_speech

RATE = Fraction(25)
_ATTEMPTS = 5
"""A person whom the tracker loses is drawn anew, so many times."""


@dataclass(frozen=True, slots=True)
class SynthConfig:
    """What synthetic clips are like."""

    speakers: int = 40
    seconds: float = 8.0
    """Of each speaker."""
    size: int = 256
    """Side of the crop in pixels."""
    val_share: float = 0.2
    """Share of the speakers who are kept out of training."""
    seed: int = 0
    jobs: int = 1
    """Processes."""

    def __post_init__(self) -> None:
        for name, low in (("speakers", 1), ("seconds", 0.4), ("size", 48), ("jobs", 1)):
            if getattr(self, name) < low:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}", hint=f"Give {low} or more."
                )
        if not 0 <= self.val_share < 1:
            raise ConfigError(f"val_share {self.val_share} is not in [0, 1)", hint="Try 0.2.")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}", hint="Give 0 or more.")

    @property
    def margin_px(self) -> int:
        """Pixels around the crop."""
        return self.size // 16


def key_of(number: int) -> str:
    """Name of a speaker's sample and shard."""
    return f"synth-{number:05d}"


def split_of(number: int, share: float) -> str:
    """``val`` for one of so many, evenly, however many there are."""
    return "val" if int((number + 1) * share + 1e-9) > int(number * share + 1e-9) else "train"


def make_segment(head: Head, number: int, config: SynthConfig, stamp: str) -> Segment:
    """Draw one speaker.

    Args:
        head: The mesh.
        number: Of the speaker.
        config: What the clips are like.
        stamp: What the clip depends on, kept in its facts.

    Raises:
        TrainingError: The tracker does not find the face, whoever is drawn.
    """
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([config.seed, number, attempt])
        scene = _Scene.draw(head, rng, config)
        try:
            track = track_plate(scene, scene.info.frames, color=_Shown())[0]
        except FaceError:
            continue
        if bool(track.present.all()) and not track.cuts:
            return _segment(scene, track, number, config, stamp)
    raise TrainingError(
        f"the face of speaker {number} is not found in its pictures",
        hint="Use another --seed or a larger --size.", speaker=number,
    )


def _segment(
    scene: _Scene, track: FaceTrack, number: int, config: SynthConfig, stamp: str
) -> Segment:
    truth = scene.truth()
    tracked = inner_opening(track.landmarks)
    moved = float(np.std(truth["opening"]) * np.std(tracked)) > 0
    seen = float(np.corrcoef(truth["opening"], tracked)[0, 1]) if moved else 0.0
    return Segment(
        key=key_of(number), rate=RATE, crops=scene.crops(track, config),
        landmarks=track.landmarks, transforms=track.transforms, sound=scene.sound, truth=truth,
        facts={
            "identity": f"synth-{config.seed}-{number}",
            "split": split_of(number, config.val_share), "source": "synthetic",
            "offset_frames": 0.0, "opening_correlation": round(seen, 4), "settings": stamp,
        },
    )  # fmt: skip


class _Shown:
    """Pictures are display-referred already."""

    def tracking_picture(self, rgb: FloatArray) -> npt.NDArray[np.uint8]:
        """See ``TrackingColor``."""
        return (rgb * 255).round().clip(0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Scene:
    """A person before a camera (N frames); a plate to the tracker. Pictures are taken once."""

    info: PlateInfo
    head: Head
    person: Person
    camera: Camera
    sound: FloatArray
    phonemes: tuple[Phoneme, ...]
    visemes: FloatArray
    """(N, 5)."""
    tongue: FloatArray
    features: FloatArray
    """(N, 57) lids and brows."""
    turns: FloatArray
    """(N, 3) yaw, pitch and roll in radians."""
    shifts: FloatArray
    """(N, 2) cm."""
    noise: np.random.Generator
    pictures: list[bytes]
    """What was taken so far."""
    measures: list[tuple[float, float]]
    """Opening and width of each."""

    @classmethod
    def draw(cls, head: Head, rng: np.random.Generator, config: SynthConfig) -> _Scene:
        """A scene, by chance."""
        count = int(config.seconds * RATE)
        times = ((np.arange(count) + 0.5) / float(RATE)).astype(np.float32)
        person = draw_person(head, rng)
        camera = draw_camera(
            rng, crop_px=config.size, interocular=head.interocular(person.points)
        )
        sound, phonemes = draw_speech(rng, count / float(RATE))
        features = np.zeros((count, len(head.names)), np.float32)
        lids, brows = blinks(rng, times), _drift(rng, times, 2)
        for side in ("_L", "_R"):
            features[:, head.index("eyeBlink" + side)] = lids
            features[:, head.index("browInnerUp" + side)] = np.clip(0.3 * brows[:, 0], 0, 1)
            features[:, head.index("browOuterUp" + side)] = np.clip(0.3 * brows[:, 0], 0, 1)
            features[:, head.index("browDown" + side)] = np.clip(0.3 * brows[:, 1], 0, 1)
        still = np.radians(rng.normal(0, [7, 4, 3]))
        turns = still + np.radians([4, 3, 2]) * rng.uniform(0.3, 1.2) * _drift(rng, times, 3)
        window = Window(0, 0, camera.size, camera.size)
        info = PlateInfo(
            Path("synthetic"), "video", FrameRange(0, count - 1), RATE, window, "srgb", "uint8"
        )
        return cls(
            info, head, person, camera, sound, phonemes,
            viseme_track(phonemes, times, person.habits), tongue_track(phonemes, times),
            features, turns.astype(np.float32),
            (rng.normal(0, 0.4, 2) + 0.3 * _drift(rng, times, 2)).astype(np.float32),
            rng, [], [],
        )  # fmt: skip

    def stream(self, frames: FrameRange) -> Iterator[Frame]:
        """Take the pictures, in order."""
        mouth = Mouth(self.head, self.person.points, self.person.habits)
        for number in frames:
            weights = mouth.weights(self.visemes[number]) + self.features[number]
            points, opening, width = mouth.place(
                self.visemes[number], weights, float(self.tongue[number])
            )
            code = take(
                self.head, self.person, self.camera, points, _rotation(self.turns[number]),
                self.shifts[number], self.noise,
            )
            self.pictures.append(code)
            self.measures.append((opening, width))
            yield Frame(number, decode(code).astype(np.float32) / 255, self.info.display)

    def truth(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Segment.truth``."""
        opening, width = np.array(self.measures, np.float32).T
        return {
            "opening": opening, "width": width, "shapes": self.visemes,
            "phonemes": np.array([p.symbol for p in self.phonemes]),
            "phoneme_times_s": np.array([(p.start_s, p.end_s) for p in self.phonemes], np.float32),
        }

    def crops(self, track: FaceTrack, config: SynthConfig) -> Iterator[npt.NDArray[np.uint8]]:
        """The canonical crops with their margin."""
        side = config.size + 2 * config.margin_px
        for code, transform in zip(self.pictures, track.transforms, strict=True):
            wider = transform.astype(np.float64) * (config.size / side)
            wider[:, 2] += config.margin_px / side
            picture = decode(code).astype(np.float32)
            cut = sample(picture, self.info.display, wider.astype(np.float32), side)
            yield cut.round().clip(0, 255).astype(np.uint8)


def _drift(
    rng: np.random.Generator, times_s: FloatArray, columns: int
) -> npt.NDArray[np.float64]:
    """(N, columns) slow motion about 0, most of it within -1 to 1."""
    rates = rng.uniform(0.05, 0.7, (4, columns))
    phases = rng.uniform(0, 2 * np.pi, (4, columns))
    waves = np.sin(2 * np.pi * rates * times_s[:, None, None] + phases)
    total: npt.NDArray[np.float64] = waves.mean(axis=1) * 1.4
    return total


def _rotation(turn: FloatArray) -> FloatArray:
    """(3, 3) of yaw, pitch and roll in radians."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(turn), np.sin(turn)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    out: FloatArray = (roll @ pitch @ yaw).astype(np.float32)
    return out
