"""Where the dialogue comes from: a file, a sound track of the timeline, or the clips' own sound.

Whatever it is, it becomes one sound whose first sample is the timeline's first frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import opentimelineio as otio

from lipcore.errors import DialogueError, LipcoreError, NoAudioError
from lipcore.media.audio import SAMPLE_RATE_HZ, load_dialogue, sound_start_s
from lipcore.media.plate import Plate
from lipcore.timeline.flatten import Segment, flatten, flatten_sound
from lipcore.timeline.media_links import MediaFinder, MediaTimes, source_origin, times_of_plate
from lipcore.timeline.read import ReadTimeline
from lipcore.types import Dialogue, FloatArray

_TRACK, _CLIPS = "track:", "clips"
Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Moments, seconds, and levels."""


@dataclass(frozen=True, slots=True)
class DialogueSource:
    """What a dialogue is made from."""

    kind: Literal["file", "track", "clips"]
    name: str = ""
    """The file's path, or the track's name or number (from 1, among the sound tracks)."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedDialogue:
    """A dialogue on the timeline's own time."""

    dialogue: Dialogue
    warnings: tuple[str, ...] = ()


def parse_source(text: str) -> DialogueSource:
    """``track:NAME``, ``clips``, or a file; a file of such a name goes before."""
    if not Path(text).exists():
        if text == _CLIPS:
            return DialogueSource("clips")
        if text.startswith(_TRACK):
            return DialogueSource("track", text.removeprefix(_TRACK))
    return DialogueSource("file", text)


def load_source(
    source: DialogueSource,
    read: ReadTimeline,
    finder: MediaFinder,
    *,
    skip_tracks: Sequence[str] = (),
) -> LoadedDialogue:
    """Read a dialogue.

    Args:
        source: What it is made from.
        read: The timeline.
        finder: Of its media.
        skip_tracks: Names of picture tracks that are looked through.

    Raises:
        DialogueError: The file cannot be used; no track has the name, or it is silent: muted,
            or another is soloed; or no clip has a sound that can be found.
    """
    if source.kind == "file":
        return LoadedDialogue(load_dialogue(source.name))
    if source.kind == "track":
        segments = flatten_sound(read, _heard(read, source.name))
        where = f"the sound track {source.name!r}"
    else:
        segments = flatten(read, skip_tracks=skip_tracks)
        where = "the timeline's clips"
    mixed, told = _mix(segments, read.rate, finder)
    if mixed is None:
        raise DialogueError(
            f"no sound of {where} can be used" + (f": {told[0]}" if told else ""),
            hint="Give --search DIR, or the dialogue as a file.",
        )
    return LoadedDialogue(Dialogue(mixed), tuple(told))


def _heard(read: ReadTimeline, name: str) -> list[Any]:
    """The tracks of a name that sound."""
    tracks = [
        track for track in read.timeline.tracks
        if isinstance(track, otio.schema.Track) and track.kind == otio.schema.TrackKind.Audio
    ]  # fmt: skip
    named = [track for track in tracks if track.name == name]
    if not named and name.isdecimal() and 1 <= int(name) <= len(tracks):
        named = [tracks[int(name) - 1]]
    if not named:
        there = ", ".join(f"{i} {track.name!r}" for i, track in enumerate(tracks, 1))
        raise DialogueError(
            f"the timeline has no sound track {name!r}",
            hint=f"It has: {there}." if there else "It has no sound tracks: give a file.",
        )
    solo = [track for track in tracks if _is_soloed(track.metadata)]
    heard = [
        track for track in named
        if track.enabled and (not solo or any(track is one for one in solo))
    ]  # fmt: skip
    if not heard:
        muted = not any(track.enabled for track in named)
        why = "is muted" if muted else f"is silent: {solo[0].name!r} is soloed"
        raise DialogueError(
            f"the sound track {name!r} {why}", hint="Enable it in the timeline, or name another."
        )
    return heard


def _is_soloed(metadata: Any) -> bool:
    """Editors keep solo in metadata of their own: ``Resolve_OTIO: {SoloOn: true}``."""
    for key, value in metadata.items():
        if isinstance(value, Mapping):
            if _is_soloed(value):
                return True
        elif str(key).lower() in ("solo", "soloon", "soloed") and value is True:
            return True
    return False


