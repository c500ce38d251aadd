"""The latent path in one piece: V_f, V_p and the generator, for inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from lipcore.errors import WeightsVersionError
from lipcore.models.blocks import channels_last
from lipcore.models.checkpoint import load_network, load_tensors
from lipcore.models.generator import Generator
from lipcore.models.pose_mask import MARGIN, hide_lower_face
from lipcore.models.vqgan import VQGAN
from lipcore.weights import WeightsSet

Latents = Literal["quantized", "continuous"]


@dataclass(frozen=True, eq=False)
class LatentPath:
    """Crops to latents, latents to the latents of a new mouth, latents to crops."""

    face: VQGAN
    pose: VQGAN
    generator: Generator
    latents: Latents = "quantized"
    """Whether latents pass the codebook before they are decoded."""
    autocast: torch.dtype | None = None
    """Type of the arithmetic, such as ``torch.bfloat16`` where the processor has it; None
    for float32."""

    def __post_init__(self) -> None:
        grids = {
            self.face.config.latent_grid, self.pose.config.latent_grid,
            self.generator.config.latent_grid,
        }
        fits = (
            len(grids) == 1
            and self.generator.config.latent_channels == self.face.config.latent_channels
            and self.generator.config.pose_channels == self.pose.config.latent_channels
        )
        if not fits:
            raise WeightsVersionError(
                "vqgan_face, vqgan_pose and generator do not belong together",
                hint="Take all three from one set of weights.",
            )

    @classmethod
    def load(
        cls,
        weights: WeightsSet,
        *,
        device: str = "cpu",
        latents: Latents = "quantized",
        autocast: torch.dtype | None = None,
    ) -> LatentPath:
        """Read the three networks of a set.

        Raises:
            WeightsError: One is absent, damaged, or does not fit the others.
        """
        networks = {
            kind: channels_last(load_network(weights.file(kind), kind=kind, device=device))
            for kind in ("vqgan_face", "vqgan_pose", "generator")
        }
        face, pose, generator = (
            networks["vqgan_face"], networks["vqgan_pose"], networks["generator"],
        )
        assert isinstance(face, VQGAN) and isinstance(pose, VQGAN)
        assert isinstance(generator, Generator)
        return cls(face, pose, generator, latents, autocast)

    @property
    def crop_px(self) -> int:
        """Side of the crops that the networks take and give."""
        return self.face.config.crop_px

    def _run(self, network: nn.Module, method: str, *inputs: Tensor | None) -> Tensor:
        device = next(network.parameters()).device
        moved = [x if x is None else x.to(device) for x in inputs]
        kind = device.type
        with torch.no_grad(), torch.autocast(
            kind, self.autocast or torch.bfloat16, enabled=self.autocast is not None
        ):
            made: Tensor = getattr(network, method)(*moved)
        return made.float()

    def encode(self, crops: Tensor) -> Tensor:
        """Continuous V_f latents.

        Args:
            crops: (B, 3, S, S) in [-1, 1].

        Returns:
            (B, D, h, w).
        """
        return self._run(self.face, "encode", crops)

    def encode_pose(self, crops: Tensor, boxes: Tensor) -> Tensor:
        """Continuous V_p latents of crops whose lower face is hidden here.

        Args:
            crops: (B, 3, S, S) in [-1, 1], unmasked.
            boxes: (B, 4) of ``pose_mask.lower_face_box``, in the crop (0 to 1).

        Returns:
            (B, D_p, h, w).
        """
        size = crops.shape[-1]
        masked = hide_lower_face(crops, boxes.to(crops.device) * size, MARGIN * size,
                                 self.pose.config.mask)
        return self._run(self.pose, "encode", masked)

    def generate(
        self, pose: Tensor, reference: Tensor, shape: Tensor, speech: Tensor | None = None
    ) -> Tensor:
        """Continuous V_f latents of the new face.

        Args:
            pose: (B, D_p, h, w) of ``encode_pose``.
            reference: (B, D, h, w), or (1, D, h, w) for all, of ``encode``: a frame of the
                same shot with a closed mouth.
            shape: (B, components) mouth shapes.
            speech: (B, speech_size) or None.
        """
        reference = reference.expand(len(pose), -1, -1, -1)
        return self._run(self.generator, "forward", pose, reference, shape, speech)

    def decode(self, latents: Tensor) -> Tensor:
        """Crops of latents, by way of the codebook or not, as ``self.latents`` says.

        Args:
            latents: (B, D, h, w) continuous.

        Returns:
            (B, 3, S, S) in [-1, 1].
        """
        if self.latents == "quantized":
            device = next(self.face.parameters()).device
            with torch.no_grad():
                latents = self.face.quantize(latents.to(device)).latents
        return self._run(self.face, "decode", latents).clamp(-1, 1)

    def networks(self) -> dict[str, nn.Module]:
        """The three networks by kind."""
        return {"vqgan_face": self.face, "vqgan_pose": self.pose, "generator": self.generator}


def apply_delta(path: LatentPath, delta: Mapping[str, Tensor]) -> None:
    """Put the changed tensors of an adaptation into the networks of a path.

    Args:
        path: Changed in place.
        delta: ``kind.parameter`` to value, as ``train.adapt`` gives it and
            ``load_delta`` reads it.

    Raises:
        WeightsVersionError: A tensor does not fit: the delta was made on other weights.
    """
    networks = path.networks()
    known = {f"{k}.{n}": p for k, net in networks.items() for n, p in net.state_dict().items()}
    for name, value in delta.items():
        if name not in known or known[name].shape != value.shape:
            raise WeightsVersionError(
                f"the adaptation holds {name}, which these weights do not have",
                hint="Adapt the shot again with the weights that you render with.",
            )
    with torch.no_grad():
        for name, value in delta.items():
            known[name].copy_(value)


def load_delta(file: Path) -> dict[str, Tensor]:
    """Tensors of an adaptation's file, float32.

    Raises:
        WeightsError: It is absent, damaged, or no adaptation.
    """
    return load_tensors(file, kind="adaptation")[0]
