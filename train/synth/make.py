"""A folder of synthetic speakers: one shard each, made by several processes, resumable."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from lipcore.errors import OutputExistsError, TrainingError

from ..pool import end_with_parent
from ..shards import Sample, ShardWriter, write_manifest
from .clip import Cast, SynthConfig, key_of, make_segment
from .head import load_head
from .portrait import load_portrait

_VERSION = 2
"""Goes up when the same seed draws other pictures."""

Sources = tuple[Path | None, tuple[Path, ...]]

Progress = Callable[[int, int], None]
"""Called with speakers done, and of how many."""


def synthesize(
    head: Path | None,
    out: Path,
    config: SynthConfig,
    *,
    portraits: tuple[Path, ...] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make speakers; those that are there already are kept.

    The manifest is written anew after each speaker, so that training may begin on the first.

    Args:
        head: The ICT Face Model Light, ``.npz``; None for portraits alone.
        out: The folder of shards.
        config: How many, and what they are like.
        portraits: Photographs that speak too; ``astronaut`` is scikit-image's.
        progress: Told after each speaker.

    Returns:
        The manifest that was written.

    Raises:
        ConfigError: The head cannot be used, or there is neither head nor portrait.
        MediaError: A portrait is no picture.
        FaceError: A portrait shows no face.
        OutputExistsError: The folder holds speakers made with other settings.
        OutputError: The folder cannot be written.
        TrainingError: A worker process died.
    """
    sources = head, portraits
    cast = _load_cast(*sources)
    stamp = _stamp(head, cast, config)
    tell = progress or (lambda done, total: None)
    clips: dict[str, Any] = {}
    left = []
    for number in range(config.speakers):
        facts = _finished(out, number, stamp)
        if facts is None:
            left.append(number)
        else:
            clips[key_of(number)] = facts
    manifest: dict[str, Any] = {}
    tell(len(clips), config.speakers)
    if clips:
        manifest = _write(out, clips, config)
    for made in _made(cast, sources, out, config, stamp, left):
        clips |= made
        manifest = _write(out, clips, config)
        tell(len(clips), config.speakers)
    return manifest


def _write(out: Path, clips: dict[str, Any], config: SynthConfig) -> dict[str, Any]:
    return write_manifest(out, clips, crop_px=config.size, margin_px=config.margin_px)


def _load_cast(head: Path | None, portraits: tuple[Path, ...]) -> Cast:
    return Cast(load_head(head) if head else None, tuple(load_portrait(p) for p in portraits))


def _stamp(head: Path | None, cast: Cast, config: SynthConfig) -> str:
    """What the pictures of a speaker depend on, besides the number."""
    digest = hashlib.sha256(head.read_bytes()).hexdigest()[:12] if head else ""
    values = [_VERSION, digest, config.seed, config.seconds, config.size, config.val_share,
              config.voices, [p.identity for p in cast.portraits]]  # fmt: skip
    return json.dumps(values)


def _finished(out: Path, number: int, stamp: str) -> dict[str, Any] | None:
    """Facts of a speaker who is there already."""
    key = key_of(number)
    shard = out / f"{key}.tar"
    if not shard.is_file():
        return None
    facts: dict[str, Any] = json.loads(bytes(Sample(shard, key).bytes_of("json")))
    if facts.get("settings") != stamp:
        raise OutputExistsError(
            f"{shard} was made with other settings",
            hint="Choose another folder (--out), or the settings of before.", path=str(shard),
        )
    return facts


def _made(
    cast: Cast, sources: Sources, out: Path, config: SynthConfig, stamp: str, numbers: list[int]
) -> Iterator[dict[str, Any]]:
    """Facts of each speaker as it is finished."""
    if config.jobs == 1 or len(numbers) < 2:
        for number in numbers:
            yield _make_one(cast, out, config, stamp, number)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        config.jobs, context, initializer=_start_worker, initargs=sources
    ) as pool:
        waiting: set[Future[dict[str, Any]]] = {
            pool.submit(_work, out, config, stamp, number) for number in numbers
        }
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise TrainingError("a worker died", hint="Run the same command again.") from error
        finally:
            pool.shutdown(cancel_futures=True)


_casts: list[Cast] = []
"""Of this worker process."""


def _start_worker(head: Path | None, portraits: tuple[Path, ...]) -> None:
    end_with_parent()
    _casts.append(_load_cast(head, portraits))


def _work(out: Path, config: SynthConfig, stamp: str, number: int) -> dict[str, Any]:
    return _make_one(_casts[0], out, config, stamp, number)


def _make_one(
    cast: Cast, out: Path, config: SynthConfig, stamp: str, number: int
) -> dict[str, Any]:
    with ShardWriter(out, key_of(number)) as writer:
        writer.add(make_segment(cast, number, config, stamp))
    return writer.clips
