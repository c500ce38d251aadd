"""The tables of the paper on a set of clips: originals, a still mouth, ours and others', all on one
protocol; every single evaluation is kept, so that a run that was stopped goes on."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lipcore import __version__
from lipcore.analysis import cover, find_tracks
from lipcore.cache import Cache, make_key
from lipcore.config import load_config
from lipcore.errors import ConfigError, LipcoreError, MediaNotFoundError
from lipcore.evaluate.baseline import first_frames, render_baseline
from lipcore.evaluate.baselines import Baseline, baseline_hashes, find_baselines
from lipcore.evaluate.compare import evaluate_render
from lipcore.evaluate.judges import JUDGES
from lipcore.evaluate.offset import OffsetJudge
from lipcore.evaluate.said import SaidBy
from lipcore.evaluate.table import evaluation_facts
from lipcore.evaluate.variant_drawing import HeardVariant, render_heard
from lipcore.evaluate.variants import (
    FoundVariant,
    Variant,
    find_variant,
    place_variant,
    variant_config,
    variant_weights,
)
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.output_files import appearing, output_error
from lipcore.media.plate import open_plate
from lipcore.models.checkpoint import hash_file
from lipcore.models.published.importing import list_imported
from lipcore.pipeline import render_shot
from lipcore.shot import RenderConfig, Shot, Synthesis
from lipcore.tracking.speakers import select_speaker
from lipcore.weights import find_weights

CONDITIONS = {
    "own": "Table 2a: the clip's own sound",
    "crossed": "Table 2b: another's sound",
    "silent": "Table 3: silence",
    "stages": "Table 4: stage 1 and stage 2, the clip's own sound",
    "losses": "Table 5: the sync loss and its T, the clip's own sound",
}
_TABLE_OF = {"own": 2, "crossed": 2, "silent": 3, "stages": 4, "losses": 5}
_TABLES = {"stages": 4, "losses": 5}
"""Those of variants."""
_OWN = ("own", *_TABLES)
_OF_THE_PLATES_LIPS = (
    "SSIM", "PSNR dB", "LMD", "opening correlation", "width correlation", "lips' lag",
)  # fmt: skip
"""They mean something only where the mouth says what the plate says."""
_OF_SOUND = ("sync ", "offset", "heard ", "LSE-")
"""Beginnings of names that mean something only where there is a sound."""
_VERSION = 3
_APART = 12
"""Frames this near to the one drawn are shut out, so that ours cannot give the plate back."""


@dataclass(frozen=True, slots=True)
class TableClip:
    """One clip of a set."""

    plate: Path
    dialogue: Path | None = None
    """What it says; by default its own sound."""
    offset_frames: float = 0.0
    """By how much its sound lags the picture; it is taken out."""
    crossed: Path | None = None
    """Another's sound; by default the next clip's."""
    speaker: str = "largest"


@dataclass(frozen=True, slots=True)
class TableSet:
    """A manifest; paths count from its file."""

    clips: tuple[TableClip, ...]
    seconds: float = 3.0
    """Of each clip, from its beginning."""
    renderers: tuple[Synthesis, ...] = ("shot",)
    """Of ours."""
    baselines: dict[str, Path] = field(default_factory=dict)
    """Weights of baselines that ``lipcore train`` made, by the row's name, such as
    ``wav2lip_768``; rows without take imported ones."""
    variants: tuple[Variant, ...] = ()
    """Rows of Tables 4 and 5; without them there are no such tables."""
    tables: tuple[Literal[2, 3, 4, 5], ...] = (2, 3, 4, 5)
    """Which of them are made."""

    def __post_init__(self) -> None:
        if not self.clips or self.seconds <= 0 or not self.renderers or not self.tables:
            raise ConfigError(
                "a set needs clips, seconds above 0, renderers, and tables",
                hint="Write clips:, and under it a line '- {plate: ...}' for each.",
            )
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise ConfigError(
                "two variants have one name", hint="Give each its own, also across tables."
            )


@dataclass(frozen=True, slots=True)
class Run:
    """One method on one clip under one condition."""

    clip: int
    condition: str
    method: str


@dataclass(frozen=True, slots=True)
class Table:
    """Means over the clips."""

    title: str
    methods: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[float, ...]], ...]
    """Figure, what is better, and a value for each method; NaN where unknown."""
    failures: tuple[int, ...]
    """Of each method: clips that could not be done."""
    frames: tuple[int, ...] = ()
    """Of each method: frames that were measured, those without a face left out."""


def read_set(path: Path) -> TableSet:
    """Read a manifest (YAML).

    Raises:
        ConfigError: It is absent, or a value does not fit.
        MediaNotFoundError: A file that it names is absent.
    """
    given, folder = load_config(TableSet, path), path.absolute().parent
    clips = []
    for i, clip in enumerate(given.clips):
        following = given.clips[(i + 1) % len(given.clips)]
        crossed = clip.crossed or following.dialogue or following.plate
        if len(given.clips) == 1 and clip.crossed is None:
            raise ConfigError(
                "a set of one clip has no other sound", hint="Name one with crossed: FILE."
            )
        found = [folder / p for p in (clip.plate, clip.dialogue or clip.plate, crossed)]
        for file in found[1:]:
            if not file.is_file():
                raise MediaNotFoundError(
                    f"{path.name} names {file}, which is not there", path=str(file),
                    hint="Paths count from the manifest.",
                )
        clips.append(TableClip(found[0], found[1], clip.offset_frames, found[2], clip.speaker))
    trained = {name: folder / file for name, file in given.baselines.items()}
    variants = tuple(place_variant(variant, folder) for variant in given.variants)
    return TableSet(
        tuple(clips), given.seconds, given.renderers, trained, variants, given.tables
    )


def run_tables(
    given: TableSet,
    folder: Path,
    *,
    cache: Cache,
    cache_folder: Path | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    log: Callable[[str], None] = lambda _text: None,
) -> list[Table]:
    """Render and evaluate what is not there yet, and make the tables.

    Args:
        given: From ``read_set``.
        folder: Keeps renders (FFV1) and evaluations.
        cache: Keeps tracks.
        cache_folder: What ``cache`` was made with, for renders.
        progress: Called with (runs done, runs).
        log: Told of methods left out, and of failures.

    Raises:
        ConfigError, WeightsError: A baseline's weights do not fit: see ``find_baselines``.
        OutputError: The folder cannot be written.
    """
    ready, absent = find_baselines(given.baselines)
    variants = {v.name: find_variant(v) for v in given.variants}
    methods = {
        c: list(_methods(c, given, ready))
        for c, table in _TABLE_OF.items()
        if table in given.tables
        and (c not in _TABLES or any(v.table == table for v in given.variants))
    }
    for one in absent:
        log(f"{one.title} is left out: {one.why}")
    runs = [
        Run(i, condition, method)
        for i in range(len(given.clips))
        for condition in methods
        for method in methods[condition]
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error
    bench = _Bench(
        given, folder, cache, cache_folder, {one.title: one for one in ready},
        published_hashes(), hash_of_weights("base"), variants,
    )
    found: dict[Run, dict[str, Any] | None] = {}
    for done, run in enumerate(runs, 1):
        try:
            found[run] = bench.evaluation(run)
        except LipcoreError as error:
            found[run] = None
            log(f"{given.clips[run.clip].plate.name}, {run.condition}, {run.method}: {error}")
        progress(done, len(runs))
    return [_table(c, methods[c], found, len(given.clips)) for c in methods]


def published_hashes() -> dict[str, str]:
    """Of the published weights that figures take, those that were imported."""
    found = list_imported()
    return {k: r["sha256"] for k in JUDGES if (r := found[k]) is not None}


def all_hashes(given: TableSet) -> dict[str, str]:
    """Of all weights of others that figures and baselines take."""
    return published_hashes() | baseline_hashes(given.baselines)


def hash_of_weights(name: str) -> str:
    """Of all files of a set, and of the judges that ship beside them.

    Raises:
        WeightsNotFoundError: There is no such set.
    """
    weights = find_weights(name)
    files = [weights.file(kind) for kind in weights.kinds()]
    files += [] if weights.adaptation is None else [weights.adaptation]
    return make_key([(f.name, hash_file(f)) for f in files], OffsetJudge().digest)


def _methods(condition: str, given: TableSet, ready: Sequence[Baseline]) -> Iterator[str]:
    if condition in _TABLES:
        yield "ground truth"
        yield from (v.name for v in given.variants if v.table == _TABLES[condition])
        return
    yield "ground truth" if condition == "own" else "paste-original"
    if condition != "silent":
        yield "still mouth"
    yield from (f"ours, {renderer}" for renderer in given.renderers)
    yield from (one.title for one in ready)


@dataclass(frozen=True, slots=True)
class _Bench:
    given: TableSet
    folder: Path
    cache: Cache
    cache_folder: Path | None
    baselines: Mapping[str, Baseline]
    """By their titles."""
    weights: dict[str, str]
    """Hashes of the published weights that figures take."""
    own_weights: str
    """Hash of those that ours renders with, and that judge."""
    variants: Mapping[str, FoundVariant]
    """By name."""

    def evaluation(self, run: Run) -> dict[str, Any]:
        """As it lies in the folder, or made now."""
        if run.method == "ground truth":
            run = Run(run.clip, "own", run.method)  # one serves every table
        clip = self.given.clips[run.clip]
        dialogue, offset = self._sound(run, clip)
        baseline = self.baselines.get(run.method)
        key = make_key(
            _VERSION, __version__, run.method, run.condition, self.given.seconds, offset,
            *(_identity(p) for p in (clip.plate, dialogue)), clip.speaker, self.weights,
            self.own_weights, self._said_by(run),
            {} if baseline is None else dict(baseline.weights),
            *(variant.key if (variant := self._variant(run)) is not None else ()),
        )  # fmt: skip
        name = f"{run.clip + 1:02}_{run.condition}_{_file_name(run.method)}"
        kept = self.folder / f"{name}.json"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            facts = json.loads(kept.read_text(encoding="utf-8"))
            if facts["key"] == key:
                return dict(facts)
        picture = self._picture(run, clip, dialogue, offset, name, key)
        said = self._said_by(run)
        with open_plate(clip.plate) as plate:
            most = max(1, round(self.given.seconds * float(plate.info.rate)))
        done = evaluate_render(
            picture, clip.plate, dialogue=dialogue, offset_frames=offset, speaker=clip.speaker,
            most_frames=most, said_by=said, cache=self.cache,
        )
        facts = {"key": key, **evaluation_facts(done)}
        with appearing(kept) as temporary:
            temporary.write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        return facts

    def _sound(self, run: Run, clip: TableClip) -> tuple[Path, float]:
        """What the mouth is asked to say, and by how much it is moved."""
        if run.condition in _OWN:
            return clip.dialogue or clip.plate, -clip.offset_frames
        if run.condition == "crossed":
            return clip.crossed or clip.plate, 0.0
        return self._silence(), 0.0

    def _variant(self, run: Run) -> FoundVariant | None:
        return self.variants.get(run.method) if run.condition in _TABLES else None

    def _said_by(self, run: Run) -> SaidBy | None:
        """Who says another's line, where that other is to be seen."""
        if run.condition != "crossed":
            return None
        crossed = self.given.clips[run.clip].crossed
        for clip in self.given.clips:
            if crossed in (clip.plate, clip.dialogue) and crossed is not None:
                return SaidBy(clip.plate, clip.offset_frames, clip.speaker)
        return None

    def _silence(self) -> Path:
        path = self.folder / "silence.wav"
        if not path.is_file():
            import soundfile

            with appearing(path) as temporary:
                length = round(16_000 * (self.given.seconds + 1))
                soundfile.write(temporary, np.zeros(length, np.float32), 16_000)
        return path

    def _picture(
        self, run: Run, clip: TableClip, dialogue: Path, offset: float, name: str, key: str
    ) -> Path:
        """The method's picture of a clip."""
        if run.method in ("ground truth", "paste-original"):
            return clip.plate
        out = self.folder / f"{name}.mkv"
        with open_plate(clip.plate) as plate:
            most = max(1, round(self.given.seconds * float(plate.info.rate)))
            frames = first_frames(plate, most)
            variant = self._variant(run)
            if run.method in self.baselines if variant is None else variant.hears:
                tracks, _, _ = find_tracks(
                    plate, frames, color=ColorTransform.of_plate(plate), cache=self.cache,
                    progress=lambda *_: None,
                )
                track = cover(select_speaker(tracks, clip.speaker), frames)
                sound = fit_dialogue(
                    load_dialogue(dialogue), len(frames) / plate.info.rate,
                    offset_s=_seconds(offset, plate.info.rate),
                )
                if variant is not None:
                    render_heard(plate, track, sound, out, HeardVariant(variant), key=key)
                    return out
                method = self.baselines[run.method].method
                render_baseline(plate, track, sound, out, method, key=key)
                return out
        shot = Shot(clip.plate, dialogue, frames=frames, speaker=clip.speaker)
        if variant is not None:
            set_ = variant_weights(variant, self.folder / "weights" / _file_name(run.method))
            render_shot(
                shot, replace(variant_config(variant, set_, self.cache_folder),
                              offset_frames=offset), out,
            )  # fmt: skip
            return out
        still = run.method == "still mouth"
        renderer = self.given.renderers[0] if still else run.method.removeprefix("ours, ")
        if still or run.condition == "silent":  # one render serves all that ask for it
            out = self.folder / f"{run.clip + 1:02}_still_{renderer}.mkv"
        render_shot(
            replace(shot, dialogue=self._silence()) if still else shot,
            RenderConfig(
                exclude_frames=_APART, offset_frames=0.0 if still else offset,
                synthesis=renderer, cache=self.cache_folder, overwrite=True,  # type: ignore[arg-type]
            ),
            out,
        )  # fmt: skip
        return out


