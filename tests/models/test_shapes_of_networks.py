"""The shapes that the networks document, for every preset that fits a test machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lipcore.errors import ConfigError, WeightsVersionError
from lipcore.models.blocks import DepthToSpace, Film, SelfAttention, SpaceToDepth
from lipcore.models.checkpoint import load_network, save_network
from lipcore.models.generator import Generator, GeneratorConfig
from lipcore.models.latent_path import LatentPath, apply_delta
from lipcore.models.presets import PRESETS
from lipcore.models.refiner import Refiner, RefinerConfig
from lipcore.models.sync_expert import SyncExpert, SyncExpertConfig
from lipcore.models.vqgan import VQGAN, VQGANConfig

TINY = PRESETS["tiny"]
KINDS = ["vqgan_face", "vqgan_pose", "sync_expert", "generator", "refiner"]


def _networks() -> dict[str, nn.Module]:
    return {
        "vqgan_face": VQGAN(TINY.vqgan_face), "vqgan_pose": VQGAN(TINY.vqgan_pose),
        "sync_expert": SyncExpert(TINY.sync_expert), "generator": Generator(TINY.generator),
        "refiner": Refiner(TINY.refiner),
    }


@pytest.mark.parametrize("batch", [1, 3])
def test_vqgan_gives_the_documented_shapes_at_any_batch(batch: int) -> None:
    config = TINY.vqgan_face
    network = VQGAN(config).eval()
    crops = torch.rand(batch, 3, config.crop_px, config.crop_px) * 2 - 1
    side = config.latent_grid
    latents = network.encode(crops)
    quantized = network.quantize(latents)
    assert latents.shape == (batch, config.latent_channels, side, side)
    assert quantized.latents.shape == latents.shape
    assert quantized.codes.shape == (batch, side, side)
    assert quantized.loss.shape == ()
    assert network.decode(latents).shape == crops.shape
    made, again = network(crops)
    assert made.shape == crops.shape
    assert torch.equal(again.codes, quantized.codes)


@pytest.mark.parametrize("name", ["paper", "paper-256"])
def test_the_papers_sizes(name: str) -> None:
    config = PRESETS[name].vqgan_face  # type: ignore[index]
    assert (config.latent_grid, config.codes, config.latent_channels) == (16, 1024, 256)
    assert config.crop_px == (768 if name == "paper" else 256)
    with torch.device("meta"):
        network = VQGAN(config)
        grid = network.encoder.fold(torch.empty(1, 3, config.crop_px, config.crop_px))
        assert grid.shape[-1] == 256
        latents = network.encode(torch.empty(1, 3, config.crop_px, config.crop_px))
        assert latents.shape == (1, 256, 16, 16)
        assert network.decode(latents).shape == (1, 3, config.crop_px, config.crop_px)
        attends = [m for m in network.modules() if isinstance(m, SelfAttention)]
    assert attends


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_networks_of_a_preset_fit_each_other(name: str) -> None:
    preset = PRESETS[name]  # type: ignore[index]
    face, pose, generator = preset.vqgan_face, preset.vqgan_pose, preset.generator
    with torch.device("meta"):
        made = Generator(generator)(
            torch.empty(2, pose.latent_channels, pose.latent_grid, pose.latent_grid),
            torch.empty(2, face.latent_channels, face.latent_grid, face.latent_grid),
            torch.empty(2, generator.shape_size),
            torch.empty(2, generator.speech_size) if generator.speech_size else None,
        )
        expert = preset.sync_expert
        grid = face.latent_grid
        cosine = SyncExpert(expert)(
            torch.empty(2, expert.frames, face.latent_channels, grid, grid),
            torch.empty(2, expert.mel_bins, expert.mel_steps),
        )
        crops = torch.empty(2, 3, preset.refiner.crop_px, preset.refiner.crop_px)
        refined = Refiner(preset.refiner)(crops)
    assert made.shape == (2, face.latent_channels, face.latent_grid, face.latent_grid)
    assert cosine.shape == (2,)
    assert preset.refiner.crop_px == face.crop_px and refined.shape == crops.shape


def test_base_fits_in_the_package() -> None:
    preset = PRESETS["base"]
    with torch.device("meta"):
        made = [
            VQGAN(preset.vqgan_face), VQGAN(preset.vqgan_pose), SyncExpert(preset.sync_expert),
            Generator(preset.generator),
        ]
    sizes = [sum(p.numel() for p in network.parameters()) for network in made]
    assert sizes[0] <= 8e6 and sizes[1] <= 4e6 and sizes[3] <= 8e6
    assert 2 * sum(sizes) < 36e6  # bytes in float16


def test_generator_obeys_the_shape_from_the_first_gradient_on() -> None:
    torch.manual_seed(0)
    network = Generator(TINY.generator)
    pose, reference = torch.randn(2, 8, 8, 8), torch.randn(2, 8, 8, 8)
    target = torch.randn(2, 8, 8, 8)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(5):
        loss = (network(pose, reference, torch.ones(2, 8)) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    a = network(pose, reference, torch.ones(2, 8))
    b = network(pose, reference, -torch.ones(2, 8))
    assert (a - b).abs().max() > 1e-3


def test_generator_takes_speech_or_none() -> None:
    config = GeneratorConfig(
        latent_grid=8, latent_channels=8, pose_channels=8, channels=(16, 16), blocks=1,
        attention_grids=(), speech_size=12, condition=16,
    )
    network = Generator(config)
    inputs = torch.randn(2, 8, 8, 8), torch.randn(2, 8, 8, 8), torch.randn(2, 8)
    assert network(*inputs).shape == network(*inputs, torch.randn(2, 12)).shape


def test_expert_embeddings_have_length_one_and_any_sign() -> None:
    expert = SyncExpert(TINY.sync_expert)
    mouths = expert.embed_mouths(torch.randn(6, 5, 8, 8, 8))
    sounds = expert.embed_sound(torch.randn(6, 80, 20))
    for embedded in (mouths, sounds):
        torch.testing.assert_close(embedded.norm(dim=1), torch.ones(6))
        assert (embedded < 0).any()


def test_expert_sees_the_lower_half_only() -> None:
    expert = SyncExpert(TINY.sync_expert)
    latents = torch.randn(1, 5, 8, 8, 8)
    changed = latents.clone()
    changed[..., :4, :] = 7
    torch.testing.assert_close(expert.embed_mouths(latents), expert.embed_mouths(changed))


def test_an_untrained_refiner_changes_nothing() -> None:
    crops = torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(Refiner(TINY.refiner)(crops), crops)


def test_space_to_depth_and_back_is_exact() -> None:
    x = torch.randn(2, 3, 12, 12)
    folded = SpaceToDepth(3)(x)
    assert folded.shape == (2, 27, 4, 4)
    assert torch.equal(DepthToSpace(3)(folded), x)


def test_film_starts_as_the_identity() -> None:
    x = torch.randn(2, 4, 3, 3)
    assert torch.equal(Film(4, 5)(x, torch.randn(2, 5)), x)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    torch.manual_seed(0)
    network = _networks()[kind].train()
    for p in network.parameters():  # what starts at zero lets nothing through
        if not p.any():
            nn.init.normal_(p, std=0.05)
    if kind.startswith("vqgan"):
        made, quantized = network(torch.rand(2, 3, 32, 32))
        loss = made.square().mean() + quantized.loss
    elif kind == "sync_expert":
        loss = network(torch.randn(2, 5, 8, 8, 8), torch.randn(2, 80, 20)).sum()
    elif kind == "generator":
        made = network(torch.randn(2, 8, 8, 8), torch.randn(2, 8, 8, 8), torch.randn(2, 8))
        loss = made.square().mean()
    else:
        loss = network(torch.rand(2, 3, 32, 32)).square().mean()
    loss.backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias right before a normalisation of groups of one channel has no effect by nature.
    assert [n for n in without if not n.endswith("bias")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_networks_come_back_from_their_files(kind: str, tmp_path: Path) -> None:
    network = _networks()[kind].eval()
    path = tmp_path / f"{kind}.safetensors"
    save_network(path, network, kind=kind, record={}, half=False)
    back = load_network(path, kind=kind)
    assert back.config == network.config
    for name, value in network.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name
    assert not back.training
    assert not any(p.requires_grad for p in back.parameters())


def test_latent_path_joins_the_three_networks() -> None:
    path = LatentPath(
        VQGAN(TINY.vqgan_face).eval(), VQGAN(TINY.vqgan_pose).eval(),
        Generator(TINY.generator).eval(),
    )
    crops = torch.rand(3, 3, 32, 32) * 2 - 1
    boxes = torch.tensor([[0.5, 0.5, 0.3, 0.0]]).repeat(3, 1)
    pose = path.encode_pose(crops, boxes)
    latents = path.generate(pose, path.encode(crops[:1]), torch.randn(3, 8))
    made = path.decode(latents)
    assert made.shape == crops.shape and made.dtype == torch.float32
    assert made.abs().max() <= 1
    changed = crops.clone()
    changed[:, :, 20:, 8:24] = 1  # inside the mask: the pose must not see it
    assert torch.equal(path.encode_pose(changed, boxes), pose)
    changed[:, :, :8] = 1
    assert not torch.equal(path.encode_pose(changed, boxes), pose)


def test_latent_path_decodes_quantized_or_not() -> None:
    torch.manual_seed(0)
    networks = (
        VQGAN(TINY.vqgan_face).eval(), VQGAN(TINY.vqgan_pose).eval(),
        Generator(TINY.generator).eval(),
    )
    latents = torch.randn(1, 8, 8, 8)
    codes = networks[0].quantize(latents).latents
    quantized, continuous = LatentPath(*networks), LatentPath(*networks, latents="continuous")
    torch.testing.assert_close(quantized.decode(latents), continuous.decode(codes))
    assert not torch.equal(quantized.decode(latents), continuous.decode(latents))


def test_networks_of_different_sets_are_refused() -> None:
    other = VQGAN(
        VQGANConfig(
            crop_px=32, space_to_depth=1, channels=(8, 8), encoder_blocks=1, decoder_blocks=1,
            attention_grids=(), latent_channels=8, codes=32,
        )
    )
    with pytest.raises(WeightsVersionError, match="belong together"):
        LatentPath(other, VQGAN(TINY.vqgan_pose), Generator(TINY.generator))


def test_a_delta_of_other_weights_is_refused() -> None:
    path = LatentPath(VQGAN(TINY.vqgan_face), VQGAN(TINY.vqgan_pose), Generator(TINY.generator))
    with pytest.raises(WeightsVersionError, match=r"generator\.conv_in\.weight"):
        apply_delta(path, {"generator.conv_in.weight": torch.zeros(3)})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: VQGANConfig(crop_px=100, space_to_depth=3), "does not divide"),
        (lambda: VQGANConfig(channels=()), "describe no network"),
        (lambda: VQGANConfig(encoder_blocks=0), "residual block"),
        (lambda: GeneratorConfig(latent_grid=6, channels=(8, 8, 8)), "do not divide"),
        (lambda: SyncExpertConfig(frames=0), "counts"),
        (lambda: RefinerConfig(crop_px=100), "do not divide"),
    ],
)
def test_sizes_that_cannot_work_are_refused(make: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()  # type: ignore[operator]
