"""One speaker's clip: a function of the settings and the speaker's number alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lipcore.errors import ConfigError, FaceError, TrainingError
from lipcore.shapes.measure import inner_opening
from lipcore.tracking.tracker import track_plate
from lipcore.types import FaceTrack, FloatArray

from ..shards import Segment
from .head import Head
from .head_scene import HeadScene
from .portrait import Portrait
from .portrait_scene import PortraitScene
from .scene import RATE, Scene

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
    """Share of the speakers who are kept out of training; of the portraits likewise."""
    seed: int = 0
    jobs: int = 1
    """Processes."""
    voices: tuple[str, ...] = ("espeak",)
    """Who may speak, from ``sentences.find_voices``."""

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
        if not self.voices:
            raise ConfigError("nobody speaks", hint="Name a voice.")

    @property
    def margin_px(self) -> int:
        """Pixels around the crop."""
        return self.size // 16


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Whose faces speak. With both kinds, odd numbers are portraits, in turn."""

    head: Head | None
    portraits: tuple[Portrait, ...] = ()

    def __post_init__(self) -> None:
        if self.head is None and not self.portraits:
            raise ConfigError(
                "there is nobody to speak",
                hint="Give a morphable head (--head), or --portrait astronaut, which is there.",
            )

    def side_of(self, number: int, share: float) -> str:
        """``val`` or ``train``: a share of the heads, and of the portraits, is kept out.

        One portrait is one person, however many speakers it lends its face.
        """
        index = self.portrait_of(number)
        if index is None:
            index = number // 2 if self.portraits else number
        return split_of(index, share)

    def portrait_of(self, number: int) -> int | None:
        """Which portrait a speaker is; none for the head."""
        if not self.portraits or (self.head is not None and number % 2 == 0):
            return None
        turn = number if self.head is None else number // 2
        return turn % len(self.portraits)


def key_of(number: int) -> str:
    """Name of a speaker's sample and shard."""
    return f"synth-{number:05d}"


def split_of(number: int, share: float) -> str:
    """``val`` for one of so many, evenly, however many there are."""
    return "val" if int((number + 1) * share + 1e-9) > int(number * share + 1e-9) else "train"


def make_segment(cast: Cast, number: int, config: SynthConfig, stamp: str) -> Segment:
    """Draw one speaker.

    Args:
        cast: Whose faces.
        number: Of the speaker.
        config: What the clips are like.
        stamp: What the clip depends on, kept in its facts.

    Raises:
        TrainingError: The tracker does not find the face, whoever is drawn.
    """
    for attempt in range(_ATTEMPTS):
        scene = _draw(cast, number, config, np.random.default_rng([config.seed, number, attempt]))
        try:
            track = track_plate(scene, scene.info.frames, color=_Shown())[0]
        except FaceError:
            continue
        if bool(track.present.all()) and not track.cuts:
            return _segment(scene, track, cast, number, config, stamp)
    raise TrainingError(
        f"the face of speaker {number} is not found in its pictures",
        hint="Use another --seed or a larger --size.", speaker=number,
    )


def _draw(cast: Cast, number: int, config: SynthConfig, rng: np.random.Generator) -> Scene:
    count = int(config.seconds * RATE)
    index = cast.portrait_of(number)
    if index is not None:
        return PortraitScene(cast.portraits[index], rng, config.size, count, config.voices)
    assert cast.head is not None
    return HeadScene(cast.head, rng, config.size, count, config.voices)


def _segment(
    scene: Scene, track: FaceTrack, cast: Cast, number: int, config: SynthConfig, stamp: str
) -> Segment:
    truth = scene.truth()
    tracked = inner_opening(track.landmarks)
    moved = float(np.std(truth["opening"]) * np.std(tracked)) > 0
    seen = float(np.corrcoef(truth["opening"], tracked)[0, 1]) if moved else 0.0
    index = cast.portrait_of(number)
    identity = (
        f"synth-{config.seed}-{number}" if index is None else cast.portraits[index].identity
    )
    side = cast.side_of(number, config.val_share)
    return Segment(
        key=key_of(number), rate=RATE,
        crops=scene.crops(track, config.size, config.margin_px),
        landmarks=track.landmarks, transforms=track.transforms, sound=scene.sound, truth=truth,
        facts={
            "identity": identity, "split": side,
            "source": "synthetic" if index is None else "portrait",
            "offset_frames": 0.0, "opening_correlation": round(seen, 4), "settings": stamp,
        },
    )  # fmt: skip


class _Shown:
    """Pictures are display-referred already."""

    def tracking_picture(self, rgb: FloatArray) -> npt.NDArray[np.uint8]:
        """See ``TrackingColor``."""
        return (rgb * 255).round().clip(0, 255).astype(np.uint8)
