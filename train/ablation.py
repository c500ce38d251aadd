"""Ablations: one generator trained in several ways on the same data, side by side in a table.

A table names parts (networks that are trained first: V_f, V_p, experts, a refiner), the
settings of a generator, and variants that change some of them. Parts and variants are trained
one after another, each by its ordinary recipe in a folder of its own, named after all that it
depends on: what is finished is never trained again, what was killed goes on.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lipcore.config import load_config, to_mapping
from lipcore.errors import ConfigError
from lipcore.media.output_files import appearing
from lipcore.models.checkpoint import load_header, load_network
from lipcore.models.generator import Generator
from lipcore.models.sync_expert import SyncExpert
from lipcore.weights import find_weights

from .catalog import FOLDER, LoadedRecipe, make_recipe
from .data import load_clips
from .generator import GeneratorRecipe
from .loop import Trainer
from .mouth_judge import MEASURES, MouthReader, judge_generator, judge_plates
from .runfolder import RunFolder, code_fingerprint, data_fingerprint

PLATES = "the plates, through V_f"
_TRAINED = ("vqgan_face", "vqgan_pose", "sync_expert", "refiner")
_WEIGHTS = (*_TRAINED, "speech", "shape_basis")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PartConfig:
    """A network that variants are built on."""

    recipe: str
    """Its kind: ``vqgan_face``, ``vqgan_pose``, ``sync_expert`` or ``refiner``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its recipe, or those that differ from ``like``."""
    like: str = ""
    """Another part, defined before this one, whose settings it takes where it has none."""

    def __post_init__(self) -> None:
        if self.recipe not in _TRAINED:
            raise ConfigError(
                f"a part is trained by {self.recipe!r}",
                hint=f"Take one of: {', '.join(_TRAINED)}.",
            )


@dataclass(frozen=True, slots=True)
class AblationConfig:
    """A table. Where settings ask for weights, the name of a part stands for what it learnt,
    and ``base`` for the shipped ones."""

    title: str
    parts: Mapping[str, PartConfig]
    judge: str
    """The part that judges: an expert that teaches no variant."""
    generator: Mapping[str, Any]
    """Settings of the generator's recipe that all variants share."""
    variants: Mapping[str, Mapping[str, Any]]
    """What each variant changes."""
    seeds: tuple[int, ...] = (0,)
    """Each variant is trained once with each."""
    judged_frames: int = 100
    """First frames of a clip that are judged."""

    def __post_init__(self) -> None:
        if not self.variants or not self.seeds or self.judged_frames < 2:
            raise ConfigError(
                "a table needs a variant, a seed and two frames to judge", hint="Give some."
            )
        if self.judge not in self.parts or self.parts[self.judge].recipe != "sync_expert":
            raise ConfigError(
                f"the judge {self.judge!r} is no sync_expert among the parts",
                hint="Name one of the parts whose recipe is sync_expert.",
            )
        for name, changes in {"generator": self.generator, **self.variants}.items():
            if changes.get("sync_expert") == self.judge:
                raise ConfigError(
                    f"{name} is taught by the expert that judges it",
                    hint="Name another part as judge; a copy with another seed will do.",
                )
        for name, part in self.parts.items():
            before = list(self.parts)[: list(self.parts).index(name)]
            if part.like and part.like not in before:
                raise ConfigError(
                    f"the part {name} is like {part.like!r}, which is no part before it",
                    hint=f"Before it are: {', '.join(before) or 'none'}.",
                )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    scores: tuple[Mapping[str, float], ...]
    """``mouth_judge.MEASURES`` of each seed."""
    runs: tuple[str, ...] = ()
    """Folders of the runs, one a seed, from that of the table; none where nothing was trained."""

    def mean(self, measure: str) -> float:
        """Over the seeds."""
        return float(np.mean([s[measure] for s in self.scores]))

    def spread(self, measure: str) -> float:
        """Standard deviation over the seeds; 0 where there is one."""
        values = [s[measure] for s in self.scores]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def table_names() -> list[str]:
    """Names of the tables that ship, sorted."""
    return sorted(p.stem for p in FOLDER.glob("ablate_*.yaml"))


def load_table(name_or_path: str | Path) -> AblationConfig:
    """Read a table that ships, by name, or a YAML file.

    Raises:
        ConfigError: There is no such table, or it does not hold.
    """
    path = Path(name_or_path)
    if path.suffix != ".yaml":
        path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        raise ConfigError(
            f"no table of variants is named {name_or_path}",
            hint=f"Shipped: {', '.join(table_names())}. Or give a YAML file.",
        )
    return load_config(AblationConfig, path)


