"""The baselines themselves, each with the preparation and finish that its authors publish."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from lipcore.evaluate.baseline import BaselineShot, Box, Draw, Method, face_boxes
from lipcore.evaluate.baseline_sound import cepstra_steps, cut_cepstra, cut_mel, mel_steps
from lipcore.models.published import lipgan as lipgan_network
from lipcore.models.published import wav2lip as wav2lip_network
from lipcore.models.published import yousaidthat as speech2vid
from lipcore.models.published.gpen import GPEN
from lipcore.models.published.lipgan import LipGAN
from lipcore.models.published.tecogan import TecoGAN
from lipcore.models.published.wav2lip import Wav2Lip
from lipcore.models.published.yousaidthat import YouSaidThat, YouSaidThatDeblur
from lipcore.tracking.head import lower_face
from lipcore.tracking.networks import Picture
from lipcore.types import FloatArray

Enhance = Callable[[Picture], Picture]
"""A face, red first -> a larger one; called for one frame after another."""
_BELOW_PX, _SMOOTHED = 10, 5
"""What Wav2Lip's inference adds below the face's box, and how many boxes it averages."""
LIPGAN_BEFORE = 4.0
"""Frames by which LipGAN's windows begin before their frame."""
_AROUND_PX = 8


def wav2lip(network: Wav2Lip, enhance: Callable[[], Enhance] | None = None) -> Method:
    """Wav2Lip at its network's size.

    As published: the face's box with 10 pixels more below, the mean of five boxes, the frame
    itself as the reference, the new face resized into the box, edges and all. The box is that of
    our face mesh, where the authors take S3FD's.

    Args:
        network: The generator.
        enhance: Makes, for a shot, what the new faces go through on their way to the box.
    """

    def start(shot: BaselineShot) -> Draw:
        count = len(shot.track.frames)
        boxes = face_boxes(shot.track, shot.size, below=_BELOW_PX, smoothed=_SMOOTHED)
        heard = cut_mel(
            mel_steps(shot.dialogue.samples), range(count), shot.rate,
            steps=wav2lip_network.MEL_STEPS,
        )  # fmt: skip
        finish = enhance() if enhance is not None else None
        side = network.config.size

        def draw(i: int, shown: Picture) -> tuple[Box, Picture]:
            box = _box(boxes[i])
            new = draw_wav2lip(network, _cut(shown, box, side), heard[i])
            return box, _fill(new if finish is None else finish(new), box)

        return draw

    return start


def lipgan(network: LipGAN) -> Method:
    """LipGAN.

    As published: the face's box as it is found, the frame itself as the reference, the new face
    resized into the box. Windows of sound begin 4 frames before theirs, as in the published
    training; the published inference, which begins them at the frame, shows mouths too early.
    The box is that of our face mesh, where the authors take dlib's.
    """

    def start(shot: BaselineShot) -> Draw:
        boxes = face_boxes(shot.track, shot.size)
        heard = cut_mel(
            mel_steps(shot.dialogue.samples), range(len(shot.track.frames)), shot.rate,
            steps=lipgan_network.MEL_STEPS, before=LIPGAN_BEFORE,
        )  # fmt: skip

        def draw(i: int, shown: Picture) -> tuple[Box, Picture]:
            box = _box(boxes[i])
            return box, _fill(
                draw_lipgan(network, _cut(shown, box, network.config.size), heard[i]), box
            )

        return draw

    return start


def yousaidthat(network: YouSaidThat, deblur: YouSaidThatDeblur | None) -> Method:
    """You said that?, re-dubbing.

    As published: five aligned pictures of the person (here spread evenly over the shot) and
    the cepstra around a frame make an aligned face, which is sharpened, aligned with the frame
    and blended in by Poisson's equation. Faces are aligned to our canonical crop, where the
    authors take the mean of their own landmarks, which they keep in a binary file; what is
    blended in is the lower face, as speech moves nothing else.

    Args:
        network: The generator.
        deblur: The second network; without it faces stay as the first one draws them.

    Source: Chung et al., 2017.
    """

    def start(shot: BaselineShot) -> Draw:
        frames, track = list(shot.track.frames), shot.track
        heard = cut_cepstra(
            cepstra_steps(shot.dialogue.samples, len(frames) / shot.rate), range(len(frames)),
            shot.rate, steps=speech2vid.STEPS,
        )  # fmt: skip
        places = np.linspace(0, len(frames) - 1, speech2vid.PICTURES).round().astype(int)
        person = np.concatenate(
            [align(shot.picture(frames[i]), track.transforms[i]) for i in places], axis=-1
        )

        def draw(i: int, shown: Picture) -> tuple[Box, Picture]:
            new = draw_yousaidthat(network, deblur, person, heard[i])
            return _blend(shown, new, track.transforms[i], track.landmarks[i, :, :2])

        return draw

    return start


@torch.no_grad()
def draw_wav2lip(network: Wav2Lip, face: Picture, mel: FloatArray) -> Picture:
    """One face.

    Args:
        network: The generator.
        face: ``(size, size, 3)`` uint8, red first.
        mel: ``(80, 16)``.

    Returns:
        ``(size, size, 3)`` uint8, red first.
    """
    seen = _blue_first(face)
    new = network(torch.from_numpy(mel)[None, None], torch.cat([_upper(seen), seen], dim=1))
    return _picture(new.flip(1))


@torch.no_grad()
def draw_lipgan(network: LipGAN, face: Picture, mel: FloatArray) -> Picture:
    """As ``draw_wav2lip``; ``mel`` is ``(80, 27)``, and the reference comes first."""
    seen = _blue_first(face)
    new = network(torch.from_numpy(mel)[None, None], torch.cat([seen, _upper(seen)], dim=1))
    return _picture(new.flip(1))


