"""``lipcore export``: trained networks for other runtimes."""

from __future__ import annotations

from pathlib import Path

import click

from lipcore.errors import ConfigError


@click.command("export")
@click.argument("weights")
@click.option("--to", "target", required=True,
              type=click.Choice(["onnx", "tensorrt", "openvino", "torchscript", "cat"]))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--precision", type=click.Choice(["fp32", "fp16", "bf16", "int8"]), default="fp32",
              show_default=True, help="int8: onnx and openvino only.")
@click.option("--graphs", help="Names with commas, as face_decoder,draw. Default: all.")
@click.option("--gpu", "gpus", multiple=True,
              help="tensorrt: kind of GPU to build for, as SM89; may be given again.")
@click.option("--check", is_flag=True, help="Compare what lies in --out with WEIGHTS again.")
@click.option("--plate", type=click.Path(path_type=Path), help="cat: the shot.")
@click.option("--dialogue", type=click.Path(path_type=Path), help="cat: what it shall say.")
@click.option("--frames", help="cat: range, as 1001-1050. Default: all.")
@click.option("--speaker", default="largest", show_default=True, help="cat: as in render.")
@click.option("--cache", type=click.Path(path_type=Path), help="cat: as in render.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    weights: str, target: str, out: Path, precision: str, graphs: str | None,
    gpus: tuple[str, ...], check: bool, plate: Path | None, dialogue: Path | None,
    frames: str | None, speaker: str, cache: Path | None, debug: bool,
) -> None:  # fmt: skip
    """Write the networks of WEIGHTS as files that other runtimes take.

    Each graph is run beside torch before it gets its name, and the export fails where the
    final picture differs beyond the precision's bound; manifest.json holds the figures.

    --to cat writes one shot's TorchScript for Nuke's CatFileCreator, with a gizmo.
    """
    if target == "cat":
        from lipcore.cli.progress import BarListener
        from lipcore.export.cat import export_cat
        from lipcore.shot import RenderConfig, Shot
        from lipcore.types import FrameRange

        if plate is None or dialogue is None:
            raise ConfigError(
                "a .cat is made for one shot", hint="Give --plate and --dialogue."
            )
        shot = Shot(
            plate, dialogue, frames=None if frames is None else FrameRange.parse(frames),
            speaker=speaker,
        )
        with BarListener() as listener:
            made = export_cat(
                shot, RenderConfig(weights=weights, cache=cache), out, listener=listener
            )
        for path in made.files:
            click.echo(str(path))
        click.echo(
            f"the TorchScript differs by {made.max_steps:.3g} of 255 at worst from the module in "
            f"torch, by {made.path_steps:.3g} from the latent path run apart"
        )
        return
    if plate is not None or dialogue is not None:
        raise ConfigError("--plate and --dialogue belong to --to cat")
    from lipcore.export.run import ExportOptions, check_export, export_weights

    if check:
        check_export(weights, out, log=click.echo)
        click.echo(f"{out} holds what {weights} computes")
        return
    options = ExportOptions(
        target,  # type: ignore[arg-type]  # click checked them
        precision,  # type: ignore[arg-type]
        tuple(name.strip() for name in graphs.split(",")) if graphs else (), gpus,
    )
    manifest = export_weights(weights, out, options, log=click.echo)
    click.echo(f"{len(manifest.graphs)} graphs in {out}")
