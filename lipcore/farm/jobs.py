"""Files of jobs: many shots and what each shall say, in YAML. Light to import.

    defaults: {strength: 0.9, cache: /scratch/lipcore}
    jobs:
      - {plate: plates/010/plate.####.exr, dialogue: lines/010_de.wav, out: done/010}
      - plate: plates/020.mov
        dialogue: lines/020_de.wav
        out: done/020.mov
        speaker: left
        offset-frames: -2

A job is a mapping with ``plate``, ``dialogue``, ``out`` and any option of ``lipcore render`` by
its long name; ``defaults`` hold for all. Relative paths count from the file. ``adapt`` (minutes),
``evaluate`` and ``report`` (files) name what is done before and after the render. A job with
``kind`` is another command: see ``farm.kinds``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from lipcore.config import from_mapping, read_yaml
from lipcore.errors import ConfigError, LipcoreError
from lipcore.evaluate.files import check_files
from lipcore.farm.kinds import (
    KINDS,
    NUMBERS_ARE_TEXT,
    PAGE_SUFFIXES,
    SETTINGS,
    CommandJob,
    Kind,
    absolute,
    absolute_weights,
    as_lists,
    check_minutes,
    check_suffix,
)
from lipcore.rates import parse_rate
from lipcore.shot import Deliver, Detail, NoFace, RenderConfig, Shot, Synthesis, WatermarkMethod
from lipcore.strength import parse_strength
from lipcore.types import FrameRange
from lipcore.user_folders import expand_home

MOST_JOBS = 10_000
TEXTS = (
    "plate", "dialogue", "out", "shapes", "holdout", "cache", "name", "frames", "rate",
    "strength", "speaker", "weights", "colorspace", "codec",
    "watermark", "consent",
    "certificate", "private_key", "evaluate", "report",
)  # fmt: skip
"""Options that are text, and that YAML may take for something else."""
_PATHS = (
    "plate", "dialogue", "out", "shapes", "holdout", "cache", "certificate", "private_key",
    "evaluate", "report",
)  # fmt: skip
BESIDES = ("name", "adapt", "evaluate", "report")
"""What a job may say that is no option of ``lipcore render``."""
_NAME = re.compile(r"[\w.-]{1,80}")
_DEFAULT = RenderConfig()


@dataclass(frozen=True, slots=True)
class JobSettings:
    """One entry of the file; every field is the option of ``lipcore render`` of its name."""

    plate: str
    out: str
    dialogue: str | None = None
    shapes: str | None = None
    name: str | None = None
    """What the job is called; by default its number and the name of its plate."""
    frames: str | None = None
    rate: str | None = None
    colorspace: str | None = None
    deliver: Deliver | None = None
    codec: str | None = None
    speaker: str = "largest"
    holdout: str | None = None
    strength: str = "1"
    """A number from 0 to 1, or the path of a curve."""
    offset_frames: float = 0.0
    no_face: NoFace = _DEFAULT.no_face
    audio_short: Literal["silence", "error"] = _DEFAULT.audio_short
    audio_long: Literal["trim", "error"] = _DEFAULT.audio_long
    missing_frame: Literal["error", "hold", "black"] = _DEFAULT.missing_frame
    synthesis: Synthesis = _DEFAULT.synthesis
    detail: Detail = _DEFAULT.detail
    refine: float = _DEFAULT.refine
    feather: float = _DEFAULT.feather
    watermark: str = _DEFAULT.watermark
    watermark_method: WatermarkMethod = _DEFAULT.watermark_method
    consent: str = ""
    provenance: bool = False
    certificate: str | None = None
    private_key: str | None = None
    weights: str = _DEFAULT.weights
    device: str = _DEFAULT.device
    backend: str = _DEFAULT.backend
    seed: int = _DEFAULT.seed
    workers: int = _DEFAULT.workers
    cache: str | None = None
    overwrite: bool = False
    adapt: float | None = None
    """Minutes of fine-tuning the latent networks to the shot, before the render; in place of an
    adaptation that ``weights`` names."""
    evaluate: str | None = None
    """Where figures of the finished render go, ``.json``, ``.csv`` or ``.html``."""
    report: str | None = None
    """Where a page about the finished render goes."""

    def __post_init__(self) -> None:
        if self.adapt is not None:
            check_minutes("adapt", self.adapt)
            if self.synthesis not in ("adapted", "latent"):
                raise ConfigError(
                    f"adapt changes nothing under synthesis: {self.synthesis}",
                    hint="Add synthesis: adapted, or leave adapt out.",
                )
        if self.evaluate is not None:
            check_files([Path(self.evaluate)], None)
            if self.deliver == "patch":
                raise ConfigError(
                    "evaluate needs whole frames, and deliver is patch",
                    hint="Leave evaluate out: report looks at patches, too.",
                )
        if self.report is not None:
            check_suffix("report", self.report, PAGE_SUFFIXES)


@dataclass(frozen=True, slots=True)
class Job:
    """One render, its paths absolute."""

    number: int
    """From 1, as in the file."""
    name: str
    """Of its own in the file; fit for a file name."""
    settings: JobSettings
    shot: Shot
    config: RenderConfig
    out: Path

    @property
    def source(self) -> str:
        """What it is made from, for tables."""
        return self.settings.plate

    def arguments(self) -> list[str]:
        """The render as arguments of ``lipcore``."""
        given = self.settings
        words = ["render", given.plate]
        if given.dialogue is not None:
            words.append(given.dialogue)
        for field in fields(JobSettings):
            value = getattr(given, field.name)
            if field.name in ("plate", "dialogue", *BESIDES) or value == field.default:
                continue
            option = "--" + field.name.replace("_", "-")
            words += [option] if value is True else [f"{option}={value}"]
        return words


AnyJob = Job | CommandJob


def read_jobs(path: Path) -> list[AnyJob]:
    """Read a file of jobs. Media are not opened: see ``farm.check``.

    Raises:
        ConfigError: The file is absent or not YAML, has no jobs or too many, or an entry has
            an unknown option, a value that does not fit, or a name that another one has; all
            entries that are wrong are named at once.
    """
    content = read_yaml(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("jobs"), list):
        raise ConfigError(
            f"{path} holds no list of jobs",
            hint="Write jobs:, and under it a line '- {plate: ..., dialogue: ..., out: ...}' "
            "for each.",
            path=str(path),
        )
    unknown = [str(key) for key in content if key not in ("jobs", "defaults")]
    if unknown:
        raise ConfigError(
            f"{path} has {', '.join(unknown)} beside jobs and defaults",
            hint="Options for all jobs go under defaults.", path=str(path),
        )
    entries, defaults = content["jobs"], content.get("defaults") or {}
    if not entries:
        raise ConfigError(f"{path} has an empty list of jobs", path=str(path))
    if len(entries) > MOST_JOBS:
        raise ConfigError(
            f"{path} has {len(entries)} jobs, and {MOST_JOBS} are taken at the most",
            hint="Split it into several files.", path=str(path),
        )
    folder = path.absolute().parent
    jobs: list[AnyJob] = []
    problems: list[LipcoreError] = []
    try:
        _check_defaults(defaults, entries)
    except ConfigError as error:
        problems.append(error)
        defaults = {}
    for number, entry in enumerate(entries, 1):
        where = f"{path.name}, job {number}"
        try:
            jobs.append(any_job_of(entry, defaults, number, folder, where))
        except ConfigError as error:
            problems.append(error)
    problems += _same_names(jobs, path.name)
    if problems:
        raise merge_problems(problems, str(path))
    return jobs


def merge_problems(problems: Sequence[LipcoreError], path: str) -> LipcoreError:
    """One error that names all that is wrong, the first hint with it.

    It is of the problems' own family where they have one in common.
    """
    first = problems[0]
    if len(problems) == 1:
        return first
    lines = "; ".join(error.message for error in problems[:20])
    more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
    alike = all(type(error) is type(first) for error in problems)
    return (type(first) if alike else ConfigError)(
        f"{len(problems)} things are wrong: {lines}{more}", hint=first.hint, path=path,
        problems=[error.message for error in problems],
    )


def any_job_of(entry: Any, defaults: Any, number: int, folder: Path, where: str) -> AnyJob:
    """Make a job of any kind: a render where the entry names none.

    Raises:
        ConfigError: See ``job_of``; or no kind is called so.
    """
    for part, name in ((defaults, "defaults"), (entry, where)):
        if not isinstance(part, Mapping):
            raise ConfigError(f"{name} is not a mapping", hint="Write option: value pairs.")
    kind = _kind_of(entry, where)
    entry = {key: value for key, value in entry.items() if key != "kind"}
    known = _options(kind)
    defaults = {k: v for k, v in defaults.items() if str(k).replace("-", "_") in known}
    if kind == "render":
        return job_of(entry, defaults, number, folder, where)
    values = as_lists(kind, _named(defaults, where, kind) | _named(entry, where, kind))
    name = values.pop("name", None)
    try:
        settings = absolute(from_mapping(SETTINGS[kind], values, where=where), kind, folder)
    except ConfigError as error:
        raise _at(where, error) from error
    job = CommandJob(number, "", kind, settings)
    return replace(job, name=_name_of(name, number, f"{kind}_{Path(job.out).stem}", where))


def job_of(entry: Any, defaults: Any, number: int, folder: Path, where: str) -> Job:
    """Make a render of plain values.

    Args:
        entry: Options by name.
        defaults: Options where the entry says nothing.
        number: From 1.
        folder: What relative paths count from.
        where: Named in errors.

    Raises:
        ConfigError: An option is unknown, missing, or its value does not fit.
    """
    values = _named(defaults, where) | _named(entry, where)
    try:
        given = _absolute(from_mapping(JobSettings, values, where=where), folder)
        name = _name_of(given.name, number, Path(given.plate).stem, where)
        shot = Shot(
            Path(given.plate), _path(given.dialogue), _path(given.shapes),
            None if given.frames is None else FrameRange.parse(given.frames),
            _rate(given.rate), given.colorspace, given.speaker,
            _path(given.holdout),
        )
        strength, curve = parse_strength(given.strength)
        config = RenderConfig(
            deliver=given.deliver, codec=given.codec, synthesis=given.synthesis,
            detail=given.detail, refine=given.refine, strength=strength, strength_curve=curve,
            offset_frames=given.offset_frames, no_face=given.no_face,
            audio_short=given.audio_short, audio_long=given.audio_long,
            missing_frame=given.missing_frame, feather=given.feather, weights=given.weights,
            device=given.device, backend=given.backend, seed=given.seed, overwrite=given.overwrite,
            workers=given.workers, cache=_path(given.cache), watermark=given.watermark,
            watermark_method=given.watermark_method, consent=given.consent,
            provenance=given.provenance, certificate=_path(given.certificate),
            private_key=_path(given.private_key),
        )
    except ConfigError as error:
        raise _at(where, error) from error
    return Job(number, name, given, shot, config, Path(given.out))


def _at(where: str, error: ConfigError) -> ConfigError:
    """The same error, with the job's place in the file before it."""
    if error.message.startswith(where):
        return error
    return ConfigError(f"{where}: {error.message}", hint=error.hint, **error.facts)


