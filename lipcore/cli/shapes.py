"""``lipcore shapes``: mouth-shape curves of a dialogue or of a plate, for artists to edit."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipcore.errors import ConfigError, OutputExistsError
from lipcore.rates import parse_rate
from lipcore.types import FrameRange

if TYPE_CHECKING:
    from lipcore.types import ShapeCurves
    from lipcore.weights import WeightsSet


@click.command(short_help="Write the mouth shapes of a dialogue or a plate as curves.")
@click.argument("source", metavar="DIALOGUE|PLATE", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Curves: .json or .csv."
)
@click.option(
    "--from", "origin", type=click.Choice(["picture", "sound"]),
    help="Of a video: its mouth (default), or what its sound asks for.",
)  # fmt: skip
@click.option("--rate", help="Frames a second, as 24, 23.976 or 24000/1001.")
@click.option("--frames", help="Frames as 1001-1050. Sound begins at the first.")
@click.option("--speaker", default="largest", show_default=True, help="As in lipcore render.")
@click.option("--weights", default="base", show_default=True, help="Name, or a folder.")
@click.option("--overwrite", is_flag=True, help="Replace OUT.")
def command(
    source: Path,
    out: Path,
    origin: str | None,
    rate: str | None,
    frames: str | None,
    speaker: str,
    weights: str,
    overwrite: bool,
) -> None:
    """Write the mouth shapes that a dialogue asks for, or that a plate's own mouth makes.

    A frame a row, a component a column. Edit the numbers, or delete columns, and give the file
    to `lipcore render --shapes`.
    """
    from lipcore.media.output_files import check_place
    from lipcore.shapes.curves import check_curves_path, write_curves
    from lipcore.weights import find_weights

    check_curves_path(out)
    check_place(out)
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out} is already there", hint="Add --overwrite to replace it.")
    found = find_weights(weights)
    asked_rate = None if rate is None else parse_rate(rate)
    asked_frames = None if frames is None else FrameRange.parse(frames)
    if (origin or ("picture" if _has_picture(source) else "sound")) == "picture":
        curves = _of_picture(source, asked_rate, asked_frames, speaker, found)
    else:
        curves = _of_sound(source, asked_rate, asked_frames, found)
    write_curves(out, curves)
    click.echo(f"{out}: frames {curves.frames} at {curves.rate} a second, from {curves.source}")


def _of_picture(
    source: Path,
    rate: Fraction | None,
    frames: FrameRange | None,
    speaker: str,
    weights: WeightsSet,
) -> ShapeCurves:
    from lipcore.media.plate import open_plate
    from lipcore.shapes.basis import ShapeBasis
    from lipcore.shapes.from_plate import shapes_from_plate

    with open_plate(source, rate=rate) as plate:
        whole = plate.info.frames
        chosen = frames or whole
        if chosen.first not in whole or chosen.last not in whole:
            raise ConfigError(
                f"frames {chosen} are not all in the plate, which has {whole}",
                hint="Ask for frames that the plate has (--frames).",
            )
        with click.progressbar(length=len(chosen), label="tracking", file=sys.stderr) as bar:
            curves, absent = shapes_from_plate(
                plate, chosen, ShapeBasis.load(weights), speaker=speaker,
                progress=lambda done, _: bar.update(done - bar.pos),
            )
    if absent:
        click.echo(f"no face in {absent} frames: values interpolated", err=True)
    return curves


def _of_sound(
    source: Path, rate: Fraction | None, frames: FrameRange | None, weights: WeightsSet
) -> ShapeCurves:
    from lipcore.media.audio import load_dialogue
    from lipcore.media.plate import DEFAULT_RATE, open_plate
    from lipcore.shapes.from_speech import shapes_from_dialogue

    first = 1
    if source.is_file() and _has_picture(source):
        with open_plate(source, rate=rate) as plate:
            rate, first = plate.info.rate, plate.info.frames.first
    if rate is None:
        rate = DEFAULT_RATE
        click.echo(f"no --rate: {rate} frames a second", err=True)
    dialogue = load_dialogue(source)
    count = max(1, -int(-dialogue.duration_s * rate // 1))
    chosen = frames or FrameRange(first, first + count - 1)
    return shapes_from_dialogue(dialogue, rate, chosen, weights)


def _has_picture(source: Path) -> bool:
    """Whether a path is a plate: a sequence, or a file with a video stream."""
    if not source.is_file():
        return True  # a pattern or a folder; what is amiss, opening it says
    import av

    try:
        with av.open(str(source)) as container:
            return any(not int(s.disposition) & 0x400 for s in container.streams.video)
    except (av.error.FFmpegError, OSError):
        return True
