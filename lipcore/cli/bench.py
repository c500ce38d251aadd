"""``lipcore bench``: how fast this machine renders a shot, or keeps up with a stream."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.errors import ConfigError
from lipcore.shot import DELIVERIES, Deliver, RenderConfig, Shot
from lipcore.types import FrameRange

if TYPE_CHECKING:
    from lipcore.bench.live import StreamBench
    from lipcore.bench.render import RenderBench

_TEXT = "This machine is being measured."
_FRAMES = 120
_OF_RENDERS = ("frames", "deliver")
_OF_STREAMS = ("side", "latency", "seconds", "out")


@click.command("bench")
@click.argument("plate", type=click.Path(path_type=Path), required=False)
@click.argument("dialogue", type=click.Path(path_type=Path), required=False)
@click.option("--frames", help=f"Range, as 1001-1050; not with --stream.  "
              f"[default: the first {_FRAMES}]")
@click.option("--deliver", type=click.Choice(DELIVERIES),
              help="As in lipcore render; not with --stream.")
@click.option("--backend", default="torch", show_default=True, help="As in lipcore render.")
@click.option("--stream", is_flag=True,
              help="Play the plate through a live stream, in real time, instead.")  # fmt: skip
@click.option("--side", type=int, default=256, show_default=True,
              help="Of --stream: shorter side of its pictures.")  # fmt: skip
@click.option("--latency", type=int, default=8, show_default=True,
              help="Of --stream: frames between in and out.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=20.0, show_default=True,
              help="Of --stream: how long to play.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="Of --stream: keep what came out as a video.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    plate: Path | None, dialogue: Path | None, frames: str | None, deliver: Deliver | None,
    backend: str, stream: bool, side: int, latency: int, seconds: float, out: Path | None,
    as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Measure this machine on PLATE saying DIALOGUE.

    Renders into a temporary folder, with nothing cached, and says what each stage took, how
    much memory it needed, and what would make it faster. Without PLATE, a portrait as in
    lipcore demo says a sentence. With --stream, the plate is enrolled and then played through
    a LipSyncStream as a camera would.
    """
    if plate is not None and dialogue is None:
        raise ConfigError("a dialogue is missing", hint="lipcore bench PLATE DIALOGUE")
    _refuse_idle_options(stream)
    listener = JsonListener() if as_json else BarListener()
    if isinstance(listener, BarListener):
        listener.log("Loading the networks ...")
    with listener, tempfile.TemporaryDirectory(prefix="lipcore-bench-") as name:
        if plate is None or dialogue is None:
            plate, dialogue = _own_shot(Path(name))
        found: StreamBench | RenderBench
        if stream:
            from lipcore.bench.live import measure_stream
            from lipcore.streaming import StreamConfig

            found = measure_stream(
                plate, dialogue, side=side, config=StreamConfig(latency, backend=backend),
                seconds=seconds, out=out, cache=Path(name) / "cache", listener=listener,
            )  # fmt: skip
        else:
            from lipcore.bench.render import measure_render

            shot = Shot(plate, dialogue, frames=_range_of(plate, frames))
            config = RenderConfig(deliver=deliver, backend=backend)
            found = measure_render(shot, config, listener=listener)
    if isinstance(listener, JsonListener):
        listener.emit(event="done", **found.as_dict())
    elif stream:
        _tell_stream(found)  # type: ignore[arg-type]
    else:
        _tell_render(found)  # type: ignore[arg-type]


def _refuse_idle_options(stream: bool) -> None:
    """Refuse what the chosen measurement would not heed."""
    context = click.get_current_context()
    for name in _OF_RENDERS if stream else _OF_STREAMS:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            if stream:
                raise ConfigError(
                    f"--stream does not heed --{name}", hint="Leave one of the two out."
                )
            raise ConfigError(f"--{name} is of streams", hint="Add --stream.")


def _own_shot(folder: Path) -> tuple[Path, Path]:
    """A portrait, and a sentence as long: what the demo makes."""
    import math

    import soundfile

    from lipcore.demo.portrait import FIRST_FRAME, RATE, CameraMove, write_plate
    from lipcore.demo.run import say

    sound = say(_TEXT)
    count = math.ceil(len(sound) * RATE / 48_000)
    plate = write_plate(
        folder / "plate", CameraMove(FrameRange(FIRST_FRAME, FIRST_FRAME + count - 1))
    )
    soundfile.write(folder / "line.wav", sound, 48_000, subtype="PCM_24")
    return plate, folder / "line.wav"


def _range_of(plate: Path, frames: str | None) -> FrameRange:
    if frames is not None:
        return FrameRange.parse(frames)
    from lipcore.media.plate import open_plate

    with open_plate(plate) as opened:
        whole = opened.info.frames
    return FrameRange(whole.first, min(whole.last, whole.first + _FRAMES - 1))


def _tell_render(bench: RenderBench) -> None:
    from lipcore.bench.render import STAGES, advise, in_words

    click.echo(f"\n{bench.frames} frames of {bench.width}x{bench.height}, {bench.cores} cores\n")
    click.echo(f"  {'stage':<42} {'seconds':>8} {'ms a frame':>11} {'processor ms':>13}")
    for name, words in STAGES.items():
        stage = bench.stages[name]
        click.echo(
            f"  {words:<42} {stage.wall_s:8.1f} {1000 * stage.wall_s / bench.frames:11.1f} "
            f"{1000 * stage.cpu_s / bench.frames:13.1f}"
        )
    click.echo(
        f"\n  {bench.frames_a_second:.2f} frames a second once loaded; "
        f"memory at most {in_words(bench.peak_bytes)} of {in_words(bench.machine_bytes)}\n"
    )
    for line in advise(bench):
        click.echo(f"- {line}")


def _tell_stream(bench: StreamBench) -> None:
    from lipcore.bench.render import in_words

    click.echo(
        f"\n{bench.frames} frames of {bench.width}x{bench.height}, {bench.rate:.3f} a second, "
        f"{bench.drawn} drawn\n"
        f"  latency     {bench.latency_frames} frames; {bench.latency_ms:.0f} ms from camera to "
        f"picture (95 % within {bench.latency_ms_95:.0f} ms)\n"
        f"  a push      {bench.push_ms:.1f} ms (95 % within {bench.push_ms_95:.1f} ms); a frame "
        f"lasts {1000 / bench.rate:.1f} ms\n"
        f"  processor   {bench.cpu_ms:.1f} ms a frame, {bench.push_cpu_ms:.1f} ms of them in the "
        f"push: two free cores carry {bench.quiet_rate:.0f} frames a second\n"
        f"  memory      {in_words(bench.peak_bytes)} at most\n"
    )
    click.echo(
        "- The stream kept up."
        if bench.held
        else "- The stream fell behind: a push must take less than a frame lasts on average. Make "
        "the pictures smaller (--side), or let other programs end."
    )
