"""What a conform would do, shot by shot: the table of ``--dry-run``, and what is rendered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from lipcore.errors import ConfigError
from lipcore.media.plate import MissingPolicy, Plate
from lipcore.shot import DEFAULT_SPEAKER
from lipcore.timeline.flatten import Segment, flatten
from lipcore.timeline.media_links import (
    MediaFinder,
    source_origin,
    stated_rate,
    times_of_plate,
)
from lipcore.timeline.read import ReadTimeline
from lipcore.timeline.settings import ShotSettings, settings_of
from lipcore.timeline.times import timecode
from lipcore.timeline.voice import find_speech, spoken_s
from lipcore.types import Dialogue, PlateInfo

_Missing = otio.schema.ImageSequenceReference.MissingFramePolicy
_POLICIES: dict[Any, MissingPolicy] = {_Missing.hold: "hold", _Missing.black: "black"}


@dataclass(slots=True)
class ShotPlan:
    """One row of the table."""

    number: int
    name: str
    segment: Segment
    media: Path | None = None
    numbers: tuple[int, ...] = ()
    """The media's frame of each record frame, transitions and handles included."""
    lead: int = 0
    """How many of ``numbers`` come before the first record frame of the cut."""
    missing_frame: MissingPolicy = "error"
    """What stands in for absent frames of its sequence."""
    whole: bool = True
    """No frame is absent from the take between those that are shown."""
    dialogue_s: float = 0.0
    """Seconds of speech that fall between the shot's cuts."""
    problem: str = ""
    """Why the shot is passed through; empty where it is rendered."""
    kept: bool = False
    """An earlier run has rendered it, and this one was not asked to."""
    settings: ShotSettings = field(default_factory=ShotSettings)
    warnings: list[str] = field(default_factory=list)

    def row(self, read: ReadTimeline) -> dict[str, object]:
        """Plain values for the table and for JSON."""
        cut = self.numbers[self.lead : self.lead + self.segment.end - self.segment.first]
        speed = self.segment.retime.speed
        first = read.start_frame + self.segment.first
        return {
            "shot": self.number,
            "name": self.name,
            "record": [self.segment.first, self.segment.end - 1],
            "record_in": timecode(first, read.rate),
            "source": [cut[0], cut[-1]] if cut else _stated(self.segment, read.rate),
            "speed": "varies" if speed is None else str(speed),
            "media": "" if self.media is None else str(self.media),
            "speaker": self.settings.speaker or DEFAULT_SPEAKER,
            "dialogue_s": round(self.dialogue_s, 2),
            "settings": self.settings.stated(),
            "action": self._action(),
            "warnings": self.warnings,
        }

    def _action(self) -> str:
        if self.problem:
            return f"pass: {self.problem}"
        return "keep: rendered before" if self.kept else "render"


def plan_shots(
    read: ReadTimeline,
    finder: MediaFinder,
    dub: Dialogue | None,
    *,
    handles: int = 0,
    skip_tracks: Sequence[str] = (),
    settings: Mapping[str, ShotSettings] | None = None,
) -> list[ShotPlan]:
    """The shots of a timeline in record order.

    Args:
        read: The timeline.
        finder: Of its media.
        dub: The dialogue, its first sample at the timeline's first frame.
        handles: Record frames to render on either side, as far as the media reaches.
        skip_tracks: Names of tracks that are looked through.
        settings: Of single shots, by name or number; they go before those of the timeline.

    Raises:
        ConfigError: Settings are unknown, or of a shot that is not there.
    """
    shots = []
    for number, segment in enumerate(flatten(read, skip_tracks=skip_tracks), 1):
        shot = ShotPlan(number, f"{number:04d}_{_plain(segment.clip.name)}", segment)
        shots.append(shot)
        shot.settings = settings_of([segment.clip, *reversed(segment.parents)])
        for key in (str(number), shot.name):
            if settings and key in settings:
                shot.settings = settings[key].over(shot.settings)
        found = finder.find(segment.clip)
        shot.media, shot.problem = found.path, found.problem
        if segment.unknown_effects:
            shot.problem = f"its retime is not in the file ({segment.unknown_effects[0]})"
        if segment.clip.name in read.lost_retimes:
            shot.problem = "its retime is not carried by the format's adapter"
        if shot.settings.exclude:
            shot.problem = "excluded by a mark"
        if shot.problem or shot.media is None:
            continue
        plate = finder.plate(shot.media, stated_rate(segment.clip))
        if isinstance(plate, str):
            shot.problem = plate
            continue
        _map_frames(shot, read.rate, plate, handles)
    check_names(shots, settings or ())
    if dub is not None:
        _listen(shots, dub, read.rate)
    return shots


