"""Zero-lag smoothing of landmarks and crop transforms over time.

A face is split into its rigid pose and its pose-free shape, and each part is smoothed by as
much as it can bear: the pose and the still parts of the face over several frames, lips and
jaw and eyelids by less. The filter is symmetric in time, so nothing lags, and adaptive: a frame is
averaged with those neighbours that show the same thing up to the landmark noise (a temporal
bilateral filter over the whole part at once). A shut mouth is averaged over many frames; a
mouth that moves is left alone, so that speech is not low-passed into mumbling. Constant
motion passes unchanged, because the weights are the same on both sides.

The noise itself is estimated from the shot: second differences at its quietest moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipcore.errors import ConfigError
from lipcore.tracking.head import (
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    HeadPose,
    fit_pose,
    lower_face,
)
from lipcore.types import FloatArray

EYES = tuple(
    sorted(
        {
            *(33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
            *(263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
            *range(468, 478),
        }
    )
)
"""Eyelids and irises: they move fast, too."""
LIPS = tuple(sorted({*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER, *LIPS_INNER_UPPER, *LIPS_INNER_LOWER}))


@dataclass(frozen=True, slots=True)
class SmoothingConfig:
    """How far each part is smoothed; standard deviations in frames, 0 switches a part off."""

    pose_frames: float = 2.0
    still_frames: float = 4.0
    """Forehead, nose, cheeks."""
    mouth_frames: float = 2.0
    """Lips, chin and jaw."""
    eyes_frames: float = 2.0
    crop_frames: float = 2.5
    """The crop's place, beyond the smoothing of the landmarks."""
    tolerance: float = 2.2
    """How many times the noise two frames may differ and still be averaged."""

    def __post_init__(self) -> None:
        for name in ("pose_frames", "still_frames", "mouth_frames", "eyes_frames", "crop_frames"):
            if not 0 <= getattr(self, name) <= 50:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}, which is outside 0-50 frames",
                    hint="Give a number of frames, as 2.0.",
                )
        if self.tolerance <= 0:
            raise ConfigError(
                f"tolerance is {self.tolerance}, which is not above 0",
                hint="Give a multiple of the noise, as 2.0.",
            )


def stabilize(landmarks: FloatArray, config: SmoothingConfig) -> FloatArray:
    """Smooth one unbroken run of frames: no cut and no gap inside.

    Args:
        landmarks: ``(N, 478, 3)`` square space, every value finite.
        config: How far.

    Returns:
        ``(N, 478, 3)`` float32, smoothed.
    """
    if len(landmarks) < 3:
        return landmarks
    poses = [fit_pose(frame) for frame in landmarks]
    shapes = np.stack([pose.to_head(frame) for pose, frame in zip(poses, landmarks, strict=True)])
    smooth = shapes.copy()
    mouth = np.array(lower_face())
    eyes = np.array(EYES)
    still = np.setdiff1d(np.arange(shapes.shape[1]), np.concatenate([mouth, eyes]))
    # Lips by themselves: a small opening must not drown in the noise of a quiet chin.
    for part, frames in (
        (np.array(LIPS), config.mouth_frames),
        (np.setdiff1d(mouth, LIPS), config.mouth_frames),
        (eyes, config.eyes_frames),
        (still, config.still_frames),
    ):
        flat = shapes[:, part].reshape(len(shapes), -1)
        smooth[:, part] = smooth_adaptive(flat, frames, config.tolerance).reshape(
            len(shapes), len(part), 3
        )
    steady = _smooth_poses(poses, config)
    out: FloatArray = np.stack(
        [pose.to_plate(shape) for pose, shape in zip(steady, smooth, strict=True)]
    ).astype(np.float32)
    return out


def _smooth_poses(poses: list[HeadPose], config: SmoothingConfig) -> list[HeadPose]:
    scale = np.array([pose.scale for pose in poses])
    unit = float(np.median(scale))
    # Columns in interocular units of displacement, so that one noise level fits them all.
    columns = np.concatenate(
        [
            np.log(scale)[:, None],
            np.stack([pose.translation for pose in poses]) / unit,
            np.stack([pose.rotation.ravel() for pose in poses]),
        ],
        axis=1,
    )
    # Few numbers describe a pose, so that noise alone scatters more than over many landmarks.
    smooth = smooth_adaptive(columns, config.pose_frames, 1.5 * config.tolerance)
    steady = []
    for row in smooth:
        u, _, vt = np.linalg.svd(row[4:].reshape(3, 3))
        steady.append(
            HeadPose(
                float(np.exp(row[0])),
                (u @ vt).astype(np.float32),
                (row[1:4] * unit).astype(np.float32),
            )
        )
    return steady


