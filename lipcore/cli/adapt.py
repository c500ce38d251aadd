"""``lipcore adapt``: the latent networks learn one shot."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.farm.kinds import LEAST_MINUTES, MOST_MINUTES, check_suffix
from lipcore.types import FrameRange


@click.command("adapt")
@click.argument("plate", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True,
              help="The .safetensors file to write.")
@click.option("--minutes", type=click.FloatRange(LEAST_MINUTES, MOST_MINUTES), default=15.0,
              show_default=True, help="Time for training.")
@click.option("--frames", help="Range to learn from, as 1001-1050. Default: all.")
@click.option("--speaker", default="largest", show_default=True)
@click.option("--colorspace", help="Encoding of the plate.")
@click.option("--weights", default="base", show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--cache", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    plate: Path, out: Path, minutes: float, frames: str | None, speaker: str,
    colorspace: str | None, weights: str, device: str, cache: Path | None, as_json: bool,
    debug: bool,
) -> None:  # fmt: skip
    """Fine-tune generator and decoder to the face of PLATE.

    The end of the shot is held back to judge by; a result that does not draw it better than
    the weights did changes nothing. Render with --synthesis adapted --weights base+FILE.
    """
    check_suffix("--out", str(out), (".safetensors",))
    from lipcore.adaptation import adapt_to_shot

    listener = JsonListener() if as_json else BarListener()
    with listener:
        result = adapt_to_shot(
            plate, out, budget_s=minutes * 60,
            frames=None if frames is None else FrameRange.parse(frames), speaker=speaker,
            colorspace=colorspace, weights=weights, device=device, cache=cache,
            progress=listener.progress,
        )
    if isinstance(listener, JsonListener):
        listener.emit(
            event="done", outputs=[str(result.path)], frames=result.frames, steps=result.steps,
            before_db=round(result.base_psnr_db, 2), after_db=round(result.psnr_db, 2),
            weights=f"{weights}+{result.path}",
        )
        return
    click.echo(
        f"mouth region of held-back frames: {result.base_psnr_db:.1f} dB before, "
        f"{result.psnr_db:.1f} dB after {result.steps} steps on {result.frames} frames"
    )
    click.echo(f"{result.path}")
    click.echo(f"next: lipcore render {quote(str(plate))} DIALOGUE --out OUT --synthesis adapted "
               f"--weights {quote(result.weights)}")
