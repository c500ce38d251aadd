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
its long name; ``defaults`` hold for all. Relative paths count from the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from lipcore.config import from_mapping, read_yaml
from lipcore.errors import ConfigError, LipcoreError
from lipcore.rates import parse_rate
from lipcore.shot import Deliver, Detail, NoFace, RenderConfig, Shot, Synthesis, WatermarkMethod
from lipcore.strength import parse_strength
from lipcore.types import FrameRange
from lipcore.weights import shipped_names, split_name

MOST_JOBS = 10_000
TEXTS = (
    "plate", "dialogue", "out", "shapes", "holdout", "cache", "name", "frames", "rate",
    "strength", "speaker", "weights", "colorspace", "codec",
    "watermark", "consent",
    "certificate", "private_key",
)  # fmt: skip
"""Options that are text, and that YAML may take for something else."""
_PATHS = ("plate", "dialogue", "out", "shapes", "holdout", "cache", "certificate", "private_key")
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

    def arguments(self) -> list[str]:
        """The job as arguments of ``lipcore``."""
        given = self.settings
        words = ["render", given.plate]
        if given.dialogue is not None:
            words.append(given.dialogue)
        for field in fields(JobSettings):
            value = getattr(given, field.name)
            if field.name in ("plate", "dialogue", "name") or value == field.default:
                continue
            option = "--" + field.name.replace("_", "-")
            words += [option] if value is True else [f"{option}={value}"]
        return words


def read_jobs(path: Path) -> list[Job]:
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
    jobs: list[Job] = []
    problems: list[LipcoreError] = []
    for number, entry in enumerate(entries, 1):
        where = f"{path.name}, job {number}"
        try:
            jobs.append(job_of(entry, defaults, number, folder, where))
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


def job_of(entry: Any, defaults: Any, number: int, folder: Path, where: str) -> Job:
    """Make a job of plain values.

    Args:
        entry: Options by name.
        defaults: Options where the entry says nothing.
        number: From 1.
        folder: What relative paths count from.
        where: Named in errors.

    Raises:
        ConfigError: An option is unknown, missing, or its value does not fit.
    """
    for part, name in ((defaults, "defaults"), (entry, where)):
        if not isinstance(part, Mapping):
            raise ConfigError(f"{name} is not a mapping", hint="Write option: value pairs.")
    values = _named(defaults, where) | _named(entry, where)
    given = _absolute(from_mapping(JobSettings, values, where=where), folder)
    stem = re.sub(r"[^\w-]+", "_", Path(given.plate).stem).strip("_") or "plate"
    name = given.name if given.name is not None else f"{number:03d}_{stem}"[:80]
    if not _NAME.fullmatch(name) or name.startswith("."):
        raise ConfigError(
            f"{where}: name is {name!r}",
            hint="Take letters, digits, dots, dashes and underscores, 80 at the most.",
        )
    try:
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
        raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error
    return Job(number, name, given, shot, config, Path(given.out))


def _named(values: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """Options by field name, numbers that are meant as text as text."""
    named: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name in named:
            raise ConfigError(f"{where} gives {key!r} twice", hint="Keep one of them.")
        if name in TEXTS and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        named[name] = value
    return named


def _absolute(given: JobSettings, folder: Path) -> JobSettings:
    """The same with every path absolute."""
    found: dict[str, Any] = {
        name: str(folder / Path(value).expanduser())
        for name in _PATHS
        if (value := getattr(given, name)) is not None
    }
    weights, laid_over = split_name(given.weights)
    if weights not in shipped_names():
        weights = str(folder / Path(weights).expanduser())
    weights = "+".join([weights, *(str(folder / Path(p).expanduser()) for p in laid_over)])
    strength = given.strength
    if not re.fullmatch(r"[-+.\deE]+|nan|inf", strength.strip()):
        strength = str(folder / Path(strength).expanduser())
    return replace(given, **found, weights=weights, strength=strength)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _rate(text: str | None) -> Fraction | None:
    return None if text is None else parse_rate(text)


def _same_names(jobs: list[Job], where: str) -> Iterator[ConfigError]:
    first: dict[str, int] = {}
    for job in jobs:
        if job.name in first:
            yield ConfigError(
                f"{where}, jobs {first[job.name]} and {job.number} are both called {job.name!r}",
                hint="Give each a name of its own.",
            )
        first.setdefault(job.name, job.number)