def noise_level(values: FloatArray) -> float:
    """Root mean square noise of a frame's values, from the quietest moments.

    Noise shows in second differences; the twentieth part with the smallest ones is believed.

    Args:
        values: ``(N, D)``.
    """
    if len(values) < 3:
        return 0.0
    second = values[2:] - 2 * values[1:-1] + values[:-2]
    energy = (second**2).mean(1) / 6.0
    return float(np.sqrt(np.quantile(energy, 0.05)))


def smooth_adaptive(values: FloatArray, frames: float, tolerance: float) -> FloatArray:
    """Average each frame with its neighbours in time that equal it up to the noise.

    Args:
        values: ``(N, D)`` one row a frame; all columns in comparable units.
        frames: Standard deviation of the window in time, in frames; 0 gives the values back.
        tolerance: How many times the noise two rows may differ.

    Returns:
        ``(N, D)``.
    """
    noise = noise_level(values)
    count = len(values)
    if frames <= 0 or noise <= 0 or count < 3:
        return values
    data = values.astype(np.float64)
    total = data.copy()
    weight = np.ones(count)
    # Two noisy rows of the same thing differ by twice the noise's variance: only the rest counts.
    floor, spread = 2 * noise**2, 2 * (tolerance * noise) ** 2
    for step in range(1, min(int(np.ceil(3 * frames)), count - 1) + 1):
        early, late = data[:-step], data[step:]
        excess = np.maximum(((late - early) ** 2).mean(1) - floor, 0) / spread
        # One weight for the neighbours on both sides, so that motion is not pulled either way;
        # where a side is missing, at the ends, the other one counts alone.
        back = np.concatenate([np.full(step, -1.0), excess])
        ahead = np.concatenate([excess, np.full(step, -1.0)])
        both = np.exp(-np.maximum(back, ahead) - step**2 / (2 * frames**2))
        w_back, w_ahead = np.where(back < 0, 0, both), np.where(ahead < 0, 0, both)
        total[step:] += w_back[step:, None] * early
        total[:-step] += w_ahead[:-step, None] * late
        weight += w_back + w_ahead
    smooth: FloatArray = total / weight[:, None]
    return smooth


def smooth_transforms(transforms: FloatArray, frames: float) -> FloatArray:
    """Smooth a run of similarities ``(N, 2, 3)`` by a Gaussian, symmetric up to both ends."""
    count = len(transforms)
    if frames <= 0 or count < 3:
        return transforms
    c, s = transforms[:, 0, 0].astype(np.float64), transforms[:, 1, 0].astype(np.float64)
    # Scale and angle vary smoothly where matrix entries trade against the far-off origin:
    # so the crop's centre in the plate is smoothed, not the translation.
    linear = transforms[:, :, :2].astype(np.float64)
    center = np.linalg.solve(linear, (0.5 - transforms[:, :, 2].astype(np.float64))[..., None])[
        ..., 0
    ]
    columns = np.column_stack([np.log(np.hypot(c, s)), np.unwrap(np.arctan2(s, c)), center])
    total, weight = columns.copy(), np.ones(count)
    for step in range(1, min(int(np.ceil(3 * frames)), (count - 1) // 2) + 1):
        middle = slice(step, count - step)
        w = float(np.exp(-(step**2) / (2 * frames**2)))
        total[middle] += w * (columns[: count - 2 * step] + columns[2 * step :])
        weight[middle] += 2 * w
    columns = total / weight[:, None]
    scale, angle = np.exp(columns[:, 0]), columns[:, 1]
    out = np.empty((count, 2, 3))
    out[:, 0, 0] = out[:, 1, 1] = scale * np.cos(angle)
    out[:, 1, 0] = scale * np.sin(angle)
    out[:, 0, 1] = -out[:, 1, 0]
    out[:, :, 2] = 0.5 - np.einsum("nij,nj->ni", out[:, :, :2], columns[:, 2:])
    smooth: FloatArray = out.astype(np.float32)
    return smooth