class Ablation:
    """Runs a table in a folder. Running it again goes on where it stopped.

    Args:
        table: What is compared.
        data: Prepared folders.
        out: Folder of the runs and of the table.
        most_steps: No network is trained longer than this, for a quick look; 0 for no limit.
        tell: Called with a line of progress.

    Raises:
        ConfigError: Settings do not hold; nothing was trained then.
    """

    def __init__(
        self, table: AblationConfig, data: Sequence[Path], out: Path, *, most_steps: int = 0,
        tell: Tell = lambda line: None,
    ) -> None:
        self.table, self.data, self.out = table, list(data), out
        self._most, self._tell = most_steps, tell
        clips = [c for split in ("train", "val") for c in load_clips(self.data, split)]  # type: ignore[arg-type]
        self._people = {
            split: len({c.identity for c in clips if c.split == split})
            for split in ("train", "val")
        }
        self._crop_px = clips[0].crop_px
        self._print = data_fingerprint(clips)
        self._weights: dict[str, Path] = {}
        self._parts = {name: self._part(name) for name in table.parts}
        self._variants = {
            (name, seed): self._variant(name, changes, seed)
            for name, changes in table.variants.items() for seed in table.seeds
        }

    def run(self) -> list[Row]:
        """Train what is not trained yet, judge, and write ``table.md``, ``table.csv`` and
        ``table.json``."""
        for name, part in self._parts.items():
            self._train(f"part {name}", part, self._weights[name].parent)
        expert = load_network(self._weights[self.table.judge], kind="sync_expert")
        assert isinstance(expert, SyncExpert)
        found: dict[str, list[Mapping[str, float]]] = {}
        with ExitStack() as stack:
            readers: list[MouthReader] = []

            def reader() -> MouthReader:  # started when something is judged for the first time
                if not readers:
                    readers.append(stack.enter_context(MouthReader()))
                return readers[0]

            for (name, seed), variant in self._variants.items():
                folder = self._folder(name, variant)
                self._train(f"{name}, seed {seed}", variant, folder)
                scores = self._judged(folder, variant, reader, expert)
                found.setdefault(name, []).append(scores)
                line = "  ".join(f"{k} {v:.3f}" for k, v in scores.items())
                self._tell(f"{name}, seed {seed}: {line}")
            first = next(iter(self._variants.values()))
            plates = self._judged(self.out / "plates", first, reader, expert, plates=True)
        rows = [Row(name, tuple(scores), self._runs_of(name)) for name, scores in found.items()]
        rows.append(Row(PLATES, (plates,)))
        self._write(rows)
        return rows

    @property
    def protocol(self) -> str:
        """On what, with what, and how long: one line, without which figures say nothing."""
        steps = sorted({r.config.loop.max_steps for r in self._variants.values()})
        runs = sorted({r.config.run_frames for r in self._variants.values()})
        seeds = ", ".join(map(str, self.table.seeds))
        return (
            f"Data {self._print[:12]}: {self._people['train']} people to learn from, "
            f"{self._people['val']} left out, who are judged on {self.table.judged_frames} frames "
            f"a clip at most; crops of {self._crop_px} px; generators of "
            f"{_listed(steps)} steps, T = {_listed(runs)}; seeds {seeds}; judge "
            f"{self.table.judge}, which taught nobody."
        )

    def _runs_of(self, name: str) -> tuple[str, ...]:
        folders = (self._folder(n, made) for (n, _), made in self._variants.items() if n == name)
        return tuple(folder.relative_to(self.out).as_posix() for folder in folders)

    def _settings(self, name: str) -> dict[str, Any]:
        part = self.table.parts[name]
        return _merged(self._settings(part.like) if part.like else {}, part.settings)

    def _part(self, name: str) -> LoadedRecipe:
        made = self._recipe(name, self.table.parts[name].recipe, self._settings(name))
        self._weights[name] = self._folder(name, made) / f"{made.recipe_class.kind}.safetensors"
        return made

    def _variant(self, name: str, changes: Mapping[str, Any], seed: int) -> LoadedRecipe:
        settings = _merged(self.table.generator, changes)
        return self._recipe(name, "generator", _merged(settings, {"loop": {"seed": seed}}))

    def _recipe(self, name: str, kind: str, settings: Mapping[str, Any]) -> LoadedRecipe:
        named = {k: self._find(k, v) if k in _WEIGHTS else v for k, v in settings.items()}
        made = make_recipe(kind, named, where=f"{self.table.title}: {name}")
        loop = made.config.loop
        if self._most and loop.max_steps > self._most:
            made = replace(made, config=replace(made.config, loop=replace(
                loop, max_steps=self._most)))  # fmt: skip
        return made

    def _find(self, kind: str, value: object) -> object:
        """Path of the weights that a part's name, or ``base``, stands for."""
        if not isinstance(value, str):
            return value
        if value in self._weights:
            return str(self._weights[value])
        if value in self.table.parts:
            raise ConfigError(
                f"{value} is needed before it is trained", hint="Order the parts by their needs."
            )
        return str(find_weights("base").file(kind)) if value == "base" else value

    def _folder(self, name: str, made: LoadedRecipe) -> Path:
        """A folder that changes with the settings, those of the parts before, and the data."""
        settings = {
            k: str(Path(v).relative_to(self.out))
            if isinstance(v, str) and Path(v).is_relative_to(self.out) else v
            for k, v in to_mapping(made.config).items()
        }
        text = json.dumps([settings, self._print], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:10]
        word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        return self.out / "runs" / f"{word}-{key}"

    def _train(self, label: str, made: LoadedRecipe, folder: Path) -> None:
        kind, steps = made.recipe_class.kind, made.config.loop.max_steps
        weights = folder / f"{kind}.safetensors"
        # The last checkpoint of a run, and no other, carries the scores of its end.
        if weights.is_file() and load_header(weights)["record"].get("scores"):
            self._tell(f"{label}: trained already")
            return
        self._tell(f"{label}: {steps} steps of {kind}")
        resume = RunFolder(folder).holds_run
        Trainer(
            made.recipe_class(made.config, self.data), made.config, folder, resume=resume
        ).run()

    def _judged(
        self, folder: Path, variant: LoadedRecipe, reader: Callable[[], MouthReader],
        expert: SyncExpert, *, plates: bool = False,
    ) -> dict[str, float]:
        """Scores of a trained variant; read from its folder where they are there."""
        mark = f"{self._weights[self.table.judge].parent.name} {self.table.judged_frames}"
        if plates:
            mark += f" {variant.config.vqgan_face.parent.name}"
        path = folder / "judged.json"
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["by"] == mark:
                scores: dict[str, float] = kept["scores"]
                return scores
        recipe = GeneratorRecipe(variant.config, self.data)
        most = self.table.judged_frames
        if plates:
            scores = judge_plates(recipe, reader(), expert, most)
        else:
            network = load_network(folder / "generator.safetensors", kind="generator")
            assert isinstance(network, Generator)
            scores = judge_generator(recipe, network, reader(), expert, most)
        folder.mkdir(parents=True, exist_ok=True)
        _write_text(path, json.dumps({"by": mark, "scores": scores}))
        return scores

    def _write(self, rows: Sequence[Row]) -> None:
        _write_text(self.out / "table.md", format_table(self.table.title, self.protocol, rows))
        sheet = io.StringIO()
        writer = csv.writer(sheet)
        writer.writerow(["variant", "seed", *MEASURES])
        for row in rows:
            for seed, scores in zip(self.table.seeds, row.scores, strict=False):
                writer.writerow([row.name, seed, *(scores[m] for m in MEASURES)])
        _write_text(self.out / "table.csv", sheet.getvalue())
        values = {
            "title": self.table.title, "protocol": self.protocol, "code": code_fingerprint(),
            "data": self._print, "table": to_mapping(self.table), "most_steps": self._most,
            "rows": [
                {"variant": r.name, "seeds": list(self.table.seeds)[: len(r.runs)],
                 "runs": list(r.runs), "scores": list(r.scores)} for r in rows
            ],
        }
        _write_text(self.out / "table.json", json.dumps(values, indent=1))


def format_table(title: str, protocol: str, rows: Sequence[Row]) -> str:
    """The table as Markdown: means over the seeds, and their standard deviations."""

    def cell(row: Row, measure: str) -> str:
        digits = 1 if measure == "mouth_psnr" else 2
        mean = f"{row.mean(measure):.{digits}f}"
        return mean if len(row.scores) < 2 else f"{mean} ± {row.spread(measure):.{digits}f}"

    def lines() -> Iterator[str]:
        yield f"## {title}\n"
        yield f"{protocol}\n"
        yield f"| variant | {' | '.join(MEASURES.values())} |"
        yield "|---" * (len(MEASURES) + 1) + "|"
        for row in rows:
            yield f"| {row.name} | {' | '.join(cell(row, m) for m in MEASURES)} |"

    return "\n".join(lines()) + "\n"


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes laid over them, nested ones key by key."""
    out = dict(settings)
    for key, value in changes.items():
        before = out.get(key)
        nested = isinstance(before, Mapping) and isinstance(value, Mapping)
        out[key] = _merged(before, value) if nested else value  # type: ignore[arg-type]
    return out


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _write_text(path: Path, text: str) -> None:
    with appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
