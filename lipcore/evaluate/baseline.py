"""Wav2Lip as its authors run it, on our readers and writers: the baseline of the tables."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from lipcore.errors import NoFaceError
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate
from lipcore.media.writers import open_writer
from lipcore.models.mel import MelConfig, MelFrontEnd
from lipcore.models.published.wav2lip import MEL_STEPS, SIDE, Wav2Lip
from lipcore.tracking.networks import Picture
from lipcore.types import (
    Dialogue,
    FaceTrack,
    FloatArray,
    Frame,
    FrameRange,
    Patch,
    Window,
)

_STEPS_A_SECOND = 80
_BELOW_PX = 10
"""What the published inference adds below the face's box."""
_SMOOTHED = 5


def render_wav2lip(
    plate: Plate, track: FaceTrack, dialogue: Dialogue, out: Path, network: Wav2Lip, *, key: str
) -> None:
    """Draw a shot with Wav2Lip at 96 pixels and write it without loss.

    As published: the face's box with 10 pixels more below, the mean of five boxes, the frame
    itself as the reference, the new face resized into the box, edges and all. The box is that of
    our face mesh, where the authors take S3FD's.

    Args:
        plate: Without faces to lose: see below.
        track: Of the face, over the frames to draw.
        dialogue: At 16 kHz, from the first of these frames.
        out: A ``.mkv`` to write.
        network: With imported weights.
        key: Of what the pixels depend on.

    Raises:
        NoFaceError: A frame shows no face: the published inference stops there.
        MediaError, OutputError: As reading and writing raise.
    """
    frames, color = track.frames, ColorTransform.of_plate(plate)
    absent = [n for n, there in zip(frames, track.present, strict=True) if not there]
    if absent:
        raise NoFaceError(
            f"Wav2Lip needs a face in each frame; {absent[0]} shows none",
            hint="Leave such frames out.", frame=absent[0],
        )
    display = plate.info.display
    boxes = face_boxes(track, display.width, display.height)
    heard = mel_windows(dialogue, len(frames), float(plate.info.rate))
    with open_writer(
        out, plate.info, frames=frames, parameter_hash=key, deliver="video", overwrite=True
    ) as writer:
        for i, frame in enumerate(plate.stream(frames)):
            if writer.finished(frame.number):
                continue
            x0, y0, x1, y1 = (int(v) for v in boxes[i])
            shown = color.tracking_picture(frame.rgb)
            face = cv2.resize(shown[y0:y1, x0:x1], (SIDE, SIDE)).astype(np.uint8)
            new = cv2.resize(draw_face(network, face, heard[i]), (x1 - x0, y1 - y0))
            drawn = color.from_display(new.astype(np.float32) / 255)
            writer.write(frame, box_patch(frame, x0, y0, drawn))


def box_patch(frame: Frame, left: int, top: int, drawn: FloatArray) -> Patch:
    """A drawn box, edges and all, to be laid over a frame of which all else stays the plate's.

    A frame with changed ``rgb`` will not do: writers give back the plate's own code values where
    there is no patch.

    Args:
        frame: Of the plate.
        left: First column of the box, from that of the data window.
        top: First row, likewise.
        drawn: ``(height, width, 3)`` in the plate's encoding.
    """
    height, width = drawn.shape[:2]
    window = frame.window
    x0, y0 = max(0, left - 1), max(0, top - 1)
    x1, y1 = min(window.width, left + width + 1), min(window.height, top + height + 1)
    alpha = np.zeros((y1 - y0, x1 - x0), np.float32)
    rgb = np.zeros((*alpha.shape, 3), np.float32)
    inside = slice(top - y0, top - y0 + height), slice(left - x0, left - x0 + width)
    alpha[inside], rgb[inside] = 1, drawn
    return Patch(Window(window.x + x0, window.y + y0, x1 - x0, y1 - y0), rgb, alpha, alpha)


@torch.no_grad()
def draw_face(network: Wav2Lip, face: Picture, mel: FloatArray) -> Picture:
    """One face.

    Args:
        network: The generator.
        face: ``(96, 96, 3)`` uint8, red first.
        mel: ``(80, 16)``.

    Returns:
        ``(96, 96, 3)`` uint8, red first.
    """
    seen = torch.from_numpy(face[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    half = seen.clone()
    half[:, :, SIDE // 2 :] = 0
    new = network(torch.from_numpy(mel)[None, None], torch.cat([half, seen], dim=1))
    picture: Picture = (new[0].permute(1, 2, 0).numpy()[..., ::-1] * 255).astype(np.uint8)
    return picture


def face_boxes(track: FaceTrack, width: int, height: int) -> FloatArray:
    """``(N, 4)`` whole pixels x0, y0, x1, y1 inside the picture, each the mean of five."""
    points = track.landmarks[:, :468, :2]
    low, high = points.min(axis=1), points.max(axis=1)
    rows = np.concatenate([low, high], axis=1)
    rows[:, 3] += _BELOW_PX
    top = np.array([width, height, width, height], np.float32)
    rows = np.clip(rows, 0, top).astype(np.int64)
    last = len(rows) - _SMOOTHED
    means = [rows[max(0, min(i, last)) :][:_SMOOTHED].mean(axis=0) for i in range(len(rows))]
    out: FloatArray = np.stack(means).astype(np.int64).astype(np.float32)
    return out


@torch.no_grad()
def mel_windows(dialogue: Dialogue, count: int, rate: float) -> FloatArray:
    """``(count, 80, 16)`` mel steps, 80 a second, that each frame hears."""
    front = MelFrontEnd(MelConfig(hop=dialogue.sample_rate_hz // _STEPS_A_SECOND))
    steps = front(torch.from_numpy(np.ascontiguousarray(dialogue.samples))[None])[0].numpy()
    missing = max(0, MEL_STEPS - steps.shape[1])
    steps = np.pad(steps, ((0, 0), (0, missing)), constant_values=-front.config.max_abs)
    last = steps.shape[1] - MEL_STEPS
    starts = [min(int(i * _STEPS_A_SECOND / rate), last) for i in range(count)]
    windows: FloatArray = np.stack([steps[:, s : s + MEL_STEPS] for s in starts])
    return windows


def first_frames(plate: Plate, count: int) -> FrameRange:
    """The first frames of a plate, as many as there are up to ``count``."""
    first = plate.info.frames.first
    return FrameRange(first, min(plate.info.frames.last, first + count - 1))
