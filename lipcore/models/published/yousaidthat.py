"""You said that? (Speech2Vid), a baseline: five pictures of a face and sound to a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.errors import WeightsVersionError
from lipcore.models.published.face_sizes import check_divide
from lipcore.models.published.foreign_files import Array, MatLayer, MatNet

SEEN_SIDE, SIDE = 112, 109
"""Pixels of the faces that go in, and of the face that comes out."""
PICTURES = 5
CEPSTRA, STEPS = 12, 35
"""Cepstra a frame hears, and how many steps of them, at 100 a second."""
_EPSILON = 1e-4
_TRAINING = ("_lip", "loss")
_JOINS = {
    # concatenation: a word in the name of the layer that comes first here, and who takes it
    "concat8": ("audio", "conv8"), "concatSkip2": ("face", "conv3_1"),
    "concatSkip3": ("face", "conv4"), "concatSkip4": ("face", "conv5_1"),
}  # fmt: skip
_HINT = "The files are v201.mat (kind yousaidthat) and v114.mat (kind yousaidthat-deblur)."


@dataclass(frozen=True, slots=True)
class YouSaidThatConfig:
    """Sizes; the defaults are the published ones."""

    divide: int = 1
    """Channels of all layers are divided by this."""

    def __post_init__(self) -> None:
        check_divide(self.divide)


def _norm(c: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(c, eps=_EPSILON)


def _twice(values: Tensor) -> Tensor:
    """As MatConvNet's bilinear sampler: corners stay corners."""
    return F.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=True)


