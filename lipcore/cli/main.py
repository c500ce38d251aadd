"""``lipcore``: a lazy table of commands. Nothing heavy is imported until one runs."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from lipcore import __version__
from lipcore.cli.allocator import settle_allocator
from lipcore.cli.pipes import drop_closed, say
from lipcore.errors import (
    ConfigError,
    LipcoreError,
    OutOfMemoryError,
    OutputNotWritableError,
)

_COMMANDS = {
    "demo": ("lipcore.cli.demo", "Make a portrait speak, with nothing to download."),
    "render": ("lipcore.cli.render", "Make the person of a plate say a dialogue."),
    "shapes": ("lipcore.cli.shapes", "Write mouth-shape curves of a dialogue or a plate."),
    "batch": ("lipcore.cli.batch", "Do the jobs of a file, one queue on one machine."),
    "submit": ("lipcore.cli.submit", "Write the jobs of a file as bundles for a render farm."),
    "farm": ("lipcore.cli.farm", "What a farm's tasks run; bundles call it."),
    "conform": ("lipcore.cli.conform", "Make the shots of a timeline say a dialogue."),
    "report": ("lipcore.cli.report", "Write a page on which renders are reviewed."),
    "rate": ("lipcore.cli.rate", "Let people rate renders, and report what they found."),
    "drill": ("lipcore.cli.drill", "Make a quiz page for learning to read lips."),
    "bench": ("lipcore.cli.bench", "Measure how fast this machine renders or streams."),
    "track": ("lipcore.cli.track", "Show the faces that are found in a plate."),
    "adapt": ("lipcore.cli.adapt", "Fine-tune the latent networks to one shot."),
    "provenance": ("lipcore.cli.provenance", "Show and check what a picture says of itself."),
    "watermark": ("lipcore.cli.watermark", "Look for the invisible mark of a render."),
    "plugins": ("lipcore.cli.plugins", "Install and check the plugins of other programs."),
    "worker": ("lipcore.cli.worker", "Do jobs for host plugins, told in JSON lines."),
    "train": ("lipcore.cli.train", "Train a network from a recipe."),
    "export": ("lipcore.cli.export", "Write trained networks for other runtimes."),
    "evaluate": ("lipcore.cli.evaluate", "Measure a render against its plate."),
    "benchmark": ("lipcore.cli.benchmark", "Compare methods on a set of clips."),
    "weights": ("lipcore.cli.weights", "Import weights that others publish."),
    "data": ("lipcore.cli.data", "Prepare footage for training."),
}
_INTERRUPTED = 130
_TERMINATED = 143
_NAME = "lipcore"


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lipcore")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Lip-sync for film and television: give it a plate and a dialogue track."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does: with whole files, ready to go on."""


def _on_terminate(number: int, frame: object) -> NoReturn:
    raise _Terminated


def main() -> None:
    """Run the command line; errors end it with one line, a hint, and a code of their own."""
    signal.signal(signal.SIGTERM, _on_terminate)
    settle_allocator()
    drop_closed()
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    debug = "--debug" in sys.argv
    as_json = _wants_json(sys.argv[1:])
    try:
        cli(prog_name=_NAME, standalone_mode=False)
    except LipcoreError as error:
        if debug:
            traceback.print_exc()
        _end(error, as_json)
    except click.ClickException as error:
        message = " ".join(error.format_message().split())
        _end(ConfigError(message, hint=_usage_hint(error)), as_json)
    except MemoryError:
        if debug:
            traceback.print_exc()
        _end(OutOfMemoryError("memory ran out",
                              hint="Ask for fewer frames, or end other programs."), as_json)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        if debug:
            traceback.print_exc()
        where = f" for {error.filename}" if error.filename else ""
        _end(OutputNotWritableError(f"no space is left{where}",
                                    hint="Make room; the same command goes on."), as_json)
    except (click.Abort, KeyboardInterrupt) as error:
        cause = error.__cause__ or error  # click turns an interrupt into its own Abort
        terminated = isinstance(cause, _Terminated)
        word = "terminated" if terminated else "interrupted"
        again = str(cause) or "the same command goes on"
        say(f"{word}: what was finished stays; {again}.", err=True)
        sys.exit(_TERMINATED if terminated else _INTERRUPTED)


def _end(error: LipcoreError, as_json: bool) -> NoReturn:
    """Say what is wrong, and end with the exit code of its family."""
    if as_json:
        facts = {k: v for k, v in error.facts.items() if _plain(v)}
        with contextlib.suppress(OSError):  # a full disk leaves the line on stderr
            say(json.dumps({
                "event": "error", "error": type(error).__name__, "message": error.message,
                "hint": error.hint, "exit_code": error.exit_code, **facts,
            }))
    say(f"error: {error.message}", err=True)
    if error.hint:
        say(f"hint: {error.hint}", err=True)
    sys.exit(error.exit_code)


def _wants_json(words: Sequence[str]) -> bool:
    """Whether JSON is asked for on stdout: ``--json`` of `lipcore track` names a file instead."""
    if "--json" not in words:
        return False
    context = click.Context(cli)
    command: click.Command = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(context, word) or command
    return all(option.is_flag for option in command.params
               if isinstance(option, click.Option) and "--json" in option.opts)  # fmt: skip


def _usage_hint(error: click.ClickException) -> str:
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else _NAME
    return f"Run `{path} --help`."


def _plain(value: object) -> bool:
    return isinstance(value, (str, int, float, bool, list, tuple)) or value is None
