"""What one render is asked to do: the shot and the settings. Light to import."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from lipcore.errors import ConfigError
from lipcore.types import FrameRange

Deliver = Literal["full", "patch", "video"]
"""The whole plate with the new mouth in it; only the mouth, as EXR; or a video file."""
NoFace = Literal["hold", "passthrough", "error"]
Synthesis = Literal["auto", "shot", "adapted", "latent"]
Detail = Literal["none", "transport", "bank"]
WatermarkMethod = Literal["pattern", "blocks"]

DEFAULT_SPEAKER = "largest"

DELIVERIES: tuple[Deliver, ...] = ("full", "patch", "video")
NO_FACE: tuple[NoFace, ...] = ("hold", "passthrough", "error")
SYNTHESES: tuple[Synthesis, ...] = ("auto", "shot", "adapted", "latent")
DETAILS: tuple[Detail, ...] = ("none", "transport", "bank")
WATERMARK_METHODS: tuple[WatermarkMethod, ...] = ("pattern", "blocks")
BY_NETWORK: tuple[Synthesis, ...] = ("adapted", "latent")
"""The renderers whose mouths a network draws, and a refiner can mend."""
TRAIN_REFINER = (
    "`lipcore train refiner_base --data SHARDS --out RUN` makes one, "
    "--weights base+RUN/refiner.safetensors takes it"
)
NO_WATERMARK = "none"
WATERMARK = "lipc"
"""The text that is looked for where none is named."""
MOST_BLOCK_BYTES = 4


@dataclass(frozen=True, slots=True)
class Shot:
    """A plate, what its person shall say, and which part of it."""

    plate: Path
    """Video file, sequence (``name.####.exr``, ``name.%04d.exr``, a folder, one frame)."""
    dialogue: Path | None = None
    """Sound file, or a video whose sound is taken. None where ``shapes`` drive the mouth."""
    shapes: Path | None = None
    """Curves file from ``lipcore shapes``; it takes the place of what the sound asks for."""
    frames: FrameRange | None = None
    """Frames to render; None renders all of the plate."""
    rate: Fraction | None = None
    """Frames a second, where the plate does not say or is wrong."""
    colorspace: str | None = None
    """Encoding of the plate, where it does not say or is wrong."""
    speaker: str = DEFAULT_SPEAKER
    """``largest``, ``left``, ``right``, ``X,Y`` in plate pixels, or ``track:N``."""
    holdout: Path | None = None
    """A matte, numbered and sized as the plate, or one still for all frames: 1 where hands,
    microphones and the like pass before the mouth and the plate is to stay."""

    def __post_init__(self) -> None:
        if self.dialogue is None and self.shapes is None:
            raise ConfigError(
                "a shot needs a dialogue or a file of mouth shapes",
                hint="Give a sound file, or curves with --shapes.",
            )
        if self.rate is not None and self.rate <= 0:
            raise ConfigError(f"a rate must be above 0, got {self.rate}")


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """How a shot is rendered; options of the command line have the names of the fields."""

    deliver: Deliver | None = None
    """``full`` frames, the ``patch`` alone, or a ``video``; None follows the output's name."""
    codec: str | None = None
    """Of video: ``prores4444``, ``prores422hq``, ``dnxhr_hqx``, ``h264``, ``ffv1``; None follows
    the output's extension."""
    synthesis: Synthesis = "auto"
    detail: Detail = "bank"
    """Where skin detail and teeth come from in the latent renderers (``none`` is the plain
    method of the paper); the ``shot`` renderer always uses the shot's own frames."""
    refine: float = 0.0
    """Share of the refiner's picture (stage 2 of the paper) in what ``latent`` and ``adapted``
    draw; 0 leaves it out. Never on by itself: a refiner guesses, and the weights that ship hold
    none."""
    strength: float = 1.0
    """0 leaves the plate as it is, 1 follows the dialogue."""
    strength_curve: Path | None = None
    """File with a line ``frame value`` for each key; linear between, held outside."""
    offset_frames: float = 0.0
    """Moves the dialogue against the picture; positive makes the mouth speak later."""
    no_face: NoFace = "hold"
    audio_short: Literal["silence", "error"] = "silence"
    audio_long: Literal["trim", "error"] = "trim"
    missing_frame: Literal["error", "hold", "black"] = "error"
    feather: float = 0.1
    """Softness of the matte in interocular units (1.0 = outer eye corner to outer corner)."""
    weights: str = "base"
    device: str = "cpu"
    backend: str = "torch"
    """What runs the networks: a name of ``runtime.backends``, or ``auto`` for the fastest on
    this machine that draws the same to 2 of 255. ``torch`` draws alike on machines that differ
    in what they have."""
    seed: int = 0
    """Of whatever a network draws at random; the same seed gives the same pixels."""
    overwrite: bool = False
    workers: int = 2
    """Frames that are drawn at once."""
    cache: Path | None = None
    """Folder for what does not depend on the dialogue; None takes the user's cache folder."""
    chunk: FrameRange | None = None
    """Write only this part of the shot's frames, with the same pixels as in the whole; other
    processes write the rest, and a last run without a chunk completes the output."""
    exclude_frames: int = -1
    """For measurement: shut out sources this near in time to the frame drawn; -1 for none."""
    watermark: str = NO_WATERMARK
    """Text of an invisible mark in the new mouths; ``none``, the default, leaves it out: what
    is delivered to a compositor holds only what was asked for."""
    watermark_method: WatermarkMethod = "pattern"
    """``pattern`` outlasts strong compression and scaling and is found by its text; ``blocks``,
    the paper's, can be read without the text, holds 4 letters, and is erased by H.264."""
    provenance: bool = False
    """Sign what was made as content credentials (C2PA). Off by default, as pictures on their way
    to a compositor are not published yet: see ``.github/POLICY.md``."""
    certificate: Path | None = None
    """PEM of who signs, with its chain; None takes one that was made on this machine."""
    private_key: Path | None = None
    """PEM of its key."""
    consent: str = ""
    """Where the consent of the person shown is on file; told by sidecar and credentials."""
    extra: dict[str, str] = field(default_factory=dict)
    """Attributes to write into every frame."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.strength) and 0 <= self.strength <= 1):
            raise ConfigError(
                f"strength must be from 0 to 1, got {self.strength}",
                hint="0 leaves the plate as it is, 1 follows the dialogue.",
            )
        if not (math.isfinite(self.refine) and 0 <= self.refine <= 1):
            raise ConfigError(
                f"refine must be from 0 to 1, got {self.refine}",
                hint="0 leaves the refiner out, 1 shows its picture alone.",
            )
        if self.refine and self.synthesis not in BY_NETWORK:
            raise ConfigError(
                f"the {self.synthesis} renderer draws with the shot's own frames, so there is "
                "nothing to refine",
                hint="Choose --synthesis latent or adapted, with weights that hold a refiner "
                f"({TRAIN_REFINER}); or leave --refine out.",
            )
        if not 0.02 <= self.feather <= 0.5:
            raise ConfigError(f"feather must be from 0.02 to 0.5, got {self.feather}")
        if not math.isfinite(self.offset_frames):
            raise ConfigError("offset_frames must be a number")
        if (self.certificate is None) != (self.private_key is None):
            raise ConfigError(
                "a certificate and its private key go together",
                hint="Give both --certificate and --private-key, or neither.",
            )
        if not self.watermark.strip():
            raise ConfigError("the text of a watermark is empty", hint="Leave the option out.")
        if self.watermark != NO_WATERMARK and self.watermark_method == "blocks" and (
            len(self.watermark.encode()) > MOST_BLOCK_BYTES
        ):
            raise ConfigError(
                f"the watermark {self.watermark!r} is longer than {MOST_BLOCK_BYTES} bytes",
                hint="Shorten it, or take --watermark-method pattern, which takes any length.",
            )
        if self.workers < 1:
            raise ConfigError(f"workers must be 1 or more, got {self.workers}")
