"""What the latent networks know of a shot before anything is said, kept in the cache.

For each frame: the pose latents of V_p, and the plate's own mouth as the networks draw it
from its own shape. Both depend on plate and weights only, so another dialogue encodes nothing
again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lipcore.analysis import ShotAnalysis
from lipcore.cache import Cache, make_key
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate
from lipcore.models.checkpoint import hash_file
from lipcore.models.pose_mask import lower_face_box
from lipcore.runtime.backends import BACKENDS
from lipcore.synthesis.latent_networks import LatentNetworks
from lipcore.tracking.align import sample_frame, track_pose
from lipcore.tracking.head import apply_similarity
from lipcore.types import BoolArray, FaceTrack, FloatArray, Frame
from lipcore.weights import WeightsSet

_POSE, _PLATE, _REFERENCE = "pose.npy", "plate.npy", "reference.npy"
_VERSION = 3
_NETWORKS = ("vqgan_face", "vqgan_pose", "generator")


@dataclass(frozen=True, slots=True, eq=False)
class LatentShot:
    """A shot as the latent networks see it. Arrays lie on disk and are read by frame."""

    pose: npt.NDArray[np.float16]
    """``(N, D_p, h, w)`` float16 latents of the crops with the lower face hidden."""
    plate: npt.NDArray[np.float16]
    """``(N, S, S, 3)`` float16, display-referred: what the generator draws when it is asked for
    the shape that the plate shows. Whatever it gets wrong of this face, it gets wrong here too."""
    reference: Tensor
    """``(1, D, h, w)`` latents of the closed-mouth reference frame."""
    key: str
    """A hash of all that they depend on."""


def reference_frame(analysis: ShotAnalysis, drawable: BoolArray) -> int:
    """The frame whose face is the reference: mouth nearly shut, head turned as usual.

    Args:
        analysis: The shot.
        drawable: ``(N,)`` frames to choose from.

    Returns:
        Index into the analysed frames.
    """
    places = np.flatnonzero(drawable)
    first = analysis.track.frames.first
    angles = np.array([track_pose(analysis.track, first + int(i)).angles_deg for i in places])
    turned = np.linalg.norm(angles[:, :2] - np.median(angles[:, :2], axis=0), axis=1)
    opening = analysis.values[places, 0]
    spread = max(float(opening.std()), 1e-6)
    cost = (opening - opening.min()) / spread + turned / 10.0
    return int(places[int(cost.argmin())])


def crop_of(frame: Frame, track: FaceTrack, color: ColorTransform, size: int) -> FloatArray:
    """The display-referred canonical crop of a frame, ``(S, S, 3)`` in 0-1."""
    transform = track.transforms[track.frames.index(frame.number)]
    picture = sample_frame(frame, transform, size)
    out: FloatArray = np.clip(np.nan_to_num(color.to_display(picture)), 0, 1)
    return out


def boxes_of(track: FaceTrack, indices: list[int]) -> FloatArray:
    """``(N, 4)`` hidden boxes of frames, in the crop (0 to 1)."""
    points = apply_similarity(track.transforms[indices], track.landmarks[indices, :, :2])
    return lower_face_box(points)


def to_tensor(crops: FloatArray) -> Tensor:
    """``(B, S, S, 3)`` in 0-1 to (B, 3, S, S) in [-1, 1]."""
    planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
    return torch.from_numpy(planes) * 2 - 1


def from_tensor(crops: Tensor) -> FloatArray:
    """The inverse of ``to_tensor``."""
    out: FloatArray = ((crops.cpu().permute(0, 2, 3, 1) + 1) / 2).contiguous().numpy()
    return out


def encode_shot(
    plate: Plate,
    analysis: ShotAnalysis,
    networks: LatentNetworks,
    weights: WeightsSet,
    color: ColorTransform,
    cache: Cache,
    progress: Callable[[str, int, int], None],
) -> LatentShot:
    """Encode every frame that shows the face, or read what a former render encoded.

    Args:
        plate: The plate.
        analysis: Its track, over the frames to encode.
        networks: The latent networks.
        weights: Where they came from.
        color: Between the plate's encoding and display-referred values.
        cache: Where the result is kept.
        progress: Told of the stage ``encode``.
    """
    track = analysis.track
    seen = np.isfinite(track.landmarks).all(axis=(1, 2))
    size = networks.crop_px

    def build(folder: Path) -> None:
        count = len(track.frames)
        pose = None
        through = array_on_disk(folder / _PLATE, (count, size, size, 3))
        still = plate.read(track.frames.first + reference_frame(analysis, seen))
        reference = networks.encode(to_tensor(crop_of(still, track, color, size)[None]))
        np.save(folder / _REFERENCE, reference.cpu().numpy())
        for i, frame in enumerate(plate.stream(track.frames)):
            progress("encode", i + 1, count)
            if not seen[i]:
                continue
            picture = to_tensor(crop_of(frame, track, color, size)[None])
            hidden = networks.encode_pose(picture, boxes_of(track, [i]))
            if pose is None:
                pose = array_on_disk(folder / _POSE, (count, *hidden.shape[1:]))
            pose[i] = hidden[0]
            shape = analysis.values[i].astype(np.float32)[None]
            through[i] = from_tensor(networks.draw(hidden, reference, shape))[0]
        del through, pose  # flushed to disk before the entry is sealed

    adaptation = None if weights.adaptation is None else hash_file(weights.adaptation)
    key = make_key(
        _VERSION, plate.content_key(), track.frames, track.track_id, color.colorspace,
        color.exposure, [hash_file(weights.file(kind)) for kind in _NETWORKS], adaptation,
        networks.backend, BACKENDS[networks.backend].version(),
    )
    folder, _ = cache.entry("latents", key, build)
    return LatentShot(
        np.load(folder / _POSE, mmap_mode="r", allow_pickle=False),
        np.load(folder / _PLATE, mmap_mode="r", allow_pickle=False),
        torch.from_numpy(np.load(folder / _REFERENCE, allow_pickle=False)),
        key,
    )


def array_on_disk(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.float16]:
    """A new float16 array that lives in a file."""
    made: npt.NDArray[np.float16] = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
        path, mode="w+", dtype=np.float16, shape=shape
    )
    return made
