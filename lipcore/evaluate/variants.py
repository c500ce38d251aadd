"""Variants of the paper's own path, as Tables 4 and 5 compare them: which networks, how driven.

A variant is a set of weights, rendered as ``lipcore render --synthesis latent --detail none``
renders it; or what ``lipcore train`` (or a row of ``lipcore train ablate``) left in a folder, with
the networks that its record names. Generators that learnt to hear speech alone, the paper's own
way, have no shape to be driven by: ``variant_drawing`` draws those.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lipcore.errors import ConfigError, WeightsNotFoundError, WeightsUnreadableError
from lipcore.media.output_files import appearing
from lipcore.models.checkpoint import hash_file, load_header
from lipcore.shot import RenderConfig
from lipcore.weights import find_weights, shipped_names

_LATENT = ("vqgan_face", "vqgan_pose", "speech", "shape_basis")
_NEEDED = ("vqgan_face", "vqgan_pose", "generator")
_RENDERS_WITH = ("inner_mouth", "speech", "shape_basis")
"""What a render needs besides; taken from ``base`` where a run has none."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A row of Table 4 or 5, as a manifest names it."""

    name: str
    """As it stands in the table."""
    table: Literal[4, 5]
    """4: stage 1 against stage 2; 5: what the sync loss does."""
    weights: str = ""
    """A set of weights, as ``lipcore render --weights`` takes it."""
    run: Path | None = None
    """Or a run's folder (or its ``generator.safetensors``), or the folder of ``lipcore train
    ablate``, of which ``row`` says what is meant."""
    row: str = ""
    """The variant of an ablation; by default ``name``."""
    seed: int | None = None
    """Of the ablation; None takes its first."""
    refine: float = 0.0
    """Share of the refiner's picture, stage 2, as ``lipcore render --refine``."""
    refiner: Path | None = None
    """A refiner for a run that names none."""

    def __post_init__(self) -> None:
        if bool(self.weights) == (self.run is not None):
            raise ConfigError(
                f"the variant {self.name!r} needs weights or a run",
                hint="Write weights: SET, or run: FOLDER.",
            )
        if not self.name.strip() or self.name in ("ground truth", "paste-original", "still mouth"):
            raise ConfigError(f"a variant cannot be called {self.name!r}", hint="Rename it.")
        if not 0 <= self.refine <= 1:
            raise ConfigError(f"refine must be from 0 to 1, got {self.refine}")
        if self.refiner is not None and self.run is None:
            raise ConfigError(
                f"the variant {self.name!r} names a refiner beside a set of weights",
                hint="Add it to the set: weights: SET+FILE.",
            )


@dataclass(frozen=True, slots=True)
class FoundVariant:
    """A variant with its files."""

    variant: Variant
    files: Mapping[str, Path]
    """By kind of network."""
    settings: Mapping[str, Any]
    """Of the generator's recipe, where a run tells them."""
    hashes: Mapping[str, str]
    """SHA-256 by kind."""

    @property
    def hears(self) -> bool:
        """Speech alone drives the mouth."""
        return bool(self.settings.get("shapeless_share", 0) == 1)

    @property
    def key(self) -> tuple[object, ...]:
        """What its pixels depend on."""
        used = ("reference", "latents")
        return (
            sorted(self.hashes.items()), self.variant.refine,
            [(name, self.settings.get(name)) for name in used], self.hears,
        )


def place_variant(variant: Variant, folder: Path) -> Variant:
    """A variant whose paths count from a folder."""
    run, refiner = (p and folder / p for p in (variant.run, variant.refiner))
    weights = variant.weights
    if weights:
        first, *files = weights.split("+")
        there = folder / first
        weights = "+".join([
            str(there) if there.is_dir() else first, *(str(folder / file) for file in files)
        ])  # fmt: skip
    return replace(variant, run=run, refiner=refiner, weights=weights)


def find_variant(variant: Variant) -> FoundVariant:
    """Look for a variant's networks; none is loaded.

    Raises:
        ConfigError: The ablation has no such row.
        WeightsError: A network is absent or damaged.
    """
    if variant.run is None:
        found = find_weights(variant.weights)
        files = {kind: found.file(kind) for kind in found.kinds()}
        if found.adaptation is not None:
            files["adaptation"] = found.adaptation
        _check(variant, files)
        return FoundVariant(variant, files, {}, _hashes(files))
    generator = _generator_of(variant)
    header = load_header(generator)
    settings = header["record"].get("settings", {})
    files = {"generator": generator}
    for kind in (*_LATENT, "refiner"):
        if (value := settings.get(kind)) is not None:
            files[kind] = _near(Path(value), generator)
    if variant.refiner is not None:
        files["refiner"] = variant.refiner
    _check(variant, files)
    return FoundVariant(variant, files, settings, _hashes(files))