def _mix(
    segments: Sequence[Segment], rate: Fraction, finder: MediaFinder
) -> tuple[FloatArray | None, list[str]]:
    """The segments' sounds at their record times, and what could not be used."""
    end = max((s.end + s.fade_out for s in segments), default=0)
    mixed = np.zeros(int(end / rate * SAMPLE_RATE_HZ), np.float32)
    told: list[str] = []
    any_sound = False
    by_media: dict[Path, list[int]] = {}
    for index, segment in enumerate(segments):
        found = finder.find(segment.clip)
        if found.path is None:
            told.append(f"no sound of {segment.clip.name!r}: {found.problem}")
        elif segment.unknown_effects:
            told.append(f"no sound of {segment.clip.name!r}: its retime is not in the file")
        else:
            by_media.setdefault(found.path, []).append(index)
    for path, places in by_media.items():  # each file is decoded once, and held once
        try:
            sound, times = _sound_of(path, finder)
        except NoAudioError:
            continue
        except LipcoreError as error:
            told.append(error.message)
            continue
        for index in places:
            segment = segments[index]
            span = (segment.first, segment.end - 1)
            positions = [segment.retime.position(n, rate) for n in span]
            origin, _ = source_origin(segment.clip, times, min(positions), max(positions))
            if origin is None:
                told.append(f"no sound of {segment.clip.name!r}: it lies outside of {path.name}")
                continue
            _lay(mixed, segment, _gain(segments, index, rate), sound, origin, rate)
            any_sound = True
    return (mixed if any_sound and len(mixed) else None), told


def _sound_of(path: Path, finder: MediaFinder) -> tuple[FloatArray, MediaTimes]:
    """Samples at 16 kHz and their times; a video's sound counts as its picture does."""
    plate = finder.plate(path)
    if isinstance(plate, Plate):
        if not plate.info.has_audio:
            raise NoAudioError(f"{path} has no sound")
        return load_dialogue(path).samples, times_of_plate(plate)
    samples = load_dialogue(path).samples
    lasts = Fraction(len(samples), SAMPLE_RATE_HZ)
    return samples, MediaTimes(lasts, Fraction(1, 24), sound_start_s(path))


def _lay(
    mixed: FloatArray, segment: Segment, gain: Curve, sound: FloatArray,
    origin: Fraction, rate: Fraction,
) -> None:  # fmt: skip
    """Add a segment's sound where it is heard, at the speed at which it is seen."""
    first = max(0, segment.first - segment.fade_in)
    end = segment.end + segment.fade_out
    start = round(first / rate * SAMPLE_RATE_HZ)
    stop = min(len(mixed), round(end / rate * SAMPLE_RATE_HZ))
    if start >= stop or segment.retime.direction == 0:
        return  # a freeze has no sound
    frames = range(first, end + 1)
    knots = np.array([n / float(rate) for n in frames])
    source = np.array([
        float(segment.retime.map((n / rate, Fraction(0)))[0] - origin) for n in frames
    ])  # fmt: skip
    at = np.interp(np.arange(start, stop) / SAMPLE_RATE_HZ, knots, source) * SAMPLE_RATE_HZ
    width = max(1, round(abs(source[-1] - source[0]) / (knots[-1] - knots[0])))
    low = max(0, int(at.min()) - width)
    part = sound[low : max(low, int(at.max()) + width + 1)]
    if not len(part):
        return
    if width > 1:  # what a higher speed would fold over is taken out, roughly
        part = np.convolve(part, np.full(width, 1 / width, np.float32), "same")
    heard = np.interp(at - low, np.arange(len(part)), part, left=0, right=0)
    level = np.interp(np.arange(start, stop) / SAMPLE_RATE_HZ, *gain)
    mixed[start:stop] += (heard * level).astype(np.float32)


def _gain(segments: Sequence[Segment], index: int, rate: Fraction) -> Curve:
    """Moments and levels of a segment: 1, and a straight cross-fade in its transitions."""
    segment = segments[index]
    first, end = segment.first, segment.end
    before = next((s.fade_out for s in segments if s.fade_out and s.end == first), 0)
    after = next((s.fade_in for s in segments if s.fade_in and s.first == end), 0)
    rise = (first - segment.fade_in, first + before) if segment.fade_in or before else ()
    fall = (end - after, end + segment.fade_out) if segment.fade_out or after else ()
    moments: list[float] = [*(rise or (first, first)), *(fall or (end, end))]
    levels = [0.0 if rise else 1.0, 1.0, 1.0, 0.0 if fall else 1.0]
    return np.array(moments) / float(rate), np.array(levels)
