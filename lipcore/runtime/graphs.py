"""The networks as graphs: plain tensors in, plain tensors out, every shape and range stated.

What a backend runs and what ``lipcore export`` writes is the same list of graphs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.cache import make_key
from lipcore.errors import ConfigError, WeightsNotFoundError
from lipcore.models.checkpoint import hash_file, load_network
from lipcore.models.inner_mouth import BOX_HEIGHT, BOX_WIDTH, InnerMouth
from lipcore.models.latent_path import LatentPath, apply_delta, load_delta
from lipcore.models.mel import MelConfig, MelFrontEnd
from lipcore.models.pose_mask import MARGIN, hide_lower_face
from lipcore.models.refiner import Refiner
from lipcore.models.speech_encoder import SpeechEncoder
from lipcore.weights import WeightsSet


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a graph, float32."""

    name: str
    shape: tuple[int | str, ...]
    """Sides; a text is a side that may vary, as ``batch`` or ``32*tiles`` (a multiple)."""
    low: float
    high: float
    """The range that values lie in; usual, where a network sets no bound."""
    steps_a_unit: float | None = None
    """Of a picture: 8-bit steps that a difference of 1 makes."""

    def sized(self, **sides: int) -> tuple[int, ...]:
        """The shape with its varying sides filled in."""
        return tuple(_side(side, sides) for side in self.shape)