def _listen(shots: Sequence[ShotPlan], dub: Dialogue, rate: Fraction) -> None:
    """Fill in how much of the dub is spoken in each shot."""
    spans = [(s.segment.first / rate, s.segment.end / rate) for s in shots]
    speech = find_speech(dub, spans)
    for shot, (start, end) in zip(shots, spans, strict=True):
        shot.dialogue_s = spoken_s(speech, start, end)
        if not shot.problem and shot.dialogue_s == 0:
            shot.problem = "no dialogue"


def check_names(shots: Sequence[ShotPlan], asked: Iterable[str]) -> None:
    """Every shot that is asked for, by name or number, is there.

    Raises:
        ConfigError: One is not.
    """
    known = {shot.name for shot in shots} | {str(shot.number) for shot in shots}
    for name in asked:
        if name not in known:
            raise ConfigError(
                f"no shot is called {name!r}", hint="See the table that --dry-run prints."
            )


def table(shots: Sequence[ShotPlan], read: ReadTimeline) -> str:
    """The rows as text."""
    head = ("shot", "record", "source", "speed", "speaker", "dialogue", "media", "what")
    rows: list[tuple[str, ...]] = [head]
    for shot in shots:
        row = shot.row(read)
        record, source = shot.segment, row["source"]
        assert isinstance(source, list)
        rows.append((
            shot.name, f"{record.first}-{record.end - 1}", f"{source[0]}-{source[1]}",
            str(row["speed"]), str(row["speaker"]), f"{shot.dialogue_s:.2f} s",
            "-" if shot.media is None else shot.media.name,
            "; ".join([str(row["action"]), *_told(shot), *shot.warnings]),
        ))  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(head) - 1)]
    lines = [
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=False))
        + f"  {row[-1]}"
        for row in rows
    ]
    return "\n".join([*lines, *(f"warning: {text}" for text in read.warnings)])


def _told(shot: ShotPlan) -> list[str]:
    """Settings of a shot that is rendered, as words."""
    told = {k: v for k, v in shot.settings.stated().items() if k != "speaker"}
    return [] if shot.problem else [f"{k} {v}" for k, v in told.items()]


def _map_frames(shot: ShotPlan, rate: Fraction, plate: Plate, handles: int) -> None:
    """Fill in the media's frames, or why there are none."""
    segment, info = shot.segment, plate.info
    cut = range(segment.first, segment.end)
    times = [segment.retime.position(n, rate) for n in (cut[0], cut[-1])]
    origin, warning = source_origin(
        segment.clip, times_of_plate(plate), min(times), max(times)
    )
    if origin is None:
        shot.problem = warning
        return
    if warning:
        shot.warnings.append(warning)
    wide = range(
        segment.first - segment.fade_in - handles, segment.end + segment.fade_out + handles
    )
    found = segment.retime.source_frames(wide, rate, origin, info.rate)
    inside = [0 <= index < len(info.frames) for index in found]
    start, stop = cut[0] - wide[0], cut[-1] - wide[0] + 1
    if not all(inside[start:stop]):
        shot.problem = "the cut reaches beyond its media"
        return
    low = start
    while low and inside[low - 1]:
        low -= 1
    high = stop
    while high < len(wide) and inside[high]:
        high += 1
    shot.numbers = _on_steps(segment.clip.media_reference, info, found[low:high])
    shot.lead = start - low
    _apply_missing(shot, info)
    if shot.lead < segment.fade_in:
        shot.warnings.append("the media is too short for its transition")


def _on_steps(media: Any, info: PlateInfo, found: Sequence[int]) -> tuple[int, ...]:
    """Numbers of a media's frames by position; a sequence on twos shows each file for two."""
    numbers = [info.frames.first + index for index in found]
    step = getattr(media, "frame_step", 1)
    if step > 1:
        numbers = [n - (n - media.start_frame) % step for n in numbers]
    return tuple(max(n, info.frames.first) for n in numbers)


def _apply_missing(shot: ShotPlan, info: PlateInfo) -> None:
    """What the timeline wants where frames of a sequence are absent."""
    low, high = min(shot.numbers), max(shot.numbers)
    shot.whole = not any(low <= n <= high for n in info.missing)
    absent = frozenset(info.missing).intersection(shot.numbers)
    if not absent:
        return
    policy = getattr(shot.segment.clip.media_reference, "missing_frame_policy", None)
    shot.missing_frame = _POLICIES.get(policy, "error")
    if shot.missing_frame == "error":
        shot.problem = f"frame {min(absent)} is missing"
    else:
        shot.warnings.append(f"{len(absent)} frames are missing: {shot.missing_frame}")


def _stated(segment: Segment, rate: Fraction) -> list[int]:
    """Source frames as the timeline counts them, where the media is not known."""
    found = segment.retime.source_frames(
        range(segment.first, segment.end), rate, Fraction(0), rate
    )
    return [found[0], found[-1]]


def _plain(name: str) -> str:
    """A name that any file system takes."""
    kept = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(name).stem)
    return kept.strip("_")[:60] or "clip"
