"""Weights by name or path: a folder of safetensors files, one a network.

``base`` ships inside the package. Any folder with the same file names can stand in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lipcore.errors import WeightsNotFoundError

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class WeightsSet:
    """A folder of weights."""

    name: str
    folder: Path
    adaptation: Path | None = None
    """What ``lipcore adapt`` learnt of one shot, to be laid over the latent networks."""

    def file(self, kind: str) -> Path:
        """Path of one network's file.

        Raises:
            WeightsNotFoundError: The set has no network of this kind.
        """
        path = self.folder / f"{kind}.safetensors"
        if not path.is_file():
            raise WeightsNotFoundError(
                f"weights {self.name!r} hold no {kind} network",
                hint=f"It has: {', '.join(self.kinds()) or 'nothing'}.",
                path=str(path),
            )
        return path

    def has(self, kind: str) -> bool:
        """Whether the set has a network of this kind."""
        return (self.folder / f"{kind}.safetensors").is_file()

    def kinds(self) -> list[str]:
        """Kinds of network in the set, sorted."""
        return sorted(p.stem for p in self.folder.glob("*.safetensors"))


def shipped_names() -> list[str]:
    """Names of the sets inside the package."""
    return sorted(p.parent.name for p in _HERE.glob("*/model_card.md"))


def find_weights(name_or_path: str | Path) -> WeightsSet:
    """Find a set by the name of a shipped one, or by the path of a folder.

    ``SET+FILE`` lays an adaptation, from ``lipcore adapt``, over a set.

    Raises:
        WeightsNotFoundError: Nothing of that name is there.
    """
    text = str(name_or_path)
    if "+" in text and not Path(text).exists():
        name, _, file = text.partition("+")
        if not Path(file).is_file():
            raise WeightsNotFoundError(
                f"no adaptation at {file}",
                hint="Make one with `lipcore adapt PLATE --out FILE.safetensors`.",
                path=file,
            )
        found = find_weights(name)
        return WeightsSet(text, found.folder, Path(file).resolve())
    shipped = _HERE / str(name_or_path)
    if str(name_or_path) in shipped_names():
        return WeightsSet(str(name_or_path), shipped)
    folder = Path(name_or_path)
    if folder.is_dir() and any(folder.glob("*.safetensors")):
        return WeightsSet(str(name_or_path), folder.resolve())
    raise WeightsNotFoundError(
        f"no weights named {name_or_path}",
        hint=f"Shipped: {', '.join(shipped_names())}. Or give a folder of safetensors files.",
        path=str(name_or_path),
    )