def _check(variant: Variant, files: Mapping[str, Path]) -> None:
    heard = ("speech",) if variant.run is not None and "speech" in files else ()
    needed = (*_NEEDED, *heard, *(("refiner",) if variant.refine else ()))
    for kind in needed:
        if kind not in files or not files[kind].is_file():
            raise WeightsNotFoundError(
                f"the variant {variant.name!r} has no {kind}",
                hint="Name weights that hold one." if kind not in files else
                f"Looked for it at {files[kind]}.", kind=kind,
            )  # fmt: skip


def _hashes(files: Mapping[str, Path]) -> dict[str, str]:
    return {kind: hash_file(file) for kind, file in files.items()}


def _generator_of(variant: Variant) -> Path:
    """The file of weights that a variant's ``run`` stands for."""
    assert variant.run is not None
    if variant.run.suffix == ".safetensors":
        return variant.run
    direct = variant.run / "generator.safetensors"
    if direct.is_file():
        return direct
    row, runs = variant.row or variant.name, _rows_of(variant.run).get(variant.row or variant.name)
    if not runs:
        raise ConfigError(
            f"{variant.run} holds no run of {row!r}",
            hint="Name a run's folder, or that of `lipcore train ablate` with row: one of its "
            "variants (of an older one, give that command again: it trains nothing twice).",
        )
    seed = next(iter(runs)) if variant.seed is None else variant.seed
    if seed not in runs:
        raise ConfigError(
            f"{variant.run} holds no run of {row!r} with the seed {seed}",
            hint=f"Seeds: {', '.join(map(str, runs))}.",
        )
    return variant.run / runs[seed] / "generator.safetensors"


def _rows_of(ablation: Path) -> dict[str, dict[int, str]]:
    """The runs' folders of each variant by seed, as ``table.json`` of an ablation tells."""
    path = ablation / "table.json"
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {
            str(row["variant"]): dict(zip(row["seeds"], row["runs"], strict=True))
            for row in rows if row.get("runs")
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsUnreadableError(
            f"{path} is not the table of an ablation ({error})", hint="Give its command again.",
            path=str(path),
        ) from error


def _near(named: Path, generator: Path) -> Path:
    """A file that a record names: there, in this install's own weights, or beside the run,
    where the folder was moved."""
    if named.is_file():
        return named
    if named.parent.name in shipped_names():
        return find_weights(named.parent.name).folder / named.name
    beside = generator.parent.parent / named.parent.name / named.name
    return beside if beside.is_file() else named


def variant_weights(found: FoundVariant, folder: Path) -> str:
    """A set of weights that ``lipcore render`` takes, of a run's files and, for the rest, ``base``.

    Args:
        found: Whose shapes drive the mouth.
        folder: Where the files are copied to.

    Raises:
        OutputError: The folder cannot be written.
    """
    if found.variant.weights:
        return found.variant.weights
    base = find_weights("base")
    files = {kind: base.file(kind) for kind in _RENDERS_WITH} | dict(found.files)
    for kind, file in files.items():
        with appearing(folder / f"{kind}.safetensors") as temporary:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, temporary)
    return str(folder)


def variant_config(found: FoundVariant, weights: str, cache: Path | None) -> RenderConfig:
    """The plain method of the paper: no detail of the plate, no frame of the bank."""
    return RenderConfig(
        synthesis="latent", detail="none", refine=found.variant.refine, weights=weights,
        cache=cache, overwrite=True,
    )


def variant_line(found: FoundVariant) -> str:
    """Its networks, for the protocol."""
    parts = ", ".join(f"{kind} {sha256[:12]}" for kind, sha256 in sorted(found.hashes.items()))
    driven = "speech" if found.hears else "mouth shapes of speech"
    stage = f", refined {found.variant.refine:g}" if found.variant.refine else ""
    return f"{found.variant.name}: driven by {driven}{stage} ({parts})"
