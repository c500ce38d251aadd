"""Weights by name or path: a folder of safetensors files, one a network.

``base`` ships inside the package. Any folder with the same file names can stand in for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from lipcore.errors import WeightsNotFoundError, WeightsVersionError

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class WeightsSet:
    """A folder of weights."""

    name: str
    folder: Path
    adaptation: Path | None = None
    """What ``lipcore adapt`` learnt of one shot, to be laid over the latent networks."""
    added: tuple[tuple[str, Path], ...] = ()
    """Kinds and files of networks that were named one by one: they go before the folder's."""

    def file(self, kind: str) -> Path:
        """Path of one network's file.

        Raises:
            WeightsNotFoundError: The set has no network of this kind.
        """
        path = dict(self.added).get(kind, self.folder / f"{kind}.safetensors")
        if not path.is_file():
            raise WeightsNotFoundError(
                f"weights {self.name!r} hold no {kind} network",
                hint=f"It has: {', '.join(self.kinds()) or 'nothing'}.",
                path=str(path),
            )
        return path

    def has(self, kind: str) -> bool:
        """Whether the set has a network of this kind."""
        return kind in self.kinds()

    def kinds(self) -> list[str]:
        """Kinds of network in the set, sorted."""
        return sorted({p.stem for p in self.folder.glob("*.safetensors")} | dict(self.added).keys())

    def unadapted(self) -> WeightsSet:
        """The same without its adaptation."""
        if self.adaptation is None:
            return self
        name = "+".join([split_name(self.name)[0], *(str(path) for _, path in self.added)])
        return replace(self, name=name, adaptation=None)


def shipped_names() -> list[str]:
    """Names of the sets inside the package."""
    return sorted(p.parent.name for p in _HERE.glob("*/model_card.md"))


def split_name(name: str) -> tuple[str, list[str]]:
    """``SET+FILE+FILE`` as the set and the files."""
    first, plus, files = name.partition("+")
    return first, re.split(r"(?<=\.safetensors)\+", files) if plus else []


def find_weights(name_or_path: str | Path) -> WeightsSet:
    """Find a set by the name of a shipped one, or by the path of a folder.

    ``SET+FILE`` lays an adaptation, from ``lipcore adapt``, over a set, or adds a network, such
    as a refiner from ``lipcore train``; several files follow each other, each after a ``+``.

    Raises:
        WeightsNotFoundError: Nothing of that name is there.
        WeightsError: A file cannot be read, or is a second one of its kind.
    """
    text = str(name_or_path)
    if "+" in text and not Path(text).exists():
        name, files = split_name(text)
        found = find_weights(name)
        for file in files:
            found = _with_file(found, Path(file))
        return replace(found, name=text)
    shipped = _HERE / text
    if text in shipped_names():
        return WeightsSet(text, shipped)
    folder = Path(name_or_path)
    if folder.is_dir() and any(folder.glob("*.safetensors")):
        return WeightsSet(text, folder.resolve())
    raise WeightsNotFoundError(
        f"no weights named {name_or_path}",
        hint=f"Shipped: {', '.join(shipped_names())}. Or give a folder of safetensors files.",
        path=text,
    )


def _with_file(found: WeightsSet, file: Path) -> WeightsSet:
    """A set with one more file laid over it."""
    if not file.is_file():
        raise WeightsNotFoundError(
            f"no adaptation and no network at {file}",
            hint="Make one with `lipcore adapt PLATE --out FILE.safetensors`, or `lipcore train`.",
            path=str(file),
        )
    from lipcore.models.checkpoint import load_header  # brings torch

    kind = load_header(file)["kind"]
    adapted = found.adaptation is not None
    if kind in dict(found.added) or (kind == "adaptation" and adapted):
        raise WeightsVersionError(
            f"{file} is the second {kind} that is named", hint="Name one of a kind.",
            path=str(file),
        )
    if kind == "adaptation":
        return replace(found, adaptation=file.resolve())
    return replace(found, added=(*found.added, (kind, file.resolve())))
