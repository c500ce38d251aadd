"""Published networks at work on a render, where their weights were imported; else proxies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from lipcore.errors import WeightsNotFoundError
from lipcore.evaluate.frechet import frechet_distance
from lipcore.evaluate.mfcc import mfcc
from lipcore.evaluate.sync import SyncScore, score_sync
from lipcore.models.published.importing import load_published
from lipcore.models.published.s3fd import S3FD
from lipcore.models.published.syncnet import RUN, SyncNet
from lipcore.tracking.networks import Picture
from lipcore.types import FloatArray

JUDGES = (
    "syncnet", "s3fd-syncnet", "inception", "i3d", "alexnet", "lpips-alex", "vgg16", "lpips-vgg"
)
"""Kinds of published networks that figures ask for."""
SYNC_RATE = 25
"""Frames a second that SyncNet knows."""
SYNC_SIDE = 224
CLIP, CLIP_STEP = 16, 8
"""Frames of a clip of FVD, and between the beginnings of two."""
_CEPSTRA_A_FRAME, _CEPSTRA_A_RUN = 4, 20
_BATCH = 8
_COARSE = 8
_DETECTED_AT, _SURE, _SAME_FACE = 0.25, 0.9, 0.3
_STEADIED = 13


@dataclass(slots=True)
class Judge:
    """A published network, or None where it was not imported."""

    kind: str
    network: nn.Module | None
    record: dict[str, Any] | None

    @classmethod
    def find(cls, kind: str) -> Judge:
        """Load it where it was imported.

        Raises:
            WeightsError: It was, and its file is damaged.
        """
        try:
            network, record = load_published(kind)
        except WeightsNotFoundError:
            return cls(kind, None, None)
        return cls(kind, network, record)

    @property
    def official(self) -> bool:
        """It is there, and nothing says that it is another file than the published one."""
        return self.record is not None and self.record["as_published"] is not False

    @property
    def doubt(self) -> str:
        """To be noted beside its figures: what nothing has proved of its weights."""
        unknown = self.record is not None and self.record["as_published"] is None
        return f"; no hash is published that proves the {self.kind} weights" if unknown else ""


@dataclass(slots=True)
class Features:
    """Features of a picture's frames, gathered as they come.

    With the network, those of the network; without, 192 means of a grid of 8 x 8, which proxies
    are made of.
    """

    judge: Judge
    found: list[FloatArray] = field(default_factory=list)
    _waiting: list[Picture] = field(default_factory=list)

    def add(self, picture: Picture) -> None:
        """One more picture, display-referred."""
        if self.judge.network is None:
            self.found.append(coarse(picture))
            return
        self._waiting.append(picture)
        if len(self._waiting) == _BATCH:
            self.finish()

    @torch.no_grad()
    def finish(self) -> list[FloatArray]:
        """All features, ``(D,)`` each."""
        if self._waiting:
            assert self.judge.network is not None
            batch = np.stack(self._waiting).transpose(0, 3, 1, 2)
            out = self.judge.network(torch.from_numpy(batch).float() / 255)
            self.found.extend(out.numpy())
            self._waiting.clear()
        return self.found


@dataclass(slots=True)
class Clips:
    """Features of clips of 16 frames, every 8 frames, gathered as they come."""

    judge: Judge
    found: list[FloatArray] = field(default_factory=list)
    _last: list[Picture] = field(default_factory=list)

    @torch.no_grad()
    def add(self, picture: Picture) -> None:
        """One more frame of the same size, display-referred."""
        self._last.append(picture)
        if len(self._last) < CLIP:
            return
        if self.judge.network is None:
            grids = np.stack([coarse(p) for p in self._last])
            self.found.append(np.concatenate([grids.mean(0), np.abs(np.diff(grids, 1, 0)).mean(0)]))
        else:
            clip = np.stack([cv2.resize(p, (SYNC_SIDE, SYNC_SIDE)) for p in self._last])
            values = torch.from_numpy(clip.transpose(3, 0, 1, 2)[None]).float() / 127.5 - 1
            self.found.append(self.judge.network(values)[0].numpy())
        del self._last[:CLIP_STEP]

    def cut(self) -> None:
        """A new scene, or another sighting of the face, begins with the next frame: no clip spans
        the two."""
        self._last.clear()


@dataclass(frozen=True, slots=True)
class Perceptual:
    """LPIPS by a trunk and its heads."""

    name: str
    """``LPIPS (AlexNet)``, the authors' choice for figures, or ``LPIPS (VGG)``."""
    parts: tuple[Judge, Judge]
    """Trunk and heads."""

    @classmethod
    def find(cls, judges: Mapping[str, Judge]) -> Perceptual | None:
        """The first of the two whose trunk and heads were imported."""
        for name, *kinds in (("AlexNet", "alexnet", "lpips-alex"), ("VGG", "vgg16", "lpips-vgg")):
            trunk, heads = (judges[kind] for kind in kinds)
            if trunk.network is not None and heads.network is not None:
                return cls(f"LPIPS ({name})", (trunk, heads))
        return None

    @torch.no_grad()
    def distance(self, one: Picture, other: Picture) -> float:
        """Of two pictures of the same size, display-referred."""
        trunk, heads = (part.network for part in self.parts)
        assert trunk is not None and heads is not None
        batch = np.stack([one, other]).transpose(0, 3, 1, 2)
        features = trunk(torch.from_numpy(np.ascontiguousarray(batch)).float() / 127.5 - 1)
        return float(heads(*([f[k : k + 1] for f in features] for k in (0, 1))))


