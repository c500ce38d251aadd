"""LipGAN's generator, a baseline, as Keras computes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import WeightsVersionError
from lipcore.models.published.face_sizes import SIDE, check_sizes
from lipcore.models.published.foreign_files import Array

MEL_STEPS = 27
"""Mel steps a frame hears, at 80 a second."""
_PARTS = {
    # name in Keras: name here, and the order of axes here
    "kernel": ("weight", (3, 2, 0, 1)), "bias": ("bias", (0,)), "gamma": ("weight", (0,)),
    "beta": ("bias", (0,)), "moving_mean": ("running_mean", (0,)),
    "moving_variance": ("running_var", (0,)),
}  # fmt: skip
_NUMBERED = re.compile(r"(conv2d|conv2d_transpose|batch_normalization)(?:_(\d+))?\Z")


@dataclass(frozen=True, slots=True)
class LipGANConfig:
    """Sizes; the defaults are the published ones."""

    size: int = SIDE
    """Pixels of a face's side: 96, or 96 doubled so and so often."""
    divide: int = 1
    """Channels of all layers are divided by this."""

    def __post_init__(self) -> None:
        check_sizes(self.size, self.divide)


class _Unit(nn.Module):
    """Convolution (or its transpose) with TensorFlow's padding, norm, ReLU."""

    def __init__(
        self, c: int, out: int, size: int = 3, step: int | tuple[int, int] = 1, *,
        pads: bool = True, grows: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self._steps = (step, step) if isinstance(step, int) else step
        self._size, self._pads = size, pads
        layer = nn.ConvTranspose2d if grows else nn.Conv2d
        self.conv = layer(c, out, size, self._steps)
        self.norm = nn.BatchNorm2d(out, eps=1e-3, momentum=0.2)

    def forward(self, values: Tensor) -> Tensor:
        if isinstance(self.conv, nn.ConvTranspose2d):
            height, width = (n * s for n, s in zip(values.shape[2:], self._steps, strict=True))
            values = self.conv(values)[..., :height, :width]
        else:
            values = self.conv(self._pad(values) if self._pads else values)
        out: Tensor = torch.relu(self.norm(values))
        return out

    def _pad(self, values: Tensor) -> Tensor:
        """As little as fills the last window, more of it at the end."""
        around: list[int] = []
        for length, step in zip(reversed(values.shape[2:]), reversed(self._steps), strict=True):
            total = max(0, self._size - (length % step or step))
            around += [total // 2, total - total // 2]
        return F.pad(values, around)


class _Residual(nn.Module):
    """Two units, and what passes by them."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.first, self.second = _Unit(c, c), _Unit(c, c)

    def forward(self, values: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(values)) + values)


def _level(unit: _Unit, channels: int, residuals: int) -> nn.Sequential:
    return nn.Sequential(unit, *(_Residual(channels) for _ in range(residuals)))


class LipGAN(nn.Module):
    """A reference, half a face and sound to a face.

    Layout of ``lipgan_residual_mel.h5``: the layers that ``create_model_residual`` in
    ``generator.py`` of github.com/Rudrabha/LipGAN (branch ``fully_pythonic``) makes, in its order:
    67 convolutions, 6 transposed ones, 72 norms. Faces larger than 96 pixels, which the authors
    do not have, get levels of 32 channels at the fine end.

    Source: Prajwal et al., *Towards Automatic Face-to-Face Translation*, 2019.
    """

    def __init__(self, config: LipGANConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or LipGANConfig()
        doublings = check_sizes(c.size, c.divide)
        w16, w32, w64, w128, w256, w512 = (16 * 2**i // c.divide for i in range(6))
        # Units stand in the order in which Keras made them: from_keras counts on it.
        self.face = nn.ModuleList([_level(_Unit(6, w32, 7), w32, 0)])
        for _ in range(doublings):
            self.face.append(_level(_Unit(w32, w32, 3, 2), w32, 0))
        self.face.append(_level(_Unit(w32, w64, 5, 2), w64, 2))
        self.face.append(_level(_Unit(w64, w128, 3, 2), w128, 3))
        self.face.append(_level(_Unit(w128, w256, 3, 2), w256, 2))
        self.face.append(_level(_Unit(w256, w512, 3, 2), w512, 2))
        self.face.append(_level(_Unit(w512, w512, 3, 2), w512, 0))
        self.face_code = nn.Sequential(_Unit(w512, w512, pads=False), _Unit(w512, w512, 1))
        self.sound = nn.Sequential(
            _level(_Unit(1, w32), w32, 2), _level(_Unit(w32, w64, 3, 3), w64, 2),
            _level(_Unit(w64, w128, 3, (3, 1)), w128, 2),
            _level(_Unit(w128, w256, 3, 3), w256, 2), _Unit(w256, w512, pads=False),
            _Unit(w512, w512, 1),
        )  # fmt: skip
        self.growth = nn.ModuleList([_level(_Unit(2 * w512, w512, 3, 3, grows=True), w512, 0)])
        before = 2 * w512
        for width, beside in ((w512, w512), (w256, w256), (w128, w128), (w64, w64)):
            self.growth.append(_level(_Unit(before, width, 3, 2, grows=True), width, 2))
            before = width + beside
        for _ in range(doublings + 1):
            self.growth.append(_level(_Unit(before, w32, 3, 2, grows=True), w32, 0))
            before = 2 * w32
        self.fine = nn.Sequential(_Unit(before, w16), _Unit(w16, w16))
        self.last = nn.Conv2d(w16, 3, 1)

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """New faces.

        Args:
            mel: (B, 1, 80, 27) in [-4, 4].
            faces: (B, 6, size, size) blue first, 0-1: a reference, then the face without its
                lower half.

        Returns:
            (B, 3, size, size) blue first, 0-1.
        """
        passed, values = [], faces
        for level in self.face:
            values = level(values)
            passed.append(values)
        values = torch.cat([self.face_code(values), self.sound(mel)], dim=1)
        for level in self.growth:
            values = torch.cat([passed.pop(), level(values)], dim=1)
        return torch.sigmoid(self.last(self.fine(values)))


def from_keras(
    layers: Mapping[str, Mapping[str, Array]], network: nn.Module
) -> dict[str, Tensor]:
    """The tensors of ``LipGAN`` from a file's layers.

    Keras numbers layers of a type as they are made, from wherever the count of its session
    stands, so that their order is what tells them.

    Args:
        layers: By name, such as ``conv2d_7``: its arrays by theirs, such as ``kernel``.
        network: A ``LipGAN``; its values do not matter.

    Raises:
        WeightsVersionError: Other layers, or other arrays in them.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for name in layers:
        match = _NUMBERED.match(name)
        if match is None:
            raise WeightsVersionError(
                f"a layer {name!r} does not belong to LipGAN", hint=_HINT, layer=name
            )
        found.setdefault(match[1], []).append((int(match[2] or 0), name))
    tensors: dict[str, Tensor] = {}
    for kind, keras in (
        (nn.Conv2d, "conv2d"), (nn.ConvTranspose2d, "conv2d_transpose"),
        (nn.BatchNorm2d, "batch_normalization"),
    ):  # fmt: skip
        asked = [n for n, m in network.named_modules() if isinstance(m, kind)]
        names = [name for _, name in sorted(found.get(keras, []))]
        if len(names) != len(asked):
            raise WeightsVersionError(
                f"the file has {len(names)} layers {keras}, LipGAN has {len(asked)}", hint=_HINT,
                expected=len(asked), got=len(names),
            )
        for here, there in zip(asked, names, strict=True):
            for part, values in layers[there].items():
                if part not in _PARTS or values.ndim != len(_PARTS[part][1]):
                    raise WeightsVersionError(
                        f"layer {there} has {part!r} of shape {values.shape}", hint=_HINT,
                        layer=there,
                    )
                name, axes = _PARTS[part]
                moved = np.ascontiguousarray(values.transpose(axes))
                tensors[f"{here}.{name}"] = torch.from_numpy(moved)
    return tensors


_HINT = "lipgan is read from lipgan_residual_mel.h5, the model `residual` on mel steps."
