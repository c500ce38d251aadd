"""Prepared clips, and batches of crops from them.

A prepared folder (``prepare.py`` or ``synth`` makes it) holds ``manifest.json`` and shards; see
``shards.py``.

A batch is a function of the seed, the process and the step alone, so that a run that was
killed goes on with the batches that it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lipcore.errors import TrainingError
from lipcore.models.pose_mask import lower_face_box
from lipcore.rates import read_fraction
from lipcore.tracking.head import (
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    apply_similarity,
    fit_pose,
)
from lipcore.types import FloatArray

from .shards import CropVideo, Sample, read_manifest

Split = Literal["train", "val"]
_LIPS = sorted({*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER})


@dataclass(frozen=True, eq=False)
class Clip:
    """One prepared clip; what it holds is read from its shard when it is first asked for."""

    name: str
    sample: Sample
    identity: str
    split: Split
    rate: Fraction
    frames: int
    crop_px: int
    """Side of the crops as they are given, S."""
    margin_px: int
    stored_px: int = 0
    """Side of the crops in the shard, where it is another."""

    @cached_property
    def crops(self) -> CropVideo | ScaledVideo:
        """N pictures (S + 2 * margin, S + 2 * margin, 3) uint8, display-referred; each is
        decoded when it is asked for."""
        video = self.sample.video()
        if self.stored_px in (0, self.crop_px):
            return video
        whole = self.crop_px + 2 * self.margin_px
        return ScaledVideo(video, whole, whole * self.stored_px // self.crop_px)

    @cached_property
    def plate_landmarks(self) -> FloatArray:
        """(N, 478, 3) plate pixels."""
        return self.sample.array("landmarks.npy")

    @cached_property
    def landmarks(self) -> FloatArray:
        """(N, 478, 2) in the crop, whose corners are (0, 0) and (1, 1)."""
        transforms = self.sample.array("transforms.npy")
        return apply_similarity(transforms, self.plate_landmarks[..., :2])

    @cached_property
    def depths(self) -> FloatArray:
        """(N, 478) z of the landmarks, on the scale of ``landmarks``."""
        matrices = self.sample.array("transforms.npy")
        scale = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
        depths: FloatArray = self.plate_landmarks[..., 2] * scale[:, None]
        return depths

    @cached_property
    def sound(self) -> FloatArray:
        """(samples,) at 16 kHz; sample 0 belongs to the start of frame 0. Empty: no sound."""
        return self.sample.sound()

    @cached_property
    def truth(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """What is known of a synthetic clip (``shards.Segment.truth``); None of a real one."""
        return self.sample.arrays("truth.npz") if self.sample.has("truth.npz") else None

    @cached_property
    def mouths(self) -> FloatArray:
        """(N, 4): centre x, centre y, half width, half height of the outer lips, in the crop."""
        lips = self.landmarks[:, _LIPS]
        low, high = lips.min(1), lips.max(1)
        boxes: FloatArray = np.concatenate([(low + high) / 2, (high - low) / 2], 1)
        return boxes.astype(np.float32)

    @cached_property
    def angles(self) -> FloatArray:
        """(N, 2) yaw and pitch of the head in degrees."""
        turned = [fit_pose(mesh).angles_deg[:2] for mesh in self.plate_landmarks]
        return np.array(turned, np.float32)

    @cached_property
    def faces(self) -> FloatArray:
        """(N, 4): the lower face, as ``pose_mask.lower_face_box`` has it, in the crop."""
        return lower_face_box(self.landmarks)

    def crop(self, frame: int) -> Tensor:
        """(3, S, S) in [-1, 1]: a frame's canonical crop, unchanged."""
        inner = slice(self.margin_px, self.margin_px + self.crop_px)
        return crops_to_tensor([self.crops[frame][inner, inner]])[0]


@dataclass(frozen=True, eq=False)
class ScaledVideo:
    """The middle of each picture of a video, made smaller."""

    video: CropVideo
    side: int
    """Of the pictures that are given."""
    taken: int
    """Of the square in the middle that they are made of."""

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, frame: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """(side, side, 3) uint8."""
        picture = self.video[frame]
        first = (len(picture) - self.taken) // 2
        middle = picture[first : first + self.taken, first : first + self.taken]
        made = cv2.resize(middle, (self.side, self.side), interpolation=cv2.INTER_AREA)
        return np.asarray(made, np.uint8)

    def __iter__(self) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
        return (self[frame] for frame in range(len(self)))


