"""What is printed when nobody reads it: ``head`` has its lines, or the stream was never open."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

import click


def say(text: str, *, err: bool = False) -> bool:
    """Print a line at once.

    Returns:
        Whether somebody reads; if not, what else is printed there is dropped.

    Raises:
        OSError: The disk that it goes to is full; what else is printed there is dropped.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, file=stream)
        stream.flush()
    except BrokenPipeError:
        _drop(stream)
        return False
    except OSError:
        _drop(stream)
        raise
    return True


def drop_closed() -> None:
    """Print into nothing where a standard stream is closed (``>&-``)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115


def _drop(stream: TextIO) -> None:
    # What is still in the buffer goes somewhere when Python ends, and must not fail there.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
