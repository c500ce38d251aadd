"""`lipcore track`: which faces a plate shows, and how well they are followed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from lipcore.errors import MissingFrameError
from lipcore.rates import parse_rate
from lipcore.types import FrameRange

if TYPE_CHECKING:
    from lipcore.types import FaceTrack


@click.command("track")
@click.argument("plate", type=click.Path(path_type=Path))
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a contact sheet (PNG).")
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    help="Write landmarks and crop transforms of every frame (JSON).",
)
@click.option("--frames", metavar="FIRST-LAST", help="Frames to track, as 1001-1050.")
@click.option("--rate", metavar="FPS", help="Frames a second, as 24, 23.976 or 24000/1001.")
@click.option("--colorspace", metavar="NAME", help="Encoding of the plate's pixels.")
@click.option(
    "--missing-frame",
    type=click.Choice(["error", "hold", "black"]),
    default="error",
    show_default=True,
    help="What stands in for absent frames.",
)
def command(
    plate: Path,
    sheet: Path | None,
    json_path: Path | None,
    frames: str | None,
    rate: str | None,
    colorspace: str | None,
    missing_frame: str,
) -> None:
    """Track the faces of PLATE and list them.

    Each line names a track as --speaker of `lipcore render` takes it.
    """
    asked = None if frames is None else FrameRange.parse(frames)
    fps = None if rate is None else parse_rate(rate)
    from lipcore.media.color import ColorTransform
    from lipcore.media.output_files import check_place
    from lipcore.media.plate import MissingPolicy, open_plate
    from lipcore.tracking.sheet import draw_sheet, write_sheet
    from lipcore.tracking.store import write_tracks_json
    from lipcore.tracking.tracker import track_plate

    for planned in (json_path, sheet):
        if planned is not None:
            check_place(planned)
    policy = cast("MissingPolicy", missing_frame)
    with open_plate(plate, rate=fps, colorspace=colorspace, missing=policy) as opened:
        info = opened.info
        span = info.frames if asked is None else asked
        for end in (span.first, span.last):
            if end not in info.frames:
                raise MissingFrameError(
                    f"frame {end} is outside the plate {info.path} ({info.frames})",
                    hint="Ask for frames that the plate has (--frames).",
                    frame=end,
                )
        color = ColorTransform.of_plate(opened)
        with click.progressbar(length=len(span), label="tracking", file=sys.stderr) as bar:
            tracks = track_plate(opened, span, color=color, progress=lambda *_: bar.update(1))
        if json_path is not None:
            write_tracks_json(json_path, tracks, info)
        if sheet is not None:
            write_sheet(sheet, draw_sheet(opened, tracks, color=color))
    for track in tracks:
        click.echo(_describe(track))
    if tracks[0].cuts:
        click.echo("scenes begin at " + ", ".join(str(cut) for cut in tracks[0].cuts))
    for written in (json_path, sheet):
        if written is not None:
            click.echo(f"wrote {written}")


def _describe(track: FaceTrack) -> str:
    import numpy as np

    seen = np.flatnonzero(track.present)
    points = track.landmarks[seen][:, :468, :2]
    width = float(np.median(np.ptp(points[..., 0], axis=1)))
    x, y = np.median(points.mean(axis=1), axis=0)
    first, last = track.frames.first + int(seen[0]), track.frames.first + int(seen[-1])
    return (
        f"track:{track.track_id}  frames {first}-{last}, seen in {len(seen)} of "
        f"{len(track.frames)}, {width:.0f} px wide, at {x:.0f},{y:.0f}, "
        f"confidence {float(track.confidence[seen].mean()):.2f}"
    )
