"""Generators that hear speech alone, the paper's own way, at work on a plate.

No mouth shapes, no detail of the plate, no frames of a bank: pose latents with the lower face
hidden, one reference frame, the speech under each frame; the new lower face is laid over the old
one with soft edges. A way to measure variants, not to deliver shots.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from lipcore.errors import NoFaceError, WeightsVersionError
from lipcore.evaluate.variants import FoundVariant
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate
from lipcore.media.writers import open_writer
from lipcore.models.checkpoint import load_network
from lipcore.models.generator import Generator
from lipcore.models.latent_path import LatentPath
from lipcore.models.mel import MelFrontEnd
from lipcore.models.pose_mask import MARGIN
from lipcore.models.refiner import Refiner
from lipcore.models.speech_encoder import SpeechEncoder, normalize_mel, sample_at
from lipcore.models.vqgan import VQGAN
from lipcore.shapes.measure import inner_opening
from lipcore.synthesis.latent_shot import boxes_of, crop_of, from_tensor, to_tensor
from lipcore.synthesis.warp import look_up
from lipcore.tracking.align import crop_window, to_square, uncrop_map
from lipcore.types import Dialogue, FaceTrack, FloatArray, Frame, Patch, Window

_SOFT = 0.03
"""Of the edges of the new lower face, as a share of the crop's side."""


class HeardVariant:
    """The networks of a variant that hears.

    Args:
        found: Its files.

    Raises:
        WeightsError: One is damaged, or does not fit the others.
    """

    def __init__(self, found: FoundVariant) -> None:
        def load(kind: str) -> torch.nn.Module:
            return load_network(found.files[kind], kind=kind)

        face, pose, generator = load("vqgan_face"), load("vqgan_pose"), load("generator")
        speech = load("speech")
        assert isinstance(face, VQGAN) and isinstance(pose, VQGAN)
        assert isinstance(generator, Generator) and isinstance(speech, SpeechEncoder)
        heard = speech.config.members * speech.config.channels
        if generator.config.speech_size != heard:
            raise WeightsVersionError(
                f"the generator of {found.variant.name!r} hears {generator.config.speech_size} "
                f"features, its speech encoder gives {heard}",
                hint="Take both from one run.",
            )
        latents = "quantized" if found.settings.get("latents") == "quantized" else "continuous"
        self.path = LatentPath(face, pose, generator, latents)  # type: ignore[arg-type]
        self._speech, self._share = speech, found.variant.refine
        self._refiner: Refiner | None = None
        if self._share:
            refiner = load("refiner")
            assert isinstance(refiner, Refiner)
            if refiner.config.crop_px != self.path.crop_px:
                raise WeightsVersionError(
                    f"the refiner works on crops of {refiner.config.crop_px} px, "
                    f"{found.variant.name!r} draws {self.path.crop_px} px",
                    hint="Train a refiner on this V_f.",
                )
            self._refiner = refiner
        self.same_reference = found.settings.get("reference") == "same"

    @torch.no_grad()
    def hear(self, dialogue: Dialogue, count: int, rate: float) -> Tensor:
        """``(count, features)`` at the middles of frames."""
        samples = torch.from_numpy(np.ascontiguousarray(dialogue.samples, np.float32))
        front = MelFrontEnd()
        features = self._speech.features(normalize_mel(front(samples[None])))
        times = (torch.arange(count, dtype=torch.float64) + 0.5) / rate
        return sample_at(features, times * front.config.steps_a_second)[0]

    @torch.no_grad()
    def draw(self, pose: Tensor, reference: Tensor, speech: Tensor) -> FloatArray:
        """The new crop, ``(S, S, 3)`` in 0-1.

        Args:
            pose: (1, D_p, h, w) of ``path.encode_pose``.
            reference: (1, D, h, w) of ``path.encode``.
            speech: (1, features).
        """
        unshaped = torch.zeros(1, self.path.generator.config.shape_size)
        made = self.path.decode(self.path.generate(pose, reference, unshaped, speech))
        if self._refiner is not None:
            refined = self._refiner(made).clamp(-1, 1)
            made = made + self._share * (refined - made)
        crop: FloatArray = from_tensor(made)[0]
        return crop


