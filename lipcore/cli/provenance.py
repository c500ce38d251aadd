"""``lipcore provenance``: what a picture's content credentials say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from lipcore.errors import ProvenanceError

_LINES = (
    ("altered", "altered"), ("altered frames", "altered_frames"), ("of the frames", "frames"),
    ("plate", "plate"), ("  sha256", "plate_sha256"), ("dialogue", "dialogue"),
    ("  sha256", "dialogue_sha256"), ("shapes", "shapes"), ("  sha256", "shapes_sha256"),
    ("weights", "weights"), ("synthesis", "synthesis"), ("watermark", "watermark"),
    ("consent", "consent"),
)  # fmt: skip


@click.group("provenance")
def command() -> None:
    """Content credentials (C2PA) that `lipcore render --provenance` leaves."""


@command.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--authorities", type=click.Path(path_type=Path),
              help="Root certificates that are trusted, PEM. Default: nobody is.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def show(file: Path, authorities: Path | None, as_json: bool, debug: bool) -> None:
    """Check the credentials of FILE and say what they state.

    FILE is a video, a frame of a sequence, its folder, or a file .c2pa. What was changed since
    it was signed ends with an error.
    """
    from lipcore.provenance.credentials import read_credentials

    found = read_credentials(file, authorities=authorities)
    if as_json:
        click.echo(json.dumps({
            "event": "credentials", "asset": str(found.asset), "valid": found.valid,
            "trusted": found.trusted, "signer": found.signer, "problems": found.problems,
            "source_type": found.source_type, "facts": dict(found.facts),
        }))
    else:
        click.echo(f"{found.asset.name}: {'unchanged' if found.valid else 'CHANGED'} since signed")
        vouched = "an authority vouches for them" if found.trusted else (
            "no trusted authority vouches for them"
        )
        click.echo(f"signed by      {_plain(found.signer)}: {vouched}")
        click.echo(f"source         {_plain(found.source_type) or 'not stated'}")
        _tell(found.facts)
    if not found.valid:
        more = f" and {len(found.problems) - 1} more" if len(found.problems) > 1 else ""
        raise ProvenanceError(
            f"{found.asset} is not what was signed: {_plain(found.problems[0])}{more}",
            hint="Take the file from where it came from once more.",
            path=str(found.asset), problems=list(found.problems[:100]),
        )


def _tell(facts: Mapping[str, Any]) -> None:
    for title, key in _LINES:
        if key in facts:
            value = facts[key]
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            click.echo(f"{title:<15}{_plain(text) or 'none stated'}")
    weights = facts.get("weights_sha256")
    if isinstance(weights, Mapping):
        for kind, digest in weights.items():
            click.echo(f"  {_plain(f'{kind} {digest}')}")


def _plain(text: str) -> str:
    """What a stranger wrote, without what a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in text)
