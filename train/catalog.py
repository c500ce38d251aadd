"""The recipes by name: which config, which class, what the YAML files in ``recipes`` are of."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from lipcore.config import from_mapping, load_config
from lipcore.errors import ConfigError
from lipcore.weights import __file__ as weights_file

FOLDER = Path(__file__).parent / "recipes"
_SHIPPED = ("lipcore", "weights")

_KINDS: dict[str, tuple[str, str, str]] = {
    # prefix of the YAML's name: (module, config class, recipe class)
    "vqgan_face": ("vqgan_face", "VQGANFaceConfig", "VQGANFace"),
    "vqgan_pose": ("vqgan_pose", "VQGANPoseConfig", "VQGANPose"),
    "sync_expert": ("sync_expert", "SyncExpertRecipeConfig", "SyncExpertRecipe"),
    "generator": ("generator", "GeneratorRecipeConfig", "GeneratorRecipe"),
    "refiner": ("refiner", "RefinerRecipeConfig", "RefinerRecipe"),
    "inner_mouth": ("inner_mouth", "InnerMouthRecipeConfig", "InnerMouthRecipe"),
    "shape_basis": ("shape_basis", "ShapeBasisConfig", "ShapeBasisRun"),
    "wav2lip": ("baseline", "Wav2LipRecipeConfig", "Wav2LipRecipe"),
    "lip_expert": ("baseline", "LipExpertRecipeConfig", "LipExpertRecipe"),
    "lipgan": ("baseline", "LipGANRecipeConfig", "LipGANRecipe"),
    "yousaidthat": ("baseline", "YouSaidThatRecipeConfig", "YouSaidThatRecipe"),
    "speech": ("speech_run", "SpeechTrainingConfig", "SpeechRun"),
}


@dataclass(frozen=True, slots=True)
class LoadedRecipe:
    """A recipe's settings, and the class that runs them."""

    name: str
    recipe_class: Any
    config: Any


def recipe_names() -> list[str]:
    """Names of the recipes that ship, sorted."""
    return sorted(p.stem for p in FOLDER.glob("*.yaml") if _kind_of(p) is not None)


def _kind_of(path: Path) -> str | None:
    """The kind of network whose name the file's begins with."""
    return next((k for k in _KINDS if path.stem.startswith(k)), None)


def load_recipe(name_or_path: str | Path) -> LoadedRecipe:
    """Read a recipe that ships, or a YAML file whose name begins with a network's name.

    Raises:
        ConfigError: There is no such recipe, or its settings do not hold.
    """
    path = Path(name_or_path)
    if path.suffix != ".yaml":
        path = FOLDER / f"{name_or_path}.yaml"
    kind = _kind_of(path)
    if not path.is_file() or kind is None:
        raise ConfigError(
            f"no recipe is named {name_or_path}",
            hint=f"Shipped: {', '.join(recipe_names())}. Or give a YAML file named so that it "
            f"begins with one of: {', '.join(_KINDS)}.",
        )
    config_class, recipe_class = _classes(kind)
    return LoadedRecipe(path.stem, recipe_class, _find_shipped(load_config(config_class, path)))


def _find_shipped(config: Any) -> Any:
    """The config with paths in ``lipcore/weights`` found in the package.

    From the repository's root they are what they say; from anywhere else they are not there.
    """
    found = {}
    for field in fields(config):
        path = getattr(config, field.name)
        if isinstance(path, Path) and path.parts[:2] == _SHIPPED and not path.exists():
            found[field.name] = Path(weights_file).parent.joinpath(*path.parts[2:])
    return replace(config, **found)


def make_recipe(kind: str, settings: Mapping[str, Any], *, where: str) -> LoadedRecipe:
    """A recipe of a kind from settings that come from elsewhere than a file of its own.

    Raises:
        ConfigError: The settings do not hold; ``where`` names them.
    """
    config_class, recipe_class = _classes(kind)
    return LoadedRecipe(kind, recipe_class, from_mapping(config_class, settings, where=where))


def _classes(kind: str) -> tuple[Any, Any]:
    """Config and recipe of a kind."""
    module_name, config_name, recipe_name = _KINDS[kind]
    module = importlib.import_module(f".{module_name}", __package__)
    return getattr(module, config_name), getattr(module, recipe_name)