def render_heard(
    plate: Plate, track: FaceTrack, dialogue: Dialogue, out: Path, variant: HeardVariant, *,
    key: str, progress: Callable[[int], None] = lambda _done: None,
) -> None:  # fmt: skip
    """Draw a shot and write it without loss.

    Args:
        plate: The plate.
        track: Of the face, over the frames to draw.
        dialogue: At 16 kHz, from the first of these frames.
        out: A ``.mkv`` to write.
        variant: The networks.
        key: Of what the pixels depend on.
        progress: Called with the frames done.

    Raises:
        NoFaceError: A frame shows no face.
        MediaError, OutputError: As reading and writing raise.
    """
    frames, color, size = track.frames, ColorTransform.of_plate(plate), variant.path.crop_px
    absent = [n for n, there in zip(frames, track.present, strict=True) if not there]
    if absent:
        raise NoFaceError(
            f"variants that hear need a face in each frame; {absent[0]} shows none",
            hint="Leave such frames out.", frame=absent[0],
        )
    opening = inner_opening(to_square(track.landmarks, track.pixel_aspect))
    still = frames.first + int(np.nanargmin(opening))
    heard = variant.hear(dialogue, len(frames), float(plate.info.rate))
    shown = to_tensor(crop_of(plate.read(still), track, color, size)[None])
    reference = variant.path.encode(shown)
    with open_writer(
        out, plate.info, frames=frames, parameter_hash=key, deliver="video", overwrite=True
    ) as writer:
        for i, frame in enumerate(plate.stream(frames)):
            if not writer.finished(frame.number):
                crop = to_tensor(crop_of(frame, track, color, size)[None])
                box = boxes_of(track, [i])
                pose = variant.path.encode_pose(crop, torch.from_numpy(box))
                seen = variant.path.encode(crop) if variant.same_reference else reference
                new = variant.draw(pose, seen, heard[i : i + 1])
                writer.write(frame, _patch(frame, new, box[0], track.transforms[i], color))
            progress(i + 1)


def _patch(
    frame: Frame, crop: FloatArray, box: FloatArray, transform: FloatArray, color: ColorTransform
) -> Patch:
    """The crop's lower face, to be laid over the plate's frame."""
    size, window = len(crop), crop_window(transform).intersect(frame.window)
    place = uncrop_map(transform, window) * size
    inside = Window(0, 0, size, size)
    matte = look_up(lower_face_matte(box, size)[..., None], inside, place)
    alpha = matte.reshape(window.shape).clip(0, 1)
    drawn = color.from_display(look_up(crop, inside, place))
    hard = (alpha > 0.5).astype(np.float32)
    return Patch(window, (drawn * alpha[..., None]).astype(np.float32), alpha, hard)


def lower_face_matte(box: FloatArray, size: int) -> FloatArray:
    """``(size, size)`` soft matte of what was hidden from the pose encoder, 0 on the crop's rim.

    Args:
        box: ``(4,)`` of ``lower_face_box``, in the crop (0 to 1).
        size: Side of the crop.
    """
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    middle, top, half = (float(v) for v in box[:3])
    soft, rim = max(1.0, _SOFT * size), 3 * _SOFT
    across = (np.abs(at - middle) < half + MARGIN) & (at > rim) & (at < 1 - rim)
    down = (at > top - MARGIN) & (at < 1 - rim)
    hard = (down[:, None] & across[None]).astype(np.float32)
    blurred = np.asarray(cv2.GaussianBlur(hard, (0, 0), soft, borderType=cv2.BORDER_CONSTANT))
    blurred[[0, -1], :] = blurred[:, [0, -1]] = 0
    matte: FloatArray = np.where(blurred < 1 / 512, 0, blurred).astype(np.float32)
    return matte