def _kind_of(entry: Mapping[Any, Any], where: str) -> Kind:
    kind = entry.get("kind", "render")
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1)
        raise ConfigError(
            f"{where} is of the kind {kind!r}, which is none",
            hint=f"Did you mean {near[0]!r}?" if near else f"Take one of: {', '.join(KINDS)}.",
        )
    found: Kind = kind
    return found


def _options(kind: Kind) -> set[str]:
    """What a job of a kind may say."""
    cls: type = JobSettings if kind == "render" else SETTINGS[kind]
    return {field.name for field in fields(cls)} | {"name"}


def _check_defaults(defaults: Any, entries: Sequence[Any]) -> None:
    """Defaults hold for the jobs that have such an option; one must.

    Raises:
        ConfigError: None has.
    """
    if not isinstance(defaults, Mapping):
        raise ConfigError("defaults is not a mapping", hint="Write option: value pairs.")
    kinds = {str(e.get("kind", "render")) for e in entries if isinstance(e, Mapping)}
    known = set().union(*(_options(kind) for kind in KINDS if kind in kinds)) - {"name"}
    for key in defaults:
        if str(key).replace("-", "_") not in known:
            near = difflib.get_close_matches(str(key).replace("-", "_"), sorted(known), n=1)
            raise ConfigError(
                f"defaults has no setting {key!r}",
                hint=f"Did you mean {near[0]!r}?" if near else "No job of the file has it.",
                key=str(key),
            )


