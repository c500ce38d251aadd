"""How a run begins: from the Workspace menu, or from a terminal (Studio)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ..client import WorkerError, shared_worker
from .connect import Host, from_menu, from_outside, open_timeline
from .job import Report, drive, run
from .options import MODES, Options, read_options, settings_file, write_template
from .screen import Console
from .window import Window

_POLL_S = 0.2
_HELP = {
    "dialogue": "sound file that begins with the timeline, track:NAME, or clips",
    "mode": "takes, track or comp: how results are placed",
    "clips": "all, current, pool, marked, or a clip colour",
    "out": "folder of the frames, as a whole path",
    "handles": "frames to render on either side of each cut",
    "strength": "0 leaves the plate as it is, 1 follows the dialogue",
    "synthesis": "auto, shot, adapted or latent: who draws the mouths",
    "refine": "share of a refiner's picture in what adapted and latent draw, 0 to 1",
    "weights": "name or folder of the networks",
    "search": "folders to look for media in, parted by ;",
    "path_map": "OLD=NEW starts of media paths, parted by ;",
}


def run_from_menu(given: Mapping[str, Any], clips: str = "") -> Report | None:
    """What the scripts of the Workspace menu do; errors are printed with their hint.

    Args:
        given: The script's globals.
        clips: Which clips, whatever the settings say; empty follows them.

    Returns:
        The report of a run without a window; None after a window or an error.
    """
    try:
        host = from_menu(given)
        _, timeline = open_timeline(host)
        options = read_options(timeline, settings_file())
        if clips:
            options = replace(options, clips=clips)
        window = _window(host, options)
        if window is None:
            return _without_window(host, options)
        window.open()
    except WorkerError as error:
        _complain(error)
    finally:
        shared_worker().close()
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command for a terminal: asks the Resolve Studio that runs here.

    Returns:
        The exit status: that of ``lipcore``, 1 where a shot could not be placed, 130 where it
        was cancelled.
    """
    parser = argparse.ArgumentParser(
        prog="lipcore_plugins.resolve", description="Re-speak the open timeline of Resolve Studio."
    )
    for option in fields(Options):
        parser.add_argument(
            f"--{option.name.replace('_', '-')}", metavar="TEXT", help=_HELP[option.name],
            choices=MODES if option.name == "mode" else None,
        )  # fmt: skip
    told = {k: v for k, v in vars(parser.parse_args(arguments)).items() if v is not None}
    try:
        host = from_outside()
        _, timeline = open_timeline(host)
        options = read_options(timeline, settings_file()).changed(told, "the command line")
        report = _on_console(host, options)
    except WorkerError as error:
        _complain(error)
        return error.exit_code
    finally:
        shared_worker().close()
    return 130 if report.cancelled else 1 if report.faults else 0


def _window(host: Host, options: Options) -> Window | None:
    if host.fusion is None or host.bmd is None:
        return None
    try:
        return Window(host, options)
    except WorkerError:
        return None


def _without_window(host: Host, options: Options) -> Report:
    if not options.dialogue:
        path = settings_file()
        fresh = not path.is_file()
        write_template(path)
        raise WorkerError(
            f"no dialogue is set in {path}" + (", which was written just now" if fresh else ""),
            "Fill in its line dialogue =, or give the timeline a marker lipsync with that line "
            "in its note; then run the script again.",
        )
    return _on_console(host, options)


def _on_console(host: Host, options: Options) -> Report:
    screen = _Stoppable(open_timeline(host)[1])
    return drive(run(host, options, screen), lambda: time.sleep(_POLL_S), screen.stop)


class _Stoppable(Console):
    """A console on which Ctrl-C cancels."""

    _stopped = False

    def stop(self) -> None:
        self._stopped = True

    def cancelled(self) -> bool:
        return self._stopped or super().cancelled()


def _complain(error: WorkerError) -> None:
    sys.stdout.write(f"lipsync: {error.message}\n")
    if error.hint:
        sys.stdout.write(f"lipsync: hint: {error.hint}\n")
    sys.stdout.flush()
