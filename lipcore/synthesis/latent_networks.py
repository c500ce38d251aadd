"""The latent path of a render, on the backend that was chosen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lipcore.cache import Cache
from lipcore.runtime.backends import open_graph
from lipcore.runtime.graphs import build_graph, load_latents
from lipcore.types import FloatArray
from lipcore.weights import WeightsSet


class LatentNetworks:
    """Pose encoder, generator and decoder on a backend.

    Args:
        weights: The set, with its adaptation where it has one.
        backend: See ``runtime.backends``.
        device: Where torch backends run.
        cache: Keeps what backends build.

    Raises:
        WeightsError: A network is absent, damaged, or does not fit.
        DependencyError: The backend cannot run here.
    """

    def __init__(self, weights: WeightsSet, backend: str, device: str, cache: Cache) -> None:
        self.backend = backend
        self._path = load_latents(weights, device=device)
        self._pose = open_graph(
            build_graph("pose_encoder", weights), backend, device=device, cache=cache
        )
        self._draw = open_graph(build_graph("draw", weights), backend, device=device, cache=cache)

    @property
    def crop_px(self) -> int:
        """Side of the crops that the networks take and give."""
        return self._path.crop_px

    def encode(self, crops: Tensor) -> Tensor:
        """See ``LatentPath.encode``; by torch, as a shot has one reference frame."""
        return self._path.encode(crops)

    def encode_pose(self, crops: Tensor, boxes: FloatArray) -> FloatArray:
        """See ``LatentPath.encode_pose``."""
        return self._pose.run(crops.numpy(), boxes)[0]

    def draw(self, pose: FloatArray, reference: Tensor, shape: FloatArray) -> Tensor:
        """The new crop.

        Args:
            pose: (B, D_p, h, w) of ``encode_pose``.
            reference: (1, D, h, w) of ``encode``.
            shape: (B, components) mouth shapes.

        Returns:
            (B, 3, S, S) in [-1, 1].
        """
        still = np.repeat(reference.cpu().numpy(), len(pose), axis=0)
        (crops,) = self._draw.run(
            np.ascontiguousarray(pose, np.float32), still,
            np.ascontiguousarray(shape, np.float32),
        )
        return torch.from_numpy(crops)
