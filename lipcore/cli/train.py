"""`lipcore train`: a network from a recipe and a prepared folder; or a table of variants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

_DATA = click.option(
    "--data", required=True, multiple=True, type=click.Path(path_type=Path),
    help="A folder that `lipcore data prepare` made; may be given again, real and synthetic.",
)


class _RecipeOrCommand(click.Group):
    """`lipcore train RECIPE` is short for `lipcore train recipe RECIPE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["recipe", *args]
        return super().parse_args(ctx, args)


@click.group(
    "train", cls=_RecipeOrCommand, subcommand_metavar="RECIPE --data FOLDER --out FOLDER | COMMAND"
)
def command() -> None:
    """Train the network of RECIPE, a shipped one by name or a YAML file.

    `lipcore train recipe --help` tells its options; COMMAND is one of those below.
    """


@command.command("recipe")
@click.argument("recipe")
@_DATA
@click.option(
    "--out", required=True, type=click.Path(path_type=Path),
    help="Folder of the run: checkpoints, weights, sample pictures, metrics.",
)
@click.option("--resume", is_flag=True, help="Go on where the run in --out stopped.")
def recipe_command(recipe: str, data: tuple[Path, ...], out: Path, resume: bool) -> None:
    """Train the network of RECIPE: a shipped one by name, or a YAML file.

    Weights, averaged over the last steps, are written with every checkpoint.
    """
    from lipcore.errors import ConfigError
    from lipcore.train.catalog import load_recipe

    loaded = load_recipe(recipe)
    if hasattr(loaded.recipe_class, "run"):  # minutes long, with a loop of its own
        if resume:
            raise ConfigError(f"{loaded.name} takes minutes and does not resume")
        made = loaded.recipe_class(loaded.config, data)
        _report(made.run(out), out / f"{made.kind}.safetensors")
        return
    _need_lightning()
    from lipcore.train.loop import Trainer

    made = loaded.recipe_class(loaded.config, data)
    try:
        scores = Trainer(made, loaded.config, out, resume=resume).run()
    except KeyboardInterrupt as error:
        again = "the same command goes on" if resume else "the same command with --resume goes on"
        raise type(error)(again) from error
    _report(scores, out / f"{made.kind}.safetensors")


@command.command("ablate")
@click.argument("table")
@_DATA
@click.option(
    "--out", required=True, type=click.Path(path_type=Path),
    help="Folder of the runs, and of table.md, table.csv and table.json.",
)
@click.option(
    "--most-steps", default=0, metavar="N", type=click.IntRange(min=0),
    help="Train no network longer than N steps, for a quick look.",
)
def ablate_command(table: str, data: tuple[Path, ...], out: Path, most_steps: int) -> None:
    """Train the generator in the ways that TABLE names, and compare them.

    TABLE is a shipped one by name, or a YAML file: networks that are trained first, settings of
    a generator, and variants that change some of them. People left out of training are judged
    by a face mesh and by an expert that taught nobody. The same command goes on where it was
    stopped, and trains nothing twice.
    """
    from lipcore.train.ablation import Ablation, format_table, load_table

    loaded = load_table(table)
    _need_lightning()

    def tell(line: str) -> None:
        click.echo(line, err=True)

    made = Ablation(loaded, data, out, most_steps=most_steps, tell=tell)
    rows = made.run()
    click.echo(format_table(loaded.title, made.protocol, rows), nl=False)


def _need_lightning() -> Any:
    from lipcore.errors import DependencyError

    try:
        import lightning.fabric as fabric
    except ImportError as error:
        raise DependencyError(
            "training needs the package lightning",
            hint="Install it with: pip install 'lipcore[train]'",
        ) from error
    return fabric


def _report(scores: Mapping[str, float], weights: Path) -> None:
    for name, value in scores.items():
        click.echo(f"{name}: {value:.4f}")
    click.echo(f"weights: {weights}")
