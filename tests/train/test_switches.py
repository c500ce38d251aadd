"""The switches of the paper: each changes what it names, and nothing hides it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lipcore.train.data import load_clips
from lipcore.train.generator import GeneratorRecipe, GeneratorRecipeConfig
from lipcore.train.latents import encode_clips
from lipcore.train.loop import Trainer
from lipcore.train.references import draw_reference, pick_references
from lipcore.train.refiner import RefinerRecipeConfig
from lipcore.train.sync_expert import SyncExpertRecipe, SyncExpertRecipeConfig
from lipcore.train.vqgan_pose import VQGANPose, VQGANPoseConfig

from lipcore.errors import ConfigError
from lipcore.models.checkpoint import load_network, save_network
from lipcore.models.generator import Generator
from lipcore.models.refiner import Refiner
from lipcore.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig
from lipcore.models.sync_expert import SyncExpert, SyncExpertConfig
from lipcore.models.vqgan import VQGAN

from .test_recipes import TINY, make

PIXELS = replace(TINY.sync_expert, sees="pixels", latent_grid=32, latent_channels=3)


def _plain(prepared: Path, weights: Path, **changes: object) -> GeneratorRecipeConfig:
    _, config = make("generator", prepared, weights, max_steps=2)
    assert isinstance(config, GeneratorRecipeConfig)
    return replace(config, **changes)  # type: ignore[arg-type]


def _expert(path: Path, config: SyncExpertConfig = TINY.sync_expert) -> Path:
    save_network(path, SyncExpert(config), kind="sync_expert", record={})
    return path


def _speech(path: Path) -> Path:
    encoder = SpeechEncoder(SpeechEncoderConfig(channels=6, dilations=(1, 2), members=2))
    save_network(path, encoder, kind="speech", record={})
    return path


def _network(recipe: GeneratorRecipe) -> Generator:
    network = recipe.learned["generator"]
    assert isinstance(network, Generator)
    torch.manual_seed(1)
    for value in network.parameters():  # what modulates its blocks begins at 0
        value.data += 0.1 * torch.randn_like(value)
    return network.eval()


def _logged(run: Path) -> dict[str, float]:
    lines = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    return next(line for line in reversed(lines) if line["part"] == "train")


def test_the_mask_hides_the_lower_half_or_the_face_to_the_edge(
    prepared: Path, tiny_weights: Path
) -> None:
    _, plain = make("vqgan_pose", prepared, tiny_weights)
    assert isinstance(plain, VQGANPoseConfig)
    grey = {}
    for mask in ("edge", "half"):
        network = replace(plain.network, mask=mask)  # type: ignore[arg-type]
        recipe = VQGANPose(replace(plain, network=network, margin=0.0), [prepared])
        crops = recipe.draw(np.random.default_rng(0), 1.0)["crops"]
        grey[mask] = (crops == 0).all(1)
    assert grey["half"][:, 16:].all() and not grey["half"][:, :16].any(2).all(1).any()
    assert not grey["edge"][:, 16:].all() and grey["edge"].any()

    # The latents of a clip follow the mask that V_p was trained with, also out of the cache.
    face = load_network(tiny_weights / "vqgan_face.safetensors", kind="vqgan_face")
    edge = load_network(tiny_weights / "vqgan_pose.safetensors", kind="vqgan_pose")
    assert isinstance(face, VQGAN) and isinstance(edge, VQGAN)
    half = VQGAN(replace(edge.config, mask="half"))
    half.load_state_dict(edge.state_dict())
    clips = load_clips([prepared], "val")
    a, b = (encode_clips(clips, face, pose.eval(), None)[0].pose for pose in (edge, half))
    assert not torch.equal(a, b)


def test_codes_stand_between_generator_and_decoder_where_asked(
    prepared: Path, tiny_weights: Path
) -> None:
    drawn, steps = {}, {}
    for way in ("continuous", "quantized"):
        config = _plain(prepared, tiny_weights, latents=way, pixel_from=0.0, latent_weight=0.0)
        recipe = GeneratorRecipe(config, [prepared])
        network, clip = _network(recipe), recipe.val[0]
        drawn[way] = recipe.draw_faces(network, clip, [3, 9], clip)
        latents = network(
            clip.pose[[3, 9]].float(), clip.face[pick_references(clip, [3, 9], "closed")].float(),
            clip.shapes[[3, 9]],
        ).detach()
        kept = recipe.face.eval().quantize(latents).latents if way == "quantized" else latents
        assert torch.allclose(drawn[way], recipe.face.decode(kept).clamp(-1, 1), atol=1e-5)
        steps[way] = _gradient(recipe)
    assert not torch.allclose(drawn["continuous"], drawn["quantized"], atol=1e-3)
    assert steps["quantized"] > 0  # codes let the gradient through


def _gradient(recipe: GeneratorRecipe) -> float:
    """Norm of the gradient of one step, nothing being changed by it."""

    class Grading:
        progress = 1.0

        def update(self, name: str, loss: torch.Tensor) -> None:
            loss.backward()

    recipe.face.eval()
    recipe.run_step(recipe.draw(np.random.default_rng(0), 1.0), Grading())  # type: ignore[arg-type]
    return sum(
        float(p.grad.norm()) for p in recipe.learned["generator"].parameters() if p.grad is not None
    )


def test_the_reference_is_another_closed_frame_a_near_one_or_the_same(
    prepared: Path, tiny_weights: Path
) -> None:
    recipe = GeneratorRecipe(_plain(prepared, tiny_weights), [prepared])
    source, rng = recipe.train[0], np.random.default_rng(0)
    source.clip.angles[:] = np.linspace(-30, 30, source.clip.frames)[:, None]
    run = [14, 15]

    def drawn(way: str, share: float) -> set[int]:
        return {
            draw_reference(rng, source, run, way, apart=5, closed_share=share)[0]  # type: ignore[arg-type]
            for _ in range(200)
        }

    assert draw_reference(rng, source, run, "same", apart=5, closed_share=0.7) == run
    far = {i for i in range(source.clip.frames) if i <= 9 or i >= 20}
    assert drawn("closed", 0.0) == far
    limit = np.quantile(source.opening[sorted(far)], 0.2)
    assert all(source.opening[i] <= limit for i in drawn("closed", 1.0))
    near = drawn("near", 0.0)
    turned = np.abs(source.clip.angles[:, 0] - source.clip.angles[15, 0])
    assert near < far and max(turned[list(near)]) < np.median(turned[sorted(far)])
    unlike = np.abs(source.opening - source.opening[15])
    assert unlike[list(near)].mean() > unlike[sorted(far)].mean()
    assert pick_references(source, run, "same") == run
    assert pick_references(source, run, "closed") == [int(source.opening.argmin())] * 2
    still = pick_references(source, run, "near")
    assert still[0] == still[1] and abs(source.clip.angles[still[0], 0]) < 25

    same = GeneratorRecipe(_plain(prepared, tiny_weights, reference="same"), [prepared])
    batch = same.draw(np.random.default_rng(0), 0.0)
    assert torch.equal(batch["reference"], batch["face"])
    other = recipe.draw(np.random.default_rng(0), 0.0)
    assert not torch.equal(other["reference"], other["face"])


def test_speech_alone_drives_the_mouth_where_no_shape_is_seen(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    speech = _speech(tmp_path / "speech.safetensors")
    heard = _plain(
        prepared, tiny_weights, speech=speech, silent_share=0.0,
        network=replace(TINY.generator, speech_size=12),
    )
    for share in (0.0, 1.0):
        recipe = GeneratorRecipe(replace(heard, shapeless_share=share), [prepared])
        network, clip = _network(recipe), recipe.val[0]
        own = recipe.draw_faces(network, clip, [4], clip)
        shaped = recipe.draw_faces(network, clip, [4], replace(clip, shapes=clip.shapes + 0.1))
        said = recipe.draw_faces(network, clip, [4], replace(clip, speech=clip.speech + 1))
        assert torch.equal(own, shaped) == (share == 1.0) and not torch.equal(own, said)
    with pytest.raises(ConfigError, match="nothing to drive"):
        _plain(prepared, tiny_weights, shapeless_share=0.5)


def test_pictures_go_through_stage_two_where_there_is_one(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    refiner = Refiner(TINY.refiner)
    for value in refiner.parameters():  # it begins as the identity
        value.data += 0.05 * torch.randn_like(value)
    save_network(tmp_path / "refiner.safetensors", refiner, kind="refiner", record={})
    one = GeneratorRecipe(_plain(prepared, tiny_weights), [prepared])
    two = GeneratorRecipe(
        _plain(prepared, tiny_weights, refiner=tmp_path / "refiner.safetensors"), [prepared]
    )
    clip, network = one.val[0], _network(one)
    first = one.draw_faces(network, clip, [0], clip)
    both = two.draw_faces(network, clip, [0], clip)
    stored = load_network(tmp_path / "refiner.safetensors", kind="refiner")
    with torch.no_grad():
        wanted = stored(first).clamp(-1, 1)
    assert torch.allclose(both, wanted, atol=1e-5) and not torch.allclose(first, both, atol=1e-3)
    assert isinstance(make("refiner", prepared, tiny_weights)[1], RefinerRecipeConfig)


def test_the_expert_may_see_decoded_pixels(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    _, plain = make("sync_expert", prepared, tiny_weights, max_steps=2)
    assert isinstance(plain, SyncExpertRecipeConfig)
    seeing = replace(plain, network=PIXELS, loop=replace(plain.loop, batch_size=2))
    Trainer(SyncExpertRecipe(seeing, [prepared]), seeing, tmp_path / "expert").run()
    expert = tmp_path / "expert" / "sync_expert.safetensors"
    config = _plain(
        prepared, tiny_weights, sync_expert=expert, sync_weight=1.0, sync_from=0.0,
        run_frames=PIXELS.frames, latent_weight=0.0,
    )
    recipe = GeneratorRecipe(config, [prepared])
    seen = []
    assert recipe.expert is not None
    recipe.expert.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2:]))
    assert _gradient(recipe) > 0 and seen == [(3, 32, 32)]
    with pytest.raises(ConfigError, match="pixels have 3 channels"):
        replace(PIXELS, latent_channels=8)


def test_the_sync_loss_counts_only_where_it_has_a_weight(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    expert = _expert(tmp_path / "expert.safetensors")
    silent = _plain(prepared, tiny_weights, run_frames=5)
    heard = replace(silent, sync_expert=expert, sync_weight=0.5, sync_from=0.0)
    for name, config in (("off", silent), ("on", heard)):
        Trainer(GeneratorRecipe(config, [prepared]), config, tmp_path / name).run()
    off, on = _logged(tmp_path / "off"), _logged(tmp_path / "on")
    assert "sync" not in off and on["loss"] == pytest.approx(on["latent"] + 0.5 * on["sync"])


def test_runs_of_frames_are_folded_into_the_batch_and_judged_whole(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    for frames in (5, 16, 25):
        config = _plain(
            prepared, tiny_weights, run_frames=frames, apart_frames=2, sync_weight=0.1,
            sync_expert=_expert(
                tmp_path / f"{frames}.safetensors", replace(TINY.sync_expert, frames=frames)
            ),
        )
        recipe = GeneratorRecipe(config, [prepared])
        batch = recipe.draw(np.random.default_rng(0), 1.0)
        assert len(batch["face"]) == 12 * frames and len(batch["mel"]) == 12
        assert _gradient(recipe) > 0
    with pytest.raises(ConfigError, match="runs of 16 frames, run_frames is 5"):
        GeneratorRecipe(
            replace(config, run_frames=5, sync_expert=tmp_path / "16.safetensors"), [prepared]
        )
    with pytest.raises(ConfigError, match="another V_f"):
        other = replace(TINY.sync_expert, latent_channels=4)
        GeneratorRecipe(
            replace(config, run_frames=5, sync_expert=_expert(tmp_path / "o.safetensors", other)),
            [prepared],
        )
