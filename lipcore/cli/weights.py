"""``lipcore weights``: published weights of others, for figures and baselines."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lipcore.models.published.registry import PUBLISHED


@click.group("weights")
def command() -> None:
    """Import weights that others publish, for official figures and baselines.

    Nothing is fetched: get the file from its authors, then import it.
    """


@command.command("import")
@click.argument("kind", type=click.Choice(list(PUBLISHED)))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path),
              help="The safetensors file to write. Default: in the user's data folder, or in "
              "$LIPCORE_WEIGHTS.")
@click.option("--debug", is_flag=True, hidden=True)
def import_file(kind: str, file: Path, out: Path | None, debug: bool) -> None:
    """Check FILE against the layout of KIND and keep it as safetensors.

    Names and shapes must all be those of the published network. Files that hold code are
    refused: nothing of them is run. Files of PyTorch and safetensors are read; lipgan also from
    Keras (.h5, needs h5py: pip install 'lipcore[baselines]'), yousaidthat from MATLAB (.mat).
    """
    from lipcore.models.published.importing import import_weights

    path, record = import_weights(kind, file, out)
    said = {True: "the published file", False: "NOT the published file", None: "no hash to compare"}
    click.echo(f"{path}\nsha256 {record['sha256']}: {said[record['as_published']]}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def list_kinds(as_json: bool, debug: bool) -> None:
    """Say which sets ship and what they hold, which published kinds there are, and which of
    those were imported."""
    from lipcore.models.published.importing import imported_folder, list_imported
    from lipcore.weights import find_weights, shipped_names

    found = list_imported()
    sets = {name: find_weights(name).kinds() for name in shipped_names()}
    if as_json:
        told = {"folder": str(imported_folder()), "kinds": found, "sets": sets}
        click.echo(json.dumps(told))
        return
    for name, held in sets.items():
        lacks = "" if "refiner" in held else "; no refiner (`lipcore train refiner_base`)"
        click.echo(f"{name:13} {'ships with lipcore':30} {', '.join(held)}{lacks}")
    for kind, record in found.items():
        about = PUBLISHED[kind]
        state = "not imported" if record is None else f"imported, sha256 {record['sha256'][:12]}"
        click.echo(f"{kind:18} {state:30} {about.purpose}; from {about.file}")
