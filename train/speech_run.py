"""Training the speech encoder from a prepared folder, from the first step to the weights.

It takes minutes, so unlike the picture recipes it has no checkpoints to go on from: the
members of the ensemble are trained one after the other, then brought to standard units.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lipcore.errors import TrainingError
from lipcore.models.checkpoint import save_network
from lipcore.shapes.basis import ShapeBasis
from lipcore.weights import find_weights

from .data import Clip, load_clips
from .speech import (
    SpeechScore,
    SpeechTrainingConfig,
    Utterance,
    calibrate,
    cross_validate,
    real_utterance,
    score_speech,
    synthetic_utterances,
    train_speech,
)
from .spoken import speak_corpus


class SpeechRun:
    """One training of the speech encoder.

    Args:
        config: How.
        data: Prepared folders (see ``data.py``): their ``train`` split teaches, its ``val``
            split is only scored.

    Raises:
        TrainingError: The folder was not prepared, or a split is empty.
        WeightsError: The shape basis is absent.
    """

    kind = "speech"

    def __init__(self, config: SpeechTrainingConfig, data: Sequence[Path]) -> None:
        self.config = config
        self.basis = ShapeBasis.load(find_weights(config.basis))
        self.real = [_utterance(clip, self.basis) for clip in load_clips(data, "train")]
        self.unseen = [_utterance(clip, self.basis) for clip in load_clips(data, "val")]

    def run(self, out: Path) -> dict[str, float]:
        """Cross-validate, train, calibrate, score, and write ``speech.safetensors``.

        Raises:
            TrainingError: Fewer than two people, or the training diverged.
        """
        if len({u.person for u in self.real}) < 2:
            raise TrainingError(
                "the speech encoder needs two people or more to train on",
                hint="Prepare more clips, or give people their names in the manifest.",
            )
        started = time.monotonic()
        config, basis = self.config, self.basis
        spoken = speak_corpus(basis.names) if config.synthetic_share else iter(())
        synthetic = synthetic_utterances(list(spoken), basis)
        validated = cross_validate(self.real, synthetic, basis, config)
        network = train_speech(self.real, synthetic, basis, config)
        unseen = score_speech(network, self.unseen, basis)
        calibrate(network, self.real, validated)
        record = {
            "recipe": asdict(config),
            "clips": sorted(u.name for u in self.real),
            "cross_validated": _rounded(validated),
            "held_out": _rounded(unseen),
            "basis": basis.label,
            "seconds": round(time.monotonic() - started),
        }
        out.mkdir(parents=True, exist_ok=True)
        save_network(out / f"{self.kind}.safetensors", network, kind=self.kind, record=record)
        (out / "scores.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        return {
            "cross_validated_opening": float(np.mean([s.opening for s in validated.values()])),
            "held_out_opening": float(np.mean([s.opening for s in unseen.values()])),
            "held_out_width": float(np.mean([s.width for s in unseen.values()])),
        }


def _utterance(clip: Clip, basis: ShapeBasis) -> Utterance:
    return real_utterance(
        clip.name, clip.identity, clip.sound, clip.plate_landmarks, clip.rate, basis
    )


def _rounded(scores: Mapping[str, SpeechScore]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "opening": round(score.opening, 3),
            "width": round(score.width, 3),
            "amplitude": round(score.amplitude, 3),
        }
        for name, score in scores.items()
    }
