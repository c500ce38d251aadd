"""Networks to and from safetensors files that say what they are.

The header of a file carries ``lipcore.kind`` (which network), ``lipcore.format`` (version of
this layout), ``lipcore.config`` (the resolved config) and ``lipcore.record`` (how it was
trained), the last two as JSON. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lipcore.errors import WeightsNotFoundError, WeightsUnreadableError, WeightsVersionError

FORMAT = 1

_NETWORKS: dict[str, tuple[str, str, str]] = {
    # kind: (module, config class, network class)
    "vqgan_face": ("lipcore.models.vqgan", "VQGANConfig", "VQGAN"),
    "vqgan_pose": ("lipcore.models.vqgan", "VQGANConfig", "VQGAN"),
    "sync_expert": ("lipcore.models.sync_expert", "SyncExpertConfig", "SyncExpert"),
    "generator": ("lipcore.models.generator", "GeneratorConfig", "Generator"),
    "refiner": ("lipcore.models.refiner", "RefinerConfig", "Refiner"),
    "speech": ("lipcore.models.speech_encoder", "SpeechEncoderConfig", "SpeechEncoder"),
    "inner_mouth": ("lipcore.models.inner_mouth", "InnerMouthConfig", "InnerMouth"),
    "wav2lip": ("lipcore.models.published.wav2lip", "Wav2LipConfig", "Wav2Lip"),
    "lip_expert": ("lipcore.models.published.wav2lip", "LipExpertConfig", "LipExpert"),
    "lipgan": ("lipcore.models.published.lipgan", "LipGANConfig", "LipGAN"),
    "yousaidthat": (
        "lipcore.models.published.yousaidthat", "YouSaidThatConfig", "YouSaidThat"
    ),
}

_LARGEST_SETTING = 1 << 16
_HINT = "Take the weights that came with this version of lipcore, or train them anew."


def save_tensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    kind: str,
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    half: bool = True,
) -> None:
    """Write tensors with their header, by way of a temporary name in the same folder.

    Args:
        path: The file to write; its folder is made.
        tensors: Names and values; floating ones become float16 where ``half`` is set.
        kind: Which network this is.
        config: The resolved config, JSON-able.
        record: How the values came about, JSON-able.
        half: Store floating tensors as float16.
    """
    stored = {
        name: (t.detach().to("cpu", torch.float16) if half and t.is_floating_point() else t.cpu())
        .contiguous()
        .clone()
        for name, t in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    save_file(
        stored,
        temporary,
        metadata={
            "lipcore.format": str(FORMAT),
            "lipcore.kind": kind,
            "lipcore.config": json.dumps(config, sort_keys=True),
            "lipcore.record": json.dumps(record, sort_keys=True),
        },
    )
    temporary.chmod(0o644)  # safetensors makes files that only their owner reads
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)  # safetensors makes its files private
    temporary.replace(path)


def load_header(path: Path) -> dict[str, Any]:
    """Read ``kind``, ``config`` and ``record`` of a weights file without its tensors.

    Raises:
        WeightsNotFoundError: There is no such file.
        WeightsUnreadableError: It is damaged or not a safetensors file.
        WeightsVersionError: Another version of lipcore wrote it.
    """
    if not path.is_file():
        raise WeightsNotFoundError(
            f"no weights at {path}", hint="Give a name such as base, or a path.", path=str(path)
        )
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
    except (SafetensorError, OSError, struct.error, ValueError) as error:
        raise WeightsUnreadableError(
            f"{path} is not a readable safetensors file ({error})", hint=_HINT, path=str(path)
        ) from error
    if metadata.get("lipcore.format") != str(FORMAT):
        raise WeightsVersionError(
            f"{path} has weights format {metadata.get('lipcore.format', 'unknown')}, "
            f"this version of lipcore reads {FORMAT}",
            hint=_HINT,
            path=str(path),
        )
    try:
        return {
            "kind": metadata["lipcore.kind"],
            "config": json.loads(metadata["lipcore.config"]),
            "record": json.loads(metadata["lipcore.record"]),
        }
    except (KeyError, json.JSONDecodeError) as error:
        raise WeightsUnreadableError(
            f"{path} has a damaged lipcore header ({error})", hint=_HINT, path=str(path)
        ) from error


def load_tensors(path: Path, *, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors (floating ones as float32) and the header of a file of one kind.

    Raises:
        WeightsError: As ``load_header``; also when the file holds another kind.
    """
    header = load_header(path)
    if header["kind"] != kind:
        raise WeightsVersionError(
            f"{path} holds a {header['kind']} network, a {kind} is needed", hint=_HINT,
            path=str(path),
        )
    try:
        with safe_open(path, framework="pt") as handle:
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsUnreadableError(
            f"{path} is damaged ({error})", hint=_HINT, path=str(path)
        ) from error
    return {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}, header


