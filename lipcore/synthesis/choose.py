"""Which renderer draws a shot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lipcore.analysis import ShotAnalysis
from lipcore.cache import Cache
from lipcore.errors import ConfigError
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate
from lipcore.shot import RenderConfig
from lipcore.synthesis.inner_mouth import InnerMouthPainter
from lipcore.synthesis.interface import MouthRenderer
from lipcore.synthesis.select import SelectionConfig
from lipcore.synthesis.shot_renderer import ShotRenderer
from lipcore.synthesis.targets import MouthTargets
from lipcore.types import FaceTrack
from lipcore.weights import WeightsSet


def choose_renderer(
    plate: Plate,
    targets: MouthTargets,
    track: FaceTrack,
    analysis: ShotAnalysis,
    color: ColorTransform,
    config: RenderConfig,
    weights: WeightsSet,
    progress: Callable[[str, int, int], None],
) -> MouthRenderer:
    """Make the renderer that ``config.synthesis`` asks for.

    ``auto`` is ``shot``: its mouths are the shot's own, sharp, where those of the latent
    networks are soft for as little training as the shipped ones had. The model card has the
    figures of all three. A shot's held-back frames could not choose: the plate's own residual,
    which the others carry over, gives back any frame that is asked for its own mouth.

    Raises:
        ConfigError: ``adapted`` without an adaptation in the weights.
        WeightsError: The networks that are needed are absent or do not fit.
    """
    places = np.array([track.frames.index(int(n)) for n in analysis.bank.numbers], np.int64)
    shot = ShotRenderer(
        targets,
        track,
        analysis.bank,
        targets.shown[places],
        targets.shown_shape[places],
        targets.angles_deg[places],
        color,
        InnerMouthPainter(
            weights, config.device, backend=config.backend, cache=Cache(config.cache)
        ),
        selection=SelectionConfig(exclude_frames=config.exclude_frames),
        feather=config.feather,
    )
    if config.synthesis in ("auto", "shot"):
        return shot
    if config.synthesis == "adapted" and weights.adaptation is None:
        raise ConfigError(
            "the adapted renderer needs an adaptation to this shot",
            hint="Run `lipcore adapt PLATE --out shot.safetensors`, then render with "
            "--weights base+shot.safetensors.",
        )
    from lipcore.synthesis.latent_networks import LatentNetworks
    from lipcore.synthesis.latent_renderer import LatentRenderer
    from lipcore.synthesis.latent_shot import encode_shot
    from lipcore.synthesis.refine import ShotRefiner

    cache = Cache(config.cache)
    networks = LatentNetworks(weights, config.backend, config.device, cache)
    encoded = encode_shot(plate, analysis, networks, weights, color, cache, progress)
    refiner = ShotRefiner(weights, encoded, config, progress) if config.refine else None
    return LatentRenderer(
        config.synthesis, targets, track, networks, encoded, color, config.detail, shot,
        feather=config.feather, refiner=refiner,
    )
