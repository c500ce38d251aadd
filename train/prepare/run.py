"""Prepare whole collections: several processes, resumable at any moment."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av

from lipcore.errors import (
    ConfigError,
    DependencyError,
    LipcoreError,
    OutputError,
    OutputLockedError,
    OutputNotWritableError,
    TrainingError,
    WeightsError,
)
from lipcore.media.output_files import FrameLock
from lipcore.provenance.watermark import require_package
from lipcore.types import FrameRange

from ..pool import end_with_parent
from ..shards import facts_of, write_json, write_manifest
from ..sync_offset import SyncMeter
from .part import Outcome, Part, fingerprint, prepare_part
from .settings import PrepareConfig
from .sources import Rejected, Source, Tell, gather, require_there

REJECTED = "rejected.json"
"""What was left out, and why: a list of ``{"source", "reason"}``, of segments with ``frames``
and ``face``."""
RECORDS = "records"
"""Folder of what is known of each part that is finished: it is not made again."""
FETCHED = "fetched"
"""Folder of the videos of addresses, where no other is named."""

_MANIFEST_EVERY_S = 30.0
_FATAL = (OutputError, DependencyError, WeightsError, ConfigError)
"""The fault of the folder, the machine or the settings, not of a file."""

Progress = Callable[[int, int], None]
"""Called with parts done, and of how many."""


def prepare(
    sources: Path | Sequence[Path], out: Path, config: PrepareConfig | None = None, *,
    identities: Path | None = None, fetched: Path | None = None, jobs: int = 1,
    tell: Tell | None = None, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Prepare all videos of some sources. What is there already is not made again.

    Files longer than ``PrepareConfig.part_s`` are prepared in parts. Beside the shards lie
    ``manifest.json`` (written anew every half minute, so that training may begin), ``records``
    and ``rejected.json``. Crops are display-referred, 8 bits.

    Args:
        sources: Folders (a ``manifest.json`` beside the clips tells of each, by its name, what
            ``ClipFacts`` holds), video files, and lists (see ``fetch``).
        out: The folder of shards.
        config: What it is like.
        identities: Who is in which file: see ``sources.read_identities``.
        fetched: Folder for the videos of addresses; ``out / "fetched"`` by default.
        jobs: Processes.
        tell: Told of each part.
        progress: Told after each part.

    Returns:
        The manifest that was written.

    Raises:
        MediaNotFoundError: A source is absent.
        TrainingError: The sources hold no video, or none with a face; a process died.
        ConfigError: A manifest, a list or another file of settings does not hold.
        DependencyError: A package is absent.
        OutputError: The folder cannot be written, or another process writes it.
    """
    c, say = config or PrepareConfig(), tell or (lambda line: None)
    if jobs < 1:
        raise ConfigError(f"{jobs} processes do nothing", hint="Give --jobs of 1 or more.")
    if c.watermark:
        require_package()
    given = [sources] if isinstance(sources, Path) else list(sources)
    require_there(given)
    with _sole_writer(out):
        found, rejected = gather(
            given, c, fetched=fetched or out / FETCHED, identities=identities, tell=say
        )
        return _prepare_all(found, rejected, out, c, jobs, say, progress or (lambda d, n: None))