def _file_name(method: str) -> str:
    """Of what a manifest may call a row, too."""
    plain = re.sub(r"[^\w.+-]+", "-", method.replace(", ", "_")).strip("-.")
    return plain if plain == method.replace(", ", "_").replace(" ", "-") else (
        f"{plain[:40]}-{make_key(method)[:6]}"
    )


def _seconds(frames: float, rate: Fraction) -> Fraction:
    return Fraction(frames) / rate


def _identity(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), stat.st_size, stat.st_mtime_ns


def _table(
    condition: str, methods: list[str], found: dict[Run, dict[str, Any] | None], clips: int
) -> Table:
    by_method = {
        m: [found[Run(i, condition, m)] for i in range(clips)] for m in methods
    }
    names: dict[str, str] = {}
    for facts in found.values():
        for figure in () if facts is None else facts["figures"]:
            names.setdefault(figure["name"], figure["better"])
    rows = []
    for name, better in names.items():
        if condition not in _OWN and name in _OF_THE_PLATES_LIPS:
            continue
        if condition == "silent" and name.startswith(_OF_SOUND):
            continue
        values = tuple(_mean(by_method[m], name) for m in methods)
        if not all(math.isnan(v) for v in values):
            rows.append((name, better, values))
    failures = tuple(sum(f is None for f in by_method[m]) for m in methods)
    frames = tuple(
        sum(f["protocol"]["frames"] - f["protocol"]["failures"] for f in by_method[m] if f)
        for m in methods
    )
    return Table(CONDITIONS[condition], tuple(methods), tuple(rows), failures, frames)


def _mean(evaluations: list[dict[str, Any] | None], name: str) -> float:
    """Over the clips that know the figure; of offsets and lags the mean of their sizes."""
    values = []
    for facts in evaluations:
        for figure in () if facts is None else facts["figures"]:
            if figure["name"] == name and figure["value"] is not None:
                value = float(figure["value"])  # "infinity", too
                values.append(abs(value) if figure["better"] == "near 0" else value)
    return float(np.mean(values)) if values else float("nan")
