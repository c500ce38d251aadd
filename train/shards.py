"""Shards: prepared clips in WebDataset tars, and the reading of single frames out of them.

A prepared folder holds ``manifest.json`` and plain, uncompressed tars. A sample is one clip;
its key has no dot, and its members are:

======================  ==================================================================
``KEY.json``            facts: identity, split, rate, frames, shard, source, offset, quality,
                        transcript
``KEY.crops.avi``       the canonical crop with a margin: motion JPEG, 4:4:4, every frame whole
``KEY.landmarks.npy``   (N, 478, 3) float32, plate pixels
``KEY.transforms.npy``  (N, 2, 3) float32, plate pixels to crop
``KEY.flac``            16 kHz mono, its offset to the picture taken out; absent where silent
``KEY.native.avi``      optional: the crop at about the plate's own size
``KEY.truth.npz``       optional: what is known of synthetic clips (``Segment.truth``)
======================  ==================================================================

Any WebDataset reader can stream them. ``Sample`` maps a tar into memory instead, and decodes
any one frame at once: training draws frames at random.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import struct
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
import numpy.typing as npt
import soundfile

from lipcore.errors import OutputNotWritableError, TrainingError
from lipcore.media.audio import SAMPLE_RATE_HZ
from lipcore.types import FloatArray

FORMAT = 2
MANIFEST = "manifest.json"
JPEG_QUALITY = 97
"""About 46 dB: below the noise of the footage."""

Picture = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, sRGB."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """What one sample is written from (N frames, S + 2 * margin pixels a side)."""

    key: str
    """Unique in the folder; letters, digits, ``_`` and ``-``."""
    rate: Fraction
    crops: Iterable[Picture | bytes]
    """Square, all of one size, in order; read once, so that they need not all be in memory. Or
    as JPEG, from ``encode_picture``."""
    landmarks: FloatArray
    """(N, 478, 3) plate pixels."""
    transforms: FloatArray
    """(N, 2, 3) plate pixels to the crop's corners (0, 0) and (1, 1)."""
    sound: FloatArray
    """(samples,) at 16 kHz in [-1, 1]; sample 0 belongs to the start of frame 0. Empty: none."""
    facts: Mapping[str, Any]
    """``identity``, ``split``, ``source``, ``offset_frames`` and whatever else is known."""
    native: Iterable[Picture | bytes] | None = None
    truth: Mapping[str, npt.NDArray[Any]] | None = None
    """``opening`` and ``width`` (N,), inner lip opening and mouth width in the units of
    ``lipcore.shapes.measure``; ``shapes`` (N, C) viseme weights; phoneme intervals."""


