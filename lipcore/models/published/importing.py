"""Published weights: from their own files to safetensors, checked; and from there to networks."""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lipcore.errors import (
    ConfigError,
    WeightsNotFoundError,
    WeightsUnreadableError,
    WeightsVersionError,
)
from lipcore.media.output_files import output_error
from lipcore.models.checkpoint import hash_file, load_header, load_tensors, save_tensors
from lipcore.models.published.foreign_files import read_keras, read_matconvnet
from lipcore.models.published.registry import PUBLISHED, PublishedNetwork
from lipcore.user_folders import user_folder

_COUNTER = "num_batches_tracked"
"""Files of before PyTorch 0.4.1 lack it; networks at rest never ask for it."""
_SHOWN = 3


def imported_folder() -> Path:
    """``$LIPCORE_WEIGHTS``, else ``lipcore/published`` in the user's data folder."""
    if named := os.environ.get("LIPCORE_WEIGHTS"):
        return Path(named)
    return user_folder("XDG_DATA_HOME", "LOCALAPPDATA", ".local/share") / "published"


def find_published(kind: str) -> PublishedNetwork:
    """What is known of a kind.

    Raises:
        ConfigError: Nothing is.
    """
    if kind not in PUBLISHED:
        raise ConfigError(
            f"{kind!r} is no kind of published weights",
            hint=f"Kinds: {', '.join(PUBLISHED)}.", kind=kind,
        )
    return PUBLISHED[kind]


def import_weights(kind: str, file: Path, out: Path | None = None) -> tuple[Path, dict[str, Any]]:
    """Check a published file and keep it as safetensors.

    Args:
        kind: Of ``PUBLISHED``.
        file: As its authors publish it, or a safetensors file with the same names.
        out: The file to write; by default ``KIND.safetensors`` in the user's data folder.

    Returns:
        The file written, and its record: source, sha256, and ``as_published``, which is None
        where no hash is published, else whether it is that file.

    Raises:
        ConfigError: An unknown kind.
        WeightsNotFoundError: No such file.
        DependencyError: A package that reads the kind's files is absent.
        WeightsUnreadableError: It is damaged, or holds code.
        WeightsVersionError: Names or shapes are not those of the kind.
        OutputError: The result cannot be written.
    """
    published = find_published(kind)
    tensors = _fit(published, _read(published, file), file)
    sha256 = hash_file(file)
    record = {
        "source": file.name, "sha256": sha256,
        "as_published": sha256.startswith(published.sha256) if published.sha256 else None,
    }  # fmt: skip
    path = out or imported_folder() / f"{kind}.safetensors"
    try:
        save_tensors(
            path, tensors, kind=f"published:{kind}", config=dict(published.settings),
            record=record, half=False,
        )  # fmt: skip
    except OSError as error:
        raise output_error(error, path) from error
    return path, record