def coarse(picture: Picture) -> FloatArray:
    """``(192,)`` mean colours of an 8 x 8 grid, 0-1."""
    small = cv2.resize(picture, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    values: FloatArray = small.astype(np.float32).ravel() / 255
    return values


def compare_features(one: list[FloatArray], other: list[FloatArray]) -> float:
    """Fréchet distance; NaN where either holds fewer than two."""
    if min(len(one), len(other)) < 2:
        return float("nan")
    return frechet_distance(np.stack(one), np.stack(other))


@dataclass(slots=True)
class SyncMouths:
    """SyncNet's view of a picture: runs of five frames at 25 a second."""

    network: SyncNet
    rate: float
    embedded: list[FloatArray] = field(default_factory=list)
    _last: list[Picture] = field(default_factory=list)
    _taken: int = 0

    @torch.no_grad()
    def add(self, index: int, cut: Callable[[], Picture]) -> None:
        """Frame ``index`` of the picture; ``cut`` gives its face, 224 x 224, red first."""
        while int((self._taken + 0.5) / SYNC_RATE * self.rate) <= index:
            self._taken += 1
            self._last.append(cut())
            if len(self._last) < RUN:
                continue
            run = np.stack(self._last)[..., ::-1].transpose(3, 0, 1, 2)
            faces = torch.from_numpy(np.ascontiguousarray(run)[None]).float()
            self.embedded.append(self.network.embed_mouths(faces)[0].numpy())
            del self._last[0]

    @torch.no_grad()
    def score(self, samples: FloatArray) -> SyncScore | None:
        """Against the sound; None where either is shorter than a run.

        As published, the last run is left out.
        """
        steps = mfcc(samples)
        runs = min(
            len(self.embedded) - 1,
            (steps.shape[1] - _CEPSTRA_A_RUN) // _CEPSTRA_A_FRAME + 1,
        )
        if runs < 1:
            return None
        windows = np.stack(
            [steps[None, :, i * _CEPSTRA_A_FRAME :][..., :_CEPSTRA_A_RUN] for i in range(runs)]
        )
        sounds = [
            self.network.embed_sound(torch.from_numpy(part)).numpy()
            for part in np.array_split(windows, -(-runs // 64))
        ]
        return score_sync(np.stack(self.embedded[:runs]), np.concatenate(sounds))


def steady_boxes(boxes: FloatArray) -> FloatArray:
    """Faces as SyncNet's evaluation steadies them.

    Args:
        boxes: ``(N, 4)`` x0, y0, x1, y1 of the face; NaN where unknown, not everywhere.

    Returns:
        ``(N, 3)`` middle x and y, and half the longer side, each through a median of 13 frames
        that counts what is beyond the ends as 0, as published. Fewer than 13 frames, which the
        published evaluation leaves out, have their ends held instead.
    """
    from scipy.ndimage import median_filter

    known = np.isfinite(boxes[:, 0])
    at = np.arange(len(boxes))
    whole = np.stack([np.interp(at, at[known], boxes[known, c]) for c in range(4)], axis=1)
    half = np.maximum(whole[:, 2] - whole[:, 0], whole[:, 3] - whole[:, 1]) / 2
    x, y = (whole[:, 0] + whole[:, 2]) / 2, (whole[:, 1] + whole[:, 3]) / 2
    beyond = "constant" if len(boxes) >= _STEADIED else "nearest"
    steady: FloatArray = np.stack(
        [median_filter(v, _STEADIED, mode=beyond) for v in (x, y, half)], axis=1
    )
    return steady.astype(np.float32)


def sync_square(x: float, y: float, half: float) -> tuple[float, float, float]:
    """Left, top and side of what SyncNet sees of a steadied face: 1.4 of its half side to the
    left and right, 1 above and 1.8 below."""
    return x - 1.4 * half, y - half, 2.8 * half


def cut_as_published(picture: Picture, x: float, y: float, half: float) -> Picture:
    """The same square in whole pixels, grey (110) beyond the picture; ``(224, 224, 3)``."""
    grown = int(half * 1.8)
    padded = np.pad(picture, ((grown, grown), (grown, grown), (0, 0)), constant_values=110)
    x, y = x + grown, y + grown
    rows = slice(max(0, int(y - half)), int(y + 1.8 * half))
    part = padded[rows, max(0, int(x - 1.4 * half)) : int(x + 1.4 * half)]
    return cv2.resize(part, (SYNC_SIDE, SYNC_SIDE)).astype(np.uint8)


def detect_box(network: S3FD, picture: Picture, near: FloatArray) -> FloatArray:
    """The face that S3FD finds, as SyncNet's evaluation asks it: at a quarter of the size, sure
    to 0.9.

    Args:
        network: The detector.
        picture: Of a whole frame.
        near: ``(4,)`` x0, y0, x1, y1 where the face is known to be.

    Returns:
        ``(4,)`` of the surest face there; NaN where none is.
    """
    small = cv2.resize(picture, None, fx=_DETECTED_AT, fy=_DETECTED_AT)
    seen = torch.from_numpy(small).permute(2, 0, 1)[None].float()
    for row in network.detect(seen, least=_SURE)[0].numpy():
        box: FloatArray = (row[:4] / _DETECTED_AT).astype(np.float32)
        if _share(box, near) > _SAME_FACE:
            return box
    return np.full(4, np.nan, np.float32)


def _share(one: FloatArray, other: FloatArray) -> float:
    """Common area over the area of both together."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = float(np.prod(np.maximum(high - low, 0)))
    return common / float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - common)
