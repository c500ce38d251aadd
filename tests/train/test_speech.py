"""The speech and shape-basis recipes on people who speak with known mouths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from lipcore.train.shape_basis import ShapeBasisConfig, ShapeBasisRun, learn_shape_basis
from lipcore.train.shards import Segment, ShardWriter, write_manifest
from lipcore.train.speech import SpeechTrainingConfig, shape_loss
from lipcore.train.speech_run import SpeechRun
from lipcore.train.spoken import SENTENCES, speak_corpus
from scipy.signal import resample_poly

import lipcore.weights
from lipcore.errors import ConfigError, TrainingError
from lipcore.models.checkpoint import load_header, load_network
from lipcore.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig
from lipcore.shapes.basis import ShapeBasis
from lipcore.speech.espeak import Voice, speak
from lipcore.speech.visemes import shapes_of_phonemes
from lipcore.tracking import head

SMALL = SpeechTrainingConfig(
    network=SpeechEncoderConfig(channels=16, dilations=(1, 4), dropout=0.0),
    steps=40, batch=3, crop_steps=160, learning_rate=6e-3, synthetic_share=0.0,
)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """So small a network only waits for its own threads on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def basis() -> ShapeBasis:
    folder = Path(lipcore.weights.__file__).parent / "base"
    return ShapeBasis.read(folder / "shape_basis.safetensors")


@pytest.fixture(scope="module")
def speakers(basis: ShapeBasis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder: three people to learn from and one kept out, each with a voice, an
    amplitude and a mouth of their own that does what is said."""
    folder = tmp_path_factory.mktemp("speakers")
    voices = ("en-us+m2", "en-us+f2", "en", "en-us+m4")
    with ShardWriter(folder, "speakers") as writer:
        for index, voice in enumerate(voices):
            rng = np.random.default_rng(index)
            speech = speak(" ".join(SENTENCES[index::10]), Voice(voice, 150 + 10 * index))
            frames = int(speech.phonemes[-1].end_s * 25)
            times = (np.arange(frames) + 0.5) / 25
            shapes = shapes_of_phonemes(speech.phonemes, times, basis.names)
            values = shapes * basis.std * (0.6 + 0.3 * index)
            faces = np.repeat(head.canonical_head()[None], frames, axis=0)
            faces[:, list(basis.indices)] = (
                basis.mean_shape + rng.normal(0, 0.01, (167, 3)) + basis.offsets(values)
            )
            sound = resample_poly(speech.samples, 320, 441).astype(np.float32)
            writer.add(Segment(
                key=voice.replace("+", "_"), rate=Fraction(25),
                crops=[np.zeros((40, 40, 3), np.uint8)] * frames,
                landmarks=(faces * 150 + [300, 200, 0]).astype(np.float32),
                transforms=np.zeros((frames, 2, 3), np.float32),
                sound=sound * np.float32(0.1 + 0.2 * index),
                facts={
                    "identity": f"person {index}", "split": "val" if index == 3 else "train",
                    "offset_frames": 0, "source": f"{voice}.mp4",
                },
            ))
    write_manifest(folder, writer.clips, crop_px=32, margin_px=4)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_speech_recipe_learns_to_read_lips_off_an_unheard_voice(
    speakers: Path, tmp_path: Path
) -> None:
    scores = SpeechRun(SMALL, [speakers]).run(tmp_path)
    assert scores["held_out_opening"] > 0.4, scores
    network = load_network(tmp_path / "speech.safetensors", kind="speech")
    assert isinstance(network, SpeechEncoder)
    assert (network.gain >= 1).all() and network.rest[0] < -0.5
    record = load_header(tmp_path / "speech.safetensors")["record"]
    assert set(record["held_out"]) == {"en-us_m4"}
    assert "en-us_m4" not in record["clips"]
    assert set(record["cross_validated"]) == set(record["clips"])


def test_one_person_is_not_enough(speakers: Path, tmp_path: Path) -> None:
    run = SpeechRun(SMALL, [speakers])
    run.real = run.real[:1]
    with pytest.raises(TrainingError, match="two people"):
        run.run(tmp_path)


def test_the_basis_recipe_finds_the_motion_again(
    speakers: Path, tmp_path: Path, basis: ShapeBasis
) -> None:
    scores = ShapeBasisRun(ShapeBasisConfig(), [speakers]).run(tmp_path)
    assert scores["variance_held_out"] > 0.98
    again = ShapeBasis.read(tmp_path / "shape_basis.safetensors")
    for name in ("open", "wide"):
        old = basis.components[basis.column(name)]
        new = again.components[again.column(name)]
        assert float((old * new * basis.weights).sum()) > 0.8, name


def test_too_little_motion_is_no_basis() -> None:
    still = np.repeat(head.canonical_head()[None], 50, axis=0)
    with pytest.raises(TrainingError, match="200 frames"):
        learn_shape_basis({"a": still})


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpeechTrainingConfig(synthetic_share=1.0),
        lambda: SpeechTrainingConfig(steps=0),
        lambda: SpeechTrainingConfig(component_weights=(1.0,)),
        lambda: SpeechEncoderConfig(kernel=4),
        lambda: SpeechEncoderConfig(dropout=1.0),
        lambda: ShapeBasisConfig(drift_s=0),
    ],
)
def test_wrong_settings_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_the_corpus_holds_speech_with_its_mouth(basis: ShapeBasis) -> None:
    corpus = speak_corpus(basis.names, readings=1)
    for _, spoken in zip(range(3), corpus, strict=False):
        assert len(spoken.shapes) == 1 + len(spoken.samples) // 160
        loud = np.abs(spoken.samples[: 160 * (len(spoken.shapes) - 1)]).reshape(-1, 160).max(1)
        opening = spoken.shapes[:-1, 0]
        assert np.corrcoef(np.convolve(loud, np.ones(9) / 9, "same"), opening)[0, 1] > 0.2
        assert opening.min() == 0 and opening.max() > 1.5


def test_closures_weigh_more_and_the_unknown_nothing() -> None:
    shapes = torch.zeros(1, 4, 3)
    shapes[0, 0, -2] = -2.0
    known = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    weights = torch.ones(3)

    def loss(step: int, closure: float) -> float:
        answers = shapes.clone()
        answers[0, step] += 0.5
        return float(shape_loss(answers, shapes, known, weights, 0.0, closure))

    assert loss(0, 1.5) == pytest.approx(2.5 * loss(0, 0.0))
    assert loss(1, 1.5) == pytest.approx(loss(1, 0.0))
    assert loss(3, 1.5) == 0