def load_clips(folders: Sequence[Path], split: Split, *, crop_px: int = 0) -> list[Clip]:
    """The clips of one split of prepared folders, real and synthetic together.

    Args:
        folders: Prepared.
        split: Which of the two sides.
        crop_px: Side that the crops shall have: larger ones are made smaller as they are read.
            0 for the side that they were prepared with, the same in all folders.

    Raises:
        TrainingError: A folder was not prepared, crops are smaller than asked, folders differ
            in their size where none is asked, or in who is kept out, or the split is empty.
    """
    found = [clip for folder in folders for clip in _clips_of(folder)]
    if crop_px:
        found = [_scaled(clip, crop_px) for clip in found]
    if len({(c.crop_px, c.margin_px) for c in found}) > 1:
        raise TrainingError(
            f"{_listed(folders)} hold crops of several sizes",
            hint="Prepare them with one --crop-px.",
        )
    sides = {c.identity: c.split for c in found}
    torn = sorted({c.identity for c in found if sides[c.identity] != c.split})
    if torn:
        raise TrainingError(
            f"{torn[0]} is to learn from in one clip, and kept out in another",
            hint="Prepare the folders again with the same --hold-out.",
        )
    chosen = [c for c in found if c.split == split]
    if not chosen:
        raise TrainingError(f"{_listed(folders)} has no clips to {split} on", hint="Prepare it "
                            "with a --val-share above 0, or name people to hold out.")
    names = [c.name for c in chosen]
    return [
        c if names.count(c.name) == 1 else replace(c, name=f"{c.sample.shard.parent.name}/{c.name}")
        for c in chosen
    ]


def load_both(folders: Sequence[Path], crop_px: int) -> tuple[list[Clip], list[Clip]]:
    """What a network learns from and what is kept out, as ``load_clips`` gives them."""
    taught = load_clips(folders, "train", crop_px=crop_px)
    return taught, load_clips(folders, "val", crop_px=crop_px)


def _scaled(clip: Clip, crop_px: int) -> Clip:
    """The clip with crops of another side, and as much margin as then is whole pixels."""
    if crop_px == clip.crop_px:
        return clip
    if crop_px > clip.crop_px:
        raise TrainingError(
            f"{clip.sample.shard.parent} holds crops of {clip.crop_px} px, and the network "
            f"takes {crop_px} px",
            hint=f"Prepare the clips with --crop-px {crop_px}, or train a smaller network.",
        )
    step = crop_px // math.gcd(crop_px, clip.crop_px)
    margin = clip.margin_px * crop_px // clip.crop_px // step * step
    return replace(clip, crop_px=crop_px, margin_px=margin, stored_px=clip.crop_px)


def _clips_of(folder: Path) -> list[Clip]:
    values = read_manifest(folder)
    try:
        return [
            Clip(
                name=name, sample=Sample(folder / c["shard"], name), identity=c["identity"],
                split=c["split"], rate=read_fraction(str(c["rate"])), frames=c["frames"],
                crop_px=values["crop_px"], margin_px=values["margin_px"],
            )
            for name, c in sorted(values["clips"].items())
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"the manifest of {folder} does not hold ({error!r})",
            hint="Prepare the clips again.", path=str(folder),
        ) from error


def _listed(folders: Sequence[Path]) -> str:
    return " and ".join(str(folder) for folder in folders)