def _side(side: int | str, sides: dict[str, int]) -> int:
    if isinstance(side, int):
        return side
    times, _, name = side.rpartition("*")
    return int(times or 1) * sides[name]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network to run: its module, and what goes in and comes out."""

    name: str
    module: nn.Module
    """In evaluation mode, float32; takes the inputs by position, gives the outputs."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    key: str
    """A hash of the weights that it holds."""
    kinds: tuple[str, ...]
    """Kinds of network in it."""
    usual: dict[str, int] = field(default_factory=dict)
    """Varying sides, other than the batch, as they are in use."""

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs by torch, eager, as the module stands."""
        with torch.no_grad():
            made = self.module(*inputs)
        return made if isinstance(made, tuple) else (made,)


class _FaceEncoder(nn.Module):
    def __init__(self, path: LatentPath) -> None:
        super().__init__()
        self.encoder = path.face.encoder

    def forward(self, crops: Tensor) -> Tensor:
        made: Tensor = self.encoder(crops)
        return made


class _FaceDecoder(nn.Module):
    def __init__(self, path: LatentPath) -> None:
        super().__init__()
        self.decoder = path.face.decoder

    def forward(self, latents: Tensor) -> Tensor:
        made: Tensor = self.decoder(latents)
        return made.clamp(-1, 1)


class HideLowerFace(nn.Module):
    """The mask before V_p; its coordinates need float32."""

    def forward(self, crops: Tensor, boxes: Tensor) -> Tensor:
        """Crops (B, 3, S, S) and boxes (B, 4) in the crop (0 to 1) to crops."""
        size = crops.shape[-1]
        # A number made of a side would be frozen where the graph is traced; a tensor is not.
        margin = torch.full_like(boxes[:, 0], MARGIN) * size
        return hide_lower_face(crops, boxes * size, margin)


class PoseEncoder(nn.Module):
    """V_p, with the lower face hidden inside."""

    def __init__(self, path: LatentPath) -> None:
        super().__init__()
        self.hide = HideLowerFace()
        self.encoder = path.pose.encoder

    def forward(self, crops: Tensor, boxes: Tensor) -> Tensor:
        """Crops (B, 3, S, S) and boxes (B, 4) in the crop (0 to 1) to latents."""
        made: Tensor = self.encoder(self.hide(crops, boxes))
        return made


class Draw(nn.Module):
    """Generator and decoder: what a render runs for each frame."""

    def __init__(self, path: LatentPath) -> None:
        super().__init__()
        self.generator = path.generator
        self.decoder = path.face.decoder

    def forward(self, pose: Tensor, reference: Tensor, shape: Tensor) -> Tensor:
        made: Tensor = self.decoder(self.generator(pose, reference, shape))
        return made.clamp(-1, 1)


class _Frame(nn.Module):
    """The whole path of a frame: a crop in, the crop with its new mouth out."""

    def __init__(self, path: LatentPath) -> None:
        super().__init__()
        self.pose = PoseEncoder(path)
        self.draw = Draw(path)

    def forward(self, crops: Tensor, boxes: Tensor, reference: Tensor, shape: Tensor) -> Tensor:
        made: Tensor = self.draw(self.pose(crops, boxes), reference, shape)
        return made


class _Speech(nn.Module):
    def __init__(self, network: SpeechEncoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(mel)
        return self.network.shapes(features), features


class _Mel(nn.Module):
    """The mel front end with its transform as a convolution, which every runtime has.

    Where ``MelFrontEnd`` calls an FFT, this multiplies by sines and cosines: the same sum.
    """

    filters: Tensor
    bases: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        front = MelFrontEnd(config)
        turns = torch.arange(config.n_fft // 2 + 1, dtype=torch.float64)[:, None]
        angle = turns * torch.arange(config.n_fft, dtype=torch.float64) % config.n_fft
        angle = angle * (2 * math.pi / config.n_fft)
        waves = torch.cat([angle.cos(), -angle.sin()]) * front.window.double()
        self.register_buffer("bases", waves.float()[:, None])
        self.register_buffer("filters", front.filters)

    def forward(self, samples: Tensor) -> Tensor:
        c = self.config
        emphasized = samples - c.preemphasis * F.pad(samples, (1, 0))[:, :-1]
        padded = F.pad(emphasized[:, None], (c.n_fft // 2, c.n_fft // 2))
        real, imaginary = F.conv1d(padded, self.bases, stride=c.hop).chunk(2, dim=1)
        mel = self.filters @ (real.square() + imaginary.square()).sqrt()
        floor = 10 ** (c.min_level_db / 20)
        level_db = 20 * mel.clamp_min(floor).log10() - c.ref_level_db
        share = (level_db - c.min_level_db) / -c.min_level_db
        return (2 * c.max_abs * share - c.max_abs).clamp(-c.max_abs, c.max_abs)


_LATENT_KINDS = ("vqgan_face", "vqgan_pose", "generator")


def build_graph(name: str, weights: WeightsSet) -> Graph:
    """Make one graph from a set of weights, with its adaptation where it has one.

    Raises:
        ConfigError: No graph has this name.
        WeightsError: A network that it needs is absent, damaged or does not fit.
    """
    if name not in _BUILDERS:
        raise ConfigError(
            f"no graph is called {name!r}", hint=f"Choose from: {', '.join(GRAPHS)}."
        )
    return _BUILDERS[name](name, weights)


def has_graph(name: str, weights: WeightsSet) -> bool:
    """Whether a set has every network that a graph needs."""
    return all(weights.has(kind) for kind in _NEEDS[name])


def build_graphs(weights: WeightsSet) -> list[Graph]:
    """Every graph that a set has the networks for.

    Raises:
        WeightsNotFoundError: Not even one.
    """
    if not any(weights.has(kind) for needs in _NEEDS.values() for kind in needs):
        raise WeightsNotFoundError(
            f"weights {weights.name!r} hold no network that can run",
            hint="Give a folder of safetensors files that lipcore trained.",
        )
    return [build_graph(name, weights) for name in GRAPHS if has_graph(name, weights)]


def load_latents(weights: WeightsSet, *, device: str = "cpu") -> LatentPath:
    """The latent path of a set, adaptation laid over it, as graphs and renders run it.

    Raises:
        WeightsError: A network is absent, damaged, or does not fit.
    """
    # Continuous latents keep more of the teeth than codes do, at this size of codebook.
    path = LatentPath.load(weights, device=device, latents="continuous")
    if weights.adaptation is not None:
        apply_delta(path, load_delta(weights.adaptation))
    return path


def _key(weights: WeightsSet, kinds: tuple[str, ...]) -> str:
    files = [hash_file(weights.file(kind)) for kind in kinds]
    if weights.adaptation is not None:
        files.append(hash_file(weights.adaptation))
    return make_key(kinds, files)


def _build_latent(name: str, weights: WeightsSet) -> Graph:
    path = load_latents(weights)
    face, pose, generator = path.face.config, path.pose.config, path.generator.config
    # Grids halve on the way through the generator; crops divide into what both need.
    halvings = 2 ** (len(generator.channels) - 1)
    crops = f"{face.factor}*tiles"
    through = f"{face.factor * halvings}*tiles"
    grid = f"{halvings}*tiles"
    latents = TensorSpec("latents", ("batch", face.latent_channels, "tiles", "tiles"), -8, 8)
    picture = TensorSpec("crops", ("batch", 3, crops, crops), -1, 1, 127.5)
    boxes = TensorSpec("boxes", ("batch", 4), 0, 1)
    poses = TensorSpec("pose", ("batch", pose.latent_channels, "tiles", "tiles"), -8, 8)
    shape = TensorSpec("shape", ("batch", generator.shape_size), -1, 1)

    def on(spec: TensorSpec, side: str, name: str | None = None) -> TensorSpec:
        """The spec with other sides, and another name."""
        sides = (*spec.shape[:2], side, side)
        return dataclasses.replace(spec, name=name or spec.name, shape=sides)

    reference = on(latents, grid, "reference")
    modules: dict[str, tuple[type[nn.Module], tuple[TensorSpec, ...], TensorSpec]] = {
        "face_encoder": (_FaceEncoder, (picture,), latents),
        "face_decoder": (_FaceDecoder, (latents,), picture),
        "pose_encoder": (PoseEncoder, (on(picture, f"{pose.factor}*tiles"), boxes), poses),
        "draw": (Draw, (on(poses, grid), reference, shape), on(picture, through)),
        "frame": (
            _Frame, (on(picture, through), boxes, reference, shape),
            on(picture, through, "new_crops"),
        ),
    }
    whole = {"tiles": face.latent_grid}
    if name in ("draw", "frame", "generator"):
        whole = {"tiles": face.latent_grid // halvings}
    if name == "generator":
        speech = TensorSpec("speech", ("batch", generator.speech_size), -8, 8)
        inputs = (on(poses, grid), reference, shape, *((speech,) if generator.speech_size else ()))
        module: nn.Module = path.generator
        output = on(latents, grid)
    else:
        make, inputs, output = modules[name]
        module = make(path)
    return Graph(
        name, module.eval(), inputs, (output,), _key(weights, _LATENT_KINDS), _NEEDS[name], whole
    )


def _build_inner_mouth(name: str, weights: WeightsSet) -> Graph:
    network = load_network(weights.file("inner_mouth"), kind="inner_mouth")
    assert isinstance(network, InnerMouth)
    box = (BOX_HEIGHT, BOX_WIDTH)
    inputs = (
        TensorSpec("lips", ("batch", 3, *box), 0, 1),
        TensorSpec("inside", ("batch", 1, *box), 0, 1),
        TensorSpec("known", ("batch", 3, *box), 0, 1),
        TensorSpec("known_inside", ("batch", 1, *box), 0, 1),
    )
    output = TensorSpec("painted", ("batch", 3, *box), 0, 1, 255.0)
    return Graph(
        name, network, inputs, (output,), _key(weights, ("inner_mouth",)), ("inner_mouth",)
    )


def _build_refiner(name: str, weights: WeightsSet) -> Graph:
    network = load_network(weights.file("refiner"), kind="refiner")
    assert isinstance(network, Refiner)
    halvings = 2 ** (len(network.config.channels) - 1)
    sides = ("batch", 3, f"{halvings}*tiles", f"{halvings}*tiles")
    return Graph(
        name, network, (TensorSpec("crops", sides, -1, 1),),
        (TensorSpec("refined", sides, -1, 1, 127.5),), _key(weights, ("refiner",)), ("refiner",),
        {"tiles": network.config.crop_px // halvings},
    )


def _build_speech(name: str, weights: WeightsSet) -> Graph:
    network = load_network(weights.file("speech"), kind="speech")
    assert isinstance(network, SpeechEncoder)
    c = network.config
    outputs = (
        TensorSpec("shapes", ("batch", "steps", c.components), -4, 4),
        TensorSpec("features", ("batch", "steps", c.members * c.channels), -8, 8),
    )
    return Graph(
        name, _Speech(network).eval(), (TensorSpec("mel", ("batch", c.mel_bins, "steps"), -4, 4),),
        outputs, _key(weights, ("speech",)), ("speech",), {"steps": 200},
    )


def _build_mel(name: str, weights: WeightsSet) -> Graph:
    c = MelConfig()
    # The front end has no weights of its own, but makes sense only before a speech encoder.
    return Graph(
        name, _Mel(c).eval(), (TensorSpec("samples", ("batch", "samples"), -1, 1),),
        (TensorSpec("mel", ("batch", c.bins, "steps"), -c.max_abs, c.max_abs),),
        make_key(c), ("speech",), {"samples": 2 * c.sample_rate_hz},
    )


_NEEDS: dict[str, tuple[str, ...]] = {
    "face_encoder": _LATENT_KINDS, "face_decoder": _LATENT_KINDS, "pose_encoder": _LATENT_KINDS,
    "generator": _LATENT_KINDS, "draw": _LATENT_KINDS, "frame": _LATENT_KINDS,
    "inner_mouth": ("inner_mouth",), "refiner": ("refiner",), "speech": ("speech",),
    "mel": ("speech",),
}
GRAPHS: tuple[str, ...] = tuple(_NEEDS)
"""Names of all graphs."""
MASKED_GRAPHS = ("pose_encoder", "frame")
"""Those that hide the lower face by coordinates: in bfloat16 the mask would move by a pixel."""
_BUILDERS: dict[str, Callable[[str, WeightsSet], Graph]] = {
    **dict.fromkeys(GRAPHS, _build_latent),
    "inner_mouth": _build_inner_mouth, "refiner": _build_refiner, "speech": _build_speech,
    "mel": _build_mel,
}
