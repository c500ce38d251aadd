"""``lipcore plugins``: put plugins where hosts look, and check that they will work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipcore.errors import DependencyError

if TYPE_CHECKING:
    from lipcore.hosts.install import Report

_HOSTS = ("nuke", "resolve")
_TARGET = click.option(
    "--target", type=click.Path(path_type=Path, file_okay=False),
    help="The host's folder. Default: the user's own.",
)  # fmt: skip


@click.group("plugins")
def command() -> None:
    """Install, remove and check the plugins of other programs."""


@command.command("install")
@click.argument("host", type=click.Choice(_HOSTS))
@_TARGET
def install_command(host: str, target: Path | None) -> None:
    """Write the plugin of HOST to where it looks for plugins.

    A file that is not lipcore's own, or was changed, is never overwritten.
    """
    from lipcore.hosts.install import install

    _tell(install(host, target))


@command.command("uninstall")
@click.argument("host", type=click.Choice(_HOSTS))
@_TARGET
def uninstall_command(host: str, target: Path | None) -> None:
    """Delete what install wrote; files that were changed stay."""
    from lipcore.hosts.install import uninstall

    _tell(uninstall(host, target))


@command.command("doctor")
def doctor_command() -> None:
    """Check Python, worker, weights, GPU, OCIO, codecs and plugins, and say what to do."""
    from lipcore.hosts.doctor import examine

    faults = 0
    for found in examine():
        faults += found.state == "fault"
        click.echo(f"{found.state:<6} {found.name:<8} {found.text}")
        if found.do:
            click.echo(f"{'':<15} -> {found.do}")
    if faults:
        raise DependencyError(
            f"{faults} fault{'s' if faults > 1 else ''} found", hint="See the arrows above."
        )


def _tell(report: Report) -> None:
    for word, paths in (
        ("wrote", report.written), ("removed", report.removed),
        ("kept, as it was changed", report.kept),
    ):  # fmt: skip
        for path in paths:
            click.echo(f"{word} {path}")
    for line in report.advice:
        click.echo(f"next: {line}")