def _name_of(given: Any, number: int, stem: str, where: str) -> str:
    """What a job is called: as it says, or its number and what it is made from or makes."""
    clean = re.sub(r"[^\w-]+", "_", stem).strip("_") or "plate"
    name = str(given) if given is not None else f"{number:03d}_{clean}"[:80]
    if not _NAME.fullmatch(name) or name.startswith("."):
        raise ConfigError(
            f"{where}: name is {name!r}",
            hint="Take letters, digits, dots, dashes and underscores, 80 at the most.",
        )
    return name


def _named(
    values: Mapping[Any, Any], where: str, kind: Kind = "render"
) -> dict[str, Any]:
    """Options by field name, numbers that are meant as text as text."""
    texts = TEXTS if kind == "render" else ("name", *NUMBERS_ARE_TEXT)
    named: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name in named:
            raise ConfigError(f"{where} gives {key!r} twice", hint="Keep one of them.")
        named[name] = _as_text(value) if name in texts else value
    return named


def _as_text(value: Any) -> Any:
    """A number as text; what is no number stays, and in a list each is looked at."""
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number else value


def _absolute(given: JobSettings, folder: Path) -> JobSettings:
    """The same with every path absolute."""
    found: dict[str, Any] = {
        name: str(folder / expand_home(value))
        for name in _PATHS
        if (value := getattr(given, name)) is not None
    }
    weights = absolute_weights(given.weights, folder)
    strength = given.strength
    if not re.fullmatch(r"[-+.\deE]+|nan|inf", strength.strip()):
        strength = str(folder / expand_home(strength))
    return replace(given, **found, weights=weights, strength=strength)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _rate(text: str | None) -> Fraction | None:
    return None if text is None else parse_rate(text)


def _same_names(jobs: list[AnyJob], where: str) -> Iterator[ConfigError]:
    first: dict[str, int] = {}
    for job in jobs:
        if job.name in first:
            yield ConfigError(
                f"{where}, jobs {first[job.name]} and {job.number} are both called {job.name!r}",
                hint="Give each a name of its own.",
            )
        first.setdefault(job.name, job.number)