def list_imported(folder: Path | None = None) -> dict[str, dict[str, Any] | None]:
    """The record of each kind that was imported; None of those that were not.

    Raises:
        WeightsError: A file in the folder is damaged.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for kind in PUBLISHED:
        path = (folder or imported_folder()) / f"{kind}.safetensors"
        found[kind] = load_header(path)["record"] if path.is_file() else None
    return found


def load_published(kind: str, path: Path | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """An imported network, ready for inference, and its record.

    Args:
        kind: Of ``PUBLISHED``.
        path: What ``import_weights`` wrote; by default in the user's data folder.

    Raises:
        WeightsNotFoundError: It was not imported.
        WeightsError: The file is damaged, or of another kind.
    """
    published = find_published(kind)
    path = path or imported_folder() / f"{kind}.safetensors"
    if not path.is_file():
        raise WeightsNotFoundError(
            f"the weights {kind} were not imported",
            hint=f"Get {published.file} from its authors, then `lipcore weights import {kind} "
            "FILE`.",
            path=str(path),
        )
    tensors, header = load_tensors(path, kind=f"published:{kind}")
    network = build_published(published)
    _check(published, network.state_dict(), tensors, path)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False), header["record"]


def build_published(published: PublishedNetwork) -> nn.Module:
    """The network without values: its tensors have names, shapes and types alone."""
    module = importlib.import_module(f"lipcore.models.published.{published.module}")
    with torch.device("meta"):
        network = getattr(module, published.network)(**dict(published.settings))
    assert isinstance(network, nn.Module)
    return network


def _read(published: PublishedNetwork, file: Path) -> Mapping[str, Any]:
    """What is in a file, without running anything that it holds."""
    if not file.is_file():
        raise WeightsNotFoundError(
            f"no weights at {file}", hint="Give the file that the authors publish.", path=str(file)
        )
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(file))
        except (SafetensorError, OSError, ValueError) as error:
            raise _unreadable(file, str(error)) from error
    if published.format != "torch":
        return _convert(published, file)
    if file.suffix in (".h5", ".hdf5", ".mat"):
        raise _unreadable(file, "a file of Keras or MATLAB")
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsUnreadableError(
            f"{file} holds more than tensors, or is damaged; nothing of it was run",
            hint="Where you trust it: load it with torch yourself, save its state_dict with "
            "torch.save, and import that file.",
            path=str(file),
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _unreadable(file, str(error).splitlines()[0] if str(error) else "empty") from error
    while isinstance(held, Mapping) and isinstance(held.get("state_dict"), Mapping):
        held = held["state_dict"]
    if not isinstance(held, Mapping):
        raise _unreadable(file, f"it holds a {type(held).__name__}")
    return held


def _convert(published: PublishedNetwork, file: Path) -> dict[str, Tensor]:
    """Tensors from a file that another framework wrote."""
    module = importlib.import_module(f"lipcore.models.published.{published.module}")
    held = read_keras(file) if published.format == "keras" else read_matconvnet(file)
    try:
        tensors: dict[str, Tensor] = getattr(module, f"from_{published.format}")(
            held, build_published(published)
        )
    except WeightsVersionError as error:
        raise WeightsVersionError(
            f"{file} does not have the layout of {published.kind}: {error}", hint=error.hint,
            path=str(file),
        ) from error
    return tensors


def _unreadable(file: Path, why: str) -> WeightsUnreadableError:
    return WeightsUnreadableError(
        f"{file} is not a readable file of weights ({why})",
        hint="Fetch it again; PyTorch's and safetensors files are read.", path=str(file),
    )


def _fit(published: PublishedNetwork, held: Mapping[str, Any], file: Path) -> dict[str, Tensor]:
    """The tensors under the names of the rebuilt network."""
    tensors = {str(k): v for k, v in held.items() if isinstance(v, Tensor)}
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    tensors = {k: v for k, v in tensors.items() if not k.startswith(published.leaves_out or "\0")}
    if published.renamed:
        module = importlib.import_module(f"lipcore.models.published.{published.module}")
        names = getattr(module, published.renamed)
        renamed = {}
        for name, value in tensors.items():
            stem, _, leaf = name.rpartition(".")
            renamed[f"{names.get(stem, f'(unknown) {stem}')}.{leaf}"] = value
        tensors = renamed
    asked = build_published(published).state_dict()
    for name, like in asked.items():
        if name.endswith(_COUNTER) and name not in tensors:
            tensors[name] = torch.zeros(like.shape, dtype=like.dtype)
    _check(published, asked, tensors, file)
    return {name: value.to(asked[name].dtype) for name, value in tensors.items()}


def _check(
    published: PublishedNetwork, asked: Mapping[str, Tensor], tensors: Mapping[str, Tensor],
    file: Path,
) -> None:  # fmt: skip
    wrong = [f"{n} is missing" for n in asked if n not in tensors]
    wrong += [f"{n} is unknown" for n in tensors if n not in asked]
    wrong += [
        f"{n} is {tuple(tensors[n].shape)}, not {tuple(like.shape)}"
        for n, like in asked.items() if n in tensors and tensors[n].shape != like.shape
    ]  # fmt: skip
    if wrong:
        more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise WeightsVersionError(
            f"{file} does not have the layout of {published.kind}: "
            f"{'; '.join(wrong[:_SHOWN])}{more}",
            hint=f"The kind {published.kind} is read from {published.file}.", path=str(file),
            wrong=len(wrong),
        )
