"""The rows of the tables that are methods of others: which there are, and which can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lipcore.errors import ConfigError
from lipcore.evaluate import baseline_faces as faces
from lipcore.evaluate.baseline import Method
from lipcore.models.checkpoint import hash_file, load_header, load_network
from lipcore.models.published.gpen import GPEN
from lipcore.models.published.importing import list_imported, load_published
from lipcore.models.published.lipgan import LipGAN
from lipcore.models.published.registry import PUBLISHED
from lipcore.models.published.tecogan import TecoGAN
from lipcore.models.published.wav2lip import Wav2Lip
from lipcore.models.published.yousaidthat import YouSaidThat, YouSaidThatDeblur

_LARGE = 768
"""Pixels of a face's side in the paper's variant of Wav2Lip for 4K."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A row that can run."""

    name: str
    """In manifests, such as ``wav2lip_768``."""
    title: str
    """In tables."""
    method: Method
    weights: Mapping[str, str]
    """SHA-256 of each file of weights, by kind."""


@dataclass(frozen=True, slots=True)
class AbsentBaseline:
    """A row that cannot."""

    name: str
    title: str
    why: str
    """What is missing, and how it is given."""


@dataclass(slots=True)
class _Weights:
    """Networks as they are asked for: trained ones where the manifest names them."""

    trained: Mapping[str, Path]
    found: dict[str, str]
    """SHA-256 by kind, of what the present row took."""
    doubts: list[str]
    """What the title says of them."""

    def published(self, kind: str) -> nn.Module:
        network, record = load_published(kind)
        self.found[kind] = record["sha256"]
        if record["as_published"] is False:
            self.doubts.append("other weights")
        return network

    def main(self, row: str, kind: str) -> nn.Module:
        """Of a row: trained, or else imported."""
        return self.own(row, kind) if row in self.trained else self.published(kind)

    def own(self, row: str, kind: str) -> nn.Module:
        """Of a row: trained."""
        self.doubts.append("trained here")
        path = self.trained[row]
        self.found[_named(row, path)] = hash_file(path)
        return load_network(path, kind=kind)


def find_baselines(trained: Mapping[str, Path]) -> tuple[list[Baseline], list[AbsentBaseline]]:
    """Every row, with weights or with the reason why it cannot run.

    Args:
        trained: Weights that ``lipcore train`` made, by the row's name; they stand in place of
            imported ones.

    Raises:
        ConfigError: There is no such row, or a network has another size than the row's.
        WeightsError: A file is damaged, or of another kind.
    """
    absent = absent_baselines(trained)
    ready: list[Baseline] = []
    for name, row in _ROWS.items():
        if name not in {one.name for one in absent}:
            weights = _Weights(trained, {}, [])
            method = row.make(weights)
            title = ", ".join([row.title, *dict.fromkeys(weights.doubts)])
            ready.append(Baseline(name, title, method, dict(weights.found)))
    return ready, absent


def absent_baselines(trained: Mapping[str, Path]) -> list[AbsentBaseline]:
    """The rows that cannot run; nothing is loaded.

    Raises:
        ConfigError: A row of ``trained`` does not exist.
        WeightsError: A file that it names does not, or is damaged.
    """
    trainable = [name for name, row in _ROWS.items() if row.trainable]
    for name, path in trained.items():
        if name not in trainable:
            raise ConfigError(
                f"no baseline {name!r} takes trained weights", hint=f"Take: {', '.join(trainable)}."
            )
        load_header(path)  # which says what is wrong with it
    imported = [kind for kind, record in list_imported().items() if record is not None]
    return [
        AbsentBaseline(name, row.title, _reason(name, row, [*imported, *trained]))
        for name, row in _ROWS.items()
        if not (name in trained or (row.kinds and {*row.kinds} <= {*imported, *trained}))
    ]


def baseline_hashes(trained: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of the files of weights that rows take, by kind, or by row and file."""
    imported = list_imported()
    kinds = dict.fromkeys(kind for row in _ROWS.values() for kind in row.kinds)
    found = {k: r["sha256"] for k in kinds if k not in trained and (r := imported[k]) is not None}
    return found | {_named(row, path): hash_file(path) for row, path in trained.items()}


def _named(row: str, path: Path) -> str:
    return f"{row} ({path.name})"


@dataclass(frozen=True, slots=True)
class _Row:
    title: str
    make: Callable[[_Weights], Method]
    kinds: tuple[str, ...]
    """Published weights that it takes; none: trained ones alone."""
    trainable: bool = False


def _reason(name: str, row: _Row, there: Sequence[str]) -> str:
    ways = [
        f"lipcore weights import {kind} FILE, with {PUBLISHED[kind].file}"
        for kind in row.kinds if kind not in there
    ]  # fmt: skip
    told = " and ".join(ways)
    if row.trainable:
        told += ", or " if told else ""
        told += f"train it, and name its weights in the manifest: baselines: {{{name}: FILE}}"
    return f"no weights ({told})"


def _yousaidthat(weights: _Weights) -> Method:
    network = weights.main("yousaidthat", "yousaidthat")
    assert isinstance(network, YouSaidThat)
    if "yousaidthat" in weights.trained:  # the second one knows the faults of the published first
        return faces.yousaidthat(network, None)
    deblur = weights.published("yousaidthat-deblur")
    assert isinstance(deblur, YouSaidThatDeblur)
    return faces.yousaidthat(network, deblur)


def _lipgan(weights: _Weights) -> Method:
    network = weights.main("lipgan", "lipgan")
    assert isinstance(network, LipGAN)
    return faces.lipgan(network)


def _wav2lip(weights: _Weights) -> Method:
    return faces.wav2lip(_small(weights))


def _wav2lip_768(weights: _Weights) -> Method:
    network = weights.own("wav2lip_768", "wav2lip")
    assert isinstance(network, Wav2Lip)
    _check_size(network, _LARGE, "wav2lip_768")
    return faces.wav2lip(network)


def _wav2lip_tecogan(weights: _Weights) -> Method:
    network = weights.published("tecogan")
    assert isinstance(network, TecoGAN)
    return faces.wav2lip(_small(weights), faces.tecogan(network))


def _wav2lip_gpen(weights: _Weights) -> Method:
    network = weights.published("gpen")
    assert isinstance(network, GPEN)
    return faces.wav2lip(_small(weights), faces.gpen(network))


def _small(weights: _Weights) -> Wav2Lip:
    network = weights.main("wav2lip", "wav2lip")
    assert isinstance(network, Wav2Lip)
    _check_size(network, 96, "wav2lip")
    return network


def _check_size(network: Wav2Lip, size: int, row: str) -> None:
    if network.config.size != size:
        raise ConfigError(
            f"the network of {row} draws faces of {network.config.size} pixels, not {size}",
            hint=f"Train it with network: {{size: {size}}}.",
        )


_ROWS = {
    "yousaidthat": _Row(
        "You said that?", _yousaidthat, ("yousaidthat", "yousaidthat-deblur"), trainable=True
    ),
    "lipgan": _Row("LipGAN", _lipgan, ("lipgan",), trainable=True),
    "wav2lip": _Row("Wav2Lip 96", _wav2lip, ("wav2lip",), trainable=True),
    "wav2lip_768": _Row("Wav2Lip 768", _wav2lip_768, (), trainable=True),
    "wav2lip_tecogan": _Row(
        "Wav2Lip 96 + TecoGAN", _wav2lip_tecogan, ("wav2lip", "tecogan")
    ),
    "wav2lip_gpen": _Row("Wav2Lip 96 + GPEN", _wav2lip_gpen, ("wav2lip", "gpen")),
}  # fmt: skip
