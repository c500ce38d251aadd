"""Whether jobs that are no renders can be done: their files are read, their pictures are not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lipcore.adaptation import FEWEST_FRAMES
from lipcore.errors import ConfigError, FrameSizeError, MediaError
from lipcore.farm.kinds import (
    AdaptSettings,
    CommandJob,
    ConformSettings,
    EvaluateSettings,
    ReportSettings,
)
from lipcore.media.audio import load_dialogue
from lipcore.media.locate import locate_sequence
from lipcore.media.plate import open_plate
from lipcore.models.device import check_device
from lipcore.pipeline import choose_frames
from lipcore.rates import parse_rate
from lipcore.report.finished import find_renders
from lipcore.shot import RenderConfig, Shot
from lipcore.timeline.conform import ConformRequest, parse_dialogues, plan_conform
from lipcore.types import FrameRange
from lipcore.weights import find_weights


@dataclass(frozen=True, slots=True)
class CheckedCommand:
    """What is known of a job when all that it was given has been read, but no picture."""

    about: str
    """How much there is to do, in words."""
    frames: int
    """That are looked at; 0 where the check does not know."""
    files: tuple[Path, ...]
    """Single files that it reads, beside those that its settings name."""
    folders: tuple[Path, ...]
    """Folders that it reads."""
    shots: tuple[int, ...] = ()
    """Of a conform: numbers of the shots that are rendered in one of its languages."""


def check_command(job: CommandJob) -> CheckedCommand:
    """Read all that a job is given, but pictures; nothing is written.

    Raises:
        LipcoreError: What its command would raise of its files, settings and weights.
    """
    given = job.settings
    if isinstance(given, ConformSettings):
        return _check_conform(given)
    if isinstance(given, AdaptSettings):
        return _check_adapt(given)
    if isinstance(given, EvaluateSettings):
        return _check_evaluate(given)
    return _check_report(given)


def conform_request(given: ConformSettings) -> ConformRequest:
    """What ``lipcore conform`` would be asked."""
    return ConformRequest(
        Path(given.timeline), parse_dialogues(given.dialogue), Path(given.out),
        None if given.rate is None else parse_rate(given.rate),
        tuple(map(Path, given.search)), given.path_map, given.skip_track, given.handles,
        given.only, None if given.settings is None else Path(given.settings), given.format,
        given.report,
        RenderConfig(
            strength=given.strength, overwrite=given.overwrite,
            cache=None if given.cache is None else Path(given.cache),
        ),
    )  # fmt: skip


def _check_conform(given: ConformSettings) -> CheckedCommand:
    plans = plan_conform(conform_request(given))
    shots = [shot for plan in plans for shot in plan.shots]
    asked = {shot.number for shot in shots if not shot.problem}
    if not asked:
        why = next((shot.problem for shot in shots if shot.problem), "it has no shots")
        raise ConfigError(
            f"no shot of {given.timeline} would be rendered: {why}",
            hint="Look at the table of `lipcore conform --dry-run`.", path=given.timeline,
        )
    media = dict.fromkeys(s.media for s in shots if s.media is not None and not s.problem)
    files, folders = _split(media)
    many = f" in {len(plans)} languages" if len(plans) > 1 else ""
    return CheckedCommand(f"{len(asked)} shots{many}", 0, files, folders, tuple(sorted(asked)))


def _check_adapt(given: AdaptSettings) -> CheckedCommand:
    check_device(given.device)
    find_weights(given.weights)
    plate = Path(given.plate)
    frames = None if given.frames is None else FrameRange.parse(given.frames)
    with open_plate(plate, colorspace=given.colorspace) as opened:
        chosen = choose_frames(Shot(plate, plate, frames=frames), opened)
    check_learnable(chosen)
    about = f"{len(chosen)} frames, {given.minutes:g} minutes"
    return CheckedCommand(about, len(chosen), *_split([plate]))


def check_learnable(frames: FrameRange) -> None:
    """Check that an adaptation has frames enough to learn from.

    Raises:
        ConfigError: It has not.
    """
    if len(frames) < FEWEST_FRAMES:
        raise ConfigError(
            f"an adaptation learns from {FEWEST_FRAMES} frames or more, and {frames} are "
            f"{len(frames)}", hint="Adapt to a longer range (frames).",
        )


def _check_evaluate(given: EvaluateSettings) -> CheckedCommand:
    if given.dialogue is not None:
        load_dialogue(Path(given.dialogue))
    rate = None if given.rate is None else parse_rate(given.rate)
    paths = Path(given.render), Path(given.against)
    with open_plate(paths[1], rate=rate) as plate, open_plate(paths[0], rate=rate) as made:
        sizes = [(w.width, w.height) for w in (made.info.display, plate.info.display)]
        count = min(len(made.info.frames), len(plate.info.frames))
    if sizes[0] != sizes[1]:
        raise FrameSizeError(
            f"the render is {sizes[0][0]}x{sizes[0][1]}, the plate {sizes[1][0]}x{sizes[1][1]}",
            hint="Evaluate whole frames of the plate's size (deliver: full).",
        )
    return CheckedCommand(f"{count} frames", count, *_split(paths))


def _check_report(given: ReportSettings) -> CheckedCommand:
    found = find_renders([Path(path) for path in given.render])
    frames = sum(len(one.frames) for one in found)
    media = [path for one in found for path in (one.plate, one.dialogue, one.picture) if path]
    files, folders = _split(media)
    beside = {one.sidecar.parent for one in found}
    return CheckedCommand(
        f"{len(found)} renders, {frames} frames", frames, files, tuple(sorted({*folders, *beside}))
    )


def _split(media: Iterable[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(single files, folders of sequences) that media lie in."""
    files: dict[Path, None] = {}
    folders: dict[Path, None] = {}
    for path in media:
        try:
            alone = path.is_file() and locate_sequence(path) is None
        except (MediaError, ConfigError):
            continue  # a plate that has gone since, of which a page can still be made
        if alone:
            files[path] = None
        else:
            folders[path if path.is_dir() else path.parent] = None
    return tuple(files), tuple(folders)
