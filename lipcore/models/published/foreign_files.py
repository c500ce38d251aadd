"""Weights in files of Keras (HDF5) and of MATLAB: arrays and names, never code.

What a file holds is not trusted: what is read is bounded, links out of it are refused, and
nothing that it describes is built or run.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lipcore.errors import DependencyError, WeightsUnreadableError

Array = npt.NDArray[np.float32]

_MOST_BYTES = 2 << 30
_MOST_ITEMS, _DEEPEST = 4096, 8
_KNOWN_FILTERS = (1, 2, 3)
"""Of HDF5: deflate, shuffle, fletcher32; others may be libraries of strangers."""
_COMPRESSED = 15
_BLOCK = 1 << 20


def read_keras(file: Path) -> dict[str, dict[str, Array]]:
    """The layers of a file that Keras saved, whole model or weights alone.

    Args:
        file: HDF5.

    Returns:
        Of each layer that has some, by its name: its arrays by theirs, such as ``kernel``.

    Raises:
        DependencyError: The package h5py is absent.
        WeightsUnreadableError: The file is damaged, too large, or not such a file.
    """
    try:
        import h5py
    except ImportError as error:
        raise DependencyError(
            "files of Keras need the package h5py",
            hint="Install it with: pip install 'lipcore[baselines]'",
        ) from error
    try:
        with h5py.File(file, "r") as held:
            layers = dict(_members(h5py, held, file))
            root = layers.get("model_weights", held)
            found: dict[str, dict[str, Array]] = {}
            spent = 0
            for layer, group in _members(h5py, root, file):
                for name, dataset in _datasets(h5py, group, file, _DEEPEST):
                    spent += dataset.size * 4
                    if spent > _MOST_BYTES:
                        raise _unreadable(file, "it holds more than 2 GiB")
                    values = np.asarray(dataset[()], np.float32)
                    if found.setdefault(layer, {}).setdefault(name, values) is not values:
                        raise _unreadable(file, f"{layer} holds {name} twice")
            return found
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, WeightsUnreadableError):
            raise
        raise _unreadable(file, " ".join(str(error).split())[:200]) from error


def _members(h5py: Any, group: Any, file: Path) -> Iterator[tuple[str, Any]]:
    if len(group) > _MOST_ITEMS:
        raise _unreadable(file, f"{len(group)} items in one group")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _unreadable(file, f"{name} is a link")
        yield name, group[name]


def _datasets(h5py: Any, item: Any, file: Path, deeper: int) -> Iterator[tuple[str, Any]]:
    if isinstance(item, h5py.Group):
        if deeper == 0:
            raise _unreadable(file, "groups in groups without end")
        for _, member in _members(h5py, item, file):
            yield from _datasets(h5py, member, file, deeper - 1)
        return
    stored = item.id.get_create_plist()
    filters = [stored.get_filter(i)[0] for i in range(stored.get_nfilters())]
    if item.is_virtual or item.external or any(f not in _KNOWN_FILTERS for f in filters):
        raise _unreadable(file, f"{item.name} is not stored in the file itself")
    if item.dtype.kind != "f" or item.ndim > 4:
        raise _unreadable(file, f"{item.name} is no array of weights")
    yield item.name.rpartition("/")[2].partition(":")[0], item


@dataclass(frozen=True, slots=True)
class MatLayer:
    """A layer of MatConvNet's DagNN, as it stands in a file."""

    name: str
    kind: str
    """Class of its block, such as ``dagnn.Conv``."""
    inputs: tuple[str, ...]
    """Variables that it takes, in its order."""
    outputs: tuple[str, ...]
    params: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MatNet:
    """A DagNN of MatConvNet."""

    layers: tuple[MatLayer, ...]
    params: Mapping[str, Array]
    """Values by name, with MATLAB's order of axes."""


def read_matconvnet(file: Path) -> MatNet:
    """The variable ``net`` of a file of MATLAB 5 to 7: a DagNN as its ``saveobj`` makes it.

    Raises:
        WeightsUnreadableError: The file is damaged, too large, or not such a file.

    Source: ``matlab/+dagnn/@DagNN/saveobj.m`` of github.com/vlfeat/matconvnet; MathWorks, *MAT-File
    Format*.
    """
    from scipy.io import loadmat

    _check_inflated(file)
    try:
        held = loadmat(file, variable_names=["net"])
        if "net" not in held:
            raise _unreadable(file, "it holds no variable net")
        net = held["net"].reshape(-1)[0]
        params = {
            _text(one["name"]): np.asarray(one["value"], np.float32)
            for one in net["params"].reshape(-1)
        }
        layers = tuple(
            MatLayer(_text(one["name"]), _text(one["type"]),
                     *(_texts(one[part]) for part in ("inputs", "outputs", "params")))
            for one in net["layers"].reshape(-1)
        )  # fmt: skip
        return MatNet(layers, params)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
            NotImplementedError, struct.error, zlib.error) as error:  # fmt: skip
        if isinstance(error, WeightsUnreadableError):
            raise
        raise _unreadable(file, " ".join(str(error).split())[:200]) from error


def _text(value: Any) -> str:
    parts = np.asarray(value).reshape(-1)
    return str(parts[0]) if len(parts) and parts.dtype.kind == "U" else ""


def _texts(value: Any) -> tuple[str, ...]:
    """A cell of texts, or one text."""
    parts = np.asarray(value)
    if parts.dtype.kind == "O":
        return tuple(_text(part) for part in parts.reshape(-1))
    return (_text(parts),) if parts.size and parts.dtype.kind == "U" else ()


def _check_inflated(file: Path) -> None:
    """Refuse a file whose compressed parts would grow beyond all bounds."""
    left = _MOST_BYTES
    try:
        with file.open("rb") as handle:
            head = handle.read(128)
            if head.startswith(b"MATLAB 7.3"):
                raise WeightsUnreadableError(
                    f"{file} is a file of MATLAB 7.3", path=str(file),
                    hint="Load it in MATLAB, and save it again with save(..., '-v7').",
                )
            if head[126:128] not in (b"IM", b"MI"):
                raise _unreadable(file, "it does not begin as a file of MATLAB")
            order = "<II" if head[126:128] == b"IM" else ">II"
            while tag := handle.read(8):
                kind, size = struct.unpack(order, tag)
                left -= size if kind != _COMPRESSED else 0
                if kind != _COMPRESSED:
                    handle.seek(size, 1)
                    continue
                inflate = zlib.decompressobj()
                while size > 0 and left > 0:
                    block = handle.read(min(size, _BLOCK))
                    if not block:
                        raise _unreadable(file, "it ends in the middle")
                    size -= len(block)
                    while block and left > 0:
                        left -= len(inflate.decompress(block, _BLOCK))
                        block = inflate.unconsumed_tail
                if left <= 0:
                    raise _unreadable(file, "it holds more than 2 GiB")
    except (OSError, struct.error, zlib.error) as error:
        if isinstance(error, WeightsUnreadableError):
            raise
        raise _unreadable(file, str(error)) from error


def _unreadable(file: Path, why: str) -> WeightsUnreadableError:
    return WeightsUnreadableError(
        f"{file} cannot be read ({why})", hint="Give the file as its authors publish it.",
        path=str(file),
    )