@torch.no_grad()
def draw_yousaidthat(
    network: YouSaidThat, deblur: YouSaidThatDeblur | None, person: Picture, cepstra: FloatArray
) -> Picture:
    """One face.

    Args:
        network: The generator.
        deblur: What sharpens, or None.
        person: ``(112, 112, 15)`` uint8: five aligned pictures, red first.
        cepstra: ``(12, 35)``.

    Returns:
        ``(109, 109, 3)`` uint8, red first: what ``align`` gives, without its outermost pixels
        (one left and above, two right and below).
    """
    faces = torch.from_numpy(person).permute(2, 0, 1)[None].float()
    new = network(torch.from_numpy(cepstra)[None, None], faces)
    return _picture(new if deblur is None else deblur(new))


def align(picture: Picture, transform: FloatArray) -> Picture:
    """``(112, 112, 3)`` uint8: the canonical crop of a frame.

    Args:
        picture: The frame.
        transform: ``(2, 3)`` from its pixels to the crop, whose corners are (0, 0) and (1, 1).
    """
    side = (speech2vid.SEEN_SIDE, speech2vid.SEEN_SIDE)
    matrix = _to_pixels(transform)
    scale = float(np.hypot(matrix[1, 0], matrix[1, 1]))
    if scale < 0.7:  # finer than the grid that it goes to
        spread = 0.5 * (1 / scale**2 - 1) ** 0.5
        picture = cv2.GaussianBlur(picture, (0, 0), spread).astype(np.uint8)
    return cv2.warpAffine(
        picture, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.uint8)


def tecogan(network: TecoGAN) -> Callable[[], Enhance]:
    """Four times the size, each face beside the one before it."""

    def start() -> Enhance:
        before: list[Tensor] = []

        @torch.no_grad()
        def enhance(face: Picture) -> Picture:
            here = torch.from_numpy(face).permute(2, 0, 1)[None].float() / 255
            if not before:
                before[:] = torch.zeros_like(here), torch.zeros_like(here).repeat(1, 1, 4, 4)
            before[:] = here, network.step(here, *before)
            return _picture(before[1])

        return enhance

    return start


def gpen(network: GPEN, size: int = 512) -> Callable[[], Enhance]:
    """Faces restored one by one, at the network's size."""

    @torch.no_grad()
    def enhance(face: Picture) -> Picture:
        seen = torch.from_numpy(cv2.resize(face, (size, size))).permute(2, 0, 1)[None].float()
        return _picture(network(seen / 127.5 - 1) / 2 + 0.5)

    return lambda: enhance


def _blue_first(face: Picture) -> Tensor:
    """(1, 3, H, W) 0-1"""
    return torch.from_numpy(face[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255


def _upper(faces: Tensor) -> Tensor:
    """Without the lower half."""
    hidden = faces.clone()
    hidden[:, :, faces.shape[2] // 2 :] = 0
    return hidden


def _picture(faces: Tensor) -> Picture:
    """(1, 3, H, W) about 0-1 -> ``(H, W, 3)`` uint8"""
    values = faces[0].permute(1, 2, 0).clamp(0, 1).numpy()
    picture: Picture = (values * 255).astype(np.uint8)
    return picture


def _box(row: FloatArray) -> Box:
    x0, y0, x1, y1 = (int(v) for v in row)
    return x0, y0, x1, y1


def _cut(shown: Picture, box: Box, side: int) -> Picture:
    x0, y0, x1, y1 = box
    return cv2.resize(shown[y0:y1, x0:x1], (side, side)).astype(np.uint8)


def _fill(face: Picture, box: Box) -> Picture:
    x0, y0, x1, y1 = box
    return cv2.resize(face, (x1 - x0, y1 - y0)).astype(np.uint8)


def _to_pixels(transform: FloatArray) -> FloatArray:
    """To the pixels of the aligned picture, whose centres OpenCV counts from 0."""
    side = speech2vid.SEEN_SIDE
    matrix = transform.astype(np.float64) * side
    matrix[:, 2] += 0.5 * matrix[:, :2].sum(axis=1) - 0.5
    out: FloatArray = matrix.astype(np.float32)
    return out


def _blend(
    shown: Picture, face: Picture, transform: FloatArray, landmarks: FloatArray
) -> tuple[Box, Picture]:
    """The lower half of an aligned face in its place."""
    height, width = shown.shape[:2]
    outline = landmarks[list(lower_face())]
    hull = cv2.convexHull(outline.astype(np.float32))[:, 0].round().astype(np.int32)
    low = np.maximum(hull.min(axis=0) - _AROUND_PX, 0)
    high = np.minimum(hull.max(axis=0) + _AROUND_PX + 1, (width, height))
    (x0, y0), (x1, y1) = (int(v) for v in low), (int(v) for v in high)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillConvexPoly(mask, hull - low.astype(np.int32), (255,))
    whole = cv2.copyMakeBorder(face, 1, 2, 1, 2, cv2.BORDER_REPLICATE)
    matrix = np.asarray(cv2.invertAffineTransform(_to_pixels(transform)), np.float64)
    matrix[:, 2] -= (x0, y0)
    new = cv2.warpAffine(
        whole, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    old = shown[y0:y1, x0:x1]
    mask[[0, -1]] = mask[:, [0, -1]] = 0  # the blend needs a rim that it knows
    if not mask.any():
        return (x0, y0, x1, y1), old
    x, y, wide, tall = cv2.boundingRect(mask)
    middle = x + wide // 2, y + tall // 2
    blended = cv2.seamlessClone(new, np.ascontiguousarray(old), mask, middle, cv2.NORMAL_CLONE)
    return (x0, y0, x1, y1), blended.astype(np.uint8)