class YouSaidThat(nn.Module):
    """Names, kernels, strides and paddings of the DagNN in ``v201.mat``.

    Layout: of the file, ``run_demo.m``, ``download_model.sh`` and ``+dagnn/UpSamp2.m`` of
    github.com/joonson/yousaidthat; of its layers, ``code/speech2vid_utils.py`` and
    ``code/speech2vid_inference_finetune.py`` of github.com/leeeeeeo/yousaidthat-tf, which runs the
    published values under TensorFlow. Layers of the losses (``*_face_lip_*``) are left out.

    Source: Chung, Jamaludin and Zisserman, *You said that?*, 2017.
    """

    def __init__(self, config: YouSaidThatConfig | None = None) -> None:
        super().__init__()
        self.config = config or YouSaidThatConfig()
        a, b, c, d, e, f, g = (w // self.config.divide for w in (64, 128, 256, 512, 96, 32, 256))
        self.conv1_audio, self.bn1_audio = nn.Conv2d(1, a, 3, padding=1), _norm(a)
        self.conv2_audio, self.bn2_audio = nn.Conv2d(a, b, 3, padding=1), _norm(b)
        self.conv3_audio, self.bn3_audio = nn.Conv2d(b, c, 3, padding=1), _norm(c)
        self.conv4_audio, self.bn4_audio = nn.Conv2d(c, c, 3, padding=1), _norm(c)
        self.conv5_audio, self.bn5_audio = nn.Conv2d(c, c, 3, padding=1), _norm(c)
        self.fc6_audio, self.bn6_audio = nn.Conv2d(c, d, (5, 8)), _norm(d)
        self.fc7_audio, self.bn7_audio = nn.Conv2d(d, g, 1), _norm(g)
        self.conv1_face, self.bn1_face = nn.Conv2d(3 * PICTURES, e, 7, 2), _norm(e)
        self.conv2_face, self.bn2_face = nn.Conv2d(e, c, 5, 2, 1), _norm(c)
        self.conv3_face, self.bn3_face = nn.Conv2d(c, d, 3, padding=1), _norm(d)
        self.conv4_face, self.bn4_face = nn.Conv2d(d, d, 3, padding=1), _norm(d)
        self.conv5_face, self.bn5_face = nn.Conv2d(d, d, 3, padding=1), _norm(d)
        self.conv6_face, self.bn6_face = nn.Conv2d(d, d, 6), _norm(d)
        self.conv7_face, self.bn7_face = nn.Conv2d(d, g, 1), _norm(g)
        self.conv8 = nn.Conv2d(2 * g, b, 1)
        self.conv1_1 = nn.Conv2d(b, b, 3, padding=1)
        self.conv1_2 = nn.Conv2d(b, c, 3, padding=1)
        self.conv1_3 = nn.Conv2d(c, d, 3)
        self.conv2 = nn.Conv2d(d, c, 3, padding=1)
        self.conv3_1 = nn.Conv2d(2 * c, c, 3, padding=1)
        self.conv3_2 = nn.Conv2d(c, e, 5, padding=3)
        self.conv4 = nn.Conv2d(2 * e, e, 3)
        self.conv5_1 = nn.Conv2d(2 * e, a, 3)
        self.conv5_2 = nn.Conv2d(a, f, 3)
        self.conv5_3 = nn.Conv2d(f, 3, 3)

    def forward(self, cepstra: Tensor, faces: Tensor) -> Tensor:
        """New faces.

        Args:
            cepstra: (B, 1, 12, 35).
            faces: (B, 15, 112, 112) five pictures, red first, 0-255.

        Returns:
            (B, 3, 109, 109) red first, 0-1.
        """
        fine, middle, coarse, code = self._see(faces)
        values = torch.cat([self._hear(cepstra), code], dim=1)
        values = torch.relu(self.conv8(values))
        for layer in (self.conv1_1, self.conv1_2, self.conv1_3, self.conv2):
            values = torch.relu(layer(_twice(values)))
        values = _twice(torch.cat([coarse, values], dim=1))
        values = torch.relu(self.conv3_2(torch.relu(self.conv3_1(values))))
        values = _twice(torch.cat([middle, values], dim=1))
        values = torch.relu(self.conv4(_one_more(values)))
        values = _twice(torch.cat([fine, values], dim=1))
        for layer in (self.conv5_1, self.conv5_2):
            values = torch.relu(layer(_one_more(values)))
        return torch.sigmoid(self.conv5_3(_one_more(values)))

    def _hear(self, cepstra: Tensor) -> Tensor:
        """(B, 1, 12, 35) -> (B, 256, 1, 1)"""
        values = torch.relu(self.bn1_audio(self.conv1_audio(cepstra)))
        values = torch.relu(self.bn2_audio(self.conv2_audio(values)))
        values = F.max_pool2d(F.pad(values, (0, 0, 1, 0)), 3, (1, 2))  # zeros: nothing is below
        values = torch.relu(self.bn3_audio(self.conv3_audio(values)))
        values = torch.relu(self.bn4_audio(self.conv4_audio(values)))
        values = torch.relu(self.bn5_audio(self.conv5_audio(values)))
        values = torch.relu(self.bn6_audio(self.fc6_audio(F.max_pool2d(values, 3, 2))))
        return torch.relu(self.bn7_audio(self.fc7_audio(values)))

    def _see(self, faces: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, 15, 112, 112) -> grids of 53, 26 and 12, and (B, 256, 1, 1)"""
        fine = torch.relu(self.bn1_face(self.conv1_face(faces)))
        middle = F.max_pool2d(fine, 3, 2)
        coarse = torch.relu(self.bn2_face(self.conv2_face(middle)))
        values = F.max_pool2d(F.pad(coarse, (0, 1, 0, 1)), 3, 2)
        values = torch.relu(self.bn3_face(self.conv3_face(values)))
        values = torch.relu(self.bn4_face(self.conv4_face(values)))
        values = torch.relu(self.bn5_face(self.conv5_face(values)))
        values = torch.relu(self.bn6_face(self.conv6_face(values)))
        return fine, middle, coarse, torch.relu(self.bn7_face(self.conv7_face(values)))


def _one_more(values: Tensor) -> Tensor:
    """Padding by which a convolution of 3 gives one more row and column."""
    return F.pad(values, (2, 1, 2, 1))


class YouSaidThatDeblur(nn.Module):
    """The network in ``v114.mat``, which adds what a blurred face lacks.

    Layout: layers ``supr0`` to ``supr9``, as ``run_demo.m`` of github.com/joonson/yousaidthat runs
    them and ``code/deblur_utils.py`` of github.com/leeeeeeo/yousaidthat-tf states their sizes.
    """

    def __init__(self) -> None:
        super().__init__()
        for i in range(10):
            channels = (3 if i == 0 else 64), (3 if i == 9 else 64)
            self.add_module(f"supr{i}", nn.Conv2d(*channels, 3, padding=1))

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, H, W) 0-1 -> the same shape, about 0-1"""
        values = faces
        for i in range(10):
            values = self.get_submodule(f"supr{i}")(values)
            values = torch.relu(values) if i < 9 else values
        return faces + values


def from_matconvnet(net: MatNet, network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network above from the DagNN of its file.

    Layers are found by name, their values through the names that the layer itself gives; the
    order of what is joined comes from the file too, as shapes do not tell it.

    Args:
        net: As read.
        network: ``YouSaidThat`` or ``YouSaidThatDeblur``, its values do not matter.

    Raises:
        WeightsVersionError: A layer is missing, unknown, or of another kind or shape.
    """
    layers = {layer.name: layer for layer in net.layers}
    asked = dict(network.named_children())
    for layer in net.layers:
        if layer.params and layer.name not in asked and not _of_training(layer.name):
            raise WeightsVersionError(
                f"a layer {layer.name!r} with weights is unknown", hint=_HINT, layer=layer.name
            )
    tensors: dict[str, Tensor] = {}
    for name, module in asked.items():
        is_norm = isinstance(module, nn.BatchNorm2d)
        kind, count = ("dagnn.BatchNorm", 3) if is_norm else ("dagnn.Conv", 2)
        held = layers.get(name)
        if held is None or held.kind != kind or len(held.params) != count:
            raise WeightsVersionError(
                f"there is no layer {name!r} of {kind} with {count} arrays", hint=_HINT, layer=name
            )
        arrays = [_value(net, held, part) for part in held.params]
        made = _norm_tensors(arrays) if is_norm else _conv_tensors(arrays)
        if made is None:
            raise WeightsVersionError(
                f"layer {name!r} has arrays of shapes {', '.join(str(a.shape) for a in arrays)}",
                hint=_HINT, layer=name,
            )  # fmt: skip
        tensors.update({f"{name}.{part}": value for part, value in made.items()})
    if isinstance(network, YouSaidThat):
        for join, (first, taker) in _JOINS.items():
            if not _comes_first(net, layers, join, first):
                weight = tensors[f"{taker}.weight"]
                tensors[f"{taker}.weight"] = weight.roll(weight.shape[1] // 2, 1)
    return tensors


def _of_training(name: str) -> bool:
    return any(word in name for word in _TRAINING)


def _value(net: MatNet, layer: MatLayer, name: str) -> Array:
    if name not in net.params:
        raise WeightsVersionError(
            f"layer {layer.name!r} names {name!r}, which is not there", hint=_HINT, layer=layer.name
        )
    return net.params[name]


def _conv_tensors(arrays: list[Array]) -> dict[str, Tensor] | None:
    filters, biases = arrays
    if filters.ndim > 4:
        return None
    whole = filters.reshape(*filters.shape, *[1] * (4 - filters.ndim))  # MATLAB drops last ones
    return {
        "weight": torch.from_numpy(np.ascontiguousarray(whole.transpose(3, 2, 0, 1))),
        "bias": torch.from_numpy(biases.reshape(-1).copy()),
    }


def _norm_tensors(arrays: list[Array]) -> dict[str, Tensor] | None:
    """MatConvNet keeps the mean, and the deviation with its epsilon already inside."""
    gain, bias, moments = arrays
    if moments.ndim != 2 or moments.shape[1] != 2 or not (moments[:, 1] > 0).all():
        return None
    deviation = moments[:, 1].astype(np.float64)
    return {
        "weight": torch.from_numpy(gain.reshape(-1).copy()),
        "bias": torch.from_numpy(bias.reshape(-1).copy()),
        "running_mean": torch.from_numpy(moments[:, 0].copy()),
        "running_var": torch.from_numpy((deviation**2 - _EPSILON).astype(np.float32)),
    }


def _comes_first(net: MatNet, layers: dict[str, MatLayer], join: str, word: str) -> bool:
    """Whether what a concatenation takes first comes from a layer with a word in its name."""
    makers = {out: layer.name for layer in net.layers for out in layer.outputs}
    held = layers.get(join)
    named = [word in makers.get(name, "") for name in held.inputs] if held is not None else []
    if sorted(named) != [False, True]:
        raise WeightsVersionError(
            f"what {join!r} joins is not one part of {word!r} and one other", hint=_HINT, layer=join
        )
    return named[0]
