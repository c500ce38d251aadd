"""``lipcore farm``: what the tasks of a bundle run; see ``lipcore submit``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lipcore.errors import ConfigError
from lipcore.types import FrameRange

_SESSION = click.option(
    "--session", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True,
    help="The session's folder.",
)  # fmt: skip


@click.group("farm")
def command() -> None:
    """What the tasks of a bundle run: a worker that stays, and jobs for it."""


@command.command("start")
@_SESSION
def start(session: Path) -> None:
    """Leave a worker running for the tasks of a session."""
    from lipcore.farm.session import start_session

    start_session(session)
    click.echo("openjd_status: the worker runs")


@command.command("serve", hidden=True)
@_SESSION
def serve(session: Path) -> None:
    """Be the process that `start` leaves behind."""
    from lipcore.farm.session import SessionServer

    SessionServer(session).serve()


@command.command("stop")
@_SESSION
def stop(session: Path) -> None:
    """End the worker of a session."""
    from lipcore.farm.session import stop_session

    stop_session(session)


@command.command("run")
@click.argument("task", type=click.Choice([
    "analyse", "adapt", "render", "conform", "evaluate", "report"]))  # fmt: skip
@_SESSION
@click.option("--set", "words", multiple=True, metavar="OPTION=VALUE",
              help="An option of the task's command by its long name; may be repeated.")
@click.option("--chunk", help="Of render: frames of this task, as 1001-1040. Default: all.")
@click.option("--segments", help="Of render: segments of this task's video, as 0-3, instead of "
              "--chunk.")
@click.option("--shots", help="Of conform: numbers of this task's shots, as 1-4. Default: all, "
              "and the timelines.")
@click.option("--rules", type=click.Path(path_type=Path),
              help="Of conform: the farm's path mapping, for media that the timeline names.")
def run(
    task: str, session: Path, words: tuple[str, ...], chunk: str | None, segments: str | None,
    shots: str | None, rules: Path | None,
) -> None:  # fmt: skip
    """Do one task in the session's worker, told as Open Job Description reads it."""
    from lipcore.farm import task as tasks

    if task == "conform":
        calls = tasks.conform_calls(
            words, None if shots is None else FrameRange.parse(shots), rules
        )
    elif task == "adapt":
        calls = [tasks.adapt_call(words)]
    elif task == "evaluate":
        calls = [tasks.evaluate_call(words)]
    elif task == "report":
        calls = [tasks.report_call(words)]
    else:
        job = tasks.parse_settings(words)
        part = _part(job.shot.frames, chunk, segments)
        calls = [tasks.Call(task, tasks.worker_params(job, part))]
    code = tasks.run_calls(session, calls, lambda line: click.echo(line))
    sys.stdout.flush()
    sys.exit(code)


def _part(
    frames: FrameRange | None, chunk: str | None, segments: str | None
) -> FrameRange | None:
    if segments is None:
        return None if chunk is None else FrameRange.parse(chunk)
    from lipcore.media.write_video import SEGMENT_FRAMES

    if frames is None or chunk is not None:
        raise ConfigError(
            "--segments needs --set=frames=FIRST-LAST, and no --chunk",
            hint="Segments are counted from the first frame.",
        )
    wanted = FrameRange.parse(segments)
    first = frames.first + wanted.first * SEGMENT_FRAMES
    last = frames.first + (wanted.last + 1) * SEGMENT_FRAMES - 1
    return FrameRange(first, min(last, frames.last))