class ShardWriter:
    """Writes the samples of one source; they appear under their names when all are whole.

    A context manager: leaving it with an error leaves nothing behind.

    Args:
        folder: The prepared folder; it is made.
        name: Stem of the tars: ``name.tar``, then ``name-1.tar`` and so on.
        limit_bytes: A new tar is begun beyond this.

    Raises:
        OutputNotWritableError: The folder cannot be made or written.
    """

    def __init__(self, folder: Path, name: str, *, limit_bytes: int = 1 << 30) -> None:
        self._folder, self._name, self._limit = folder, name, limit_bytes
        self._tar: tarfile.TarFile | None = None
        self._pending: list[tuple[Path, Path]] = []
        self.clips: dict[str, dict[str, Any]] = {}
        """Facts of what was added, by key: entries of the manifest."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def add(self, segment: Segment) -> None:
        """Write one sample.

        Raises:
            OutputNotWritableError: The disk or the folder does not take it.
        """
        assert "." not in segment.key and segment.key not in self.clips, segment.key
        try:
            tar, shard = self._open()
            crops = encode_crops(segment.crops, segment.rate)
            facts = {
                **segment.facts, "rate": str(segment.rate), "frames": len(segment.landmarks),
                "shard": shard,
            }
            _put(tar, f"{segment.key}.json", json.dumps(facts).encode())
            _put(tar, f"{segment.key}.crops.avi", crops)
            _put(tar, f"{segment.key}.landmarks.npy", _npy(segment.landmarks))
            _put(tar, f"{segment.key}.transforms.npy", _npy(segment.transforms))
            if len(segment.sound):
                _put(tar, f"{segment.key}.flac", _flac(segment.sound))
            if segment.native is not None:
                native = encode_crops(segment.native, segment.rate)
                _put(tar, f"{segment.key}.native.avi", native)
            if segment.truth is not None:
                _put(tar, f"{segment.key}.truth.npz", _npz(segment.truth))
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        self.clips[segment.key] = facts

    def close(self) -> None:
        """Give the finished tars their names; the first comes last, and says that all are."""
        self._finish_tar()
        for temporary, final in reversed(self._pending):
            temporary.replace(final)
        self._pending.clear()

    def _open(self) -> tuple[tarfile.TarFile, str]:
        if self._tar is not None and self._tar.offset > self._limit:
            self._finish_tar()
        if self._tar is None:
            number = len(self._pending)
            name = f"{self._name}-{number}.tar" if number else f"{self._name}.tar"
            temporary = self._folder / f".{name}.{os.getpid()}.tmp"
            self._pending.append((temporary, self._folder / name))
            self._tar = tarfile.open(temporary, "w")  # noqa: SIM115 (closed by close)
        return self._tar, self._pending[-1][1].name

    def _finish_tar(self) -> None:
        if self._tar is not None:
            self._tar.close()
            with self._pending[-1][0].open("rb") as file:
                os.fsync(file.fileno())
            self._tar = None

    def _abandon(self) -> None:
        if self._tar is not None:
            self._tar.close()
            self._tar = None
        for temporary, _ in self._pending:
            temporary.unlink(missing_ok=True)


def write_manifest(
    folder: Path, clips: Mapping[str, Mapping[str, Any]], *, crop_px: int, margin_px: int
) -> dict[str, Any]:
    """Write ``manifest.json`` of a prepared folder, and give back what it holds.

    Args:
        folder: Where the tars lie.
        clips: Facts of each clip, as ``ShardWriter.clips`` has them.
        crop_px: Side of the crop, S.
        margin_px: Pixels around it.
    """
    values = {
        "format": FORMAT, "crop_px": crop_px, "margin_px": margin_px,
        "clips": {key: dict(clips[key]) for key in sorted(clips)},
    }
    write_json(folder / MANIFEST, values)
    return values


def write_json(path: Path, values: object) -> None:
    """Write a JSON file under a temporary name, then rename it.

    Raises:
        OutputNotWritableError: The folder does not take it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(values, indent=1), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared folder.

    Raises:
        TrainingError: The folder was not prepared, or in another format.
    """
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        number = values["format"]
        assert isinstance(values, dict)
        if number == FORMAT:
            for key in ("crop_px", "margin_px", "clips"):
                values[key]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise TrainingError(
            f"{folder} is not a prepared folder ({error})",
            hint="Make one from a folder of clips with `lipcore data prepare`.",
            path=str(folder),
        ) from error
    if number != FORMAT:
        raise TrainingError(
            f"{folder} was prepared in format {number}, {FORMAT} is needed",
            hint="Prepare the clips again.",
        )
    return values


def facts_of(shard: Path) -> dict[str, dict[str, Any]]:
    """Facts of every sample of a source, by key, from its first tar on; empty where that is
    absent, or one of them is damaged.
    """
    found: dict[str, dict[str, Any]] = {}
    number, tar = 0, shard
    try:
        while tar.is_file():
            for key in _index(tar):
                found[key] = json.loads(bytes(Sample(tar, key).bytes_of("json")))
            number += 1
            tar = shard.with_name(f"{shard.stem}-{number}.tar")
    except (TrainingError, ValueError):
        return {}
    return found


@dataclass(frozen=True, eq=False)
class CropVideo:
    """Frames of a motion JPEG member, decoded one at a time, at random."""

    sample: Sample
    member: str

    @cached_property
    def _frames(self) -> npt.NDArray[np.int64]:
        """(N, 2): where each JPEG starts in the member, and its length."""
        return np.array(list(_walk_avi(self.sample.bytes_of(self.member))), np.int64)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, frame: int) -> Picture:
        """(H, W, 3) uint8.

        Raises:
            TrainingError: The frame's data is damaged.
        """
        start, size = self._frames[frame]
        data = np.frombuffer(self.sample.bytes_of(self.member)[start : start + size], np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise TrainingError(
                f"frame {frame} of {self.sample.key} in {self.sample.shard} is damaged",
                hint="Remove the tar and prepare the footage again.",
                path=str(self.sample.shard), frame=frame,
            )
        return np.asarray(picture, np.uint8)

    def __iter__(self) -> Iterator[Picture]:
        return (self[frame] for frame in range(len(self)))


@dataclass(frozen=True)
class Sample:
    """One sample of a tar on disk. It may be sent to another process: nothing is held open."""

    shard: Path
    key: str

    def has(self, member: str) -> bool:
        """Whether there is a member such as ``truth.npz``."""
        return member in _index(self.shard).get(self.key, {})

    def bytes_of(self, member: str) -> memoryview:
        """A member's data, mapped from disk.

        Raises:
            TrainingError: The tar is absent, damaged, or lacks it.
        """
        try:
            start, size = _index(self.shard)[self.key][member]
        except KeyError as error:
            raise TrainingError(
                f"{self.shard} holds no {self.key}.{member}",
                hint="Remove the tar and prepare the footage again.", path=str(self.shard),
            ) from error
        return memoryview(_map(self.shard))[start : start + size]

    def array(self, member: str) -> FloatArray:
        """An ``.npy`` member."""
        values: FloatArray = np.load(io.BytesIO(self.bytes_of(member)), allow_pickle=False)
        return values

    def arrays(self, member: str) -> dict[str, npt.NDArray[Any]]:
        """An ``.npz`` member."""
        with np.load(io.BytesIO(self.bytes_of(member)), allow_pickle=False) as file:
            return dict(file)

    def sound(self) -> FloatArray:
        """(samples,) float32 at 16 kHz; empty where there is none."""
        if not self.has("flac"):
            return np.zeros(0, np.float32)
        samples, _ = soundfile.read(io.BytesIO(self.bytes_of("flac")), dtype="float32")
        return np.asarray(samples, np.float32)

    def video(self, member: str = "crops.avi") -> CropVideo:
        """The frames of a motion JPEG member."""
        return CropVideo(self, member)


def encode_picture(picture: Picture) -> bytes:
    """A picture as JPEG (4:4:4); the same bytes for the same picture."""
    settings = [
        cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    data: bytes = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), settings)[
        1
    ].tobytes()
    return data


def encode_crops(pictures: Iterable[Picture | bytes], rate: Fraction) -> bytes:
    """A motion JPEG AVI (4:4:4) of square pictures, or of those that are JPEG already; the same
    bytes for the same pictures."""
    out = io.BytesIO()
    with av.open(out, "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mjpeg", rate=rate)
        stream.pix_fmt = "yuvj444p"
        for number, picture in enumerate(pictures):
            data = picture if isinstance(picture, bytes) else encode_picture(picture)
            if not number:
                first = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                assert first is not None
                stream.height, stream.width = first.shape[:2]
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = 1 / rate, stream, True
            container.mux(packet)
    return out.getvalue()


def _walk_avi(data: memoryview) -> Iterator[tuple[int, int]]:
    """(start, size) of each picture of an AVI, whether it has one part or several."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"RIFF" or (kind == b"LIST" and bytes(data[at + 8 : at + 12]) == b"movi"):
            at += 12
            continue
        if kind == b"00dc":
            yield at + 8, size
        at += 8 + size + size % 2


