"""What a prepared folder is like, and what footage must be like to get into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from lipcore.errors import ConfigError
from lipcore.provenance.watermark import largest_count, text_bits


@dataclass(frozen=True, slots=True)
class QualityBounds:
    """What a segment must reach; see ``quality`` for how each is measured."""

    least_face_px: int = 64
    """Width of the face, pixels of the source."""
    least_sharpness: float = 0.08
    """Share of the face's contrast that lies in its fine detail. Seen on 13 real clips: 0.10 to
    0.26; of the same, blurred by 3 pixels of a crop of 256: 0.04 to 0.08. Blocks of heavy
    compression pass for detail."""
    largest_yaw_deg: float = 45.0
    """Turn of the head to either side that nine tenths of the frames stay below."""
    largest_outside: float = 0.05
    """Share of the face beyond the picture's edge that nine tenths of the frames stay below."""
    least_confidence: float = 0.8
    """Mean belief of the tracker that this is a face, 0-1."""
    least_light: float = 45.0
    """Luma, 0-255, that the brightest twentieth of the face reaches. Not its mean: that would
    leave out dark skin. Seen: 160 to 206; at a fifth of the exposure 31 to 41."""
    largest_clipped: float = 0.15
    """Share of the face that is burnt out: a channel at 254 or more."""

    def __post_init__(self) -> None:
        if self.least_face_px < 1 or not 0 < self.largest_yaw_deg <= 90:
            raise ConfigError(
                f"no face is {self.least_face_px} px wide and turned by {self.largest_yaw_deg}",
                hint="64 px and 45 degrees are usual.",
            )


@dataclass(frozen=True, slots=True)
class PrepareConfig:
    """What a prepared folder is like."""

    crop_px: int = 768
    margin_px: int = 48
    """Pixels around the crop, for shifts and turns in training."""
    native: bool = True
    """Keep the crop at about the source's own size too."""
    rate: Fraction | None = Fraction(25)
    """Frames a second; None keeps the source's. Each frame is the source's frame of that time;
    the sound is never stretched."""
    shortest_s: float = 5.0
    """Segments in which the face is seen for less are left out."""
    longest_s: float = 10.0
    """Longer ones are cut into equal pieces."""
    part_s: float = 60.0
    """Long files are prepared in parts of so many seconds, each on its own: what is lost by a
    kill is at most the parts that were being made."""
    val_share: float = 0.15
    """Share of the people who are kept out of training, chosen by a hash of their names."""
    hold_out: tuple[str, ...] = ()
    """People who are kept out in any case."""
    measure_sync: bool = True
    """Measure how far the sound lags where it is not stated, and take it out; tell by it who
    of several people speaks."""
    least_sync: float = 0.25
    """Confidence of that measure below which the sound is not this mouth's, and the segment is
    left out."""
    quality: QualityBounds = field(default_factory=QualityBounds)
    words: tuple[str, ...] = ()
    """Keep only segments in which one of these is said, by their transcripts. Empty: all."""
    watermark: str = ""
    """Text that is put invisibly into every picture. Empty: none."""

    def __post_init__(self) -> None:
        if self.crop_px < 16 or self.margin_px < 0:
            raise ConfigError("a crop of this size is of no use", hint="256 and 768 px are usual.")
        if not 0 <= self.val_share < 1:
            raise ConfigError(f"val_share {self.val_share} is not in [0, 1)", hint="Try 0.15.")
        if not 0 < self.shortest_s <= self.longest_s <= self.part_s:
            raise ConfigError(
                f"segments of {self.shortest_s:g} to {self.longest_s:g} s, from parts of "
                f"{self.part_s:g} s, cannot be",
                hint="Set --shortest and --longest: 5 and 10 are usual.",
            )
        if self.rate is not None and not 1 <= self.rate <= 240:
            raise ConfigError(f"a rate of {self.rate} is of no use", hint="25 is usual.")
        if self.watermark:
            side = self.crop_px + 2 * self.margin_px
            most = largest_count(side, side) // 8
            if len(text_bits(self.watermark)) // 8 > most:
                raise ConfigError(
                    f"the watermark {self.watermark!r} is longer than {most} bytes, the most "
                    f"for crops of {side} pixels", hint="Shorten it, or make larger crops.",
                )
