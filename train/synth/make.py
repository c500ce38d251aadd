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

from ..shards import Sample, ShardWriter, write_manifest
from .clip import SynthConfig, key_of, make_segment
from .head import Head, load_head

_VERSION = 1
"""Goes up when the same seed draws other pictures."""

Progress = Callable[[int, int], None]
"""Called with speakers done, and of how many."""


def synthesize(
    head: Path, out: Path, config: SynthConfig, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Make speakers; those that are there already are kept.

    The manifest is written anew after each speaker, so that training may begin on the first.

    Args:
        head: The ICT Face Model Light, ``.npz``.
        out: The folder of shards.
        config: How many, and what they are like.
        progress: Told after each speaker.

    Returns:
        The manifest that was written.

    Raises:
        ConfigError: The head cannot be used.
        OutputExistsError: The folder holds speakers made with other settings.
        OutputError: The folder cannot be written.
        TrainingError: A worker process died.
    """
    load_head(head)
    stamp = _stamp(head, config)
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
    for made in _made(head, out, config, stamp, left):
        clips |= made
        manifest = _write(out, clips, config)
        tell(len(clips), config.speakers)
    return manifest


def _write(out: Path, clips: dict[str, Any], config: SynthConfig) -> dict[str, Any]:
    return write_manifest(out, clips, crop_px=config.size, margin_px=config.margin_px)


def _stamp(head: Path, config: SynthConfig) -> str:
    """What the pictures of a speaker depend on, besides the number."""
    digest = hashlib.sha256(head.read_bytes()).hexdigest()[:12]
    values = [_VERSION, digest, config.seed, config.seconds, config.size, config.val_share]
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
    head: Path, out: Path, config: SynthConfig, stamp: str, numbers: list[int]
) -> Iterator[dict[str, Any]]:
    """Facts of each speaker as it is finished."""
    if config.jobs == 1 or len(numbers) < 2:
        mesh = load_head(head)
        for number in numbers:
            yield _make_one(mesh, out, config, stamp, number)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        config.jobs, context, initializer=_start_worker, initargs=(head,)
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


_mesh: list[Head] = []
"""Of this worker process."""


def _start_worker(head: Path) -> None:
    _mesh.append(load_head(head))


def _work(out: Path, config: SynthConfig, stamp: str, number: int) -> dict[str, Any]:
    return _make_one(_mesh[0], out, config, stamp, number)


def _make_one(
    mesh: Head, out: Path, config: SynthConfig, stamp: str, number: int
) -> dict[str, Any]:
    with ShardWriter(out, key_of(number)) as writer:
        writer.add(make_segment(mesh, number, config, stamp))
    return writer.clips
