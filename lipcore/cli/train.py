"""`lipcore train`: a network from a recipe and a prepared folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click


@click.command("train")
@click.argument("recipe")
@click.option(
    "--data", required=True, multiple=True, type=click.Path(path_type=Path),
    help="A folder that `lipcore data prepare` made; may be given again, real and synthetic.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path),
    help="Folder of the run: checkpoints, weights, sample pictures, metrics.",
)
@click.option("--resume", is_flag=True, help="Go on where the run in --out stopped.")
def command(recipe: str, data: tuple[Path, ...], out: Path, resume: bool) -> None:
    """Train the network of RECIPE: a shipped one by name, or a YAML file.

    Weights, averaged over the last steps, are written with every checkpoint.
    """
    from lipcore.errors import ConfigError, DependencyError
    from lipcore.train.catalog import load_recipe

    loaded = load_recipe(recipe)
    if hasattr(loaded.recipe_class, "run"):  # minutes long, with a loop of its own
        if resume:
            raise ConfigError(f"{loaded.name} takes minutes and does not resume")
        made = loaded.recipe_class(loaded.config, data)
        _report(made.run(out), out / f"{made.kind}.safetensors")
        return
    try:
        import lightning.fabric  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "training needs the package lightning",
            hint="Install it with: pip install 'lipcore[train]'",
        ) from error
    from lipcore.train.loop import Trainer

    made = loaded.recipe_class(loaded.config, data)
    scores = Trainer(made, loaded.config, out, resume=resume).run()
    _report(scores, out / f"{made.kind}.safetensors")


def _report(scores: Mapping[str, float], weights: Path) -> None:
    for name, value in scores.items():
        click.echo(f"{name}: {value:.4f}")
    click.echo(f"weights: {weights}")
