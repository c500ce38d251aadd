"""What is printed when whoever read it has gone, as ``head`` has after its lines."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click


def say(text: str, *, err: bool = False) -> bool:
    """Print a line at once.

    Returns:
        Whether somebody reads; if not, what else is printed there is dropped.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, file=stream)
        stream.flush()
    except BrokenPipeError:
        _drop(stream)
        return False
    return True


def _drop(stream: TextIO) -> None:
    # What is still in the buffer goes somewhere when Python ends, and must not fail there.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
