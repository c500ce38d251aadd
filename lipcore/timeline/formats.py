"""The new track in formats other than OTIO: EDL, FCP 7 XML, FCPX XML and AAF, by adapters.

They hold the track ``lipsync`` alone, to be laid above the cut that the editor has already:
the adapters write neither retimes nor nests of the given tracks as they were, and the new
track has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from lipcore.errors import DependencyError, LipcoreError, OutputError
from lipcore.media.output_files import appearing
from lipcore.timeline.flatten import flatten
from lipcore.timeline.read import ADAPTERS, INSTALL, find_adapter, read_timeline

FORMATS = {"otio": ".otio", "edl": ".edl", "xml": ".xml", "fcpx": ".fcpxml", "aaf": ".aaf"}
"""Names as ``--format`` takes them, and the suffixes of their files."""
_REEL_LENGTH = 32


def check_formats(names: Sequence[str]) -> None:
    """See that each format has its adapter, before hours of rendering.

    Raises:
        DependencyError: One is not installed.
    """
    for name in names:
        suffix = FORMATS[name]
        if suffix in ADAPTERS and find_adapter(suffix) is None:
            raise DependencyError(
                f"{suffix} timelines need an adapter: {ADAPTERS[suffix]}", hint=INSTALL
            )


def write_format(timeline: Any, name: str, path: Path, rate: Fraction, start_frame: int) -> bool:
    """Write the last track of a timeline in another format, and read it again as a check.

    The adapters of FCPX XML and AAF know no dissolves: there they become cuts, and the frames
    for them lie beyond the cut in the media.

    Args:
        timeline: The new timeline, its last track that of the rendered shots.
        name: One of ``FORMATS``, but ``otio``.
        path: The new file.
        rate: Record frames a second.
        start_frame: Record timecode of the first frame.

    Returns:
        Whether dissolves became cuts.

    Raises:
        OutputError: The adapter cannot write this track, or writes another cut.
        DependencyError: The adapter is not installed.
    """
    check_formats([name])
    suffix = FORMATS[name]
    cut = _one_track(timeline, name, rate, start_frame)
    mixes = [i for i, c in enumerate(cut.tracks[0]) if isinstance(c, otio.schema.Transition)]
    lost = name in ("fcpx", "aaf") and bool(mixes)
    for place in reversed(mixes) if lost else ():
        del cut.tracks[0][place]
    wanted = _seen(cut.tracks[0])
    arguments: dict[str, Any] = {"adapter_name": find_adapter(suffix)}
    if name == "edl":
        arguments.update(rate=float(rate), reelname_len=_REEL_LENGTH)
    if name == "aaf":
        arguments["use_empty_mob_ids"] = True
    try:
        with appearing(path) as temporary:
            otio.adapters.write_to_file(cut, str(temporary), **arguments)
    except LipcoreError:
        raise
    except Exception as error:  # adapters raise whatever comes
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise OutputError(
            f"the adapter cannot write {path.name}: {text}",
            hint="Take the .otio beside it; it holds everything.",
        ) from error
    _check(wanted, path, rate)
    return lost


def _one_track(timeline: Any, name: str, rate: Fraction, start_frame: int) -> Any:
    """A timeline of the rendered shots alone, media as the format can name it."""
    track = timeline.tracks[-1].deepcopy()
    for clip in track.find_clips():
        media = clip.media_reference
        clip.metadata["cmx_3600"] = {"reel": clip.metadata["lipcore"]["shot"][:_REEL_LENGTH]}
        if name != "edl":  # none of them knows image sequences: the first frame stands for all
            clip.media_reference = otio.schema.ExternalReference(
                Path(media.target_url_for_image_number(0)).as_uri(), media.available_range
            )
    made = otio.schema.Timeline(timeline.name)
    made.global_start_time = otio.opentime.RationalTime(start_frame, float(rate))
    made.tracks.append(track)
    if name == "edl":  # the EDL's adapter takes the record's start from here
        held = track.available_range()
        track.source_range = otio.opentime.TimeRange(
            otio.opentime.RationalTime(-start_frame, float(rate)), held.duration
        )
    return made


def _seen(track: Any) -> list[tuple[int, int]]:
    """The record frames of each clip, as far as its dissolves show it."""
    spans = []
    for clip in track.find_clips():
        held, shown = track.range_of_child(clip), clip.visible_range()
        first = held.start_time - (clip.source_range.start_time - shown.start_time)
        spans.append((round(first.value), round((first + shown.duration).value)))
    return spans


def _check(wanted: list[tuple[int, int]], path: Path, rate: Fraction) -> None:
    """The file, read again, shows the shots at the frames at which they belong."""
    try:
        segments = flatten(read_timeline(path, rate=rate))
    except LipcoreError as error:
        path.unlink(missing_ok=True)
        raise OutputError(
            f"the adapter's {path.name} cannot be read again: {error.message}",
            hint="Take the .otio beside it; it holds everything.",
        ) from error
    found = [(s.first - s.fade_in, s.end + s.fade_out) for s in segments]
    if found != wanted:
        path.unlink(missing_ok=True)
        raise OutputError(
            f"the adapter wrote another cut to {path.name} ({len(found)} shots of {len(wanted)} "
            f"at {found[:3]}, not {wanted[:3]})",
            hint="Take the .otio beside it; it holds everything.",
        )
