"""The ``latent`` and ``adapted`` renderers: the paper's path, with the plate's own detail.

The networks draw a soft face, and not quite this one. What they miss is known for the plate:
the residual between the plate and what they draw from the plate's own mouth shape. It is
carried along by the motion of the landmarks and added to the new crop, so identity, pores,
stubble and grain stay; where the shape does not change, the result is the plate.

Our residual is taken against the generator's drawing, not against V_f's reconstruction: what
the generator gets wrong cancels as well.
"""

from __future__ import annotations

import numpy as np

from lipcore.media.color import ColorTransform
from lipcore.shot import Detail
from lipcore.synthesis.latent_networks import LatentNetworks
from lipcore.synthesis.latent_shot import LatentShot, from_tensor
from lipcore.synthesis.matte import inner_mouth_region, mouth_matte, mouth_window
from lipcore.synthesis.refine import ShotRefiner
from lipcore.synthesis.shot_renderer import ShotRenderer
from lipcore.synthesis.targets import MouthTargets
from lipcore.synthesis.warp import MouthFrame, interocular_px, look_up, warp_mouth
from lipcore.tracking.align import uncrop_map
from lipcore.types import FaceTrack, FloatArray, Frame, Patch, Window

_SHUT, _APART = 0.008, 0.03
"""Gaps between the wanted inner lips, interocular units: the shot's own lips below the first,
the generator's above the second."""


class LatentRenderer:
    """The generator draws the new mouth; detail comes from the plate.

    Args:
        name: ``latent`` or ``adapted``, for the log.
        targets: What is drawn, over the frames of the render.
        track: The face over the same frames.
        networks: The latent networks.
        encoded: The shot as they see it.
        color: Between the plate's encoding and display-referred values.
        detail: ``none`` is the decoder alone; ``transport`` carries the plate's residual;
            ``bank`` also takes the inner mouth, and lips that touch, from the shot's own frames.
        shot: Supplies them.
        feather: Softness of the matte, interocular units.
        refiner: Stage 2, where it is asked for.
    """

    def __init__(
        self,
        name: str,
        targets: MouthTargets,
        track: FaceTrack,
        networks: LatentNetworks,
        encoded: LatentShot,
        color: ColorTransform,
        detail: Detail,
        shot: ShotRenderer,
        *,
        feather: float,
        refiner: ShotRefiner | None = None,
    ) -> None:
        self.name = name
        self._targets = targets
        self._track = track
        self._networks = networks
        self._encoded = encoded
        self._color = color
        self._detail = detail
        self._shot = shot
        self._feather = feather
        self._refiner = refiner

    @property
    def sources(self) -> dict[int, tuple[tuple[int, float], ...]]:
        """See ``MouthRenderer``: of the inner mouth and shut lips, where the bank supplies them."""
        return self._shot.sources if self._detail == "bank" else {}

    def render(self, frame: Frame) -> Patch | None:
        """See ``MouthRenderer``."""
        index = self._targets.frames.index(frame.number)
        strength = float(self._targets.strength[index])
        if not self._targets.present[index] or strength <= 0:
            return None
        aspect = self._track.pixel_aspect
        old, new = self._targets.shown[index], self._targets.wanted[index]
        window = mouth_window(
            old, new, frame.window, feather=self._feather, pixel_aspect=aspect
        )
        if min(window.shape) < 4:
            return None
        alpha, hard = mouth_matte(
            old, new, window, feather=self._feather, pixel_aspect=aspect
        )
        drawn, through = self._crops(index)
        place = uncrop_map(self._track.transforms[index], window) * drawn.shape[0]
        made = _from_crop(drawn, place)
        if self._detail != "none":
            plate = self._color.to_display(
                np.ascontiguousarray(frame.part(window))
            )
            # What the plate shows between its lips belongs to its own mouth alone.
            skin = 1 - inner_mouth_region(old, window, aspect)
            residual = (plate - _from_crop(through, place)) * skin[..., None]
            warp = warp_mouth(new, old, window, aspect)
            keep = 1 - warp.inside[..., None]
            made = made + keep * look_up(residual, window, warp.lookup)
        if self._detail == "bank":
            shut = _shut_share(new)
            if shut < 1:
                made = self._shot.draw_inside(frame.number, made, new, window)
            if shut > 0:
                lips = self._shot.draw_mouth(frame.number, old, new, window, plate, alpha)
                made = made + np.float32(shut) * (lips - made)
        alpha *= np.float32(min(1.0, strength * 10))
        rgb = self._color.from_display(made) * alpha[..., None]
        return Patch(window, rgb.astype(np.float32), alpha, hard)

    def _crops(self, index: int) -> tuple[FloatArray, FloatArray]:
        """(the new crop, the plate's own mouth as drawn), ``(S, S, 3)`` display-referred."""
        pose = np.array(self._encoded.pose[index], np.float32)[None]
        shape = self._targets.values[index].astype(np.float32)[None]
        drawn = from_tensor(self._networks.draw(pose, self._encoded.reference, shape))[0]
        if self._refiner is not None:
            return self._refiner.refine(drawn), self._refiner.plate(index)
        return drawn, np.array(self._encoded.plate[index], np.float32)


def _shut_share(wanted: FloatArray) -> float:
    """How much of the lips the shot's own frames draw: all where they are to touch.

    The generator has seen few mouths that are truly shut, and leaves a slit.
    """
    opening = MouthFrame.of(wanted).opening / interocular_px(wanted)
    apart = float(np.clip((opening - _SHUT) / (_APART - _SHUT), 0, 1))
    return 1 - apart * apart * (3 - 2 * apart)


def _from_crop(picture: FloatArray, place: FloatArray) -> FloatArray:
    """A crop at places given in its own coordinates (0 to its side)."""
    side = picture.shape[0]
    return look_up(picture, Window(0, 0, side, side), place)
