"""``lipcore render``: the main job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.cli.rates import parse_rate
from lipcore.errors import ConfigError
from lipcore.runtime.backends import BACKENDS
from lipcore.shot import DELIVERIES, DETAILS, NO_FACE, SYNTHESES, RenderConfig, Shot
from lipcore.types import FrameRange

_DEFAULT = RenderConfig()


def _strength(text: str) -> dict[str, Any]:
    try:
        return {"strength": float(text)}
    except ValueError:
        path = Path(text)
        if not path.is_file():
            raise ConfigError(
                f"--strength {text!r} is neither a number nor a file",
                hint="Give a number from 0 to 1, or a file with lines 'frame value'.",
            ) from None
        return {"strength_curve": path}


def _options(function: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.argument("plate", type=click.Path(path_type=Path)),
        click.argument("dialogue", type=click.Path(path_type=Path), required=False),
        click.option("--out", type=click.Path(path_type=Path), required=True,
                     help="Folder, pattern (name.####.exr) or video file."),
        click.option("--frames", help="Range, as 1001-1050. Default: all."),
        click.option("--rate", help="Frames a second, as 24, 23.976 or 24000/1001."),
        click.option("--colorspace", help="Encoding of the plate, as ACEScg or rec709."),
        click.option("--deliver", type=click.Choice(DELIVERIES),
                     help="full frames, the mouth's patch (EXR), or a video."),
        click.option("--codec", help="prores4444, prores422hq, dnxhr_hqx, h264 or ffv1."),
        click.option("--speaker", default="largest", show_default=True,
                     help="largest, left, right, X,Y or track:N."),
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
        click.option("--feather", type=float, default=_DEFAULT.feather, show_default=True,
                     help="Softness of the matte; 1.0 is the distance of the outer eye corners."),
        click.option("--weights", default=_DEFAULT.weights, show_default=True,
                     help="Name, or a folder of safetensors files."),
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
    colorspace: str | None, speaker: str, strength: str, shapes: Path | None, as_json: bool,
    dry_run: bool, debug: bool, **settings: Any,
) -> None:  # fmt: skip
    """Make the person of PLATE say DIALOGUE.

    PLATE is a video, or an image sequence as name.####.exr, name.%04d.exr, a folder or one
    frame of it. DIALOGUE is any sound or video file; leave it out where --shapes is given.
    """
    shot = Shot(
        plate, dialogue, shapes, None if frames is None else FrameRange.parse(frames),
        None if rate is None else parse_rate(rate), colorspace, speaker,
    )
    config = RenderConfig(**_strength(strength), **settings)
    if dry_run:
        from lipcore.plan import plan_render

        plan = plan_render(shot, config, out)
        if as_json:
            JsonListener().emit(event="plan", **plan.as_dict())
        else:
            click.echo(plan.as_text())
        return
    from lipcore.pipeline import render_shot

    listener = JsonListener() if as_json else BarListener()
    with listener:
        result = render_shot(shot, config, out, listener=listener)
    if isinstance(listener, JsonListener):
        listener.emit(
            event="done", outputs=[str(p) for p in result.outputs], frames=str(result.frames),
            rate=str(result.rate), drawn=result.drawn, kept=result.kept,
            passed=list(result.passed), synthesis=result.synthesis, cached=result.cached,
            seconds=result.seconds,
        )
        return
    click.echo(f"{result.drawn} frames drawn, {result.kept} kept, {len(result.passed)} passed")
    picture = result.outputs[0]
    more = f" and {len(result.outputs) - 1} more files" if len(result.outputs) > 1 else ""
    click.echo(f"{picture}{more}")
