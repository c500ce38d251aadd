"""The new timeline: the given tracks, and above them one with the rendered shots."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from lipcore import __version__
from lipcore.media.locate import frame_path
from lipcore.media.output_files import appearing
from lipcore.media.plate import open_plate
from lipcore.timeline.formats import FORMATS, write_format
from lipcore.timeline.outcome import FIRST_FRAME
from lipcore.timeline.plan import ShotPlan
from lipcore.timeline.read import ReadTimeline
from lipcore.timeline.run import picture_of
from lipcore.timeline.times import parse_timecode

TRACK = "lipsync"


def write_timeline(
    read: ReadTimeline, shots: Sequence[ShotPlan], out: Path, path: Path, *, language: str = "",
    formats: Sequence[str] = (),
) -> list[Path]:  # fmt: skip
    """Write an OTIO file; the given timeline stays as it is.

    Args:
        read: The given timeline.
        shots: The plan, after rendering: shots without a problem lie in ``out``.
        out: Folder of the conform.
        path: The new file.
        language: Tag of the dialogue, as ``de`` or ``pt-BR``; named by the track.
        formats: What else to write beside it: see ``formats``.

    Returns:
        The files, the OTIO first.

    Raises:
        OutputError: One cannot be written.
    """
    timeline = read.timeline.deepcopy()
    name = f"{TRACK} {language}".strip()
    timeline.name = f"{timeline.name or path.stem} {name}"
    track = otio.schema.Track(name, kind=otio.schema.TrackKind.Video)
    if language:
        track.metadata["lipcore"] = {"language": language}
    done = [shot for shot in shots if not shot.problem]
    at = 0
    for index, shot in enumerate(done):
        segment = shot.segment
        joined = False
        if segment.first > at:
            track.append(otio.schema.Gap(source_range=_range(0, segment.first - at, read.rate)))
        elif index and shot.lead >= segment.fade_in > 0:
            joined = _dissolve(track, done[index - 1], shot, read.rate)
        if segment.fade_in and not joined:
            shot.warnings.append("cut in without its transition: what is before is not new")
        follows = done[index + 1].segment.first if index + 1 < len(done) else None
        if segment.fade_out and follows != segment.end:
            shot.warnings.append("cut out without its transition: what follows is not new")
        track.append(_clip(shot, out, read.rate))
        at = segment.end
    timeline.tracks.append(track)
    with appearing(path) as temporary:
        temporary.write_text(otio.adapters.write_to_string(timeline, "otio_json"), "utf-8")
    written = [path]
    for name in formats:
        if name != "otio" and done:
            written.append(path.with_suffix(FORMATS[name]))
            if write_format(timeline, name, written[-1], read.rate, read.start_frame):
                for shot in (shot for shot in done if shot.segment.fade_in):
                    shot.warnings.append(f"cut in without its transition in {FORMATS[name]}")
    return written


def _clip(shot: ShotPlan, out: Path, rate: Fraction) -> Any:
    picture = picture_of(shot, out)
    segment = shot.segment
    start = _first_time(frame_path(picture, FIRST_FRAME), rate)
    prefix, _, suffix = picture.name.partition("####")
    media = otio.schema.ImageSequenceReference(
        target_url_base=f"{picture.parent.absolute()}/",
        name_prefix=prefix, name_suffix=suffix, start_frame=FIRST_FRAME, frame_step=1,
        rate=float(rate), frame_zero_padding=4,
        missing_frame_policy=otio.schema.ImageSequenceReference.MissingFramePolicy.error,
        available_range=_range(start, len(shot.numbers), rate),
    )  # fmt: skip
    speed = segment.retime.speed
    facts = {
        "lipcore": __version__, "shot": shot.name, "source": str(shot.media),
        "source_frames": [shot.numbers[0], shot.numbers[-1]],
        "speed": "varies" if speed is None else str(speed),
        "dialogue_s": round(shot.dialogue_s, 2), "settings": shot.settings.stated(),
    }  # fmt: skip
    return otio.schema.Clip(
        name=segment.clip.name, media_reference=media,
        source_range=_range(start + shot.lead, segment.end - segment.first, rate),
        metadata={"lipcore": facts},
    )  # fmt: skip


def _first_time(frame: Path, rate: Fraction) -> int:
    """Where hosts begin to count: the first frame's own timecode, else its number."""
    with open_plate(frame) as plate:
        code = plate.info.timecode
    return FIRST_FRAME if code is None else parse_timecode(code, rate)


def _dissolve(track: Any, before: ShotPlan, after: ShotPlan, rate: Fraction) -> bool:
    """Add the transition between two rendered shots; False where the first is too short."""
    head, tail = after.segment.fade_in, before.segment.fade_out
    behind = len(before.numbers) - before.lead - (before.segment.end - before.segment.first)
    if behind < tail:
        return False
    track.append(otio.schema.Transition(
        transition_type=otio.schema.TransitionTypes.SMPTE_Dissolve,
        in_offset=otio.opentime.RationalTime(head, float(rate)),
        out_offset=otio.opentime.RationalTime(tail, float(rate)),
    ))  # fmt: skip
    return True


def _range(first: int, count: int, rate: Fraction) -> Any:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, float(rate)),
        otio.opentime.RationalTime(count, float(rate)),
    )
