"""Stage 2: the refiner goes over the crops that the latent networks draw.

It goes over the plate's own mouth, as the networks draw it, in the same way: the residual that
carries skin and grain is then what the refined picture still lacks, and nothing is added twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from lipcore.cache import Cache, make_key
from lipcore.errors import WeightsNotFoundError, WeightsVersionError
from lipcore.models.checkpoint import load_header
from lipcore.runtime.backends import BACKENDS, open_graph
from lipcore.runtime.graphs import build_graph
from lipcore.shot import TRAIN_REFINER, RenderConfig
from lipcore.synthesis.latent_shot import LatentShot, array_on_disk, from_tensor, to_tensor
from lipcore.types import FloatArray
from lipcore.weights import WeightsSet

_PLATE = "plate.npy"
_VERSION = 1


def check_refiner(config: RenderConfig, weights: WeightsSet) -> None:
    """Check that the weights hold a refiner where one is asked for; no network is loaded.

    Raises:
        WeightsNotFoundError: They hold none.
        WeightsError: It is damaged, or made for crops of another size.
    """
    if not config.refine:
        return
    if not weights.has("refiner"):
        raise WeightsNotFoundError(
            f"weights {weights.name!r} hold no refiner, and --refine asks for one",
            hint=f"Train one: {TRAIN_REFINER}. Or leave --refine out.",
            weights=weights.name,
        )
    sizes = {}
    for kind in ("refiner", "vqgan_face"):
        sizes[kind] = load_header(weights.file(kind))["config"].get("crop_px")
    if sizes["refiner"] != sizes["vqgan_face"]:
        raise WeightsVersionError(
            f"the refiner works on crops of {sizes['refiner']} px, and these weights draw "
            f"{sizes['vqgan_face']} px",
            hint="Train a refiner on what these weights draw.", weights=weights.name,
        )


class ShotRefiner:
    """The refiner on a backend, and what it makes of the plate's own mouth.

    Args:
        weights: The set, a refiner in it.
        encoded: The shot as the latent networks see it.
        config: How much of the refiner is shown, its backend and device, the cache.
        progress: Told of the stage ``refine``.

    Raises:
        WeightsError: The refiner is absent or damaged.
        DependencyError: The backend cannot run here.
    """

    def __init__(
        self,
        weights: WeightsSet,
        encoded: LatentShot,
        config: RenderConfig,
        progress: Callable[[str, int, int], None],
    ) -> None:
        cache = Cache(config.cache)
        graph = build_graph("refiner", weights)
        self._share = np.float32(config.refine)
        self._runner = open_graph(graph, config.backend, device=config.device, cache=cache)
        self._drawn = encoded.plate

        def build(folder: Path) -> None:
            made = array_on_disk(folder / _PLATE, encoded.plate.shape)
            for i, crop in enumerate(encoded.plate):
                progress("refine", i + 1, len(made))
                if crop.any():  # frames without a face are left black
                    made[i] = self._refined(np.array(crop, np.float32))
            del made  # flushed to disk before the entry is sealed

        key = make_key(
            _VERSION, encoded.key, graph.key, config.backend, BACKENDS[config.backend].version()
        )
        folder, _ = cache.entry("refined", key, build)
        self._plate: npt.NDArray[np.float16] = np.load(
            folder / _PLATE, mmap_mode="r", allow_pickle=False
        )

    def refine(self, drawn: FloatArray) -> FloatArray:
        """A drawn crop with its share of the refiner's picture.

        Args:
            drawn: ``(S, S, 3)`` in 0-1.

        Returns:
            The same shape and range.
        """
        return self._mix(drawn, self._refined(drawn))

    def plate(self, index: int) -> FloatArray:
        """``LatentShot.plate`` of a frame, refined likewise."""
        drawn = np.array(self._drawn[index], np.float32)
        return self._mix(drawn, np.array(self._plate[index], np.float32))

    def _refined(self, drawn: FloatArray) -> FloatArray:
        (made,) = self._runner.run(to_tensor(drawn[None]).numpy())
        refined: FloatArray = from_tensor(torch.from_numpy(made).clamp(-1, 1))[0]
        return refined

    def _mix(self, drawn: FloatArray, refined: FloatArray) -> FloatArray:
        mixed: FloatArray = drawn + self._share * (refined - drawn)
        return mixed