def first_frames(clips: Sequence[Clip], limit: int) -> list[Clip]:
    """Clips cut after ``limit`` frames (0 for no limit), so that one long clip does not take
    the time and memory of all the others."""
    return [replace(c, frames=min(c.frames, limit)) if limit else c for c in clips]


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How far a crop may be changed, so that faces never seen fall inside what was."""

    flip: bool = True
    rotate_deg: float = 6.0
    scale: float = 0.08
    """Largest change of size, as a share."""
    shift_px: float = 10.0
    resample: float = 0.5
    """Share of crops that are rotated and scaled: the others stay as sharp as they are."""
    exposure: float = 0.25
    """Largest change of the logarithm of the gain, all channels alike."""
    tint: float = 0.08
    """The same, for each channel alone."""
    gamma: float = 0.45
    """Largest change of the logarithm of the exponent: darker and lighter skin."""
    saturation: float = 0.3
    blur: float = 0.15
    """Share of crops that are blurred, by up to one pixel."""


def crops_to_tensor(crops: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Tensor:
    """uint8 pictures (H, W, 3) to (B, 3, H, W) float32 in [-1, 1]."""
    stacked = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return stacked.float() / 127.5 - 1


def mouth_weight(mouths: Tensor, size: int, gain: float) -> Tensor:
    """A map that is 1 far from the mouth and ``1 + gain`` on it.

    Args:
        mouths: (B, 4) centre and half sizes in pixels.
        size: Side of the map.
        gain: What the mouth weighs on top.

    Returns:
        (B, 1, size, size).
    """
    at = torch.arange(size, dtype=torch.float32, device=mouths.device) + 0.5
    x = (at[None, None, :] - mouths[:, 0, None, None]) / (1.4 * mouths[:, 2, None, None] + 2)
    y = (at[None, :, None] - mouths[:, 1, None, None]) / (2.0 * mouths[:, 3, None, None] + 4)
    return 1 + gain * torch.exp(-((x.square() + y.square()) ** 2))[:, None]


def mouth_region(mouths: Tensor, size: int) -> Tensor:
    """1 inside the box of the outer lips grown by a quarter of their width, else 0.

    (B, 4) in pixels -> (B, 1, size, size)
    """
    at = torch.arange(size, dtype=torch.float32, device=mouths.device) + 0.5
    grow = mouths[:, 2] / 2
    x = (at[None] - mouths[:, 0, None]).abs() <= (mouths[:, 2] + grow)[:, None]
    y = (at[None] - mouths[:, 1, None]).abs() <= (mouths[:, 3] + grow)[:, None]
    return (y[:, :, None] & x[:, None, :]).float()[:, None]


class CropSampler:
    """Draws augmented crops, each person about as often as the root of its frames."""

    def __init__(self, clips: Sequence[Clip], augment: AugmentConfig) -> None:
        self.clips = list(clips)
        self.augment = augment
        frames: dict[str, int] = {}
        for clip in self.clips:
            frames[clip.identity] = frames.get(clip.identity, 0) + clip.frames
        share = np.array([c.frames / frames[c.identity] ** 0.5 for c in self.clips])
        self.share = share / share.sum()

    def draw(
        self, rng: np.random.Generator, count: int, patch_px: int = 0
    ) -> dict[str, Tensor]:
        """A batch.

        Args:
            rng: Where all chance comes from.
            count: Crops in the batch, B.
            patch_px: 0 for whole crops; otherwise patches of this side, half of them on the
                mouth. A patch costs less, and teaches a convolutional network as much.

        Returns:
            ``crops`` (B, 3, S, S) in [-1, 1]; ``mouths`` (B, 4) and ``faces`` (B, 4), boxes in
            their pixels.
        """
        size = self.clips[0].crop_px
        pictures, boxes = [], []
        for index in rng.choice(len(self.clips), count, p=self.share):
            clip = self.clips[index]
            frame = int(rng.integers(clip.frames))
            pictures.append(clip.crops[frame])
            both = np.stack([clip.mouths[frame], clip.faces[frame]]) * size
            boxes.append(both + np.array([clip.margin_px] * 2 + [0, 0], np.float32))
        x = crops_to_tensor(pictures)
        box = torch.from_numpy(np.stack(boxes))
        x, box = self._place(rng, x, box, size)
        if patch_px and patch_px < size:
            x, box = _cut_patches(rng, x, box, patch_px)
        colored = recolor(rng, x, self.augment).contiguous()
        return {"crops": colored, "mouths": box[:, 0], "faces": box[:, 1]}

    def _place(
        self, rng: np.random.Generator, x: Tensor, box: Tensor, size: int
    ) -> tuple[Tensor, Tensor]:
        a, whole = self.augment, x.shape[-1]
        margin = (whole - size) // 2
        out, boxes = [], []
        for item, places in zip(x, box, strict=True):
            if a.flip and rng.random() < 0.5:
                item, places = item.flip(-1), places.clone()
                places[:, 0] = whole - places[:, 0]
            dx, dy = rng.uniform(-1, 1, 2) * min(a.shift_px, margin)
            if rng.random() < a.resample:
                angle = np.deg2rad(rng.uniform(-1, 1) * a.rotate_deg)
                scale = 1 + rng.uniform(-1, 1) * a.scale
                cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
                ratio = size / whole
                theta = torch.tensor(
                    [
                        [cos * ratio, -sin * ratio, 2 * dx / whole],
                        [sin * ratio, cos * ratio, 2 * dy / whole],
                    ],
                    dtype=torch.float32,
                )
                grid = F.affine_grid(theta[None], [1, 3, size, size], align_corners=False)
                item = F.grid_sample(
                    item[None], grid, "bilinear", "reflection", align_corners=False
                )[0]
                moved = (places[:, :2] - whole / 2 - torch.tensor([dx, dy])).float()
                turn = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float32) * scale**2
                places = torch.cat([moved @ turn + size / 2, places[:, 2:] * scale], 1)
            else:
                left, top = margin + round(dx), margin + round(dy)
                item = item[:, top : top + size, left : left + size]
                places = places - torch.tensor([left, top, 0, 0], dtype=places.dtype)
            out.append(item)
            boxes.append(places)
        return torch.stack(out), torch.stack(boxes)


def recolor(
    rng: np.random.Generator, x: Tensor, augment: AugmentConfig, *, alike: bool = False
) -> Tensor:
    """Change light, skin and sharpness of crops.

    Args:
        rng: Where all chance comes from.
        x: (B, 3, H, W) in [-1, 1].
        augment: How far.
        alike: Change all items in the same way, as frames of one shot.
    """
    a, b = augment, 1 if alike else len(x)

    def drawn(columns: int, spread: float) -> Tensor:
        values = rng.uniform(-1, 1, (b, columns, 1, 1)) * spread
        return torch.from_numpy(values.astype(np.float32))

    light = (x + 1) / 2
    gamma = torch.exp(drawn(1, a.gamma) + drawn(3, a.gamma / 4))
    light = light.clamp(1e-4, 1) ** gamma
    light = light * torch.exp(drawn(1, a.exposure) + drawn(3, a.tint))
    grey = light.mean(1, keepdim=True)
    light = grey + (light - grey) * (1 + drawn(1, a.saturation))
    if not alike:
        for i in np.flatnonzero(rng.random(b) < a.blur):
            light[i] = _blur(light[i], float(rng.uniform(0.3, 1.0)))
    return light.clamp(0, 1) * 2 - 1


def _cut_patches(
    rng: np.random.Generator, x: Tensor, box: Tensor, patch: int
) -> tuple[Tensor, Tensor]:
    out, boxes, room = [], [], x.shape[-1] - patch
    for item, places in zip(x, box, strict=True):
        mouth = places[0]
        left, top = (int(v) for v in rng.integers(0, room + 1, 2))
        if rng.random() < 0.5:
            jitter = rng.uniform(-0.25, 0.25, 2) * patch
            left = int(np.clip(float(mouth[0]) - patch / 2 + jitter[0], 0, room))
            top = int(np.clip(float(mouth[1]) - patch / 2 + jitter[1], 0, room))
        out.append(item[:, top : top + patch, left : left + patch])
        boxes.append(places - torch.tensor([left, top, 0, 0], dtype=places.dtype))
    return torch.stack(out), torch.stack(boxes)


def _blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (3, H, W)."""
    at = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-at.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).repeat(3, 1)
    padded = F.pad(picture[None], (3, 3, 3, 3), mode="reflect")
    across = F.conv2d(padded, kernel[:, None, None, :], groups=3)
    return F.conv2d(across, kernel[:, None, :, None], groups=3)[0]


def whole_crops(clips: Sequence[Clip], every: int) -> Iterator[tuple[Clip, int, Tensor, Tensor]]:
    """Every ``every``-th frame of clips, unchanged: (clip, frame, crop (3, S, S), mouth (4,))."""
    for clip in clips:
        for frame in range(0, clip.frames, every):
            yield clip, frame, clip.crop(frame), torch.from_numpy(clip.mouths[frame] * clip.crop_px)
