"""The whole chain by its commands: speakers, five networks, renders, and lips that speak.

The networks see some speakers, who are the plates; the lines are those of others, whom no network
has seen or heard. The renders are of ``--detail none``: the generator alone draws the mouth. With
the default, lips come from the plate's own frames, and an untrained generator would pass as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import mediapipe as mp
import numpy as np
import pytest
import soundfile
import torch
from lipcore.train.data import Clip, load_clips

from lipcore.models.checkpoint import load_network, save_network
from lipcore.models.generator import Generator, GeneratorConfig
from lipcore.shapes.measure import inner_opening
from lipcore.weights import find_weights

RECIPES = Path(__file__).parent / "chain"
BORDER, ZOOM, PAIRS = 96, 4, 3


class Chain:
    """A folder in which the commands run one after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.weights = folder / "weights"
        self.weights.mkdir()
        base = find_weights("base")
        shutil.copy(base.file("shape_basis"), self.weights)  # it comes from landmarks alone

    def run(self, *arguments: object) -> str:
        """One command of lipcore; its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "lipcore", *map(str, arguments)], cwd=self.folder, text=True,
            capture_output=True, env=os.environ | {"LIPCORE_CACHE": str(self.folder / "cache")},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def train(self, kind: str) -> None:
        """Train one network on the speakers, and lay it to the weights."""
        recipe = (RECIPES / f"{kind}_chain.yaml").read_text()
        for word, name in (("FACE", "vqgan_face"), ("POSE", "vqgan_pose"),
                           ("BASIS", "shape_basis"), ("EXPERT", "sync_expert")):
            recipe = recipe.replace(word, str(self.weights / f"{name}.safetensors"))
        (self.folder / f"{kind}_chain.yaml").write_text(recipe)
        self.run("train", f"{kind}_chain.yaml", "--data", "speakers", "--out", f"runs/{kind}")
        shutil.copy(self.folder / "runs" / kind / f"{kind}.safetensors", self.weights)


def _write_plate(clip: Clip, folder: Path) -> None:
    """The crops of a clip as a plate that is large enough to be tracked."""
    folder.mkdir()
    for i in range(clip.frames):
        picture = cv2.resize(clip.crops[i], None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
        wide = cv2.copyMakeBorder(picture, *[BORDER] * 4, cv2.BORDER_REPLICATE)
        cv2.imwrite(str(folder / f"plate.{1001 + i}.png"), wide[..., ::-1])


def _openings(folder: Path) -> np.ndarray:
    """(N,) inner-lip opening of a sequence, by the face mesh frame by frame."""
    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)
    meshes = []
    for path in sorted(folder.glob("*.png")):
        picture = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        found = mesh.process(picture).multi_face_landmarks
        assert found, f"no face in {path.name}"
        sides = (picture.shape[1], picture.shape[0], picture.shape[1])
        meshes.append([[p.x * sides[0], p.y * sides[1], p.z * sides[2]]
                       for p in found[0].landmark])  # fmt: skip
    mesh.close()
    return inner_opening(np.array(meshes, np.float32))


@pytest.mark.slow
def test_from_speakers_to_a_render_that_says_what_another_speaker_said(
    shared_data: Path, tmp_path: Path
) -> None:
    head = shared_data / "head" / "ict_facekit_light.npz"
    if not head.is_file():
        pytest.skip("the head (../shared/data/head) is not on this machine")
    chain = Chain(tmp_path)
    chain.run("data", "synth", "--head", head, "--out", "speakers", "--speakers", 20,
              "--seconds", 4, "--size", 96, "--val-share", 0.2, "--jobs", 2, "--voices", "espeak")
    for kind in ("speech", "vqgan_face", "vqgan_pose", "sync_expert", "generator"):
        chain.train(kind)

    plates = load_clips([tmp_path / "speakers"], "train")[::4][:PAIRS]
    lines = load_clips([tmp_path / "speakers"], "val")[:PAIRS]

    def follows(openings: np.ndarray, line: Clip) -> float:
        """Correlation with what the line's own speaker did; a still mouth has 0."""
        assert line.truth is not None
        wanted = line.truth["opening"]
        count = min(len(openings), len(wanted))
        return float(np.corrcoef(openings[:count], wanted[:count])[0, 1])

    def render(out: str, pairs: int) -> list[float]:
        found = []
        for i, (seen, line) in enumerate(list(zip(plates, lines, strict=True))[:pairs]):
            plate, sound, made = f"plate{i}", tmp_path / f"line{i}.wav", f"{out}{i}"
            if not sound.exists():
                _write_plate(seen, tmp_path / plate)
                soundfile.write(sound, line.sound, 16_000)
            chain.run("render", f"{plate}/plate.####.png", sound, "--rate", 25, "--out", made,
                      "--synthesis", "latent", "--detail", "none", "--weights", chain.weights)
            found.append(follows(_openings(tmp_path / made), line))
        return found

    trained = render("trained", PAIRS)
    torch.manual_seed(0)
    config = load_network(chain.weights / "generator.safetensors", kind="generator").config
    assert isinstance(config, GeneratorConfig)
    save_network(
        chain.weights / "generator.safetensors", Generator(config), kind="generator", record={}
    )
    untrained = render("untrained", 1)
    own = [follows(seen.truth["opening"], line)
           for seen, line in zip(plates, lines, strict=True) if seen.truth is not None]
    found = f"trained {trained}, untrained {untrained}, the plates' own {own}"
    least = max(0.0, np.mean(own)) + 0.3
    assert np.mean(trained) > least, found
    assert np.mean(untrained) < least, found