def _map(shard: Path) -> mmap.mmap:
    return _map_as_it_is(shard, _stamp(shard))


def _index(shard: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Place and size of every member of a tar: key, then the rest of the member's name."""
    return _index_as_it_is(shard, _stamp(shard))


def _stamp(shard: Path) -> tuple[int, ...]:
    """Changes when the tar is written again."""
    try:
        stat = shard.stat()
    except OSError:
        return ()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=1024)
def _map_as_it_is(shard: Path, _: tuple[int, ...]) -> mmap.mmap:
    with shard.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@lru_cache(maxsize=65536)
def _index_as_it_is(
    shard: Path, _: tuple[int, ...]
) -> dict[str, dict[str, tuple[int, int]]]:
    found: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                key, _dot, rest = member.name.partition(".")
                found.setdefault(key, {})[rest] = (member.offset_data, member.size)
    except (OSError, tarfile.TarError) as error:
        raise TrainingError(
            f"{shard} cannot be read ({error})", hint="Prepare the footage again.",
            path=str(shard),
        ) from error
    return found


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # no times, no owners: the same clip makes the same bytes
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _npy(values: FloatArray) -> bytes:
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(values, np.float32))
    return out.getvalue()


def _npz(values: Mapping[str, npt.NDArray[Any]]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **values)  # type: ignore[arg-type]
    return out.getvalue()


def _flac(sound: FloatArray) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, sound.clip(-1, 1), SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def _unwritable(folder: Path, error: OSError) -> OutputNotWritableError:
    return OutputNotWritableError(
        f"{folder} cannot be written ({error})", hint="Choose another folder, or make room.",
        path=str(folder),
    )
