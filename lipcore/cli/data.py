"""`lipcore data`: footage made ready for training."""

from __future__ import annotations

import click

from lipcore.cli.data_prepare import command as prepare_command
from lipcore.cli.data_report import command as report_command
from lipcore.cli.data_synth import command as synth_command


@click.group("data")
def command() -> None:
    """Make footage ready for training."""


command.add_command(prepare_command)
command.add_command(synth_command)
command.add_command(report_command)