def _prepare_all(
    sources: Sequence[Source], rejected: list[Rejected], out: Path, config: PrepareConfig,
    jobs: int, say: Tell, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    meter = SyncMeter()
    outcomes: dict[str, Outcome] = {}
    failed: list[Rejected] = []
    parts = [part for source in sources for part in _parts_of(source, config)]
    left: list[tuple[Part, str]] = []
    for part in parts:
        try:
            made_from = fingerprint(part, config, meter)
        except TrainingError as error:
            failed.append({"source": part.source.name, "reason": f"left out, {error}"})
            say(f"{part.name}: left out, {error}")
            continue
        known = _finished(out, part, made_from)
        if known is None:
            left.append((part, made_from))
        else:
            outcomes[part.key] = known
    if outcomes:
        say(f"{len(outcomes)} of {len(parts)} were finished before: kept")
    progress(len(parts) - len(left), len(parts))

    def write() -> dict[str, Any]:
        kept = [outcomes[part.key] for part in parts if part.key in outcomes]
        write_json(out / REJECTED, rejected + failed + [r for o in kept for r in o.rejected])
        clips = {key: facts for outcome in kept for key, facts in outcome.clips.items()}
        return write_manifest(out, clips, crop_px=config.crop_px, margin_px=config.margin_px)

    told = time.monotonic()
    for part, outcome in _made(left, out, config, meter, jobs):
        outcomes[part.key] = outcome
        for line in _lines(part, outcome):
            say(line)
        progress(len(parts) - len(left) + sum(p.key in outcomes for p, _ in left), len(parts))
        if time.monotonic() - told > _MANIFEST_EVERY_S:
            write()
            told = time.monotonic()
    manifest = write()
    if not manifest["clips"]:
        raise TrainingError(
            "nothing of the sources can be used", hint=f"{out / REJECTED} says why.",
            path=str(out / REJECTED),
        )
    strays = {p.name for p in out.glob("*.tar")} - {c["shard"] for c in manifest["clips"].values()}
    if strays:
        say(f"{len(strays)} tars of {out} are of other sources, and not in its manifest")
    return manifest


def _lines(part: Part, outcome: Outcome) -> Iterator[str]:
    """What is told of a part."""
    for note in outcome.notes:
        yield f"{part.name}: {note}"
    if not outcome.clips and len(outcome.rejected) == 1:
        yield f"{part.name}: left out, {outcome.rejected[0]['reason']}"
        return
    frames = sum(c["frames"] for c in outcome.clips.values())
    more = f", {len(outcome.rejected)} left out" if outcome.rejected else ""
    yield f"{part.name}: {len(outcome.clips)} segments, {frames} frames{more}"


def _parts_of(source: Source, config: PrepareConfig) -> list[Part]:
    """How a file is shared out, by the length that it states."""
    try:
        with av.open(str(source.path)) as container:
            seconds = (container.duration or 0) / av.time_base
    except (av.error.FFmpegError, OSError, ValueError):
        seconds = 0.0  # what is wrong with it is said when it is read
    count = max(1, round(seconds / config.part_s))
    return [Part(source, number, count) for number in range(count)]


def _record(out: Path, part: Part) -> Path:
    return out / RECORDS / f"{part.key}.json"


def _finished(out: Path, part: Part, made_from: str) -> Outcome | None:
    """What became of a part, where it is finished and its shards are whole."""
    try:
        values = json.loads(_record(out, part).read_text("utf-8"))
        known = Outcome(values["clips"], values["rejected"], values["notes"])
        if values["made_from"] != made_from:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if known.clips and facts_of(out / f"{part.key}.tar") != known.clips:
        return None
    return known


def _make_one(
    part: Part, out: Path, config: PrepareConfig, meter: SyncMeter, made_from: str
) -> Outcome:
    """Prepare a part, and note what became of it."""
    try:
        outcome = prepare_part(part, out, config, meter, made_from)
    except _FATAL:
        raise
    except LipcoreError as error:
        outcome = Outcome(rejected=[{"source": part.source.name, "reason": str(error)}])
    except Exception as error:  # of a codec or a network: one strange file must not stop the rest
        reason = f"failed unexpectedly, {type(error).__name__}: {error}"
        return Outcome(rejected=[{"source": part.source.name, "reason": reason}])
    _remove_old(out, part, outcome)
    write_json(_record(out, part), {"made_from": made_from, **asdict(outcome)})
    return outcome


def _remove_old(out: Path, part: Part, outcome: Outcome) -> None:
    """Remove tars that an earlier run made of a part, and that hold nothing of it now."""
    held = {facts["shard"] for facts in outcome.clips.values()}
    tar, number = out / f"{part.key}.tar", 0
    while tar.is_file():
        if tar.name not in held:
            tar.unlink()
        number += 1
        tar = out / f"{part.key}-{number}.tar"


def _made(
    left: Sequence[tuple[Part, str]], out: Path, config: PrepareConfig, meter: SyncMeter, jobs: int
) -> Iterator[tuple[Part, Outcome]]:
    """Each part as it is finished."""
    if jobs == 1 or len(left) < 2:
        for part, made_from in left:
            yield part, _make_one(part, out, config, meter, made_from)
        return
    context = multiprocessing.get_context("spawn")
    jobs = min(jobs, len(left))
    with ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(jobs,)) as pool:
        waiting: dict[Future[Outcome], Part] = {
            pool.submit(_work, part, out, config, made_from): part for part, made_from in left
        }
        try:
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process died, perhaps for want of memory",
                hint="Run the same command again, with fewer --jobs.",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_meter: list[SyncMeter] = []
"""Of this worker process."""


def _start_worker(jobs: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    cv2.setNumThreads(1)
    _meter.append(SyncMeter())
    end_with_parent()


def _work(part: Part, out: Path, config: PrepareConfig, made_from: str) -> Outcome:
    return _make_one(part, out, config, _meter[0], made_from)


@contextlib.contextmanager
def _sole_writer(out: Path) -> Iterator[None]:
    """The folder, made, ours alone, and without what a killed run left unfinished."""
    try:
        (out / RECORDS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritableError(
            f"{out} cannot be written ({error})", hint="Choose another --out.", path=str(out)
        ) from error
    try:
        lock = FrameLock(out / RECORDS, FrameRange(0, 0))
    except OutputLockedError as error:
        raise OutputLockedError(
            f"another process prepares into {out}",
            hint="Wait for it to end, stop it, or choose another --out.", path=str(out),
        ) from error
    try:
        for leftover in (*out.glob(".*.tar.*.tmp"), *(out / RECORDS).glob(".*.tmp")):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
