"""``lipcore render``: the main job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.rates import parse_rate
from lipcore.runtime.backends import BACKENDS
from lipcore.shot import (
    DELIVERIES,
    DETAILS,
    NO_FACE,
    SYNTHESES,
    WATERMARK_METHODS,
    RenderConfig,
    Shot,
)
from lipcore.strength import parse_strength
from lipcore.types import FrameRange

_DEFAULT = RenderConfig()


def _options(function: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.argument("plate", type=click.Path(path_type=Path)),
        click.argument("dialogue", type=click.Path(path_type=Path), required=False),
        click.option("--out", type=click.Path(path_type=Path), required=True,
                     help="Folder, pattern (name.####.exr) or video file."),
        click.option("--frames", help="Range, as 1001-1050. Default: all."),
        click.option("--chunk", help="Write only this part of the frames, beside other processes "
                     "that write the rest; run once more without it at the end."),
        click.option("--rate", help="Frames a second, as 24, 23.976 or 24000/1001."),
        click.option("--colorspace", help="Encoding of the plate, as ACEScg or rec709."),
        click.option("--deliver", type=click.Choice(DELIVERIES),
                     help="full frames, the mouth's patch (EXR), or a video."),
        click.option("--codec", help="prores4444, prores422hq, dnxhr_hqx, h264 or ffv1."),
        click.option("--speaker", default="largest", show_default=True,
                     help="largest, left, right, X,Y or track:N."),
        click.option("--holdout", type=click.Path(path_type=Path),
                     help="Matte of hands or microphones before the mouth: 1 keeps the plate."),
        click.option("--strength", default="1", show_default=True,
                     help="0 to 1, or a file of 'frame value' lines."),
        click.option("--offset-frames", type=float, default=0.0, show_default=True,
                     help="Positive: the mouth speaks later."),
        click.option("--shapes", type=click.Path(path_type=Path),
                     help="Curves that drive the mouth instead of the sound."),
        click.option("--no-face", type=click.Choice(NO_FACE), default=_DEFAULT.no_face,
                     show_default=True),
        click.option("--audio-short", type=click.Choice(["silence", "error"]),
                     default=_DEFAULT.audio_short, show_default=True),
        click.option("--audio-long", type=click.Choice(["trim", "error"]),
                     default=_DEFAULT.audio_long, show_default=True),
        click.option("--missing-frame", type=click.Choice(["error", "hold", "black"]),
                     default=_DEFAULT.missing_frame, show_default=True),
        click.option("--synthesis", type=click.Choice(SYNTHESES), default="auto",
                     show_default=True),
        click.option("--detail", type=click.Choice(DETAILS), default=_DEFAULT.detail,
                     show_default=True),
        click.option("--refine", type=float, is_flag=False, flag_value=1.0,
                     default=_DEFAULT.refine, metavar="[0-1]",
                     help="Refiner (stage 2) of latent and adapted: share of its picture; 1 "
                     "without a number. The weights must hold one; --detail bank shows little "
                     "of it."),
        click.option("--feather", type=float, default=_DEFAULT.feather, show_default=True,
                     help="Softness of the matte; 1.0 is the distance of the outer eye corners."),
        click.option("--watermark", metavar="TEXT|none", default=_DEFAULT.watermark,
                     show_default=True,
                     help="Invisible mark in the new mouths: lipcore watermark detect."),
        click.option("--watermark-method", type=click.Choice(WATERMARK_METHODS),
                     default=_DEFAULT.watermark_method, show_default=True,
                     help="pattern outlasts compression; blocks is the paper's."),
        click.option("--consent", metavar="TEXT", default="",
                     help="Where the person's consent is on file; stored beside the picture."),
        click.option("--provenance", is_flag=True,
                     help="Sign the result (C2PA): lipcore provenance show."),
        click.option("--certificate", type=click.Path(path_type=Path),
                     help="Who signs, PEM; default: one made on this machine."),
        click.option("--private-key", type=click.Path(path_type=Path), help="Its key, PEM."),
        click.option("--weights", default=_DEFAULT.weights, show_default=True,
                     help="Name, or a folder of safetensors files; +FILE adds what adapt or "
                     "train made."),
        click.option("--device", default=_DEFAULT.device, show_default=True),
        click.option("--backend", type=click.Choice(["auto", *BACKENDS]),
                     default=_DEFAULT.backend, show_default=True,
                     help="What runs the networks; auto: the fastest here, measured once."),
        click.option("--seed", type=int, default=0, show_default=True),
        click.option("--workers", type=int, default=_DEFAULT.workers, show_default=True,
                     help="Frames drawn at once."),
        click.option("--cache", type=click.Path(path_type=Path),
                     help="Folder for what does not depend on the dialogue."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout."),
        click.option("--dry-run", is_flag=True, help="Print the plan and write nothing."),
        click.option("--analyse-only", is_flag=True,
                     help="Find faces and mouths for the cache, and render nothing."),
        click.option("--overwrite", is_flag=True, help="Replace an output of other settings."),
        click.option("--debug", is_flag=True, hidden=True),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.command("render")
@_options
def command(
    plate: Path, dialogue: Path | None, out: Path, frames: str | None, rate: str | None,
    colorspace: str | None, speaker: str, holdout: Path | None, strength: str,
    shapes: Path | None, as_json: bool, dry_run: bool, analyse_only: bool, chunk: str | None,
    debug: bool, **settings: Any,
) -> None:  # fmt: skip
    """Make the person of PLATE say DIALOGUE.

    PLATE is a video, or an image sequence as name.####.exr, name.%04d.exr, a folder or one
    frame of it. DIALOGUE is any sound or video file; leave it out where --shapes is given.
    """
    shot = Shot(
        plate, dialogue, shapes, None if frames is None else FrameRange.parse(frames),
        None if rate is None else parse_rate(rate), colorspace, speaker, holdout,
    )
    amount, curve = parse_strength(strength)
    config = RenderConfig(
        strength=amount, strength_curve=curve,
        chunk=None if chunk is None else FrameRange.parse(chunk), **settings,
    )
    if dry_run:
        from lipcore.plan import plan_render

        plan = plan_render(shot, config, out)
        if as_json:
            JsonListener().emit(event="plan", **plan.as_dict())
        else:
            click.echo(plan.as_text())
        return
    from lipcore.pipeline import analyse_shot, render_shot

    listener = JsonListener() if as_json else BarListener()
    if analyse_only:
        with listener:
            analysis = analyse_shot(shot, config, listener=listener)
        if isinstance(listener, JsonListener):
            listener.emit(event="done", frames=str(analysis.track.frames), cached=analysis.cached)
        return
    with listener:
        result = render_shot(shot, config, out, listener=listener)
    if isinstance(listener, JsonListener):
        listener.emit(event="done", **result.as_dict())
        return
    click.echo(f"{result.drawn} frames drawn, {result.kept} kept, {len(result.passed)} passed")
    picture = result.outputs[0]
    more = f" and {len(result.outputs) - 1} more files" if len(result.outputs) > 1 else ""
    click.echo(f"{picture}{more}")
