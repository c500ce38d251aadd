"""Judges of made faces that had no part in their training: a face mesh, and another expert.

The mesh reads how far lips are apart in the pictures themselves, frame by frame, and is
compared with what the line's own speaker did (the truth of synthetic speakers, the tracked
lips of real ones). The expert must be another than the one that taught.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from lipcore.errors import TrainingError
from lipcore.models.generator import Generator
from lipcore.models.sync_expert import SyncExpert
from lipcore.models.vqgan import VQGAN
from lipcore.shapes.measure import inner_opening
from lipcore.tracking.landmarks import MeshFinder, roi_of_landmarks
from lipcore.tracking.view import picture_view
from lipcore.types import FloatArray

from .data import Clip, mouth_region
from .generator import GeneratorRecipe
from .latents import LatentClip
from .losses import mouth_psnr
from .sync_offset import LARGEST_FRAMES, measure_offset

MEASURES = {
    "opening_own": "opening, own line",
    "opening_crossed": "opening, another's line",
    "amplitude": "amplitude",
    "fit": "fit to the sound",
    "mouth_psnr": "mouth PSNR, dB",
}
"""What is measured of people left out, with its heading: correlation of inner-lip openings in
the decoded frames with those of the line's own speaker, saying their own line and another's;
how far lips move with another's line, 1 being right; how much better the judging expert likes
the line where it lies than the median of all shifts; likeness of the mouth, own line."""


class MouthReader:
    """Reads inner-lip openings off crops. A context manager: it owns a network."""

    def __init__(self) -> None:
        self._finder = MeshFinder()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finder.close()

    def read(self, crops: Tensor, clip: Clip, frames: Sequence[int]) -> FloatArray:
        """Openings of crops of a clip, whatever mouth was drawn into them.

        Args:
            crops: (B, 3, S, S) in [-1, 1].
            clip: Where the crops come from; it says where the head is, not what the mouth does.
            frames: Its frames, B.

        Returns:
            (B,) interocular units.
        """
        pixels = ((crops.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        pictures = np.ascontiguousarray(pixels.cpu().numpy())
        side = crops.shape[-1]
        places = np.concatenate([clip.landmarks[frames], clip.depths[frames, :, None]], 2) * side
        meshes = [
            self._finder.find(picture_view(picture), roi_of_landmarks(place)).landmarks
            for picture, place in zip(pictures, places.astype(np.float32), strict=True)
        ]
        return inner_opening(np.stack(meshes))


def openings_of(clip: Clip) -> FloatArray:
    """(N,) inner-lip openings of a clip: the truth where it is known, or as tracked."""
    if clip.truth is not None:
        return np.asarray(clip.truth["opening"], np.float32)
    return inner_opening(clip.plate_landmarks)


def _correlation(a: FloatArray, b: FloatArray) -> float:
    """Of two curves; lips that do not move follow nothing, 0."""
    if min(float(np.std(a)), float(np.std(b))) < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _fit(expert: SyncExpert, face: VQGAN, crops: Tensor, heard: Clip) -> float | None:
    """How much better sound fits where it lies than at the median of all shifts."""
    sees = expert.config.sees
    with torch.no_grad():
        shown = crops if sees == "pixels" else face.encode(crops)
    found = measure_offset(expert, shown, heard.sound, float(heard.rate))
    if found is None:
        return None
    return float(found.cosines[LARGEST_FRAMES] - np.median(found.cosines))


def judge_generator(
    recipe: GeneratorRecipe, network: Generator, reader: MouthReader, expert: SyncExpert, most: int
) -> dict[str, float]:
    """``MEASURES`` of a generator, means over the clips left out.

    Args:
        recipe: Its recipe, which holds those clips.
        network: The generator.
        reader: The mesh.
        expert: The judging expert; it takes no part in the recipe.
        most: Frames judged a clip, its first ones.

    Raises:
        TrainingError: Fewer than two people were left out: nobody says another's line.
    """

    def drawn(seen: LatentClip, frames: list[int], heard: LatentClip) -> Tensor:
        return torch.cat([
            recipe.draw_faces(network, seen, part, heard)
            for part in (frames[i : i + 32] for i in range(0, len(frames), 32))
        ])  # fmt: skip

    return _judge(recipe, drawn, reader, expert, most)


def judge_plates(
    recipe: GeneratorRecipe, reader: MouthReader, expert: SyncExpert, most: int
) -> dict[str, float]:
    """``MEASURES`` of what V_f makes of the plates themselves: the best that a generator on
    this V_f can reach with its own line, and what a dub that changes nothing reaches."""

    @torch.no_grad()
    def drawn(seen: LatentClip, frames: list[int], heard: LatentClip) -> Tensor:
        device = next(recipe.face.parameters()).device
        return recipe.face.decode(seen.face[frames].float().to(device)).float().clamp(-1, 1)

    return _judge(recipe, drawn, reader, expert, most)


class _Draw(Protocol):
    """Crops (B, 3, S, S) of a clip that says what another says in the same frames."""

    def __call__(self, seen: LatentClip, frames: list[int], heard: LatentClip) -> Tensor: ...


def _judge(
    recipe: GeneratorRecipe, drawn: _Draw, reader: MouthReader, expert: SyncExpert, most: int
) -> dict[str, float]:
    clips = recipe.val
    if len({c.clip.identity for c in clips}) < 2:
        raise TrainingError(
            "an ablation needs two people left out: one says the other's line",
            hint="Prepare the data with a larger --val-share, or hold more people out.",
        )
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for index, seen in enumerate(clips):
        others = [*clips[index + 1 :], *clips[:index]]
        heard = next(c for c in others if c.clip.identity != seen.clip.identity)
        own = list(range(min(most, seen.clip.frames)))
        made = drawn(seen, own, seen)
        crops = torch.stack([seen.clip.crop(i) for i in own]).to(made.device)
        region = mouth_region(
            torch.from_numpy(seen.clip.mouths[own]).to(made.device) * made.shape[-1],
            made.shape[-1],
        )
        found["mouth_psnr"].append(float(mouth_psnr(made, crops, region).mean()))
        read = reader.read(made, seen.clip, own)
        found["opening_own"].append(_correlation(read, openings_of(seen.clip)[own]))
        frames = list(range(min(most, seen.clip.frames, heard.clip.frames)))
        made = drawn(seen, frames, heard)
        read, told = reader.read(made, seen.clip, frames), openings_of(heard.clip)[frames]
        found["opening_crossed"].append(_correlation(read, told))
        found["amplitude"].append(float(np.std(read) / max(float(np.std(told)), 1e-6)))
        if (fit := _fit(expert, recipe.face, made, heard.clip)) is not None:
            found["fit"].append(fit)
    return {name: float(np.mean(v)) if v else float("nan") for name, v in found.items()}