def save_network(
    path: Path, network: nn.Module, *, kind: str, record: Mapping[str, Any], half: bool = True
) -> None:
    """Write a network whose ``config`` attribute is its frozen dataclass of settings."""
    config = network.config
    assert dataclasses.is_dataclass(config) and not isinstance(config, type)
    save_tensors(
        path,
        network.state_dict(),
        kind=kind,
        config=dataclasses.asdict(config),
        record=record,
        half=half,
    )


def build_network(kind: str, config: Mapping[str, Any]) -> nn.Module:
    """Make an untrained network of a kind from its config values.

    Raises:
        WeightsVersionError: The kind or a setting is unknown to this version.
    """
    if kind not in _NETWORKS:
        raise WeightsVersionError(f"unknown kind of network: {kind}", hint=_HINT)
    module_name, config_name, network_name = _NETWORKS[kind]
    module = importlib.import_module(module_name)
    config_class = getattr(module, config_name)
    known = {f.name for f in dataclasses.fields(config_class)}
    unknown = set(config) - known
    if unknown:
        raise WeightsVersionError(
            f"unknown settings of {kind}: {', '.join(sorted(unknown))}", hint=_HINT
        )
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    try:
        network = getattr(module, network_name)(config_class(**values))
    except (TypeError, ValueError, ArithmeticError, AssertionError, RuntimeError) as error:
        raise WeightsVersionError(
            f"settings of {kind} do not make a network ({' '.join(str(error).split())[:200]})",
            hint=_HINT,
        ) from error
    assert isinstance(network, nn.Module)
    return network


def _are_settings(config: object) -> bool:
    """Whether these can be a network's: a header is not trusted, and may ask for terabytes."""
    if not isinstance(config, Mapping):
        return False
    listed = (value if isinstance(value, list) else [value] for value in config.values())
    values = [v for part in listed for v in part]
    return all(
        v is None or isinstance(v, str)
        or (isinstance(v, int | float) and abs(v) <= _LARGEST_SETTING)
        for v in values
    )  # fmt: skip


def _fits(kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bool:
    """Whether the network that a config describes has just these tensors; none is allocated."""
    with torch.device("meta"):
        wanted = build_network(kind, config).state_dict()
    return {k: v.shape for k, v in wanted.items()} == {k: v.shape for k, v in tensors.items()}


def load_network(path: Path, *, kind: str, device: str = "cpu") -> nn.Module:
    """Build the network that a file describes and load its values, ready for inference.

    Raises:
        WeightsError: As ``load_tensors``; also when names or shapes do not fit.
    """
    tensors, header = load_tensors(path, kind=kind)
    config = header["config"]
    if not (_are_settings(config) and _fits(kind, config, tensors)):
        raise WeightsVersionError(
            f"{path} does not fit the {kind} network of this version", hint=_HINT, path=str(path)
        )
    network = build_network(kind, config)
    network.load_state_dict(tensors, strict=True)
    return network.to(device).eval().requires_grad_(False)


def shared_network(path: Path, *, kind: str, device: str = "cpu") -> nn.Module:
    """As ``load_network``, and kept: the next shot of this process need not load it again.

    Nobody may change a shared network. A file that was replaced is read anew.

    Raises:
        WeightsError: As ``load_network``.
    """
    try:
        stat = path.stat()
    except OSError:
        return load_network(path, kind=kind, device=device)  # which says what is wrong
    return _kept_network(path, stat.st_mtime_ns, stat.st_size, kind, device)


@functools.lru_cache(maxsize=8)
def _kept_network(path: Path, _mtime: int, _size: int, kind: str, device: str) -> nn.Module:
    return load_network(path, kind=kind, device=device)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
